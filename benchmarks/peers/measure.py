"""Two programs measured in turns: undisturbed samples, pairs, medians, an interval for the ratio."""
import ctypes
import dataclasses
import mmap
import os
import statistics
import threading
import time

import numpy as np

WAITED_SHARE = 0.02   # of threads x wall: time in which a thread was ready and had no core
CPU_SHARE = 0.95      # of threads x wall, for programs whose threads spin
STOLEN_SHARE = 0.02   # of all cores: taken away by the machine's host
OTHER_SHARE = 0.02    # of wall: the other program ran meanwhile
SLACK_MS = 0.2        # resolution of the above on short steps
SETTLE_S, SETTLE_TRIES = 0.01, 200
LONG_STEP_MS = 200    # from here on a turn is a single step
# Real-time programs: the kernel keeps 5 % of every second for all others (sched_rt_runtime_us), which only steps of
# about a second feel. They count, and are good to those 5 %.
REALTIME_KEPT, REALTIME_FELT_MS = 0.055, 400


def stolen_ms():
    """Milliseconds that the host took from all cores so far, or None."""
    try:
        with open("/proc/stat", encoding="ascii") as f:
            return int(f.readline().split()[8]) * 1e3 / os.sysconf("SC_CLK_TCK")
    except (OSError, ValueError, IndexError):
        return None


@dataclasses.dataclass
class Sample:
    wall_ms: float
    cpu_ms: float
    waited_ms: float | None = None
    stolen_ms: float | None = None
    other_ms: float | None = None

    def disturbances(self, threads, spins, cores=1, realtime=False):
        """Why this sample does not count; empty for an undisturbed one."""
        reasons, budget = [], threads * self.wall_ms
        kept = REALTIME_KEPT if realtime and self.wall_ms > REALTIME_FELT_MS else 0
        if self.waited_ms is not None and self.waited_ms > (WAITED_SHARE + kept) * budget + SLACK_MS:
            reasons.append("waited for a core")
        if (spins or self.waited_ms is None) and self.cpu_ms < (CPU_SHARE - kept) * budget - SLACK_MS:
            reasons.append("less CPU time than threads x wall")
        if self.stolen_ms is not None and self.stolen_ms > STOLEN_SHARE * cores * self.wall_ms:
            reasons.append("a core was taken by the host")
        if self.other_ms is not None and self.other_ms > OTHER_SHARE * self.wall_ms + SLACK_MS:
            reasons.append("the other program ran")
        return reasons


def difference(before, after):
    return None if before is None or after is None else after - before


def take(program, other, request):
    """One timed request."""
    mine, others, stolen = program.scheduler_ms(), other.scheduler_ms() if other else None, stolen_ms()
    answer = program.ask(**request)
    mine_after, others_after = program.scheduler_ms(), other.scheduler_ms() if other else None
    second = lambda pair: pair and pair[1]
    first = lambda pair: pair and pair[0]
    return Sample(float(answer["wall_ms"]), float(answer["cpu_ms"]), difference(second(mine), second(mine_after)),
                  difference(stolen, stolen_ms()), difference(first(others), first(others_after)))


@dataclasses.dataclass
class Turn:
    samples: list
    clean: list  # indices of undisturbed samples

    @property
    def value_ms(self):
        """Median of what counts; where nothing does, the fastest: closest to an undisturbed step."""
        if self.clean:
            return statistics.median(self.samples[i].wall_ms for i in self.clean)
        return min(s.wall_ms for s in self.samples)


def settle(other):
    """Waits until the other program sleeps: the peer's threads go on polling for a while after a step."""
    before = other.scheduler_ms() if other else None
    for _ in range(SETTLE_TRIES):
        time.sleep(SETTLE_S)
        after = other.scheduler_ms() if other else None
        if before is None or after is None or after[0] - before[0] < SLACK_MS:
            return
        before = after


def take_turn(program, other, request, steps):
    """`steps` timed requests, short ones after one that only brings the program's data back into the caches."""
    settle(other)
    if steps > 1:
        take(program, other, request)
    samples = [take(program, other, request) for _ in range(steps)]
    cores = os.cpu_count() or 1
    return Turn(samples, [i for i, s in enumerate(samples)
                          if not s.disturbances(program.threads, program.spins, cores, program.realtime)])


