#!/usr/bin/env python3
"""Golden logits of small random checkpoints, computed by Hugging Face transformers in float32.

Writes one directory per case below --out: config.json, weights as safetensors (float32, bfloat16, float16, one
sharded), and golden.safetensors with, per sequence i: ids.i [n] (int32), logits.i [n, vocab], taps.i [n, hidden]
(output of layer 0). rope.safetensors holds rotary frequencies and angles of published shapes. Everything is seeded, so a
second run gives the same files.

Needs torch, transformers 4.57.3, safetensors. tests/golden/models/README.md says how the committed files were made.
"""
import argparse
import pathlib
import shutil

import torch
from safetensors.torch import save_file
from transformers import LlamaConfig, LlamaForCausalLM, Qwen3Config, Qwen3ForCausalLM
from transformers.models.llama.modeling_llama import LlamaRotaryEmbedding

LENGTHS = (1, 12, 48)

QWEN3 = dict(vocab_size=160, hidden_size=48, intermediate_size=80, num_attention_heads=4, num_key_value_heads=2,
             head_dim=64, rope_theta=1000000.0, rms_norm_eps=1e-6, max_position_embeddings=512)
LLAMA3_ROPE = dict(rope_type="llama3", factor=8.0, low_freq_factor=1.0, high_freq_factor=4.0,
                   original_max_position_embeddings=64)

CASES = {
    "qwen3-tied-f32": (Qwen3ForCausalLM, Qwen3Config(**QWEN3, num_hidden_layers=2, tie_word_embeddings=True),
                       torch.float32, None),
    "qwen3-untied-bf16-sharded": (Qwen3ForCausalLM,
                                  Qwen3Config(**{**QWEN3, "head_dim": 128}, num_hidden_layers=2,
                                              tie_word_embeddings=False),
                                  torch.bfloat16, "150KB"),
    "qwen3-tied-f16": (Qwen3ForCausalLM, Qwen3Config(**QWEN3, num_hidden_layers=3, tie_word_embeddings=True),
                       torch.float16, None),
    "qwen3-sliding-bf16": (Qwen3ForCausalLM,
                           Qwen3Config(**QWEN3, num_hidden_layers=2, tie_word_embeddings=True, use_sliding_window=True,
                                       sliding_window=7, layer_types=["sliding_attention", "full_attention"]),
                           torch.bfloat16, None),
    # The three bands of the llama3 rule (kept, blended, divided) all hold frequencies here.
    "llama31-bf16": (LlamaForCausalLM,
                     LlamaConfig(**{**QWEN3, "rope_theta": 10000.0, "rms_norm_eps": 1e-5}, num_hidden_layers=2,
                                 tie_word_embeddings=False, rope_scaling=LLAMA3_ROPE),
                     torch.bfloat16, None),
}


def randomise(model, seed):
    """Weights large enough that attention is far from uniform and logits spread over several units."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, p in sorted(model.named_parameters()):
            noise = torch.randn(p.shape, generator=generator)
            if p.dim() == 1:
                p.copy_((1.5 if "q_norm" in name else 1.0) + 0.2 * noise)
            elif "embed_tokens" in name or "lm_head" in name:
                p.copy_(0.3 * noise)
            else:
                p.copy_(1.2 * noise / p.shape[1] ** 0.5)


def make_case(name, out, seed):
    cls, config, dtype, shard = CASES[name]
    directory = out / name
    shutil.rmtree(directory, ignore_errors=True)
    model = cls(config)
    randomise(model, seed)
    model.to(dtype).save_pretrained(directory, **({"max_shard_size": shard} if shard else {}))
    (directory / "generation_config.json").unlink(missing_ok=True)

    reader = cls.from_pretrained(directory, dtype=torch.float32).eval()
    generator = torch.Generator().manual_seed(seed + 1)
    golden = {}
    for i, n in enumerate(LENGTHS):
        ids = torch.randint(0, config.vocab_size, (1, n), generator=generator)
        with torch.inference_mode():
            output = reader(ids, output_hidden_states=True)
        golden[f"ids.{i}"] = ids[0].to(torch.int32)
        golden[f"logits.{i}"] = output.logits[0].float().contiguous()
        golden[f"taps.{i}"] = output.hidden_states[1][0].float().contiguous()
    save_file(golden, directory / "golden.safetensors")
    print(name, "logits spread", round(golden["logits.2"].std().item(), 3))


def make_rope(out):
    """rope.safetensors: inverse frequencies, and cosines and sines at far positions, of two published shapes."""
    shapes = {
        "qwen3": Qwen3Config(head_dim=128, rope_theta=1000000.0),
        "llama31": LlamaConfig(head_dim=128, rope_theta=500000.0, max_position_embeddings=131072,
                               rope_scaling={**LLAMA3_ROPE, "original_max_position_embeddings": 8192}),
    }
    positions = torch.tensor([[0, 1, 77, 4095, 40000]])
    golden = {"positions": positions[0].to(torch.int32)}
    for name, config in shapes.items():
        rope = LlamaRotaryEmbedding(config)
        cos, sin = rope(torch.zeros(1), positions)
        golden[f"{name}.inv_freq"] = rope.inv_freq
        golden[f"{name}.cos"], golden[f"{name}.sin"] = cos[0, :, :64].contiguous(), sin[0, :, :64].contiguous()
    save_file(golden, out / "rope.safetensors")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=pathlib.Path, required=True)
    args = parser.parse_args()
    torch.set_num_threads(1)
    for i, name in enumerate(CASES):
        make_case(name, args.out, 100 * (i + 1))
    make_rope(args.out)


if __name__ == "__main__":
    main()
