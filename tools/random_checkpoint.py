#!/usr/bin/env python3
"""Writes Hugging Face directories with random bf16 weights at the true shapes of published models.

For checking that real sizes load, fit in memory and run, where the real files cannot be had. The text such a
model writes is noise, and so are its acceptance lengths: never report them. Needs numpy.

    tools/random_checkpoint.py --shape qwen3-8b --out DIR [--tokenizer DIR] [--seed 0]

makes DIR/target and DIR/draft (the z-lab b16 layout). --tokenizer names a directory with tokenizer.json(.gz) and
tokenizer_config.json to copy.
"""
import argparse
import gzip
import json
import pathlib
import shutil

import numpy as np

SHAPES = {  # hidden, intermediate, layers, heads, kv heads, tied
    "qwen3-0.6b": (1024, 3072, 28, 16, 8, True),
    "qwen3-4b": (2560, 9728, 36, 32, 8, True),
    "qwen3-8b": (4096, 12288, 36, 32, 8, False),
}
HEAD_DIM, VOCAB, MASK_ID = 128, 151936, 151669
TAPS, DRAFT_LAYERS, BLOCK = 5, 5, 16
SHARD_BYTES = 4 << 30


def layer_tensors(prefix, hidden, intermediate, heads, kv_heads):
    """Name -> shape of one Qwen3 layer."""
    return {
        prefix + "input_layernorm.weight": (hidden,),
        prefix + "self_attn.q_proj.weight": (heads * HEAD_DIM, hidden),
        prefix + "self_attn.k_proj.weight": (kv_heads * HEAD_DIM, hidden),
        prefix + "self_attn.v_proj.weight": (kv_heads * HEAD_DIM, hidden),
        prefix + "self_attn.o_proj.weight": (hidden, heads * HEAD_DIM),
        prefix + "self_attn.q_norm.weight": (HEAD_DIM,),
        prefix + "self_attn.k_norm.weight": (HEAD_DIM,),
        prefix + "post_attention_layernorm.weight": (hidden,),
        prefix + "mlp.gate_proj.weight": (intermediate, hidden),
        prefix + "mlp.up_proj.weight": (intermediate, hidden),
        prefix + "mlp.down_proj.weight": (hidden, intermediate),
    }


def target_tensors(hidden, intermediate, layers, heads, kv_heads, tied):
    """Name -> shape of a whole Qwen3 target."""
    tensors = {"model.embed_tokens.weight": (VOCAB, hidden)}
    for i in range(layers):
        tensors |= layer_tensors(f"model.layers.{i}.", hidden, intermediate, heads, kv_heads)
    tensors["model.norm.weight"] = (hidden,)
    if not tied:
        tensors["lm_head.weight"] = (VOCAB, hidden)
    return tensors


def draft_tensors(hidden, intermediate, heads, kv_heads):
    """Name -> shape of a z-lab DFlash draft: no embedding, no head."""
    tensors = {"fc.weight": (hidden, TAPS * hidden), "hidden_norm.weight": (hidden,)}
    for i in range(DRAFT_LAYERS):
        tensors |= layer_tensors(f"layers.{i}.", hidden, intermediate, heads, kv_heads)
    tensors["norm.weight"] = (hidden,)
    return tensors


