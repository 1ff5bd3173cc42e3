#!/usr/bin/env python3
"""Makes tests/golden/kv: rows of integers and what ggml's q8_0 and q4_0 make of them (PyPI package gguf).

The rows are integers and D is 64, so that our Hadamard rotation (a division by 8) loses nothing: rotating x gives
back the rows exactly. Usage: tools/golden/make_block_golden.py tests/golden/kv
"""
import pathlib
import sys

import gguf
import numpy as np

DIM, ROWS = 64, 64


def hadamard(dim):
    h = np.array([[1.0]])
    while len(h) < dim:
        h = np.block([[h, h], [h, -h]])
    return h / np.sqrt(dim)


def main():
    out = pathlib.Path(sys.argv[1])
    out.mkdir(parents=True, exist_ok=True)
    random = np.random.default_rng(20)
    rows = np.round(random.normal(size=(ROWS, DIM)) * random.choice([3, 100, 3000], size=(ROWS, 1)))
    rows[0] = 0
    rows[1, :32] = 7
    rows = rows.astype(np.float32)
    x = (rows.astype(np.float64) @ hadamard(DIM)).astype(np.float32)
    assert np.array_equal(x.astype(np.float64) @ hadamard(DIM), rows)
    x.tofile(out / "ggml_rows_d64.f32")
    for name in ("Q8_0", "Q4_0"):
        blocks = gguf.quants.quantize(rows, gguf.GGMLQuantizationType[name])
        blocks.astype(np.uint8).tofile(out / f"ggml_{name.lower()}_d64.u8")


if __name__ == "__main__":
    main()
