#!/usr/bin/env python3
"""Measures a pair read from its exported files and prints or writes the report.

    python3 tools/train/evaluate.py --model models/tiny [--docs RUN/docs.npz] [--out report.json] [--n 60]

Acceptance (with plain decoding beside it), controls, held-out loss, right answers. Without --docs (made by train.py) the
held-out documents are missing, and gsm-mini takes the place of the held-out templates.
"""
from __future__ import annotations

import argparse
import json
import os
import sys
from typing import Any, Dict, Optional

os.environ.setdefault("ONEDNN_PRIMITIVE_CACHE_CAPACITY", "32")
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

import torch

from tiny.documents import Docs
from tiny.measure import acceptance, answers, controls, held_out_loss
from tiny.model import Draft, Target
from tiny.prompts import PromptSet, held_out_templates, unseen
from tiny.store import load, write_json
from tiny.tokenizer import Tokenizer


def prompt_sets(tok: Tokenizer, docs: Optional[Docs], data: Optional[str]) -> Dict[str, PromptSet]:
    sets: Dict[str, PromptSet] = {}
    if docs is not None:
        sets["held-out templates"] = held_out_templates(docs, tok)
    sets.update(unseen(tok, published=data))
    return sets


def evaluate(target: Target, draft: Draft, tok: Tokenizer, docs: Optional[Docs], tau_prompts: int, answer_prompts: int,
             max_new: int, data: Optional[str] = None) -> Dict[str, Any]:
    sets = prompt_sets(tok, docs, data)
    report: Dict[str, Any] = {"tau": {}, "controls": {}, "held_out_loss": {}, "answers": {}}
    for name, s in sets.items():
        report["tau"][name] = acceptance(target, draft, s.prompts[:tau_prompts], max_new, check=True)
        print("tau, %s: %s" % (name, json.dumps(report["tau"][name])), flush=True)
    few = next(iter(sets.values())).prompts[:max(2, tau_prompts // 3)]
    report["controls"] = controls(target, draft, few, max_new)
    for name, v in report["controls"].items():
        print("control, %s: %s" % (name, json.dumps(v)), flush=True)
    kept, target.dtype = target.dtype, torch.bfloat16  # what follows is batched and needs no exactness
    if docs is not None:
        report["held_out_loss"] = held_out_loss(target, docs)
        print("held-out loss: %s" % json.dumps(report["held_out_loss"]), flush=True)
    for name, s in sets.items():
        if any(s.wanted):
            n = answer_prompts
            report["answers"][name] = answers(target, tok, s.prompts[:n], s.wanted[:n], max_new)
            print("answers, %s: %s" % (name, json.dumps({k: v for k, v in report["answers"][name].items()
                                                          if k != "samples"})), flush=True)
    target.dtype = kept
    return report


def main() -> None:
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("--model", required=True)
    ap.add_argument("--draft", help="another drafter for this target (default: MODEL/draft)")
    ap.add_argument("--docs", help="docs.npz of the run")
    ap.add_argument("--data", help="folder with gsm8k/ and humaneval/ (default: $KAKEYA_SHARED/data)")
    ap.add_argument("--out")
    ap.add_argument("--n", type=int, default=60, help="prompts a set for acceptance")
    ap.add_argument("--n-answers", type=int, default=320)
    ap.add_argument("--max-new", type=int, default=200)
    a = ap.parse_args()
    torch.set_num_threads(1)  # single rows gain nothing from more
    folder = os.path.join(a.model, "target")
    report = evaluate(load(folder), load(a.draft or os.path.join(a.model, "draft")), Tokenizer(folder),
                      Docs(a.docs) if a.docs else None, a.n, a.n_answers, a.max_new, a.data)
    if a.out:
        write_json(a.out, report)


if __name__ == "__main__":
    main()
