#!/usr/bin/env python3
"""Golden outputs of the tiny pair: what the C++ engine has to reproduce, from float32 PyTorch on the exported weights.

    python3 tools/golden/make_tiny_golden.py [--model models/tiny] [--docs RUN/docs.npz] [--check]

golden.json, golden_*.npy   20 prompts; those of the existing file, or fresh ones (held-out templates, GSM8K test, HumanEval)
                            when --docs names the documents of a training run
golden_cycles.json          100 prompts of data/gsm-mini.jsonl and data/py-mini.jsonl: ids and accepted counts a cycle
--check                     write nothing; fail unless the files hold what would be written
"""
from __future__ import annotations

import argparse
import collections
import json
import os
import sys
from typing import Any, Dict, List, Tuple

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "train"))

import numpy as np
import torch

from tiny.decode import dflash, near, plain
from tiny.documents import Docs
from tiny.model import Draft, Target, rows_mask
from tiny.prompts import REPO, held_out_templates, unseen
from tiny.store import load, read_json, write_json, write_whole
from tiny.tokenizer import Tokenizer

MAX_NEW = 128
ABOUT = ("Greedy ids in float32 PyTorch from the exported bfloat16 weights, at most 128 new tokens, stop ids %d and %d (kept). "
         "acceptance_lengths: accepted drafts + 1 in each cycle, before the cut at a stop or at 128; the prefill token is in no "
         "cycle. smallest_gap: least distance of the two best logits %s; where it is under 1e-3 another implementation may part.")
ROWS = (" logits_row: row of golden_logits.npy (last prompt position), golden_taps.npy (tapped layers' outputs there, in order) and "
        "golden_draft_logits.npy (slots 1..7 of the first cycle).")
Cases = List[Tuple[str, List[int]]]


def first_cycle(target: Target, draft: Draft, prompt: List[int], anchor: int) -> Tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Logits and taps at the last prompt position, and the draft's logits [block - 1, V] for the first block."""
    h, f = target(torch.tensor([prompt]), torch.arange(len(prompt))[None], rows_mask(len(prompt), 0), tuple(draft.taps))
    block = torch.tensor([[anchor] + [draft.mask_id] * (draft.block - 1)])
    z = draft(target.model.embed_tokens(block), torch.arange(len(prompt), len(prompt) + draft.block)[None],
              draft.context_kv(f, torch.arange(len(prompt))[None]))
    return target.logits(h[0, -1]).numpy(), f[0, -1].numpy(), target.logits(z[0, 1:]).numpy()


def small_set(target: Target, draft: Draft, tok: Tokenizer, prompts: Cases) -> Tuple[Dict[str, Any], Dict[str, np.ndarray]]:
    cases, rows, last = [], [], None
    for name, p in prompts:
        ref, gaps = plain(target, p, MAX_NEW)
        run = dflash(target, draft, p, MAX_NEW)
        cases.append({"set": name, "prompt_ids": p, "plain_ids": ref, "dflash_ids": run.ids,
                      "acceptance_lengths": run.cycles, "smallest_gap": round(min(gaps), 5),
                      "match": near(run.ids, ref, gaps), "text": tok.decode(run.ids)})
        if name != last:
            cases[-1]["logits_row"] = len(rows)
            rows.append(first_cycle(target, draft, p, ref[0]))
        last = name
    arrays = dict(zip(("logits", "taps", "draft_logits"), (np.stack(x).astype(np.float32) for x in zip(*rows))))
    stops = (target.cfg["eos_token_id"], target.cfg["pad_token_id"])
    value = {"about": ABOUT % (stops + ("along the plain text",)) + ROWS, "block_size": draft.block,
             "target_layer_ids": draft.taps, "mask_token_id": draft.mask_id, "cases": cases}
    print("golden: %s" % dict(collections.Counter(c["match"] for c in cases)))
    return value, arrays


def cycles_set(target: Target, draft: Draft, tok: Tokenizer) -> Dict[str, Any]:
    sets = unseen(tok, published="")
    cases = []
    for name, count in (("gsm-mini", 60), ("py-mini", 40)):
        for p in sets[name].prompts[:count]:
            run = dflash(target, draft, p, MAX_NEW)
            cases.append({"set": name, "prompt_ids": p, "dflash_ids": run.ids, "acceptance_lengths": run.cycles,
                          "smallest_gap": round(run.smallest_gap, 5)})
    stops = (target.cfg["eos_token_id"], target.cfg["pad_token_id"])
    print("cycles: %d prompts, %d cycles" % (len(cases), sum(len(c["acceptance_lengths"]) for c in cases)))
    return {"about": ABOUT % (stops + ("where a token was drafted or verified",)), "block_size": draft.block, "cases": cases}


def prompts_for(model: str, tok: Tokenizer, docs: str) -> Cases:
    if not docs:
        return [(c["set"], c["prompt_ids"]) for c in read_json(os.path.join(model, "golden.json"))["cases"]]
    sets = dict({"held-out templates": held_out_templates(Docs(docs), tok)}, **unseen(tok))
    return [(name, p) for name, n in (("held-out templates", 10), ("GSM8K test", 5), ("HumanEval", 5))
            for p in sets[name].prompts[:n]]


def without_gaps(value: Any) -> Any:
    """A copy whose gaps are blanked: their last digits depend on the machine's vector width."""
    copy = json.loads(json.dumps(value))
    for c in copy["cases"]:
        c["smallest_gap"] = None
    return copy


def same(path: str, value: Any) -> bool:
    if not os.path.exists(path):
        ok = False
    elif isinstance(value, np.ndarray):
        ok = bool(np.allclose(np.load(path), value, rtol=0, atol=1e-4))
    else:
        ok = without_gaps(read_json(path)) == without_gaps(value)
    print("%s: %s" % (os.path.basename(path), "same" if ok else "DIFFERENT"))
    return ok


def write(path: str, value: Any) -> None:
    if not isinstance(value, np.ndarray):
        write_json(path, value, indent=None)
        return

    def put(tmp):
        with open(tmp, "wb") as f:
            np.save(f, value)
    write_whole(path, put)


def main() -> int:
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("--model", default=os.path.join(REPO, "models", "tiny"))
    ap.add_argument("--docs", default="")
    ap.add_argument("--check", action="store_true")
    a = ap.parse_args()
    torch.set_num_threads(1)
    target, draft = load(os.path.join(a.model, "target")), load(os.path.join(a.model, "draft"))
    tok = Tokenizer(os.path.join(a.model, "target"))
    with torch.no_grad():
        value, arrays = small_set(target, draft, tok, prompts_for(a.model, tok, a.docs))
        files: Dict[str, Any] = {"golden.json": value, "golden_cycles.json": cycles_set(target, draft, tok)}
    files.update({"golden_%s.npy" % k: v for k, v in arrays.items()})
    if a.check:
        return 0 if all([same(os.path.join(a.model, name), v) for name, v in files.items()]) else 1
    for name, v in files.items():
        write(os.path.join(a.model, name), v)
    return 0


if __name__ == "__main__":
    sys.exit(main())
