#!/usr/bin/env python3
"""Would tree verification (DDTree) beat a chain on a measured cost curve? Numbers of the tiny pair.

    python3 tools/ddtree/tree_numbers.py [--n 60] [--max-new 128] [--curve FILE] [--draft-ms 55] [--out numbers.json]

For every position of the target's greedy answers the drafter's slots are computed once. Along the answer, cycles of every
policy are then counted: chains of W rows, trees of N rows (the anchor is one of the rows), and both with the number of rows
chosen per cycle from the drafter's own probabilities. Tokens a second follow from rows -> ms of a verify pass. Acceptance is the
tiny pair's, the milliseconds are another model's: only the comparison of policies means something.

--curve: JSON {"rows": ms}; default: 8B Q4_0 on two AVX-512/AMX cores. Attention over a tree is taken to cost what a chain's does.
"""
from __future__ import annotations

import argparse
import json
import math
import os
import sys
from typing import Any, Dict, List, Sequence, Tuple

os.environ.setdefault("ONEDNN_PRIMITIVE_CACHE_CAPACITY", "32")
REPO = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.insert(0, os.path.join(REPO, "tools", "train"))
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

import numpy as np
import torch

from tiny.decode import dflash, features
from tiny.model import Draft, Target
from tiny.prompts import unseen
from tiny.store import load
from tiny.tokenizer import Tokenizer
from tree import Curve, best_first, best_rows, path_indices

ROWS = (4, 8, 12, 16, 24, 32, 48, 64)
CURVE = {1: 145.0, 2: 150.0, 4: 165.0, 8: 210.0, 16: 265.0, 32: 480.0}
DRAFT_MS = 55.0
LEVELS = ((1, 2), (2, 3), (3, 4.5), (4.5, 99))  # of a prompt's tokens a cycle with the whole chain
Totals = Dict[str, Tuple[float, float, int]]  # policy -> tokens, ms, cycles of one prompt


@torch.no_grad()
def slots_at(target: Target, draft: Draft, text: Sequence[int], first: int, count: int, top: int) -> List[list]:
    """For anchors text[first, first + count): the `top` best (token, log-probability) of every slot."""
    n, pos = draft.block, torch.arange(len(text))
    ctx = draft.context_kv(features(target, text, draft.taps), pos[None])
    out: List[list] = []
    for at in range(first, first + count, 32):
        anchors = torch.arange(at, min(at + 32, first + count))
        ids = torch.full((len(anchors), n), draft.mask_id)
        ids[:, 0] = torch.tensor([text[a] for a in anchors])
        rows = (anchors[:, None] + torch.arange(n)).flatten()
        hidden_from = anchors.repeat_interleave(n)  # context is what stands before the anchor
        mask = torch.zeros(len(rows), len(text)).masked_fill_(pos[None] >= hidden_from[:, None], -1e9)
        z = draft(target.model.embed_tokens(ids.flatten()[None]), rows[None], ctx, mask[None, None])
        logp, token = torch.log_softmax(target.logits(z[0].view(len(anchors), n, -1)[:, 1:]), -1).topk(top)
        out += [[list(zip(t, p)) for t, p in zip(ts, ps)] for ts, ps in zip(token.tolist(), logp.tolist())]
    return out


class Anchor:
    """What every policy gets from one position: indices of accepted nodes, and what the drafter expects."""

    def __init__(self, slots: list, wanted: Sequence[int]):
        order = best_first(slots, max(ROWS) - 1)
        self.tree = path_indices(order, wanted[:len(slots)])
        self.tree_survival = [math.exp(p) for _, p in order]
        self.chain = 0
        while self.chain < min(len(slots), len(wanted)) and slots[self.chain][0][0] == wanted[self.chain]:
            self.chain += 1
        self.chain_survival = np.exp(np.cumsum([s[0][1] for s in slots])).tolist()


def policies(block: int, curve: Curve, draft_ms: float) -> Dict[str, Any]:
    """name -> function of an anchor that gives accepted drafts and rows."""
    ms = [draft_ms + curve(r) for r in range(1, max(ROWS) + 1)]
    out: Dict[str, Any] = {}
    for w in range(2, block + 1):
        out["chain %d" % w] = lambda a, w=w: (min(a.chain, w - 1), w)
    for n in ROWS:
        out["tree %d" % n] = lambda a, n=n: (sum(i < n for i in a.tree), n)

    def chain(a):
        rows = best_rows(a.chain_survival, ms)
        return min(a.chain, rows - 1), rows

    def tree(a):
        rows = best_rows(a.tree_survival, ms)
        return sum(i < rows for i in a.tree), rows
    out["chain adaptive"], out["tree adaptive"] = chain, tree
    return out


