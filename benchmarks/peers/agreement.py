#!/usr/bin/env python3
"""Logits of kakeya-llm and llama.cpp on the same GGUF file and ids, and of an exact reference (reference.py).

For every pair of sides: how often the top token is the same, and the KL divergence per position in nats. Positions
whose two best logits are closer than --near-tie on the first side are near-ties: there the top token may differ.
Usually called by benchmarks/peers/logits.
"""
import argparse
import dataclasses
import json
import pathlib
import shlex
import subprocess
import sys
import tempfile

import numpy as np

from compare import write_atomic
from gguf_weights import GgufWeights
from programs import Program, ProgramError
from reference import Qwen3, as_llama_cpp, as_ours

KL_LIMIT = 1e-3
HERE = pathlib.Path(__file__).resolve().parent
TINY = HERE.parents[1] / "models" / "tiny" / "golden.json"
EXACT, EXACT_AS_OURS, EXACT_AS_PEER = "exact", "exact, inputs rounded as ours", "exact, inputs rounded as llama.cpp"
OURS, OURS_F32, PEER, PEER_F32 = "ours, bf16 KV", "ours, f32 KV", "llama.cpp, f16 KV", "llama.cpp, f32 KV"
# What is asked for comes first; the others say where the difference comes from.
PAIRS = [(PEER, OURS), (PEER_F32, OURS_F32), (EXACT, OURS), (EXACT, PEER), (EXACT, OURS_F32), (EXACT, PEER_F32),
         (EXACT, EXACT_AS_OURS), (EXACT, EXACT_AS_PEER)]
# On texts of a single token. In longer ones float differences of 1e-7 turn a rounding of an input over now and then,
# and one such turn redraws all roundings after it: two sides that round alike no longer show that they do.
SINGLE_PAIRS = [(EXACT, OURS_F32), (EXACT, PEER_F32), (EXACT_AS_OURS, OURS_F32), (EXACT_AS_PEER, PEER_F32)]
SINGLE_TOKENS = 16


def log_softmax(logits):
    x = np.asarray(logits, np.float64)
    x = x - x.max(axis=-1, keepdims=True)
    return x - np.log(np.exp(x).sum(axis=-1, keepdims=True))


def kl(p_logits, q_logits):
    """KL(p || q) per row, in nats."""
    p, q = log_softmax(p_logits), log_softmax(q_logits)
    return (np.exp(p) * (p - q)).sum(axis=-1)


def gaps(logits):
    """Distance of the two best logits of each row."""
    best = np.partition(logits, -2, axis=-1)[:, -2:]
    return best[:, 1] - best[:, 0]


@dataclasses.dataclass
class Comparison:
    positions: int
    kl_mean: float
    kl_median: float
    kl_max: float
    kl_above_limit: int
    top1_equal: float
    near_ties: int
    top1_differs_outside_near_ties: int


def compare_logits(first, second, near_tie):
    divergence = kl(first, second)
    same = first.argmax(axis=-1) == second.argmax(axis=-1)
    clear = gaps(first) >= near_tie
    return Comparison(len(first), float(divergence.mean()), float(np.median(divergence)), float(divergence.max()),
                      int((divergence > KL_LIMIT).sum()), float(same.mean()), int((~clear).sum()),
                      int((~same & clear).sum()))


def random_texts(vocabulary, count, length, seed=0):
    rng = np.random.default_rng(seed)
    return [rng.integers(0, vocabulary, length).tolist() for _ in range(count)]


def tiny_texts(positions):
    """Prompts of the embedded pair with their greedy continuation, until there are enough positions."""
    texts, total = [], 0
    for case in json.loads(TINY.read_text(encoding="utf-8"))["cases"]:
        if total >= positions:
            break
        texts.append((case["prompt_ids"] + case["plain_ids"])[:positions - total])
        total += len(texts[-1])
    return texts


def ours_logits(args, texts, kv, work):
    out = []
    for i, ids in enumerate(texts):
        (work / "ids.json").write_text(json.dumps(ids))
        flags = ["--target", args.model, "--ids", str(work / "ids.json"), "--rows", "all", "--kv", kv, "--out",
                 str(work / "ours.npy"), "--threads", str(args.threads)]
        done = subprocess.run(shlex.split(args.ours) + ["logits"] + flags, capture_output=True, text=True)
        if done.returncode:
            raise ProgramError(f"ours: logits of text {i}: {done.stderr.strip()[-500:]}")
        out.append(np.load(work / "ours.npy"))
    return np.concatenate(out)


def peer_logits(args, texts, kv, work):
    flash = int(kv == "f16")
    flags = ["--model", args.model, "--kv", kv, "--fa", flash, "--threads", args.threads, "--ctx", 2048]
    with Program(f"peer ({kv})", shlex.split(args.peer) + flags, spins=True) as peer:
        vocabulary, out = peer.ready["vocab"], []
        for ids in texts:
            peer.ask(op="logits", ids=ids, out=str(work / "peer.f32"))
            out.append(np.fromfile(work / "peer.f32", "<f4").reshape(len(ids), vocabulary))
    return np.concatenate(out)


