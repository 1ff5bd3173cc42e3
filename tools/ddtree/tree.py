"""A DDTree (arXiv 2604.12989) from the marginals of one draft pass, and what it costs and brings. Plain Python.

Slot i of the drafter gives a distribution over the token at position s + i, for every i on its own. The tree of n nodes
holds the n prefixes with the largest products of marginals; best-first order nests, so one order answers all budgets.
"""
from __future__ import annotations

import bisect
import heapq
from typing import Dict, List, Sequence, Tuple

Slot = Sequence[Tuple[int, float]]  # (token, log-probability), best first


def best_first(slots: Sequence[Slot], nodes: int) -> List[Tuple[Tuple[int, ...], float]]:
    """The `nodes` likeliest prefixes, parents before children: (tokens, log-probability). Ties: the shorter, then the
    better-ranked."""
    order: List[Tuple[Tuple[int, ...], float]] = []
    heap = [(-slots[0][0][1], 1, (0,))] if slots else []  # (-log-probability, depth, rank in every slot)
    while heap and len(order) < nodes:
        cost, depth, ranks = heapq.heappop(heap)
        order.append((tuple(slots[i][r][0] for i, r in enumerate(ranks)), -cost))
        last = slots[depth - 1]
        if ranks[-1] + 1 < len(last):  # next sibling
            step = last[ranks[-1]][1] - last[ranks[-1] + 1][1]
            heapq.heappush(heap, (cost + step, depth, ranks[:-1] + (ranks[-1] + 1,)))
        if depth < len(slots):  # first child
            heapq.heappush(heap, (cost - slots[depth][0][1], depth + 1, ranks + (0,)))
    return order


def path_indices(order: Sequence[Tuple[Tuple[int, ...], float]], wanted: Sequence[int]) -> List[int]:
    """Where in the order the prefixes of `wanted` stand, 1-based and growing: with n nodes as many tokens are accepted
    as there are entries <= n."""
    place = {tokens: i + 1 for i, (tokens, _) in enumerate(order)}
    out: List[int] = []
    while len(out) < len(wanted) and tuple(wanted[:len(out) + 1]) in place:
        out.append(place[tuple(wanted[:len(out) + 1])])
    return out


class Curve:
    """Milliseconds of a verify pass by rows, linear between the given points and on beyond the last."""

    def __init__(self, points: Dict[int, float]):
        self.rows = sorted(points)
        self.ms = [points[r] for r in self.rows]
        if len(self.rows) < 2 or self.rows[0] != 1:
            raise ValueError("cost curve: found rows %s, expected 1 and at least one more" % self.rows)

    def __call__(self, rows: int) -> float:
        i = min(max(bisect.bisect_right(self.rows, rows), 1), len(self.rows) - 1)
        (r0, r1), (m0, m1) = self.rows[i - 1:i + 1], self.ms[i - 1:i + 1]
        return m0 + (m1 - m0) * (rows - r0) / (r1 - r0)


def best_rows(survival: Sequence[float], ms: Sequence[float]) -> int:
    """How many rows promise most tokens a millisecond. survival[i]: probability that row i + 1 (node i + 1) is accepted,
    as the drafter sees it; ms[i]: draft and verify with i + 1 rows, the anchor's included."""
    tokens, best, rows = 1.0, 1.0 / ms[0], 1
    for i, p in enumerate(survival):
        tokens += p
        if tokens / ms[i + 1] > best:
            best, rows = tokens / ms[i + 1], i + 2
    return rows
