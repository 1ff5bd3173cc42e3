"""Batched greedy answers of the frozen target: what the drafter learns from, and what right answers are counted on."""
from __future__ import annotations

import os
import re
import time
from typing import List, Sequence, Tuple

import numpy as np
import torch

from .config import Recipe, stop_ids
from .documents import CHAT, Docs
from .model import Cache, Target
from .store import write_npz
from .tokenizer import Tokenizer

# Share of each set's prompts that are answered. Template problems and drills are easy and many, so most are left out.
SHARE = {"synthetic_gsm": 0.22, "synthetic_arithmetic": 0.08, "synthetic_python": 0.6}
LONGEST_PROMPT = 260
DOCSTRING_FORMS = 3  # versions of each rewritten Python task, one of them as chat


@torch.no_grad()
def generate(model: Target, prompts: Sequence[Sequence[int]], max_new: int, sample_seed: int = -1) -> List[List[int]]:
    """One batch, padded on the left. New ids of each prompt, the stop token included if it came.
    sample_seed >= 0 samples at temperature 1 instead of taking the best token."""
    stop = stop_ids(model.cfg)
    B, P = len(prompts), max(map(len, prompts))
    ids = torch.zeros(B, P, dtype=torch.long)
    real = torch.zeros(B, P + max_new, dtype=torch.bool)
    for r, p in enumerate(prompts):
        ids[r, P - len(p):] = torch.as_tensor(list(p))
        real[r, P - len(p):] = True
    pos = (real[:, :P].long().cumsum(1) - 1).clamp(min=0)
    off = torch.zeros(real.shape, dtype=model.dtype).masked_fill_(~real, -1e9)[:, None, None]
    causal = torch.zeros(P, P, dtype=model.dtype).masked_fill_(torch.ones(P, P, dtype=torch.bool).triu(1), -1e9)
    cache = Cache.of(model, B, P + max_new)
    h, _ = model(ids, pos, (off[..., :P] + causal).clamp(min=-1e9), cache=cache)
    last, pos, who = h[:, -1:], pos[:, -1:], torch.arange(B)
    rng = torch.Generator().manual_seed(max(sample_seed, 0))
    out: List[List[int]] = [[] for _ in range(B)]
    done = torch.zeros(B, dtype=torch.bool)
    for n in range(max_new):
        z = model.logits(last)[:, 0]
        t = z.argmax(-1) if sample_seed < 0 else torch.multinomial(z.softmax(-1), 1, generator=rng)[:, 0]
        for r, i, d in zip(who.tolist(), t.tolist(), done.tolist()):
            if not d:
                out[r].append(i)
        for s in stop:
            done |= t == s
        if bool(done.all()) or n == max_new - 1:
            break
        live = (~done).nonzero()[:, 0]
        if len(live) < 0.75 * len(done):
            cache.keep(live)
            off, t, pos, who, done = off[live], t[live], pos[live], who[live], done[live]
        pos = pos + 1
        last, _ = model(t[:, None], pos, off[..., :cache.n + 1], cache=cache)
    return out


def docstring_prompt(prompt: str, answer: str, rng) -> str:
    """An MBPP task (comment lines, one assertion) as a function head with a docstring; '' where it does not fit."""
    head = re.search(r"^def (\w+)\s*\((.*?)\)\s*:", answer, re.M)
    lines = [l[2:].strip() for l in prompt.splitlines() if l.startswith("# ")]
    task = next((l for l in lines if not l.startswith("assert")), "")
    check = next((l[len("assert "):] for l in lines if l.startswith("assert")), "")
    if not head or not task:
        return ""
    text = re.sub(r"^Write a (python )?function to ", "", task)
    text = text[:1].upper() + text[1:]
    lead = "from typing import List\n\n\n" if rng.random() < 0.35 else "\n\n" if rng.random() < 0.3 else ""
    doc = '    """' + (" " if rng.random() < 0.5 else "\n    " if rng.random() < 0.5 else "") + text + "\n"
    call, _, value = check.partition("==")
    if value and call.startswith(head.group(1)) and rng.random() < 0.8:
        form = "    >>> %s\n    %s\n" if rng.random() < 0.6 else "    Example: %s returns %s\n"
        doc += form % (call.strip(), value.strip())
    return "%sdef %s(%s):\n%s    \"\"\"\n" % ((lead,) + head.groups() + (doc,))


def training_prompts(docs: Docs, tok: Tokenizer, seed: int) -> List[Tuple[List[int], int]]:
    """(prompt ids, source number) in the order in which they are answered; nothing held out."""
    rng = np.random.default_rng(seed)
    idx = docs.select(False)
    idx = idx[docs.plen[idx] <= LONGEST_PROMPT]
    share = np.array([SHARE.get(s, 1.0) for s in docs.sets])
    keep = rng.random(len(idx)) < share[docs.src[idx]]
    prompts = [(docs.prompt(i), int(docs.src[i])) for i in idx[keep]]
    raw = [i for i in docs.select(False, ["mbpp_functions"]) if docs.raw[i]]
    for form in range(DOCSTRING_FORMS):
        for i in raw:
            text = docstring_prompt(tok.decode(docs.prompt(i)), tok.decode(docs.doc(i)[docs.plen[i]:]), rng)
            ids = tok.encode(CHAT % text if form == 0 else text)
            if text and len(ids) <= LONGEST_PROMPT:
                prompts.append((ids, int(docs.src[i])))
    return [prompts[i] for i in rng.permutation(len(prompts))]


def answer_prompts(recipe: Recipe, model: Target, docs: Docs, tok: Tokenizer, out: str, seed: int = 7) -> None:
    """Writes answers.npz: prompt + answer, in the order of training_prompts. Goes on where a killed run stopped.
    Answers cut at the limit stay in: the drafter meets such texts too."""
    prompts, batch = training_prompts(docs, tok, seed)[:recipe.answers], recipe.answer_batch
    ids: List[np.ndarray] = []
    off, plen, src, seen, start = [0], [], [], 0, time.time()
    if os.path.exists(out):
        z = np.load(out)
        ids, off, plen, src, seen = [z["ids"]], list(z["off"]), list(z["plen"]), list(z["src"]), int(z["seen"])
    while seen < len(prompts):
        chunk = sorted(prompts[seen:seen + 8 * batch], key=lambda p: len(p[0]))
        for k in range(0, len(chunk), batch):
            part = chunk[k:k + batch]
            for (p, s), o in zip(part, generate(model, [p for p, _ in part], recipe.answer_tokens)):
                if len(o) > 2:
                    ids.append(np.concatenate([p, o]).astype(np.uint16))
                    off.append(off[-1] + len(p) + len(o))
                    plen.append(len(p))
                    src.append(s)
        seen += len(chunk)
        write_npz(out, ids=np.concatenate(ids), off=np.array(off), plen=np.array(plen), src=np.array(src), seen=seen,
                  sets=np.array(docs.sets))
        print("answers: prompts %d of %d, answer tokens %d, %.0fs" % (
            seen, len(prompts), off[-1] - sum(plen), time.time() - start), flush=True)