@dataclasses.dataclass
class Plan:
    pairs: int = 7
    attempts: int = 4        # pairs tried at most, as a multiple of `pairs`
    cap_s: float = 180       # after this time a case takes what it has, at least two pairs
    steps: int = 3           # of a short turn


def alternate(ours, peer, requests, plan, probe=None):
    """Rounds of pairs of turns, ours then the peer's, one pair of every request, until plan.pairs of each request are
    undisturbed on both sides. Returns the pairs of each request, those of a round at the same index, and the probes."""
    steps = []
    for request in requests:  # goes to the depth, warms up
        first = [take(program, other, request) for program, other in ((ours, peer), (peer, ours))]
        steps.append([1 if s.wall_ms > LONG_STEP_MS else plan.steps for s in first])
    pairs, probes = [[] for _ in requests], [[] for _ in requests]
    end = time.monotonic() + plan.cap_s * len(requests)
    enough = lambda taken: sum(bool(a.clean and b.clean) for a, b in taken) >= plan.pairs
    while len(pairs[0]) < plan.attempts * plan.pairs:
        for taken, probed, request, (mine, theirs) in zip(pairs, probes, requests, steps):
            if probe:
                probed.append(probe())
            taken.append((take_turn(ours, peer, request, mine), take_turn(peer, ours, request, theirs)))
        if all(map(enough, pairs)) or (time.monotonic() > end and len(pairs[0]) >= 2):
            break
    return pairs, probes


def interval(ratios, seed=0, draws=4000):
    """Bootstrap 95 % interval of the median of paired ratios."""
    ratios = np.asarray(ratios, float)
    picks = np.random.default_rng(seed).integers(0, len(ratios), (draws, len(ratios)))
    low, high = np.percentile(np.median(ratios[picks], axis=1), [2.5, 97.5])
    return float(low), float(high)


def raw(pairs):
    turn = lambda t: {"clean": t.clean, "value_ms": t.value_ms, "samples": [dataclasses.asdict(s) for s in t.samples]}
    return [{"ours": turn(a), "peer": turn(b)} for a, b in pairs]


def summarise(pairs, wanted_pairs):
    """Medians and ratios (peer / ours: above 1 is in our favour) over undisturbed pairs, or over all where fewer
    than three are undisturbed; `disturbed` says that the wanted number was not reached. The fastest steps of all stand
    beside them: what disturbs a step makes it slower. `rounds`: both values of every pair, None where disturbed."""
    clean = [(a.value_ms, b.value_ms) for a, b in pairs if a.clean and b.clean]
    used = clean if len(clean) >= min(3, wanted_pairs) else [(a.value_ms, b.value_ms) for a, b in pairs]
    ours, peer = zip(*used)
    ratios = [b / a for a, b in used]
    fastest = [min(s.wall_ms for pair in pairs for s in pair[side].samples) for side in (0, 1)]
    rounds = [[a.value_ms, b.value_ms] if a.clean and b.clean else None for a, b in pairs]
    return {"rounds": rounds, "fastest_ms": fastest, "ratio_of_fastest": fastest[1] / fastest[0],
            "ours_ms": statistics.median(ours), "peer_ms": statistics.median(peer),
            "ratio_of_medians": statistics.median(peer) / statistics.median(ours),
            "ratio": statistics.median(ratios), "ci95": interval(ratios), "pairs_used": len(used),
            "pairs_taken": len(pairs), "pairs_clean": len(clean), "disturbed": len(clean) < wanted_pairs}


class BandwidthProbe:
    """GB/s of memory that `threads` threads read right now: the C library's memchr over pages that were written."""

    def __init__(self, threads, size=256 << 20):
        self._size, self._libc = size, ctypes.CDLL(None)
        self._libc.memchr.argtypes = (ctypes.c_void_p, ctypes.c_int, ctypes.c_size_t)
        self._libc.memchr.restype = ctypes.c_void_p
        self._maps = [mmap.mmap(-1, size) for _ in range(threads)]
        self._addresses = [ctypes.addressof(ctypes.c_char.from_buffer(m)) for m in self._maps]
        for address in self._addresses:
            ctypes.memset(address, 1, size)

    def __call__(self):
        best = float("inf")
        for _ in range(2):
            threads = [threading.Thread(target=self._libc.memchr, args=(a, 0xFF, self._size)) for a in self._addresses]
            start = time.perf_counter()
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            best = min(best, time.perf_counter() - start)
        return len(self._addresses) * self._size / best / 1e9
