"""A reader of GGUF files for the tests: independent of the program, no more than the format's definition."""
import hashlib
import struct

SCALARS = {0: "<B", 1: "<b", 2: "<H", 3: "<h", 4: "<I", 5: "<i", 6: "<f", 7: "<?", 10: "<Q", 11: "<q", 12: "<d"}
# ggml's number: name, values and bytes of a block
TYPES = {0: ("F32", 1, 4), 1: ("F16", 1, 2), 30: ("BF16", 1, 2), 2: ("Q4_0", 32, 18), 6: ("Q5_0", 32, 22),
         8: ("Q8_0", 32, 34), 12: ("Q4_K", 256, 144), 13: ("Q5_K", 256, 176), 14: ("Q6_K", 256, 210)}


class GgufFile:
    """metadata: key -> value; tensors: name -> {type, shape ([out, in]), sha256 of the data}."""

    def __init__(self, path):
        with open(path, "rb") as f:
            self.data, self.at = f.read(), 0
        assert self.data[:4] == b"GGUF", self.data[:4]
        self.at = 4
        self.version = self._take("<I")
        tensors, pairs = self._take("<Q"), self._take("<Q")
        self.metadata = {}
        for _ in range(pairs):
            key = self._string()
            assert key not in self.metadata, key
            self.metadata[key] = self._value(self._take("<I"))
        infos = []
        for _ in range(tensors):
            name = self._string()
            dims = [self._take("<Q") for _ in range(self._take("<I"))]
            infos.append((name, dims, self._take("<I"), self._take("<Q")))
        start = -(-self.at // 32) * 32
        self.tensors, end = {}, start
        for name, dims, number, offset in infos:
            type_name, values, size = TYPES[number]
            assert offset % 32 == 0 and dims[0] % values == 0 and start + offset >= end, name
            count = 1
            for n in dims:
                count *= n
            end = start + offset + count // values * size
            assert end <= len(self.data), name
            digest = hashlib.sha256(self.data[start + offset:end]).hexdigest()
            assert name not in self.tensors, name
            self.tensors[name] = {"type": type_name, "shape": dims[::-1], "sha256": digest}

    def _take(self, form):
        value = struct.unpack_from(form, self.data, self.at)[0]
        self.at += struct.calcsize(form)
        return value

    def _string(self):
        n = self._take("<Q")
        self.at += n
        return self.data[self.at - n:self.at].decode()

    def _value(self, kind):
        if kind == 8:
            return self._string()
        if kind == 9:
            inner, n = self._take("<I"), self._take("<Q")
            return [self._value(inner) for _ in range(n)]
        return self._take(SCALARS[kind])
