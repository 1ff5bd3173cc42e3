#!/usr/bin/env python3
"""Makes the tiny pair from data, in one command that can be killed at any moment and run again.

    python3 tools/train/train.py --run RUN --model MODEL             # the whole recipe, hours on two cores
    python3 tools/train/train.py --run RUN --model MODEL --smoke     # the same stages at toy size, about a minute

RUN holds what is made on the way, MODEL becomes target/, draft/, report.json and README.md. A finished stage leaves
RUN/<stage>.done and is not run again; a killed one goes on from its last checkpoint, and the result is the same to the bit
(one thread). Stages: tokenizer docs target target-export answers draft draft-export evaluate card.
Data: DATA/train/*.jsonl.gz (default $KAKEYA_SHARED/data); --smoke needs none, it draws word problems from tools/data.
"""
from __future__ import annotations

import argparse
import os
import sys
import time
from typing import Callable, Dict, List, Tuple

# oneDNN keeps every product shape it has met; decoding meets hundreds, a few gigabytes of them.
os.environ.setdefault("ONEDNN_PRIMITIVE_CACHE_CAPACITY", "32")
HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)

import numpy as np
import torch

from evaluate import evaluate
from tiny import card as card_text
from tiny.config import RECIPES, Recipe, RESERVED
from tiny.documents import Docs, Records, build, published_records
from tiny.draft_run import train_draft
from tiny.generate import answer_prompts
from tiny.prompts import REPO, shared_dir
from tiny.store import export, load, read_json, write_json, write_whole
from tiny.target_run import train_target
from tiny.tokenizer import Tokenizer, save, train_bpe


def generated_records(count: int, seed: int = 1) -> Records:
    """Word problems and small functions from the project's own templates (CC0)."""
    sys.path.insert(0, os.path.join(REPO, "tools", "data"))
    import make_mini_sets
    import math_templates
    import python_templates
    d, math, code = math_templates.Draw(seed), [], []
    for k in range(count):
        question, steps, answer = math_templates.TEMPLATES[k % len(math_templates.TEMPLATES)](d)
        math.append({"prompt": question, "answer": "\n".join(steps) + "\n#### %d" % answer})
    for f in python_templates.functions(seed):
        r = make_mini_sets.as_record(f, len(code))
        if r is not None:
            code.append({"prompt": r["prompt"], "answer": r["canonical_solution"]})
        if len(code) >= count // 8:
            break
    return {"synthetic_gsm": math, "synthetic_python": code}


