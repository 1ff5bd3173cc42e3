"""Cuts a GGUF file into parts as llama.cpp's gguf-split does: all metadata in the first part, split.no, split.count
and split.tensors.count in every part, names NAME-00001-of-00003.gguf."""
import struct

from gguf_file import SCALARS, TYPES


def text(value):
    return struct.pack("<Q", len(value.encode())) + value.encode()


class Source:
    """The pairs and tensors of a file as bytes."""

    def __init__(self, path):
        with open(path, "rb") as f:
            self.data = f.read()
        assert self.data[:8] == b"GGUF" + struct.pack("<I", 3)
        tensors, pairs = struct.unpack_from("<QQ", self.data, 8)
        self.at = 24
        begin = self.at
        for _ in range(pairs):
            self.skip_string()
            self.skip_value(self.number("<I"))
        self.pairs, self.metadata = pairs, self.data[begin:self.at]
        self.tensors = []  # (name, dims, type, bytes)
        infos = []
        for _ in range(tensors):
            n = self.number("<Q")
            name = self.data[self.at:self.at + n].decode()
            self.at += n
            dims = [self.number("<Q") for _ in range(self.number("<I"))]
            infos.append((name, dims, self.number("<I"), self.number("<Q")))
        start = -(-self.at // 32) * 32
        for name, dims, kind, offset in infos:
            _, values, size = TYPES[kind]
            count = 1
            for n in dims:
                count *= n
            self.tensors.append((name, dims, kind, self.data[start + offset:start + offset + count // values * size]))

    def number(self, form):
        self.at += struct.calcsize(form)
        return struct.unpack_from(form, self.data, self.at - struct.calcsize(form))[0]

    def skip_string(self):
        n = self.number("<Q")
        self.at += n

    def skip_value(self, kind):
        if kind == 8:
            self.skip_string()
        elif kind == 9:
            inner, n = self.number("<I"), self.number("<Q")
            for _ in range(n):
                self.skip_value(inner)
        else:
            self.at += struct.calcsize(SCALARS[kind])


def write_part(path, pairs, metadata, tensors, number, count, all_tensors):
    metadata += text("split.no") + struct.pack("<IH", 2, number)
    metadata += text("split.count") + struct.pack("<IH", 2, count)
    metadata += text("split.tensors.count") + struct.pack("<Ii", 5, all_tensors)
    out = b"GGUF" + struct.pack("<IQQ", 3, len(tensors), pairs + 3) + metadata
    offset = 0
    for name, dims, kind, data in tensors:
        out += text(name) + struct.pack(f"<I{len(dims)}QIQ", len(dims), *dims, kind, offset)
        offset += -(-len(data) // 32) * 32
    out += bytes(-len(out) % 32)
    for _, _, _, data in tensors:
        out += data + bytes(-len(data) % 32)
    with open(path, "wb") as f:
        f.write(out)


def split(path, prefix, count, tensor_first=True):
    """The paths of the parts. `tensor_first` false: the first part has metadata alone."""
    source = Source(path)
    with_tensors = count if tensor_first else count - 1
    step = -(-len(source.tensors) // with_tensors)
    groups = [source.tensors[i * step:(i + 1) * step] for i in range(with_tensors)]
    if not tensor_first:
        groups.insert(0, [])
    paths = []
    for number, tensors in enumerate(groups):
        paths.append("%s-%05d-of-%05d.gguf" % (prefix, number + 1, count))
        pairs, metadata = (source.pairs, source.metadata) if number == 0 else (0, b"")
        write_part(paths[-1], pairs, metadata, tensors, number, count, len(source.tensors))
    return paths
