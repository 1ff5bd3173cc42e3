#!/usr/bin/env python3
"""Writes a GGUF file with random quantised weights at the true shape of a published Qwen3 model, or of its draft.

For measuring speed and memory where the real files cannot be had: kernels take the same time whatever the weights
are. The text such a model writes is noise, and so are its acceptance lengths: never report them. kakeya-llm and
llama.cpp both load the file. Needs numpy.

    tools/random_gguf.py --shape 0.6b --type q4_0 --out FILE.gguf [--draft] [--pure] [--seed 0]

Types as `kakeya-llm quantize` and llama.cpp have them: q8_0 is Q8_0 throughout, q4_0 is Q4_0 with the output matrix
in Q6_K, q4_k_m is Q4_K with the output matrix and the more sensitive half of attn_v and ffn_down in Q6_K; --pure
gives one type to every matrix. --draft writes a DFlash draft for the shape. The same arguments give the same bytes.
The file appears under its name when it is complete.
"""
import argparse
import dataclasses
import os
import pathlib
import shutil
import struct
import sys
import zlib

import numpy as np

ALIGNMENT = 32
SPARE_BYTES = 256 << 20  # left free on the disk beside the file
CHUNK_BYTES = 32 << 20
TAPS, DRAFT_LAYERS, BLOCK = 5, 5, 16
# ggml's number, values and bytes of a block
TYPES = {"F32": (0, 1, 4), "Q4_0": (2, 32, 18), "Q8_0": (8, 32, 34), "Q4_K": (12, 256, 144), "Q6_K": (14, 256, 210),
         "BF16": (30, 1, 2)}
FILE_TYPES = {"q4_0": 2, "q8_0": 7, "q4_k_m": 15, "bf16": 32}  # llama_ftype
BASE_TYPE = {"q4_0": "Q4_0", "q8_0": "Q8_0", "q4_k_m": "Q4_K", "bf16": "BF16"}


@dataclasses.dataclass(frozen=True)
class Shape:
    hidden: int
    inner: int
    layers: int
    heads: int
    kv_heads: int
    tied: bool
    vocab: int = 151936
    mask: int = 151669
    head_dim: int = 128


SHAPES = {
    "0.6b": Shape(1024, 3072, 28, 16, 8, True),
    "1.7b": Shape(2048, 6144, 28, 16, 8, True),
    "4b": Shape(2560, 9728, 36, 32, 8, True),
    "8b": Shape(4096, 12288, 36, 32, 8, False),
    "mini": Shape(256, 768, 9, 4, 2, True, vocab=1024, mask=1000),  # for tests: loads in milliseconds
}


def more_bits(layer, layers):
    """llama.cpp's choice for Q4_K_M: the first and last eighth and every third layer between."""
    eighth = layers // 8
    return layer < eighth or layer >= 7 * layers // 8 or (layer - eighth) % 3 == 2


def tensor_list(shape, mix, draft, pure):
    """[(name, type, (out, in) or (n,))] in the order of the file."""
    base = BASE_TYPE[mix]
    head = base if pure or mix in ("q8_0", "bf16") else "Q6_K"
    layers = DRAFT_LAYERS if draft else shape.layers
    q, kv = shape.heads * shape.head_dim, shape.kv_heads * shape.head_dim

    def sensitive(layer):
        return "Q6_K" if mix == "q4_k_m" and not pure and more_bits(layer, layers) else base

    if draft:
        tensors = [("fc.weight", base, (shape.hidden, TAPS * shape.hidden)),
                   ("enc.output_norm.weight", "F32", (shape.hidden,))]
    else:
        tensors = [("token_embd.weight", head if shape.tied else base, (shape.vocab, shape.hidden))]
        if not shape.tied:
            tensors.append(("output.weight", head, (shape.vocab, shape.hidden)))
    tensors.append(("output_norm.weight", "F32", (shape.hidden,)))
    for i in range(layers):
        tensors += [(f"blk.{i}.{part}.weight", kind, dims) for part, kind, dims in (
            ("attn_norm", "F32", (shape.hidden,)),
            ("attn_q", base, (q, shape.hidden)),
            ("attn_k", base, (kv, shape.hidden)),
            ("attn_v", sensitive(i), (kv, shape.hidden)),
            ("attn_q_norm", "F32", (shape.head_dim,)),
            ("attn_k_norm", "F32", (shape.head_dim,)),
            ("attn_output", base, (shape.hidden, q)),
            ("ffn_norm", "F32", (shape.hidden,)),
            ("ffn_gate", base, (shape.inner, shape.hidden)),
            ("ffn_up", base, (shape.inner, shape.hidden)),
            ("ffn_down", sensitive(i), (shape.hidden, shape.inner)))]
    return tensors


