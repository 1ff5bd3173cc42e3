"""Reads a GGUF file into numpy: metadata and, one tensor at a time, dequantised float32 values. Written from
docs/formats/gguf-blocks.md, so that agreement.py has weights from neither of the two programs it compares."""
import mmap
import struct

import numpy as np

SCALARS = {0: "<B", 1: "<b", 2: "<H", 3: "<h", 4: "<I", 5: "<i", 6: "<f", 7: "<?", 10: "<Q", 11: "<q", 12: "<d"}
TYPES = {0: ("F32", 1, 4), 1: ("F16", 1, 2), 30: ("BF16", 1, 2), 2: ("Q4_0", 32, 18), 8: ("Q8_0", 32, 34),
         12: ("Q4_K", 256, 144), 13: ("Q5_K", 256, 176), 14: ("Q6_K", 256, 210)}
STRING, ARRAY = 8, 9


def half(blocks, at):
    """fp16 at byte `at` of every block, as float32 [blocks, 1]."""
    return np.ascontiguousarray(blocks[:, at:at + 2]).view("<f2").astype(np.float32)


def nibbles(data):
    """uint8 [blocks, groups, n] -> [blocks, groups, 2, n]: low nibbles, then high ones."""
    return np.stack([data & 15, data >> 4], axis=-2)


def six_bit_scales(packed):
    """The twelve bytes of Q4_K and Q5_K -> eight scales and eight minimums, float32 [blocks, 8]."""
    low, high, mixed = packed[:, 0:4], packed[:, 4:8], packed[:, 8:12]
    scale = np.concatenate([low & 63, (mixed & 15) | (low >> 6) << 4], axis=1)
    minimum = np.concatenate([high & 63, (mixed >> 4) | (high >> 6) << 4], axis=1)
    return scale.astype(np.float32), minimum.astype(np.float32)


def q8_0(b):
    return half(b, 0) * np.ascontiguousarray(b[:, 2:]).view(np.int8).astype(np.float32)


def q4_0(b):
    codes = nibbles(b[:, None, 2:]).reshape(len(b), 32).astype(np.float32)
    return half(b, 0) * (codes - 8)


def q4_or_q5_k(b, five):
    scale, minimum = six_bit_scales(b[:, 4:16])
    codes = nibbles(b[:, 48 if five else 16:].reshape(len(b), 4, 32)).reshape(len(b), 8, 32)
    if five:
        codes = codes | ((b[:, None, 16:48] >> np.arange(8, dtype=np.uint8)[None, :, None]) & 1) << 4
    d, dmin = half(b, 0) * scale, half(b, 2) * minimum
    return (d[:, :, None] * codes.astype(np.float32) - dmin[:, :, None]).reshape(len(b), 256)


def q6_k(b):
    low = nibbles(b[:, :128].reshape(len(b), 2, 64)).reshape(len(b), 2, 4, 32)
    shifts = np.array([0, 2, 4, 6], np.uint8)[None, None, :, None]
    high = (b[:, 128:192].reshape(len(b), 2, 1, 32) >> shifts) & 3
    codes = (low | high << 4).reshape(len(b), 16, 16).astype(np.float32) - 32
    scale = np.ascontiguousarray(b[:, 192:208]).view(np.int8).astype(np.float32)
    return ((half(b, 208) * scale)[:, :, None] * codes).reshape(len(b), 256)


def dequantise(kind, data):
    """float32 values of a run of blocks (uint8)."""
    if kind == "F32":
        return data.view("<f4").astype(np.float32)
    if kind == "F16":
        return data.view("<f2").astype(np.float32)
    if kind == "BF16":
        return (data.view("<u2").astype(np.uint32) << 16).view(np.float32)
    size = next(size for name, _, size in TYPES.values() if name == kind)
    blocks = data.reshape(-1, size)
    of_kind = {"Q8_0": q8_0, "Q4_0": q4_0, "Q6_K": q6_k, "Q4_K": lambda b: q4_or_q5_k(b, False),
               "Q5_K": lambda b: q4_or_q5_k(b, True)}
    return of_kind[kind](blocks).reshape(-1)


class GgufWeights:
    """metadata: key -> value; kinds: tensor -> name of its type; values(tensor): float32 [out, in]."""

    def __init__(self, path):
        with open(path, "rb") as f:
            self._data = mmap.mmap(f.fileno(), 0, access=mmap.ACCESS_READ)
        if self._data[:4] != b"GGUF":
            raise ValueError(f"{path}: found {self._data[:4]!r}, expected a GGUF file")
        self._at = 8
        tensors, pairs = self._take("<Q"), self._take("<Q")
        self.metadata = {self._string(): self._value(self._take("<I")) for _ in range(pairs)}
        infos = []
        for _ in range(tensors):
            name, count = self._string(), self._take("<I")
            dims = [self._take("<Q") for _ in range(count)][::-1]
            infos.append((name, dims, self._take("<I"), self._take("<Q")))
        alignment = self.metadata.get("general.alignment", 32)
        start = -(-self._at // alignment) * alignment
        self.kinds, self._tensors = {}, {}
        for name, dims, number, offset in infos:
            if number not in TYPES:
                raise ValueError(f"{path}: tensor {name} has type {number}, expected one of {sorted(TYPES)}")
            self.kinds[name] = TYPES[number][0]
            self._tensors[name] = (dims, TYPES[number], start + offset)

    def _take(self, form):
        value = struct.unpack_from(form, self._data, self._at)[0]
        self._at += struct.calcsize(form)
        return value

    def _string(self):
        length = self._take("<Q")
        self._at += length
        return self._data[self._at - length:self._at].decode("utf-8")

    def _value(self, kind):
        if kind == STRING:
            return self._string()
        if kind == ARRAY:
            inner, count = self._take("<I"), self._take("<Q")
            return [self._value(inner) for _ in range(count)]
        return self._take(SCALARS[kind])

    def raw(self, name, rows=None):
        """The blocks of some rows (a slice or index array) or all, uint8 [rows, bytes]."""
        dims, (_, values, size), start = self._tensors[name]
        width = dims[-1] // values * size
        count = int(np.prod(dims[:-1], dtype=np.int64))
        data = np.frombuffer(self._data, np.uint8, count * width, start).reshape(count, width)
        return data if rows is None else data[rows]

    def values(self, name, rows=None):
        data = np.ascontiguousarray(self.raw(name, rows))
        flat = dequantise(self.kinds[name], data.reshape(-1))
        return flat.reshape(len(data), -1) if len(self._tensors[name][0]) > 1 else flat
