#!/usr/bin/env python3
"""Golden codes for range values the published golden files lack: odd ones and both extremes.

A numpy implementation of the codec from its written rules alone (docs/formats/kv-e8.md, "What is computed"),
independent of the C++ code. It is first checked against the golden files of the public reference, then writes
tests/golden/lattice_odd_q. Usage: make_lattice_odd_q.py [--check-only]
"""
import argparse
import hashlib
import json
import pathlib

import numpy as np

ROOT = pathlib.Path(__file__).resolve().parents[2] / "tests" / "golden"
EPS = np.float32(2.0**-23)
RANGES = (2, 3, 5, 7, 19, 37, 255)
ROWS = {64: 40, 128: 40, 512: 10}
BLOCK = {"d4": 4, "e8": 8}


def hadamard(dim, dtype):
    h = np.ones((1, 1))
    while h.shape[0] < dim:
        h = np.block([[h, h], [h, -h]])
    return (h / np.sqrt(dim)).astype(dtype)


def half(v):
    with np.errstate(over="ignore"):
        return v.astype(np.float16)


def near_d(t):
    f = np.rint(t)
    delta = t - f
    odd = np.mod(f.astype(np.float64).sum(-1), 2) != 0
    i = np.argmax(np.abs(delta), axis=-1)  # the first of equals
    rows = np.nonzero(odd)[0]
    f[rows, i[rows]] += np.where(delta[rows, i[rows]] >= 0, np.float32(1), np.float32(-1))
    return f


def squares(t, p):
    total = np.zeros(t.shape[0], np.float32)
    for i in range(t.shape[1]):
        d = t[:, i] - p[:, i]
        total = total + d * d
    return total


def nearest(lattice, t):
    a = near_d(t)
    if lattice == "d4":
        return a
    g = near_d(t - np.float32(0.5)) + np.float32(0.5)
    return np.where((squares(t, a) <= squares(t, g))[:, None], a, g)


def codes(lattice, y, peak_bits, q):
    """Doubled clamped coordinates of rotated unit rows y with the given fp16 peaks."""
    step = peak_bits.view(np.float16).astype(np.float32) / np.float32(q)
    t = y / step[:, None]
    p = nearest(lattice, t.reshape(-1, BLOCK[lattice])).reshape(y.shape)
    return (2 * np.clip(p, -q, q)).astype(np.int16)


def rotate(x, dtype):
    """y, norm and peak; sums and products in dtype, results in fp32."""
    x = x.astype(dtype)
    norm = np.maximum(np.sqrt((x * x).sum(-1)), dtype(EPS)).astype(np.float32)
    y = ((x / norm.astype(dtype)[:, None]) @ hadamard(x.shape[1], dtype)).astype(np.float32)
    return y, norm, np.maximum(np.abs(y).max(-1), EPS)


def inputs(dim, count, rng):
    """Mostly the rows where odd ranges hurt: sparse after the rotation, or nearly zero."""
    h = hadamard(dim, np.float64) * np.sqrt(dim)
    rows = []
    while len(rows) < count:
        kind = len(rows) % 8
        i, j, k = rng.integers(0, dim, 3)
        a, b = rng.choice([-2.0, -1.0, 1.0, 0.5], 2)
        if kind == 0:
            rows.append(np.full(dim, a))
        elif kind == 1:
            rows.append(a * h[i])
        elif kind == 2:
            rows.append(a * (h[i] + h[j]))
        elif kind == 3:
            rows.append(a * (h[i] - h[j]))
        elif kind == 4:
            rows.append(a * h[i] + b * h[j] + 0.25 * h[k])
        elif kind == 5:
            rows.append(rng.standard_normal(dim) * 10.0 ** rng.integers(-13, -3))
        elif kind == 6:
            rows.append(rng.standard_t(3, dim) * 0.3)
        else:
            rows.append(rng.standard_normal(dim))
    return np.array(rows).astype(np.float32)


def check_against_reference():
    base = ROOT / "lattice"
    manifest = json.loads((base / "manifest.json").read_text())
    checked = 0
    for f in manifest["files"]:
        if f["role"] != "codes_doubled":
            continue
        dim, lattice, q = f["D"], f["lattice"], f["Q"]
        y = np.fromfile(base / f"y_d{dim}.f32", "<f4").reshape(-1, dim)
        header = np.fromfile(base / f"hdr_d{dim}.u16", "<u2").reshape(-1, 2)
        want = np.fromfile(base / f["file"], f["dtype"]).reshape(-1, dim)
        got = codes(lattice, y, np.ascontiguousarray(header[:, 1]), q)
        assert np.array_equal(got, want), f["file"]
        checked += 1
    print(f"{checked} files of the public reference reproduced")


def write(out):
    out.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(20260601)
    files = []

    def save(name, array, **about):
        data = np.ascontiguousarray(array).tobytes()
        (out / name).write_bytes(data)
        files.append({"file": name, "shape": list(array.shape), "sha256": hashlib.sha256(data).hexdigest(), **about})

    for dim, count in ROWS.items():
        x = inputs(dim, count, rng)
        y, norm, peak = rotate(x, np.float32)
        y64, norm64, peak64 = rotate(x, np.float64)
        save(f"x_d{dim}.f32", x)
        save(f"y_d{dim}.f32", y)
        save(f"hdr_d{dim}.u16", np.stack([half(norm).view(np.uint16), half(peak).view(np.uint16)], -1))
        for lattice in BLOCK:
            for q in RANGES:
                c = codes(lattice, y, half(peak).view(np.uint16), q)
                c64 = codes(lattice, y64, half(peak64).view(np.uint16), q)
                differ = (c != c64).any(-1) | (half(norm) != half(norm64))
                name = f"codes2_{lattice}_d{dim}_q{q}.i16"
                # Rows that another order of summation may code otherwise.
                save(name, c, lattice=lattice, D=dim, Q=q, order_sensitive_rows=np.nonzero(differ)[0].tolist())
    text = json.dumps({"format": "kakeya-lattice-odd-q-1", "endianness": "little", "files": files}, indent=1)
    (out / "manifest.json").write_text(text + "\n")
    print(f"{len(files)} files written to {out.name}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check-only", action="store_true", help="only compare with the public reference's files")
    arguments = parser.parse_args()
    check_against_reference()
    if not arguments.check_only:
        write(ROOT / "lattice_odd_q")