class Noise:
    """Normal bf16 values with standard deviation 0.02, cut from one random block at changing offsets."""

    def __init__(self, seed):
        self.rng = np.random.default_rng(seed)
        block = (self.rng.standard_normal(1 << 24, dtype=np.float32) * 0.02).view(np.uint32)
        self.block = (block >> 16).astype("<u2")

    def write(self, file, count):
        while count:
            start = int(self.rng.integers(0, self.block.size // 2))
            piece = self.block[start:start + count]
            file.write(piece.tobytes())
            count -= piece.size


def write_safetensors(path, tensors, noise):
    """One safetensors file; norm weights are ones."""
    header, offset = {}, 0
    for name, shape in tensors.items():
        size = 2 * int(np.prod(shape))
        header[name] = {"dtype": "BF16", "shape": list(shape), "data_offsets": [offset, offset + size]}
        offset += size
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    with open(path, "wb") as file:
        file.write(len(text).to_bytes(8, "little") + text)
        for shape in tensors.values():
            if len(shape) == 1:
                file.write(np.full(shape, 0x3F80, "<u2").tobytes())
            else:
                noise.write(file, int(np.prod(shape)))


def write_model(directory, tensors, noise):
    """model.safetensors, or an index and shards of about 4 GiB."""
    directory.mkdir(parents=True, exist_ok=True)
    shards, used = [{}], 0
    for name, shape in tensors.items():
        size = 2 * int(np.prod(shape))
        if used and used + size > SHARD_BYTES:
            shards.append({})
            used = 0
        shards[-1][name] = shape
        used += size
    if len(shards) == 1:
        write_safetensors(directory / "model.safetensors", shards[0], noise)
        return
    weight_map = {}
    for i, shard in enumerate(shards, 1):
        file = f"model-{i:05d}-of-{len(shards):05d}.safetensors"
        write_safetensors(directory / file, shard, noise)
        weight_map |= {name: file for name in shard}
    total = sum(2 * int(np.prod(shape)) for shape in tensors.values())
    (directory / "model.safetensors.index.json").write_text(
        json.dumps({"metadata": {"total_size": total}, "weight_map": weight_map}, indent=1))


def base_config(hidden, intermediate, layers, heads, kv_heads, tied):
    """The keys that target and draft share."""
    return {
        "model_type": "qwen3", "hidden_size": hidden, "intermediate_size": intermediate, "num_hidden_layers": layers,
        "num_attention_heads": heads, "num_key_value_heads": kv_heads, "head_dim": HEAD_DIM, "vocab_size": VOCAB,
        "rms_norm_eps": 1e-6, "rope_theta": 1000000, "rope_scaling": None, "max_position_embeddings": 40960,
        "attention_bias": False, "hidden_act": "silu", "tie_word_embeddings": tied, "torch_dtype": "bfloat16",
        "sliding_window": None, "use_sliding_window": False, "bos_token_id": 151643, "eos_token_id": 151645,
    }


def copy_tokenizer(source, directory):
    """tokenizer.json (unpacked when gzipped) and tokenizer_config.json."""
    packed = source / "tokenizer.json.gz"
    if packed.exists():
        (directory / "tokenizer.json").write_bytes(gzip.decompress(packed.read_bytes()))
    else:
        shutil.copy(source / "tokenizer.json", directory)
    shutil.copy(source / "tokenizer_config.json", directory)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shape", choices=sorted(SHAPES), required=True)
    parser.add_argument("--out", type=pathlib.Path, required=True)
    parser.add_argument("--tokenizer", type=pathlib.Path)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    hidden, intermediate, layers, heads, kv_heads, tied = SHAPES[args.shape]
    noise = Noise(args.seed)

    target = args.out / "target"
    write_model(target, target_tensors(hidden, intermediate, layers, heads, kv_heads, tied), noise)
    config = base_config(hidden, intermediate, layers, heads, kv_heads, tied)
    (target / "config.json").write_text(json.dumps(config | {"architectures": ["Qwen3ForCausalLM"]}, indent=2))
    (target / "generation_config.json").write_text(json.dumps({"eos_token_id": [151645, 151643]}))
    if args.tokenizer:
        copy_tokenizer(args.tokenizer, target)

    draft = args.out / "draft"
    write_model(draft, draft_tensors(hidden, intermediate, heads, kv_heads), noise)
    config = base_config(hidden, intermediate, DRAFT_LAYERS, heads, kv_heads, tied)
    step = (layers - 4) / (TAPS - 1)
    config |= {
        "architectures": ["DFlashDraftModel"], "block_size": BLOCK, "num_target_layers": layers,
        "layer_types": ["full_attention"] * DRAFT_LAYERS,
        "dflash_config": {"target_layer_ids": [round(1 + i * step) for i in range(TAPS)], "mask_token_id": MASK_ID},
    }
    (draft / "config.json").write_text(json.dumps(config, indent=2))


if __name__ == "__main__":
    main()
