"""Golden distributions of the sampling chain, from transformers' logits processors (made with 4.57.3, float32).

    python3 tools/golden/make_sampler_golden.py tests/golden/decode/sampler.json
"""
import json
import sys

import torch
from transformers import LogitsProcessorList, MinPLogitsWarper, TemperatureLogitsWarper
from transformers import TopKLogitsWarper, TopPLogitsWarper

CHAINS = [
    dict(temperature=1.0), dict(temperature=0.3), dict(temperature=2.5), dict(temperature=0.05),
    dict(temperature=1.0, top_k=1), dict(temperature=0.7, top_k=5), dict(temperature=1.5, top_k=40),
    dict(temperature=1.0, top_p=0.9), dict(temperature=0.6, top_p=0.95), dict(temperature=1.3, top_p=0.1),
    dict(temperature=1.0, min_p=0.1), dict(temperature=2.0, min_p=0.5), dict(temperature=1.0, min_p=0.01),
    dict(temperature=0.6, top_k=20, top_p=0.95), dict(temperature=1.2, top_k=30, top_p=0.8, min_p=0.05),
    dict(temperature=1.0, top_k=8, top_p=0.99, min_p=0.2),
]


def warped(logits, temperature, top_k=0, top_p=1.0, min_p=0.0):
    chain = LogitsProcessorList([TemperatureLogitsWarper(temperature)])
    if top_k > 0:
        chain.append(TopKLogitsWarper(min(top_k, logits.numel())))
    if top_p < 1.0:
        chain.append(TopPLogitsWarper(top_p))
    if min_p > 0.0:
        chain.append(MinPLogitsWarper(min_p))
    return torch.softmax(chain(torch.zeros(1, 1, dtype=torch.long), logits[None]), -1)[0]


def main():
    generator = torch.Generator().manual_seed(20)
    cases = []
    for vocab in (7, 64, 257):
        logits = torch.randn(vocab, generator=generator) * 3
        cases.append(dict(logits=[float(x) for x in logits],
                          chains=[dict(c, probs=[float(x) for x in warped(logits, **c)]) for c in CHAINS]))
    with open(sys.argv[1], "w") as f:
        json.dump(dict(about=__doc__.splitlines()[0], cases=cases), f)


main()
