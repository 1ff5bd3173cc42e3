"""Reference decoding of one sequence: plain greedy, the greedy DFlash loop, and the controls that must do worse.

Float32 on the exported weights. Written to be read, not to be fast.
"""
from __future__ import annotations

import dataclasses
from typing import List, Optional, Sequence, Tuple

import torch

from .config import stop_ids
from .model import Cache, Draft, Target, rows_mask

CONTROLS = ("zero", "other", "repeat", "ngram")


@dataclasses.dataclass
class Drafted:
    """One DFlash run. `cycles`: accepted drafts + 1, before the stop or limit cuts the last one."""
    ids: List[int]          # cut after the first stop token, or at the limit
    cycles: List[int]
    emitted: int            # tokens that left the loop after the prompt's own, uncut
    forwards: int           # target calls after the prompt's, counted inside the target
    drafts: List[List[int]]  # proposals, one list a cycle
    smallest_gap: float = float("inf")  # least distance of the two best logits where a token was decided, draft's included


@torch.no_grad()
def plain(target: Target, prompt: Sequence[int], max_new: int) -> Tuple[List[int], List[float]]:
    """One token a pass. New ids, and the gap between the two best logits at each."""
    stop = stop_ids(target.cfg)
    cache, ids, at = Cache.of(target, 1, len(prompt) + max_new + 1), torch.tensor([list(prompt)]), 0
    out: List[int] = []
    gaps: List[float] = []
    while len(out) < max_new and not (out and out[-1] in stop):
        n = ids.shape[1]
        h, _ = target(ids, torch.arange(at, at + n)[None], rows_mask(n, at) if n > 1 else None, cache=cache)
        top = target.logits(h[:, -1])[0].topk(2)
        out.append(int(top.indices[0]))
        gaps.append(float(top.values[0] - top.values[1]))
        at, ids = at + n, torch.tensor([[out[-1]]])
    return out, gaps


def ngram_lookup(text: Sequence[int], count: int, longest: int = 3) -> List[int]:
    """What followed the last earlier place where the text's end occurred: the baseline a drafter has to beat."""
    for n in range(min(longest, len(text) - 1), 0, -1):
        tail = list(text[-n:])
        for i in range(len(text) - n - 1, -1, -1):
            if list(text[i:i + n]) == tail:
                return list(text[i + n:i + n + count])
    return []


@torch.no_grad()
def features(target: Target, ids: Sequence[int], taps: Sequence[int]) -> torch.Tensor:
    """Tapped outputs over a whole text, [1, T, taps * H]."""
    return target(torch.tensor([list(ids)]), torch.arange(len(ids))[None], rows_mask(len(ids), 0), tuple(taps))[1]


class _Proposer:
    """The drafter's side of the loop: its context cache, and the controls in its place."""

    def __init__(self, target: Target, draft: Draft, prompt: Sequence[int], control: str, other):
        self.target, self.draft, self.control, self.other = target, draft, control, other
        self.text = list(prompt)
        self.ctx: Optional[list] = None
        self.seen = 0
        self.gaps: List[float] = []  # of the last proposal

    def observe(self, f) -> None:
        """f [1, n, taps * H]: features of the rows committed since the last call."""
        at, n = self.seen, f.shape[1]
        self.seen += n
        if self.control == "zero":
            f = torch.zeros_like(f)
        elif self.control == "other":
            f = self.other[:, torch.arange(at, at + n) % self.other.shape[1]]
        new = self.draft.context_kv(f, torch.arange(at, at + n)[None])
        self.ctx = new if self.ctx is None else [
            (torch.cat([a, c], 2), torch.cat([b, d], 2)) for (a, b), (c, d) in zip(self.ctx, new)]

    def propose(self, anchor: int) -> List[int]:
        n = self.draft.block
        if self.control == "repeat":
            return [anchor] * (n - 1)
        if self.control == "ngram":
            return ngram_lookup(self.text, n - 1)
        block = torch.tensor([[anchor] + [self.draft.mask_id] * (n - 1)])
        z = self.draft(self.target.model.embed_tokens(block), torch.arange(self.seen, self.seen + n)[None], self.ctx)
        top = self.target.logits(z[0, 1:]).topk(2)
        self.gaps = (top.values[:, 0] - top.values[:, 1]).tolist()
        return top.indices[:, 0].tolist()


@torch.no_grad()
def dflash(target: Target, draft: Draft, prompt: Sequence[int], max_new: int, control: str = "",
           other: Optional[torch.Tensor] = None) -> Drafted:
    """The greedy loop. control: 'zero' taps, 'other' = features of another text (given in `other`), 'repeat' the anchor,
    'ngram' lookup in the text so far; '' = the drafter as it is."""
    if control not in ("",) + CONTROLS:
        raise ValueError("control: found %r, expected one of %s" % (control, ", ".join(CONTROLS)))
    stop, taps, n = stop_ids(target.cfg), tuple(draft.taps), draft.block
    cache = Cache.of(target, 1, len(prompt) + max_new + 2 * n)
    h, f = target(torch.tensor([list(prompt)]), torch.arange(len(prompt))[None], rows_mask(len(prompt), 0), taps, cache)
    out = [int(target.logits(h[:, -1]).argmax())]
    run = Drafted([], [], 0, -target.forwards, [])
    drafter, s, done = _Proposer(target, draft, prompt, control, other), len(prompt), out[0] in stop
    drafter.text += out
    while len(out) < max_new and not done:
        drafter.observe(f)
        proposal = drafter.propose(out[-1])
        block = torch.tensor([[out[-1]] + proposal])
        w = block.shape[1]
        h, f = target(block, torch.arange(s, s + w)[None], rows_mask(w, s), taps, cache)
        top = target.logits(h[0]).topk(2)
        best = top.indices[:, 0]
        a = int((block[0, 1:] == best[:-1]).long().cumprod(0).sum())
        new = proposal[:a] + [int(best[a])]
        s += a + 1
        cache.crop(s)
        f = f[:, :a + 1]
        out += new
        drafter.text += new
        run.cycles.append(a + 1)
        run.drafts.append(proposal)
        run.smallest_gap = min([run.smallest_gap] + (top.values[:, 0] - top.values[:, 1])[:a + 1].tolist() +
                               drafter.gaps[:a + 1])
        done = any(t in stop for t in new)
    run.forwards += target.forwards
    run.emitted = len(out) - 1
    cut = next((i + 1 for i, t in enumerate(out) if t in stop), len(out))
    run.ids = out[:min(cut, max_new)]
    return run


def near(a: Sequence[int], b: Sequence[int], gaps: Sequence[float], tol: float = 1e-3) -> str:
    """'equal'; 'tie' if the first difference is where the two best logits of b are within tol; else 'different'."""
    if list(a) == list(b):
        return "equal"
    i = next((i for i, (x, y) in enumerate(zip(a, b)) if x != y), min(len(a), len(b)))
    return "tie" if i < len(gaps) and gaps[i] < tol else "different"