def tensor_bytes(kind, dims):
    _, values, size = TYPES[kind]
    if dims[-1] % values:
        raise ValueError(f"rows of {dims[-1]} values are no whole number of {kind} blocks of {values}")
    return int(np.prod(dims)) // values * size


def scales(rng, count, deviation, unit):
    """fp16 block scales that give weights the deviation, +-20 %; `unit` is the deviation of the codes."""
    return (((rng.random(count, np.float32) * 0.4 + 0.8) * (deviation / unit)).astype("<f2"))


def random_rows(rng, kind, rows, width):
    """uint8 [blocks, bytes]: weights with mean 0 and deviation 1/sqrt(width), so that activations stay finite."""
    _, values, size = TYPES[kind]
    blocks, deviation = rows * width // values, width ** -0.5
    if kind == "BF16":  # uniform
        weights = (rng.random(blocks, np.float32) * 2 - 1) * np.float32(deviation * 3 ** 0.5)
        return (weights.view("<u4") >> 16).astype("<u2").view(np.uint8).reshape(blocks, size)
    out = rng.integers(0, 256, (blocks, size), np.uint8)
    uniform = lambda levels: ((levels ** 2 - 1) / 12) ** 0.5
    if kind == "Q4_0":
        d = scales(rng, blocks, deviation, uniform(16))
        d *= rng.choice(np.array([-1, 1], "<f2"), blocks)  # codes reach from -8 to 7: both signs, mean 0
        out[:, :2] = d.view(np.uint8).reshape(blocks, 2)
    elif kind == "Q8_0":
        codes = out[:, 2:].view(np.int8)
        codes[codes == -128] = 0  # which quantisers never write
        out[:, :2] = scales(rng, blocks, deviation, uniform(255)).view(np.uint8).reshape(blocks, 2)
    elif kind == "Q4_K":
        sc = rng.integers(32, 64, (blocks, 8), np.uint8)  # six bits; the minimums are the same, so the mean is 0
        d = scales(rng, blocks, deviation, 48.4 * uniform(16))
        out[:, 0:2] = d.view(np.uint8).reshape(blocks, 2)
        out[:, 2:4] = (d * np.float16(7.5)).astype("<f2").view(np.uint8).reshape(blocks, 2)
        out[:, 4:8] = out[:, 8:12] = sc[:, :4] | (sc[:, 4:] >> 4) << 6
        out[:, 12:16] = (sc[:, 4:] & 15) * 17
    elif kind == "Q6_K":
        sc = rng.integers(64, 128, (blocks, 16), np.int8) * rng.choice(np.array([-1, 1], np.int8), (blocks, 16))
        out[:, 192:208] = sc.view(np.uint8)  # codes reach from -32 to 31: both signs here too
        out[:, 208:] = scales(rng, blocks, deviation, 97.3 * uniform(64)).view(np.uint8).reshape(blocks, 2)
    return out


def text(value):
    data = value.encode()
    return struct.pack("<Q", len(data)) + data


def pair(key, value):
    """One metadata pair; the kind follows from the value: bool, int (u32), float (f32), str, lists of them."""
    if isinstance(value, bool):
        return text(key) + struct.pack("<I?", 7, value)
    if isinstance(value, int):
        return text(key) + struct.pack("<II", 4, value)
    if isinstance(value, float):
        return text(key) + struct.pack("<If", 6, value)
    if isinstance(value, str):
        return text(key) + struct.pack("<I", 8) + text(value)
    if isinstance(value[0], str):
        return text(key) + struct.pack("<IIQ", 9, 8, len(value)) + b"".join(map(text, value))
    return text(key) + struct.pack("<IIQ", 9, 5, len(value)) + np.asarray(value, "<i4").tobytes()


def byte_alphabet():
    """GPT-2's printable stand-ins for the 256 bytes."""
    printable = [*range(33, 127), *range(161, 173), *range(174, 256)]
    others = iter(range(256, 512))
    return [chr(b) if b in printable else chr(next(others)) for b in range(256)]


