"""Measurements of a pair: held-out loss, right answers, acceptance with its controls."""
from __future__ import annotations

import collections
import re
from typing import Any, Dict, List, Optional, Sequence

import numpy as np
import torch

from .config import stop_ids
from .decode import dflash, features, near, plain
from .documents import Docs
from .generate import generate
from .model import Draft, Target, packed_mask
from .ops import HeadLoss
from .tokenizer import Tokenizer

Prompt = Sequence[int]


@torch.no_grad()
def held_out_loss(model: Target, docs: Docs, limit: int = 400) -> Dict[str, List[float]]:
    """Mean loss an answer token on held-out documents: {source: [nats, tokens]}, and "all" pooled over tokens."""
    out: Dict[str, List[float]] = {}
    for name in docs.sets:
        idx = [i for i in docs.select(True, [name]) if docs.len[i] <= 512][:limit]
        idx.sort(key=lambda i: docs.len[i])
        total = n = 0.0
        for k in range(0, len(idx), 32):
            part = [torch.from_numpy(docs.doc(i)) for i in idx[k:k + 32]]
            x = torch.nn.utils.rnn.pad_sequence(part, True)
            w = torch.zeros(x.shape)
            for r, i in enumerate(idx[k:k + 32]):
                w[r, docs.plen[i] - 1:docs.len[i] - 1] = 1
            mask = packed_mask(torch.ones(1, x.shape[1], dtype=torch.long), model.dtype)
            h, _ = model(x, torch.arange(x.shape[1])[None], mask)
            y = torch.cat([x[:, 1:], x[:, :1]], 1)
            l, _ = HeadLoss.apply(h.flatten(0, 1), model.model.embed_tokens.weight, y.flatten(), w.flatten(), None, 0.0,
                                  model.dtype)
            total += l.item() * w.sum().item()
            n += w.sum().item()
        if n:
            out[name] = [round(total / n, 4), int(n)]
    tokens = sum(n for _, n in out.values())
    out["all"] = [round(sum(l * n for l, n in out.values()) / tokens, 4), tokens]
    return out


def summary(cycles_by_prompt: Sequence[Sequence[int]], block: int) -> Dict[str, Any]:
    """Acceptance of several prompts. A prompt without a cycle (its first token stops) counts as a record, not in tau."""
    used = [c for c in cycles_by_prompt if c]
    pooled = [x for c in used for x in c]
    hist = collections.Counter(pooled)
    reach = [sum(c > k for c in pooled) for k in range(block)]
    return {"prompts": len(cycles_by_prompt), "cycles": len(pooled),
            "tau_mean_of_prompts": round(float(np.mean([np.mean(c) for c in used])), 4) if used else 0.0,
            "tau_pooled": round(float(np.mean(pooled)), 4) if used else 0.0,
            "histogram": [hist[k] for k in range(1, block + 1)],
            "accepted_at_position": [round(reach[k] / max(1, len(pooled)), 4) for k in range(1, block)],
            "kept_given_all_before": [round(reach[k] / max(1, reach[k - 1]), 4) for k in range(1, block)]}


def acceptance(target: Target, draft: Draft, prompts: Sequence[Prompt], max_new: int, control: str = "",
               check: bool = False) -> Dict[str, Any]:
    """check: also decode without the drafter and count equal, tied and different texts."""
    cycles, match, forwards, emitted = [], collections.Counter(), 0, 0
    for i, p in enumerate(prompts):
        other = None
        if control == "other":
            q = prompts[(i + 1) % len(prompts)]
            other = features(target, list(q) + plain(target, q, max_new)[0], draft.taps)
        run = dflash(target, draft, p, max_new, control, other)
        cycles.append(run.cycles)
        forwards += run.forwards
        emitted += run.emitted
        if check:
            ref, gaps = plain(target, p, max_new)
            match[near(run.ids, ref, gaps)] += 1
    out = summary(cycles, draft.block)
    out["tau_counted_outside"] = round(emitted / max(1, forwards), 4)
    out["against_plain"] = dict(match) if check else None
    return out


def random_draft(draft: Draft, seed: int = 0) -> Draft:
    """A drafter of the same shape that has learnt nothing."""
    torch.manual_seed(seed)
    return Draft(draft.cfg).eval()


def controls(target: Target, draft: Draft, prompts: Sequence[Prompt], max_new: int) -> Dict[str, Dict[str, Any]]:
    """The same loop and prompts with a drafter that cannot know: its tau must fall."""
    out = {"random drafter": acceptance(target, random_draft(draft), prompts, max_new)}
    for name, title in (("zero", "zeroed taps"), ("other", "another prompt's features"),
                        ("repeat", "repeat the last token"), ("ngram", "n-gram lookup in the text")):
        out[title] = acceptance(target, draft, prompts, max_new, name)
    return out


def final_number(text: str) -> Optional[str]:
    m = re.findall(r"#### *(-?[\d.,]+)", text)
    return m[-1].replace(",", "").rstrip(".") if m else None


def answers(target: Target, tok: Tokenizer, prompts: Sequence[Prompt], wanted: Sequence[Optional[str]], max_new: int,
            batch: int = 64) -> Dict[str, Any]:
    """Greedy final answers: shares right, well formed (`#### n`, then the stop token), without an end in max_new."""
    stop = stop_ids(target.cfg)
    order = sorted(range(len(prompts)), key=lambda i: len(prompts[i]))
    right = form = endless = 0
    some = []
    for k in range(0, len(order), batch):
        part = order[k:k + batch]
        for i, o in zip(part, generate(target, [prompts[i] for i in part], max_new)):
            t = tok.decode(o)
            got = final_number(t)
            right += got is not None and got == wanted[i]
            form += bool(re.search(r"#### *-?[\d.,]+\s*<\|im_end\|>$", t))
            endless += o[-1] not in stop
            if len(some) < 3:
                some.append({"prompt": tok.decode(prompts[i]), "answer": t, "wanted": wanted[i]})
    n = max(1, len(prompts))
    return {"n": len(prompts), "right": round(right / n, 4), "well_formed": round(form / n, 4),
            "no_end": round(endless / n, 4), "samples": some}


def is_loop(ids: Sequence[int], stop: Sequence[int], times: int = 4, longest: int = 40) -> bool:
    """An unfinished text that ends in `times` copies of the same run of tokens."""
    ids = list(ids)
    if not ids or ids[-1] in stop:
        return False
    return any(len(ids) >= times * n and all(ids[-n:] == ids[-(k + 1) * n:-k * n] for k in range(1, times))
               for n in range(1, longest + 1))
