#!/usr/bin/env python3
"""Quantiles and bootstrap intervals computed with numpy, for bench/acceptance/stats_test.cc.

usage: make_bootstrap_cases.py > tests/golden/bench/bootstrap_cases.json

An interval from 10,000 random resamples is itself random. `tolerance` is six standard deviations of each bound over
40 repetitions, so a correct implementation with any generator stays inside and a wrong formula does not.
"""
import json
import numpy as np

RESAMPLES, REPEATS = 10_000, 40


def bounds(statistic, n, rng):
    chosen = rng.integers(0, n, size=(RESAMPLES, n))
    return np.quantile(statistic(chosen), [0.025, 0.975])


def interval(statistic, n, seed):
    rng = np.random.default_rng(seed)
    runs = np.array([bounds(statistic, n, rng) for _ in range(REPEATS)])
    low, high = runs.mean(axis=0)
    return {"estimate": float(statistic(np.arange(n)[None, :])[0]), "low": float(low), "high": float(high),
            "tolerance": float(6 * runs.std(axis=0).max() + 1e-12)}


def prompts(n, drop, seed):
    """Accepted and drafted counts of n prompts of different difficulty under two channels."""
    rng = np.random.default_rng(seed)
    cycles = rng.integers(5, 60, n)
    ease = rng.beta(2, 3, n)
    drafted = cycles * 7
    base = rng.binomial(drafted, ease)
    channel = np.clip(base - rng.binomial(drafted, drop), 0, None)
    return drafted, base, channel


def main():
    cases = []
    for n, drop, seed in [(8, 0.0, 1), (16, 0.01, 2), (32, 0.03, 3), (64, 0.1, 4)]:
        drafted, base, channel = prompts(n, drop, seed)
        ratio = lambda counts, c: counts[c].sum(axis=1) / drafted[c].sum(axis=1)
        lengths = 1 + 7 * channel / drafted
        cases.append({
            "drafted": drafted.tolist(), "base": base.tolist(), "channel": channel.tolist(),
            "rate": interval(lambda c: ratio(channel, c), n, seed),
            "difference": interval(lambda c: ratio(base, c) - ratio(channel, c), n, seed + 100),
            "mean_length": interval(lambda c: lengths[c].mean(axis=1), n, seed + 200),
        })
    rng = np.random.default_rng(9)
    quantiles = []
    for n in (1, 2, 5, 20, 101):
        values = np.round(rng.gamma(2.0, 2.0, n), 6)
        quantiles.append({"values": values.tolist(), "mean": float(values.mean()),
                          "at": [{"q": q, "value": float(np.quantile(values, q))} for q in (0, 0.05, 0.5, 0.95, 1)]})
    print(json.dumps({"numpy": np.__version__, "resamples": RESAMPLES, "cases": cases, "quantiles": quantiles}, indent=1))


if __name__ == "__main__":
    main()
