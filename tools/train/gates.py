#!/usr/bin/env python3
"""Says whether a pair may ship: the gates on its target, as a table. Exit code 0 passed, 1 a gate missed, 2 not measurable.

    python3 tools/train/gates.py --model models/tiny [--docs RUN/docs.npz | --data DATA] [--n 320]

Whole-mix held-out loss below 1.5 nats an answer token; at least 30% of held-out template problems right; at least 90% of
answers end with `#### n` and the stop token within 200 tokens; no loop in 50 answers sampled at temperature 1.
The held-out documents come from --docs, or are made from DATA/train (default $KAKEYA_SHARED/data) with the pair's tokenizer.
Without either, the loss is not measured and data/gsm-mini.jsonl stands for the held-out templates: exit code 2 at best.
"""
from __future__ import annotations

import argparse
import os
import sys
import tempfile
from typing import List, NamedTuple, Optional

os.environ.setdefault("ONEDNN_PRIMITIVE_CACHE_CAPACITY", "32")
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

from tiny.config import stop_ids
from tiny.documents import Docs, build, published_records
from tiny.generate import generate
from tiny.measure import answers, held_out_loss, is_loop
from tiny.model import Target
from tiny.prompts import PromptSet, held_out_templates, shared_dir, unseen
from tiny.store import load
from tiny.tokenizer import Tokenizer

MAX_NEW = 200
SAMPLED = 50


class Gate(NamedTuple):
    name: str
    wanted: str
    found: str
    passed: Optional[bool]  # None: not measured


def documents(path: str, data: str, tok: Tokenizer) -> Optional[Docs]:
    if path:
        return Docs(path)
    if not os.path.isdir(os.path.join(data, "train")):
        return None
    with tempfile.TemporaryDirectory() as d:
        build(published_records(data), tok, os.path.join(d, "docs.npz"))
        return Docs(os.path.join(d, "docs.npz"))


def measure(target: Target, tok: Tokenizer, docs: Optional[Docs], sets: List[PromptSet], n: int) -> List[Gate]:
    """sets: held-out templates first; all of them count for the form of answers."""
    gates = []
    if docs is None:
        gates.append(Gate("held-out loss, whole mix", "< 1.5", "not measured: no training data here", None))
    else:
        loss = held_out_loss(target, docs)["all"][0]
        gates.append(Gate("held-out loss, whole mix", "< 1.5", "%.3f" % loss, loss < 1.5))
    results = [answers(target, tok, s.prompts[:n], s.wanted[:n], MAX_NEW) for s in sets]
    right = results[0]["right"]
    gates.append(Gate("template problems right", ">= 30%", "%.1f%% of %d" % (100 * right, results[0]["n"]), right >= 0.3))
    count = sum(r["n"] for r in results)
    formed = sum(r["well_formed"] * r["n"] for r in results) / count
    each = ", ".join("%.1f%%" % (100 * r["well_formed"]) for r in results)
    gates.append(Gate("end with #### n and stop", ">= 90%", "%.1f%% of %d (%s)" % (100 * formed, count, each), formed >= 0.9))
    prompts = [p for pack in zip(*(s.prompts for s in sets)) for p in pack][:SAMPLED]
    texts = generate(target, prompts, MAX_NEW, sample_seed=1)
    loops = sum(is_loop(t, stop_ids(target.cfg)) for t in texts)
    gates.append(Gate("loops in sampled answers", "0", "%d of %d" % (loops, len(texts)), loops == 0))
    return gates


def main() -> int:
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("--model", required=True)
    ap.add_argument("--docs", default="")
    ap.add_argument("--data", default=os.path.join(shared_dir(), "data"))
    ap.add_argument("--n", type=int, default=320, help="prompts a set")
    a = ap.parse_args()
    folder = os.path.join(a.model, "target")
    target, tok = load(folder, "bfloat16"), Tokenizer(folder)
    docs = documents(a.docs, a.data, tok)
    others = unseen(tok, published=a.data)
    if docs is None and "gsm-mini" not in others:
        print("gates.py: no training data in %s and no data/gsm-mini.jsonl: nothing to measure on" % a.data, file=sys.stderr)
        return 2
    sets = [held_out_templates(docs, tok) if docs is not None else others["gsm-mini"]]
    if "GSM8K test" in others:
        sets.append(others["GSM8K test"])
    gates = measure(target, tok, docs, sets, a.n)
    for g in gates:
        print("%-28s %-8s %-36s %s" % (g.name, g.wanted, g.found, {True: "passed", False: "MISSED", None: "open"}[g.passed]))
    if any(g.passed is False for g in gates):
        return 1
    return 2 if any(g.passed is None for g in gates) else 0


if __name__ == "__main__":
    sys.exit(main())