def all_logits(args, weights, texts):
    """side -> logits [positions, vocabulary]."""
    exact = lambda rounding: np.concatenate(Qwen3(weights, rounding).logits(texts))
    with tempfile.TemporaryDirectory() as d:
        work = pathlib.Path(d)
        return {OURS: ours_logits(args, texts, "bf16", work), OURS_F32: ours_logits(args, texts, "f32", work),
                PEER: peer_logits(args, texts, "f16", work), PEER_F32: peer_logits(args, texts, "f32", work),
                EXACT: exact(None), EXACT_AS_OURS: exact(as_ours), EXACT_AS_PEER: exact(as_llama_cpp)}


def markdown(found, near_tie):
    text = (f"| from | to | KL mean | median | max | above {KL_LIMIT:g} | top-1 equal | near-ties (< {near_tie:g}) | "
            "top-1 differs elsewhere |\n|---|---|--:|--:|--:|--:|--:|--:|--:|\n")
    for (first, second), c in found.items():
        text += (f"| {first} | {second} | {c.kl_mean:.2e} | {c.kl_median:.2e} | {c.kl_max:.2e} | {c.kl_above_limit} | "
                 f"{c.top1_equal:.1%} | {c.near_ties} | {c.top1_differs_outside_near_ties} |\n")
    return text


def nearer(ours, peer, seed=0, draws=2000):
    """Which of two lists of KL per position has the smaller mean, where a bootstrap over positions is sure of it."""
    excess = np.asarray(ours) - np.asarray(peer)
    picks = np.random.default_rng(seed).integers(0, len(excess), (draws, len(excess)))
    low, high = np.percentile(excess[picks].mean(axis=1), [2.5, 97.5])
    return "ours" if high < 0 else "llama.cpp" if low > 0 else "neither clearly"


def conclusions(found, nearer_side):
    """Sentences, and whether everything asked for holds."""
    asked, ours, peer = found[PEER, OURS], found[EXACT, OURS], found[EXACT, PEER]
    top1, mean, worst = asked.top1_differs_outside_near_ties == 0, asked.kl_mean <= KL_LIMIT, asked.kl_max <= KL_LIMIT
    holds = lambda ok: "holds" if ok else "does not hold"
    return (f"- top-1 equal to llama.cpp's outside near-ties: {holds(top1)}\n"
            f"- KL per position from llama.cpp <= {KL_LIMIT:g}: mean {holds(mean)}, every position {holds(worst)}\n"
            f"- nearer to the exact answer: {nearer_side} (KL mean {ours.kl_mean:.2e} ours, "
            f"{peer.kl_mean:.2e} llama.cpp)\n",
            top1 and mean)


def main(argv=None):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", required=True)
    parser.add_argument("--ours", required=True, help="our program")
    parser.add_argument("--peer", required=True, help="command of the peer's program, up to its flags")
    parser.add_argument("--texts", choices=("tiny", "random"), default="random",
                        help="texts of the embedded pair, or random ids")
    parser.add_argument("--positions", type=int, default=256)
    parser.add_argument("--near-tie", type=float, default=0.1, help="distance of the two best logits")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--out", type=pathlib.Path, help="directory for NAME-logits.json and NAME-logits.md")
    args = parser.parse_args(argv)
    try:
        weights = GgufWeights(args.model)
        vocabulary = len(weights.raw("token_embd.weight"))
        texts = (tiny_texts(args.positions) if args.texts == "tiny" else
                 random_texts(vocabulary, max(1, args.positions // 32), min(32, args.positions)))
        sides = all_logits(args, weights, texts + random_texts(vocabulary, SINGLE_TOKENS, 1))
    except (ProgramError, ValueError, OSError) as error:
        print(f"agreement: {error}", file=sys.stderr)
        return 2
    singles = {side: logits[-SINGLE_TOKENS:] for side, logits in sides.items()}
    sides = {side: logits[:-SINGLE_TOKENS] for side, logits in sides.items()}
    found = {pair: compare_logits(sides[pair[0]], sides[pair[1]], args.near_tie) for pair in PAIRS}
    found_singles = {pair: compare_logits(singles[pair[0]], singles[pair[1]], args.near_tie) for pair in SINGLE_PAIRS}
    side = nearer(kl(sides[EXACT], sides[OURS]), kl(sides[EXACT], sides[PEER]))
    sentences, good = conclusions(found, side)
    name = pathlib.Path(args.model).stem
    text = f"# {name}: logits of {sum(map(len, texts))} positions in {len(texts)} texts\n\n" + \
        markdown(found, args.near_tie) + f"\n{SINGLE_TOKENS} texts of a single token:\n\n" + \
        markdown(found_singles, args.near_tie) + "\n" + sentences
    print(text, flush=True)
    if args.out:
        args.out.mkdir(parents=True, exist_ok=True)
        write_atomic(args.out / f"{name}-logits.md", text)
        write_atomic(args.out / f"{name}-logits.json", json.dumps(
            {"model": args.model, "texts": texts, "near_tie": args.near_tie, "holds": good,
             "pairs": [{"from": a, "to": b, **dataclasses.asdict(c)} for (a, b), c in found.items()],
             "single_tokens": [{"from": a, "to": b, **dataclasses.asdict(c)} for (a, b), c in found_singles.items()]},
            indent=1))
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