def tokenizer(shape):
    """A byte-level vocabulary of the right length with a single merge."""
    letters = byte_alphabet()
    special = ["<|endoftext|>", "<|im_end|>"]
    tokens = letters + ["to"] + [f"tok{i}" for i in range(257, shape.vocab - len(special))] + special
    kinds = [1] * (shape.vocab - len(special)) + [3] * len(special)
    return {
        "tokenizer.ggml.model": "gpt2", "tokenizer.ggml.pre": "qwen2", "tokenizer.ggml.tokens": tokens,
        "tokenizer.ggml.token_type": kinds, "tokenizer.ggml.merges": ["t o"],
        "tokenizer.ggml.bos_token_id": shape.vocab - 2, "tokenizer.ggml.eos_token_id": shape.vocab - 1,
        "tokenizer.ggml.padding_token_id": shape.vocab - 2, "tokenizer.ggml.add_bos_token": False,
    }


def metadata(name, shape, mix, draft):
    arch = "dflash" if draft else "qwen3"
    sizes = {
        "block_count": DRAFT_LAYERS if draft else shape.layers, "context_length": 40960,
        "embedding_length": shape.hidden, "feed_forward_length": shape.inner, "attention.head_count": shape.heads,
        "attention.head_count_kv": shape.kv_heads, "attention.key_length": shape.head_dim,
        "attention.value_length": shape.head_dim, "attention.layer_norm_rms_epsilon": 1e-6, "rope.freq_base": 1e6,
    }
    if draft:
        step = (shape.layers - 4) / (TAPS - 1)
        # the layers whose input is tapped: one more than the published layer ids
        sizes |= {"block_size": BLOCK, "target_layers": [round(1 + i * step) + 1 for i in range(TAPS)]}
    pairs = {"general.architecture": arch, "general.name": name, "general.file_type": FILE_TYPES[mix],
             "general.quantization_version": 2}
    pairs |= {f"{arch}.{key}": value for key, value in sizes.items()} | tokenizer(shape)
    if draft:
        pairs["tokenizer.ggml.mask_token_id"] = shape.mask
    return pairs


def header(pairs, tensors):
    out = b"GGUF" + struct.pack("<IQQ", 3, len(tensors), len(pairs)) + b"".join(pair(*p) for p in pairs.items())
    offset = 0
    for name, kind, dims in tensors:
        out += text(name) + struct.pack(f"<I{len(dims)}QIQ", len(dims), *dims[::-1], TYPES[kind][0], offset)
        offset += -(-tensor_bytes(kind, dims) // ALIGNMENT) * ALIGNMENT
    return out + bytes(-len(out) % ALIGNMENT), offset


def write_tensor(file, seed, name, kind, dims):
    if kind == "F32":
        file.write(np.ones(dims, "<f4").tobytes())
        return
    rng = np.random.default_rng([seed, zlib.crc32(name.encode())])
    rows, width = dims
    step = max(1, CHUNK_BYTES // tensor_bytes(kind, (1, width)))
    for row in range(0, rows, step):
        file.write(random_rows(rng, kind, min(step, rows - row), width).tobytes())


def write_gguf(path, pairs, tensors, seed):
    """Bytes written. Raises OSError, and leaves an older file untouched, where the disk is too small."""
    head, data = header(pairs, tensors)
    free = shutil.disk_usage(path.parent).free
    if len(head) + data + SPARE_BYTES > free:
        raise OSError(f"write {path}: needs {(len(head) + data) / 1e9:.2f} GB and {SPARE_BYTES / 1e9:.2f} GB to "
                      f"spare, found {free / 1e9:.2f} GB free")
    temporary = path.with_name(f"{path.name}.tmp{os.getpid()}")
    try:
        with open(temporary, "wb") as file:
            file.write(head)
            for name, kind, dims in tensors:
                write_tensor(file, seed, name, kind, dims)
                file.write(bytes(-tensor_bytes(kind, dims) % ALIGNMENT))
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)
    return len(head) + data


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shape", choices=SHAPES, required=True)
    parser.add_argument("--type", choices=FILE_TYPES, required=True)
    parser.add_argument("--out", type=pathlib.Path, required=True)
    parser.add_argument("--draft", action="store_true", help="the shape's DFlash draft instead of the target")
    parser.add_argument("--pure", action="store_true", help="one type for every matrix")
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    shape = SHAPES[args.shape]
    tensors = tensor_list(shape, args.type, args.draft, args.pure)
    name = f"random-{'draft' if args.draft else 'qwen3'}-{args.shape}-{args.type}{'-pure' if args.pure else ''}"
    try:
        args.out.parent.mkdir(parents=True, exist_ok=True)
        size = write_gguf(args.out, metadata(name, shape, args.type, args.draft), tensors, args.seed)
    except OSError as error:
        sys.exit(f"random_gguf: {error}")
    print(f"{args.out}: {size / 1e9:.3f} GB, {len(tensors)} tensors")


if __name__ == "__main__":
    main()
