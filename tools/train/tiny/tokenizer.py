"""Byte-level BPE with the Qwen split regex (digits one by one): train, save as Hugging Face files, load, encode, decode."""
from __future__ import annotations

import collections
import heapq
import json
import os
import unicodedata
from typing import Dict, Iterable, List, Sequence, Tuple

import regex

from .config import RESERVED, SPECIAL
from .store import write_json

SPLIT = (r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*"
         r"|\s*[\r\n]+|\s+(?!\S)|\s+")
CONTROL = {"<|endoftext|>", "<|im_start|>", "<|im_end|>", "<|mask|>"}  # "special" in the Hugging Face sense
Pair = Tuple[str, str]


def byte_alphabet() -> Dict[int, str]:
    """GPT-2's map from bytes to printable characters."""
    keep = list(range(33, 127)) + list(range(161, 173)) + list(range(174, 256))
    table, extra = {b: chr(b) for b in keep}, 0
    for b in range(256):
        if b not in table:
            table[b] = chr(256 + extra)
            extra += 1
    return table


BYTE = byte_alphabet()
UNBYTE = {c: b for b, c in BYTE.items()}


def to_alphabet(text: str) -> str:
    return "".join(BYTE[b] for b in text.encode("utf-8"))


def _merge_word(symbols: List[str], pair: Pair) -> List[str]:
    out, j = [], 0
    while j < len(symbols):
        if j + 1 < len(symbols) and (symbols[j], symbols[j + 1]) == pair:
            out.append(pair[0] + pair[1])
            j += 2
        else:
            out.append(symbols[j])
            j += 1
    return out


def train_bpe(texts: Iterable[str], n_merges: int) -> List[Pair]:
    """Merges by count; ties go to the smaller pair of strings, so the result does not depend on hash order."""
    split, words = regex.compile(SPLIT), collections.Counter()
    for t in texts:
        words.update(split.findall(unicodedata.normalize("NFC", t)))
    seqs, counts = [], []
    for w, c in sorted(words.items()):
        seqs.append(list(to_alphabet(w)))
        counts.append(c)
    pairs, where = collections.Counter(), collections.defaultdict(set)
    for i, s in enumerate(seqs):
        for p in zip(s, s[1:]):
            pairs[p] += counts[i]
            where[p].add(i)
    heap = [(-c, p) for p, c in pairs.items()]
    heapq.heapify(heap)
    merges: List[Pair] = []
    while len(merges) < n_merges and heap:
        c, p = heapq.heappop(heap)
        if pairs.get(p, 0) != -c or c == 0:
            continue
        merges.append(p)
        touched = set()
        for i in where.pop(p):
            for q in zip(seqs[i], seqs[i][1:]):
                pairs[q] -= counts[i]
                touched.add(q)
            seqs[i] = _merge_word(seqs[i], p)
            for q in zip(seqs[i], seqs[i][1:]):
                pairs[q] += counts[i]
                where[q].add(i)
                touched.add(q)
        pairs.pop(p, None)
        for q in touched:
            if pairs.get(q, 0) > 0:
                heapq.heappush(heap, (-pairs[q], q))
    return merges


def added_tokens(vocab_size: int) -> Dict[str, int]:
    names = SPECIAL + ["<|spare_%d|>" % i for i in range(RESERVED - len(SPECIAL))]
    return {name: vocab_size - RESERVED + i for i, name in enumerate(names)}


def save(out: str, merges: Sequence[Pair], vocab_size: int, chat_template: str) -> None:
    """tokenizer.json and tokenizer_config.json in Qwen3's layout."""
    vocab: Dict[str, int] = {}
    for b in sorted(BYTE.values()):
        vocab[b] = len(vocab)
    for a, b in merges:
        vocab[a + b] = len(vocab)
    if len(vocab) != vocab_size - RESERVED:
        raise ValueError("the text gives %d entries, expected %d: more text or a smaller vocabulary is needed"
                         % (len(vocab) + RESERVED, vocab_size))

    def flags(name):
        return {"content": name, "single_word": False, "lstrip": False, "rstrip": False, "normalized": False,
                "special": name in CONTROL or name.startswith("<|spare_")}
    level = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": False, "use_regex": False}
    added = added_tokens(vocab_size)
    split = {"type": "Split", "pattern": {"Regex": SPLIT}, "behavior": "Isolated", "invert": False}
    os.makedirs(out, exist_ok=True)
    write_json(os.path.join(out, "tokenizer.json"), {
        "version": "1.0", "truncation": None, "padding": None,
        "added_tokens": [dict(id=i, **flags(n)) for n, i in added.items()],
        "normalizer": {"type": "NFC"},
        "pre_tokenizer": {"type": "Sequence", "pretokenizers": [split, level]},
        "post_processor": level, "decoder": level,
        "model": {"type": "BPE", "dropout": None, "unk_token": None, "continuing_subword_prefix": "",
                  "end_of_word_suffix": "", "fuse_unk": False, "byte_fallback": False, "ignore_merges": False,
                  "vocab": vocab, "merges": [a + " " + b for a, b in merges]}})
    write_json(os.path.join(out, "tokenizer_config.json"), {
        "add_bos_token": False, "add_prefix_space": False,
        "added_tokens_decoder": {str(i): flags(n) for n, i in added.items()},
        "additional_special_tokens": ["<|im_start|>", "<|im_end|>"], "bos_token": None,
        "chat_template": chat_template, "clean_up_tokenization_spaces": False, "eos_token": "<|im_end|>",
        "errors": "replace", "model_max_length": 1024, "pad_token": "<|endoftext|>", "split_special_tokens": False,
        "tokenizer_class": "Qwen2Tokenizer", "unk_token": None})


class Tokenizer:
    """Reads the tokenizer.json that `save` writes."""

    def __init__(self, folder: str):
        with open(os.path.join(folder, "tokenizer.json"), encoding="utf-8") as f:
            t = json.load(f)
        self.vocab: Dict[str, int] = t["model"]["vocab"]
        self.rank = {tuple(m.split(" ")): i for i, m in enumerate(t["model"]["merges"])}
        self.added: Dict[str, int] = {a["content"]: a["id"] for a in t["added_tokens"]}
        self.text = {i: s for s, i in self.vocab.items()}
        self.names = {i: s for s, i in self.added.items()}
        self.split = regex.compile(SPLIT)
        self.specials = regex.compile("(" + "|".join(map(regex.escape, self.added)) + ")")
        self.cache: Dict[str, List[int]] = {}

    def word(self, w: str) -> List[int]:
        if w not in self.cache:
            s = list(to_alphabet(w))
            while len(s) > 1:
                r, i = min((self.rank.get(p, 1 << 30), i) for i, p in enumerate(zip(s, s[1:])))
                if r == 1 << 30:
                    break
                s[i:i + 2] = [s[i] + s[i + 1]]
            self.cache[w] = [self.vocab[x] for x in s]
        return self.cache[w]

    def encode(self, text: str) -> List[int]:
        """Added tokens in the text become their ids."""
        ids: List[int] = []
        for part in self.specials.split(text):
            if part in self.added:
                ids.append(self.added[part])
            elif part:
                for w in self.split.findall(unicodedata.normalize("NFC", part)):
                    ids += self.word(w)
        return ids

    def decode(self, ids: Iterable[int], skip_special: bool = False) -> str:
        out = b""
        for i in map(int, ids):
            if i in self.names:
                out += b"" if skip_special else self.names[i].encode()
            else:
                out += bytes(UNBYTE[c] for c in self.text[i])
        return out.decode("utf-8", "replace")
