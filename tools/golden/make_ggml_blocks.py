#!/usr/bin/env python3
"""Makes tests/golden/blocks: quantised blocks and what ggml makes of them, by calling ggml's own library.

    tools/golden/make_ggml_blocks.py --lib libggml-base.so --out tests/golden/blocks

The library is the one inside the npm package @node-llama-cpp/linux-x64 (node-llama-cpp 3.x, bins/linux-x64).
Per type: NAME.blocks (random bytes with chosen scales: extreme, subnormal, negative and zero) and NAME.f32 (their
values). errors.json: rows of several kinds and the mean squared error of ggml_quantize_chunk without importance
matrix on each; rows.f32 holds the rows.
"""
import argparse
import ctypes
import json
import pathlib

import numpy as np

# name: ggml type number, values and bytes of a block, byte offsets of the f16 scales
TYPES = {
    "q8_0": (8, 32, 34, [0]),
    "q4_0": (2, 32, 18, [0]),
    "q4_K": (12, 256, 144, [0, 2]),
    "q5_K": (13, 256, 176, [0, 2]),
    "q6_K": (14, 256, 210, [208]),
}
VALUES = 2048  # values of the golden blocks of each type
ROW = 512
KINDS = ["normal", "uniform", "laplace", "outlier", "offset", "tiny", "large", "sparse"]
ROWS_OF_KIND = 3


def f16(value):
    return np.frombuffer(np.float16(value).tobytes(), np.uint8)


def make_blocks(rng, count, size, scales):
    """Random bytes; the scales cycle through ordinary and awkward f16 values."""
    blocks = rng.integers(0, 256, (count, size), dtype=np.uint8)
    awkward = [0.0, -0.0, 6e-8, -3e-5, 65504.0, -65504.0, 1.0, -1.0]
    for i in range(count):
        for j, at in enumerate(scales):
            if i % 2 == 0 and i // 2 < len(awkward):
                value = awkward[(i // 2 + 3 * j) % len(awkward)]
            else:
                value = rng.normal() * 10.0 ** rng.integers(-5, 2)
            blocks[i, at:at + 2] = f16(value)
    return blocks


def make_row(rng, kind):
    row = rng.normal(size=ROW)
    if kind == "uniform":
        row = rng.uniform(-1, 1, ROW)
    elif kind == "laplace":
        row = rng.laplace(size=ROW)
    elif kind == "outlier":
        row[rng.integers(0, ROW, 4)] *= 40
    elif kind == "offset":
        row = row * 0.1 + 3
    elif kind == "tiny":
        row = row * 1e-6
    elif kind == "large":
        row = row * 1e4
    elif kind == "sparse":
        row = row * (rng.uniform(size=ROW) < 0.1)
    return row.astype(np.float32)


class Ggml:
    def __init__(self, path):
        self.lib = ctypes.CDLL(path)
        self.lib.ggml_quantize_chunk.restype = ctypes.c_size_t
        self.lib.ggml_quantize_chunk.argtypes = [ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p] + \
            [ctypes.c_int64] * 3 + [ctypes.c_void_p]

    def dequantise(self, name, blocks, count):
        function = getattr(self.lib, "dequantize_row_" + name)
        function.argtypes = [ctypes.c_void_p, ctypes.c_void_p, ctypes.c_int64]
        blocks = np.ascontiguousarray(blocks)
        out = np.empty(count, np.float32)
        function(blocks.ctypes.data, out.ctypes.data, count)
        return out

    def quantise(self, name, row):
        number, values, size, _ = TYPES[name]
        blocks = np.zeros(row.size // values * size, np.uint8)
        used = self.lib.ggml_quantize_chunk(number, row.ctypes.data, blocks.ctypes.data, 0, 1, row.size, None)
        assert used == blocks.size
        return blocks


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--lib", required=True)
    parser.add_argument("--out", type=pathlib.Path, required=True)
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    ggml, rng = Ggml(args.lib), np.random.default_rng(31)
    for name, (_, values, size, scales) in TYPES.items():
        blocks = make_blocks(rng, max(VALUES // values, 16), size, scales)
        out = ggml.dequantise(name, blocks, blocks.shape[0] * values)
        assert np.isfinite(out).all()
        blocks.tofile(args.out / f"{name.lower()}.blocks")
        out.tofile(args.out / f"{name.lower()}.f32")
    rows = np.stack([make_row(rng, kind) for kind in KINDS for _ in range(ROWS_OF_KIND)])
    rows.tofile(args.out / "rows.f32")
    errors = {"row": ROW, "kinds": [kind for kind in KINDS for _ in range(ROWS_OF_KIND)], "mse": {}}
    for name in TYPES:
        back = [ggml.dequantise(name, ggml.quantise(name, row), ROW) for row in rows]
        errors["mse"][name.lower()] = [float(np.mean((b.astype(np.float64) - r) ** 2)) for b, r in zip(back, rows)]
    (args.out / "errors.json").write_text(json.dumps(errors, indent=1) + "\n")


if __name__ == "__main__":
    main()
