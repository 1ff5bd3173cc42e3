"""Runs `bench acceptance` and recomputes its figures from its records, for the test scripts beside this one."""
import json
import os
import pathlib
import subprocess

SOURCE = pathlib.Path(os.environ.get("KAKEYA_SOURCE_DIR", pathlib.Path(__file__).resolve().parents[2]))
BIN = os.environ.get("KAKEYA_BIN", str(SOURCE / "build/release/bin/kakeya-llm"))
SCHEMA = SOURCE / "schemas/b2-dflash-kakeya-v1.schema.json"
TIMES = {"created_at", "load_average_at_start", "tps", "ttft_ms", "decode_ms", "draft_ms", "verify_ms"}


def command(out_dir, *flags):
    return [BIN, "bench", "acceptance", "--out-dir", str(out_dir), *map(str, flags)]


def environment():
    # No data of the machine's own: what a lone clone sees.
    return {k: v for k, v in os.environ.items() if k != "KAKEYA_SHARED"}


def run(out_dir, *flags, **more):
    return subprocess.run(command(out_dir, *flags), capture_output=True, text=True, env=environment(), timeout=240, **more)


def results(out_dir):
    return {p.name: json.loads(p.read_text()) for p in sorted(pathlib.Path(out_dir).glob("b2_dflash_kakeya_*.json"))}


def without_times(value):
    if isinstance(value, dict):
        return {k: without_times(v) for k, v in value.items() if k not in TIMES}
    if isinstance(value, list):
        return [without_times(v) for v in value]
    return value


def frozen(out_dir):
    """Every figure that is not a time, as text: what must not depend on how a run was interrupted."""
    return {name: json.dumps(without_times(data), indent=1) for name, data in results(out_dir).items()}


def quantile(values, q):
    values = sorted(values)
    rank = q * (len(values) - 1)
    low = int(rank)
    return values[low] + (rank - low) * (values[min(low + 1, len(values) - 1)] - values[low])


def cycles_of(record, protocol):
    """[(proposed, accepted)] of one record."""
    if protocol == "forced":
        return list(zip(record["forced"]["proposed"], record["forced"]["accepted"]))
    lengths = record.get("free_acceptance_lengths", record["acceptance_lengths"])
    return [(p, length - 1) for p, length in zip(record["proposed"], lengths)]


def acceptance(records, protocol):
    """The definitions of docs/formats, once more and from the records alone."""
    per_prompt = [c for c in (cycles_of(r, protocol) for r in records) if c]
    every = [cycle for cycles in per_prompt for cycle in cycles]
    drafted, accepted, count = sum(p for p, _ in every), sum(a for _, a in every), len(every)
    lengths = [a + 1 for _, a in every]
    means = [1 + sum(a for _, a in cycles) / len(cycles) for cycles in per_prompt]
    return {
        "mean": sum(means) / len(means), "pooled": 1 + accepted / count,
        "p50": quantile(lengths, 0.5), "p95": quantile(lengths, 0.95),
        "histogram": [lengths.count(i) for i in range(max(p for p, _ in every) + 2)],
        "per_position": [sum(a > i for _, a in every) / count for i in range(max(p for p, _ in every))],
        "rate": accepted / drafted, "share": accepted / (accepted + count),
    }


def drop_pp(records, baseline, protocol):
    pairs = [(cycles_of(a, protocol), cycles_of(b, protocol)) for a, b in zip(records, baseline)]
    pairs = [pair for pair in pairs if pair[0] and pair[1]]
    rate = lambda side: sum(a for pair in pairs for _, a in pair[side]) / sum(p for pair in pairs for p, _ in pair[side])
    return 100 * (rate(1) - rate(0))
