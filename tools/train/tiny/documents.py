"""Records -> token documents, 2% held out, packed into rows for training.

A record is {prompt, answer}. Published sets are read from <data>/train/*.jsonl.gz; where they are missing a recipe may
train on generated word problems alone (the smoke run does).
"""
from __future__ import annotations

import gzip
import hashlib
import json
import os
import re
from typing import Dict, Iterator, List, Optional, Sequence

import numpy as np

from .store import write_npz
from .tokenizer import Tokenizer

TRAIN_SETS = ["gsm8k_train_clean", "gsm8k_perturbed", "synthetic_gsm", "synthetic_arithmetic", "svamp",
              "mbpp_functions", "synthetic_python"]
REPEAT = {"gsm8k_train_clean": 2}  # copies an epoch
PYTHON = ("mbpp_functions", "synthetic_python")  # once as chat, once raw
CHAT = "<|im_start|>user\n%s<|im_end|>\n<|im_start|>assistant\n<think>\n\n</think>\n\n"
Records = Dict[str, List[dict]]


def read_jsonl(path: str) -> Iterator[dict]:
    opener = gzip.open if path.endswith(".gz") else open
    with opener(path, "rt", encoding="utf-8") as f:
        for line in f:
            yield json.loads(line)


def published_records(data_dir: str) -> Records:
    return {n: list(read_jsonl(os.path.join(data_dir, "train", n + ".jsonl.gz"))) for n in TRAIN_SETS}


def held_out(name: str, prompt: str) -> bool:
    """2% by hash. Numbers are blanked first, so that variants of one problem stay on one side."""
    key = prompt if name == "synthetic_arithmetic" or name in PYTHON else re.sub(r"\d[\d,.]*", "#", prompt)
    return int(hashlib.sha1(key.encode()).hexdigest(), 16) % 50 == 0


def build(records: Records, tok: Tokenizer, out: str) -> None:
    """Writes docs.npz: all ids in one array, and per document offset, prompt length, source, copies, held, raw."""
    ids, off, plen, src, rep, held, raw = [], [0], [], [], [], [], []
    for s, (name, rows) in enumerate(records.items()):
        for r in rows:
            forms = [(CHAT % r["prompt"], r["answer"] + "<|im_end|>\n", 0)]
            if name in PYTHON:
                forms.append((r["prompt"], r["answer"] + "<|endoftext|>", 1))
            for prompt, answer, is_raw in forms:
                p = tok.encode(prompt)
                d = tok.encode(prompt + answer)
                if d[:len(p)] != p:  # a merge across the border
                    d = p + tok.encode(answer)
                ids.append(np.array(d, np.uint16))
                off.append(off[-1] + len(d))
                plen.append(len(p))
                src.append(s)
                raw.append(is_raw)
                rep.append(REPEAT.get(name, 1))
                held.append(held_out(name, r["prompt"]))
    write_npz(out, ids=np.concatenate(ids), off=np.array(off), plen=np.array(plen), src=np.array(src),
              rep=np.array(rep), held=np.array(held), raw=np.array(raw), sets=np.array(list(records)))


class Docs:
    """docs.npz in memory."""

    def __init__(self, path: str):
        z = np.load(path)
        self.ids, self.off, self.plen, self.src = z["ids"], z["off"], z["plen"], z["src"]
        self.rep, self.held, self.raw = z["rep"], z["held"], z["raw"]
        self.sets = [str(s) for s in z["sets"]]
        self.len = np.diff(self.off)

    def doc(self, i: int) -> np.ndarray:
        return self.ids[self.off[i]:self.off[i + 1]].astype(np.int64)

    def prompt(self, i: int) -> List[int]:
        return self.doc(i)[:self.plen[i]].tolist()

    def select(self, held: bool, sets: Optional[Sequence[str]] = None) -> np.ndarray:
        m = self.held == held
        if sets is not None:
            m &= np.isin(self.src, [self.sets.index(s) for s in sets if s in self.sets])
        return np.nonzero(m)[0]


def pack(lengths: np.ndarray, order: np.ndarray, row: int) -> List[List[int]]:
    """Best fit of whole documents into rows of `row` tokens; an open row is closed once 12 tokens or fewer are left."""
    space: List[List[List[int]]] = [[] for _ in range(row + 1)]  # space[f]: open rows with f free tokens
    rows = []
    for i in order:
        n = min(int(lengths[i]), row)
        for f in range(n, row + 1):
            if space[f]:
                b = space[f].pop()
                break
        else:
            b, f = [], row
        b.append(i)
        if f - n <= 12:
            rows.append(b)
        else:
            space[f - n].append(b)
    return rows + [b for s in space for b in s]


def pack_rows(docs: Docs, rows: List[List[int]], row: int, joined: bool, prompt_weight: float) -> Dict[str, np.ndarray]:
    """Rows of ids x, next ids y, loss weights w, document numbers seg, positions pos. `joined`: read on across documents."""
    shape = (len(rows), row)
    x, y = np.zeros(shape, np.int64), np.zeros(shape, np.int64)
    w, seg, pos = np.zeros(shape, np.float32), np.zeros(shape, np.int64), np.zeros(shape, np.int64)
    for r, members in enumerate(rows):
        at = 0
        for k, i in enumerate(members):
            d = docs.doc(i)[:row - at]
            n = len(d)
            x[r, at:at + n] = d
            y[r, at:at + n - 1] = d[1:]
            w[r, at:at + n - 1] = prompt_weight
            w[r, at + docs.plen[i] - 1:at + n - 1] = 1.0
            seg[r, at:at + n] = 1 if joined else k + 1
            pos[r, at:at + n] = np.arange(n) + (at if joined else 0)
            at += n
    return {"x": x, "y": y, "w": w, "seg": seg, "pos": pos}


def batches(docs: Docs, seed: int, tokens: int, prompt_weight: float = 0.3, short: int = 256,
            long: int = 1024) -> Iterator[Dict[str, np.ndarray]]:
    """One epoch. Documents of up to `short` tokens go in rows of `short`, attending within themselves; longer ones, and
    5% of the others, in rows of `long` that read on across documents."""
    rng = np.random.default_rng(seed)
    idx = np.repeat(docs.select(False), docs.rep[docs.select(False)])
    rng.shuffle(idx)
    is_long = (docs.len[idx] > short) | (rng.random(len(idx)) < 0.05)
    jobs = []
    for row, part in ((short, idx[~is_long]), (long, idx[is_long])):
        rows = pack(docs.len, part, row)
        rng.shuffle(rows)
        n = max(1, tokens // row)
        jobs += [(row, rows[k:k + n]) for k in range(0, len(rows) - n + 1, n)]
    rng.shuffle(jobs)
    for row, rows in jobs:
        yield pack_rows(docs, rows, row, row == long, prompt_weight)