def run_prompt(target: Target, draft: Draft, prompt: Sequence[int], max_new: int, curve: Curve, draft_ms: float) -> Totals:
    run = dflash(target, draft, prompt, max_new)
    out, first = run.ids, len(prompt)
    if len(out) < 2:
        return {}
    slots = slots_at(target, draft, list(prompt) + out, first, len(out) - 1, 32)
    anchors = [Anchor(s, out[k + 1:]) for k, s in enumerate(slots)]
    totals: Totals = {"plain": (len(out) - 1, curve(1) * (len(out) - 1), len(out) - 1)}
    for name, policy in policies(draft.block, curve, draft_ms).items():
        k, ms, cycles, lengths = 0, 0.0, 0, []
        while k < len(anchors):
            accepted, rows = policy(anchors[k])
            lengths.append(accepted + 1)
            k += accepted + 1
            ms += draft_ms + curve(rows)
            cycles += 1
        totals[name] = (len(out) - 1, ms, cycles)
        # The whole chain is what the decoding loop itself did, up to the end of the text.
        if name == "chain %d" % draft.block and lengths[:-1] != run.cycles[:len(lengths) - 1]:
            raise SystemExit("cycles: found %s, the decoding loop had %s" % (lengths, run.cycles))
    return totals


def rates(tokens: np.ndarray, ms: np.ndarray, names: Sequence[str]) -> Tuple[Dict[str, float], Dict[str, str]]:
    """Tokens a second of every policy, from sums over prompts, and the best chain and tree of fixed size."""
    speed = dict(zip(names, (1000 * tokens / ms).tolist()))
    fixed = [n for n in names if n.split()[-1].isdigit()]
    return speed, {kind: max((n for n in fixed if n.startswith(kind)), key=speed.get) for kind in ("chain", "tree")}


def gains(speed: Dict[str, float], best: Dict[str, str]) -> Dict[str, float]:
    chain = speed[best["chain"]]
    return {"best tree / best chain": speed[best["tree"]] / chain - 1,
            "adaptive chain / best chain": speed["chain adaptive"] / chain - 1,
            "adaptive tree / adaptive chain": speed["tree adaptive"] / speed["chain adaptive"] - 1}


def summary(prompts: Sequence[Totals], resamples: int = 2000) -> Dict[str, Any]:
    """Gains with 95 % bootstrap intervals over prompts; the best width and budget are chosen anew in each resample."""
    names = list(prompts[0])
    tokens, ms, cycles = (np.array([[p[n][i] for n in names] for p in prompts], float) for i in range(3))
    speed, best = rates(tokens.sum(0), ms.sum(0), names)
    draw = np.random.default_rng(0)
    samples = []
    for _ in range(resamples):
        chosen = draw.integers(0, len(prompts), len(prompts))
        samples.append(gains(*rates(tokens[chosen].sum(0), ms[chosen].sum(0), names)))
    return {"prompts": len(prompts), "best": [best["chain"], best["tree"]],
            "tokens_per_cycle": dict(zip(names, (tokens.sum(0) / cycles.sum(0)).round(3).tolist())),
            "tokens_per_second": {n: round(v, 3) for n, v in speed.items()},
            "gains": {n: [round(v, 4)] + [round(float(np.percentile([s[n] for s in samples], q)), 4) for q in (2.5, 97.5)]
                      for n, v in gains(speed, best).items()}}


def table(title: str, s: Dict[str, Any]) -> None:
    print("\n%s: %d prompts, best %s and %s" % (title, s["prompts"], *s["best"]), flush=True)
    for n, tau in s["tokens_per_cycle"].items():
        print("  %-15s %6.3f tokens a cycle %7.3f tokens a second" % (n, tau, s["tokens_per_second"][n]))
    for n, (v, low, high) in s["gains"].items():
        print("  %-31s %+6.1f %% [%+.1f, %+.1f]" % (n, 100 * v, 100 * low, 100 * high))


def main() -> None:
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("--model", default=os.path.join(REPO, "models", "tiny"))
    ap.add_argument("--n", type=int, default=60, help="prompts a set")
    ap.add_argument("--max-new", type=int, default=128)
    ap.add_argument("--curve", help="JSON file {rows: ms of a verify pass}")
    ap.add_argument("--draft-ms", type=float, default=DRAFT_MS)
    ap.add_argument("--out")
    a = ap.parse_args()
    torch.set_num_threads(1)
    curve = Curve(CURVE)
    if a.curve:
        with open(a.curve, encoding="utf-8") as f:
            curve = Curve({int(k): float(v) for k, v in json.load(f).items()})
    folder = os.path.join(a.model, "target")
    target, draft = load(folder), load(os.path.join(a.model, "draft"))
    report: Dict[str, Any] = {"curve": dict(zip(curve.rows, curve.ms)), "draft_ms": a.draft_ms, "sets": {}, "levels": {}}
    everything: List[Totals] = []
    for name, s in unseen(Tokenizer(folder)).items():
        runs = [run_prompt(target, draft, p, a.max_new, curve, a.draft_ms) for p in s.prompts[:a.n]]
        runs = [r for r in runs if r]
        everything += runs
        report["sets"][name] = summary(runs)
        table(name, report["sets"][name])
    whole = "chain %d" % draft.block
    for low, high in LEVELS:
        runs = [r for r in everything if low <= r[whole][0] / r[whole][2] < high]
        if runs:
            title = "prompts with %g to %g tokens a cycle" % (low, min(high, draft.block))
            report["levels"][title] = summary(runs)
            table(title, report["levels"][title])
    if a.out:
        with open(a.out, "w", encoding="utf-8") as f:
            json.dump(report, f, indent=1)
            f.write("\n")


if __name__ == "__main__":
    main()
