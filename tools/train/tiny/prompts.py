"""Prompts nobody trained on, by set: held-out documents, published test sets, the project's own mini sets."""
from __future__ import annotations

import dataclasses
import os
from typing import Dict, List, Optional

import numpy as np

from .documents import CHAT, Docs, read_jsonl
from .measure import final_number
from .tokenizer import Tokenizer

REPO = os.path.dirname(os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))))
LONGEST = 600  # tokens; a longer prompt and its answer do not fit the context of 1,024 with room for a block


@dataclasses.dataclass
class PromptSet:
    prompts: List[List[int]]
    wanted: List[Optional[str]]  # final numbers; None where there is none (code)


def shared_dir() -> str:
    """Where published data lies: KAKEYA_SHARED, by default `shared` beside the repository. It may not exist."""
    return os.environ.get("KAKEYA_SHARED") or os.path.join(os.path.dirname(REPO), "shared")


def _math(path: str, tok: Tokenizer) -> PromptSet:
    rows = list(read_jsonl(path))
    return PromptSet([tok.encode(CHAT % r["question"]) for r in rows], [final_number(r["answer"]) for r in rows])


def _code(path: str, tok: Tokenizer) -> PromptSet:
    rows = list(read_jsonl(path))
    return PromptSet([tok.encode(r["prompt"]) for r in rows], [None] * len(rows))


def _shuffled(s: PromptSet, seed: int) -> PromptSet:
    keep = [i for i in np.random.default_rng(seed).permutation(len(s.prompts)) if len(s.prompts[i]) <= LONGEST]
    return PromptSet([s.prompts[i] for i in keep], [s.wanted[i] for i in keep])


def held_out_templates(docs: Docs, tok: Tokenizer, seed: int = 0) -> PromptSet:
    idx = docs.select(True, ["synthetic_gsm"])
    return _shuffled(PromptSet([docs.prompt(i) for i in idx],
                               [final_number(tok.decode(docs.doc(i)[docs.plen[i]:])) for i in idx]), seed)


def unseen(tok: Tokenizer, seed: int = 0, published: Optional[str] = None) -> Dict[str, PromptSet]:
    """Sets whose file is here. `published`: a data folder with gsm8k/ and humaneval/ ('' = none)."""
    data = os.path.join(shared_dir(), "data") if published is None else published
    places = [("GSM8K test", _math, os.path.join(data, "gsm8k", "test.jsonl") if data else ""),
              ("HumanEval", _code, os.path.join(data, "humaneval", "HumanEval.jsonl.gz") if data else ""),
              ("gsm-mini", _math, os.path.join(REPO, "data", "gsm-mini.jsonl")),
              ("py-mini", _code, os.path.join(REPO, "data", "py-mini.jsonl"))]
    return {name: _shuffled(read(path, tok), seed) for name, read, path in places if path and os.path.exists(path)}
