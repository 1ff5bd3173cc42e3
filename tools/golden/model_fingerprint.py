#!/usr/bin/env python3
"""The fingerprint of a safetensors model directory, written from docs/formats/session.md; standard library only.

Its output for the embedded pair is pinned in src/model/fingerprint_test.cc.
usage: tools/golden/model_fingerprint.py DIRECTORY ...
"""
import hashlib
import json
import pathlib
import struct
import sys

ARCHITECTURES = {"Qwen3ForCausalLM": "qwen3", "LlamaForCausalLM": "llama", "DFlashDraftModel": "dflash"}


def bits(value):
    return struct.pack(">d", value).hex()


def as_f32(value):
    return struct.unpack("<f", struct.pack("<f", value))[0]


def config_lines(c):
    if c.get("rope_scaling") or c.get("quantization") or c.get("use_sliding_window"):
        sys.exit("only plain models are described here")
    yield "kakeya-model-fingerprint 1"
    yield f"architecture {ARCHITECTURES[c['architectures'][0]]}"
    for name, key in [("vocab_size",) * 2, ("hidden_size",) * 2, ("intermediate_size",) * 2,
                      ("layers", "num_hidden_layers"), ("heads", "num_attention_heads"),
                      ("kv_heads", "num_key_value_heads"), ("head_dim",) * 2]:
        yield f"{name} {c[key]}"
    yield f"rms_norm_eps {bits(as_f32(c['rms_norm_eps']))}"
    yield f"rope_theta {bits(c['rope_theta'])}"
    yield "rope_scaling 0 " + " ".join(bits(x) for x in (1, 1, 4, 8192))
    yield f"tie_word_embeddings {int(c['tie_word_embeddings'])}"
    yield f"attention_bias {int(c['attention_bias'])}"
    yield "sliding 0 " + "0" * c["num_hidden_layers"]
    if "dflash_config" in c:
        d = c["dflash_config"]
        ids = ",".join(map(str, d["target_layer_ids"]))
        yield f"dflash {c['block_size']} {d['mask_token_id']} {c['num_target_layers']} {ids}"


def samples(data):
    if len(data) <= 4096:
        return data
    firsts = [(len(data) - 64) * i // 63 for i in range(64)]
    return b"".join(data[first:first + 64] for first in firsts)


def fingerprint(directory):
    digest = hashlib.sha256()
    for line in config_lines(json.loads((directory / "config.json").read_text())):
        digest.update(line.encode() + b"\n")
    file = (directory / "model.safetensors").read_bytes()
    size = struct.unpack("<Q", file[:8])[0]
    header = json.loads(file[8:8 + size])
    header.pop("__metadata__", None)
    for name in sorted(header, key=str.encode):
        tensor = header[name]
        begin, end = tensor["data_offsets"]
        data = file[8 + size + begin:8 + size + end]
        shape = ",".join(map(str, tensor["shape"]))
        digest.update(f"tensor {name} {tensor['dtype']} 0 {shape} {len(data)}\n".encode())
        digest.update(samples(data) + b"\n")
    return digest.hexdigest()


for argument in sys.argv[1:]:
    print(fingerprint(pathlib.Path(argument)), argument)