class Run:
    """Paths and stages of one training run."""

    def __init__(self, recipe: Recipe, run: str, model: str, data: str, init_draft: str):
        self.recipe, self.model, self.data, self.init_draft = recipe, model, data, init_draft
        self.at: Callable[[str], str] = lambda name: os.path.join(run, name)
        self.target_dir, self.draft_dir = os.path.join(model, "target"), os.path.join(model, "draft")

    def records(self) -> Records:
        return published_records(self.data) if self.data else generated_records(self.recipe.template_records)

    def tokenizer(self) -> None:
        size = self.recipe.target["vocab_size"]
        texts = [t for rows in self.records().values() for r in rows for t in (r["prompt"], r["answer"])]
        merges = train_bpe(texts, size - RESERVED - 256)
        with open(os.path.join(HERE, "chatml.jinja"), encoding="utf-8") as f:
            save(self.at("tokenizer"), merges, size, f.read().rstrip("\n"))
        tok = Tokenizer(self.at("tokenizer"))
        for t in texts[:500]:
            if tok.decode(tok.encode(t)) != t:
                raise ValueError("tokenizer: %r does not survive encoding and decoding" % t)

    def docs(self) -> None:
        build(self.records(), Tokenizer(self.at("tokenizer")), self.at("docs.npz"))
        d = Docs(self.at("docs.npz"))
        print("docs: %d documents, %d held out, %d tokens an epoch" % (
            len(d.len), len(d.select(True)), (d.len * d.rep)[d.select(False)].sum()), flush=True)

    def target(self) -> None:
        train_target(self.recipe, Docs(self.at("docs.npz")), self.at("target.pt"))

    def target_export(self) -> None:
        state = torch.load(self.at("target.pt"), map_location="cpu")["model"]
        export(self.target_dir, state, self.recipe.target, self.at("tokenizer"))

    def answers(self) -> None:
        answer_prompts(self.recipe, load(self.target_dir, "bfloat16"), Docs(self.at("docs.npz")),
                       Tokenizer(self.target_dir), self.at("answers.npz"))

    def draft(self) -> None:
        # Weights to start from are already good: a third of the rates keeps them so.
        more = dict(init=load(self.init_draft), lr=3e-4, muon_lr=3e-3) if self.init_draft else {}
        train_draft(self.recipe, load(self.target_dir, "bfloat16"), self.at("answers.npz"), self.at("draft.pt"), **more)

    def draft_export(self) -> None:
        export(self.draft_dir, torch.load(self.at("draft.pt"), map_location="cpu")["model"], self.recipe.draft)

    def evaluate(self) -> None:
        r = self.recipe
        report = evaluate(load(self.target_dir), load(self.draft_dir), Tokenizer(self.target_dir),
                          Docs(self.at("docs.npz")), r.tau_prompts, r.answer_prompts, r.answer_tokens,
                          self.data)
        report["training"] = self.training_notes()
        write_json(os.path.join(self.model, "report.json"), report)

    def training_notes(self) -> Dict[str, object]:
        t = torch.load(self.at("target.pt"), map_location="cpu")["state"]
        d = torch.load(self.at("draft.pt"), map_location="cpu")["state"]
        z = np.load(self.at("answers.npz"))
        return {"notes": [
            "Target: %d steps, %.2fM tokens, %.1f minutes; last training loss %.3f (running mean, nats a token, prompt tokens at "
            "weight 0.3)." % (t["step"], t["tokens"] / 1e6, t["seconds"] / 60, t["mean_loss"]),
            "Drafter: %d steps, %d sequences of the target's own greedy answers (%d distinct, %d answer tokens), %.1f minutes; slot "
            "accuracy at the end %.3f (weighted, training text)." % (
                d["step"], d["sequences"], len(z["plen"]), z["off"][-1] - z["plen"].sum(), d["seconds"] / 60,
                d["mean_accuracy"])], "target_log": t["log"]}

    def card(self) -> None:
        text = card_text.card(self.recipe.target, self.recipe.draft, read_json(os.path.join(self.model, "report.json")))

        def put(tmp):
            with open(tmp, "w", encoding="utf-8") as f:
                f.write(text)
        write_whole(os.path.join(self.model, "README.md"), put)

    def stages(self) -> List[Tuple[str, Callable[[], None]]]:
        return [("tokenizer", self.tokenizer), ("docs", self.docs), ("target", self.target),
                ("target-export", self.target_export), ("answers", self.answers), ("draft", self.draft),
                ("draft-export", self.draft_export), ("evaluate", self.evaluate), ("card", self.card)]


def main() -> int:
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("--run", required=True, help="folder for what is made on the way")
    ap.add_argument("--model", required=True, help="folder that becomes the pair")
    ap.add_argument("--data", help="folder with train/*.jsonl.gz (default: $KAKEYA_SHARED/data)")
    ap.add_argument("--smoke", action="store_true", help="toy sizes, generated data")
    ap.add_argument("--init-draft", default="", help="exported drafter to go on from, with fresh optimizers")
    ap.add_argument("--until", help="stop after this stage")
    ap.add_argument("--threads", type=int, default=0, help="0 = every core; one thread makes runs repeatable to the bit")
    a = ap.parse_args()
    recipe = RECIPES["smoke" if a.smoke else "full"]
    if a.threads or a.smoke:
        torch.set_num_threads(a.threads or 1)
    data = "" if a.smoke else a.data or os.path.join(shared_dir(), "data")
    if data and not os.path.isdir(os.path.join(data, "train")):
        print("train.py: no folder %s: give --data or KAKEYA_SHARED, or --smoke" % os.path.join(data, "train"), file=sys.stderr)
        return 2
    os.makedirs(a.run, exist_ok=True)
    os.makedirs(a.model, exist_ok=True)
    run = Run(recipe, a.run, a.model, data, a.init_draft)
    names = [n for n, _ in run.stages()]
    if a.until and a.until not in names:
        print("train.py: --until: found %s, expected one of %s" % (a.until, ", ".join(names)), file=sys.stderr)
        return 2
    for name, stage in run.stages():
        mark = run.at(name + ".done")
        if os.path.exists(mark):
            print("%s: done before" % name, flush=True)
        else:
            start = time.time()
            stage()
            write_json(mark, {"recipe": recipe.name, "seconds": round(time.time() - start, 1)})
            print("%s: done in %.1fs" % (name, time.time() - start), flush=True)
        if name == a.until:
            break
    return 0


if __name__ == "__main__":
    sys.exit(main())
