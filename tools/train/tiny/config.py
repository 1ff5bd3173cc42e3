"""Sizes, special tokens and budgets: everything that tells the shipped pair from the one of the smoke run."""
from __future__ import annotations

import dataclasses
from typing import Any, Dict, List, Tuple

Config = Dict[str, Any]

SPECIAL = ["<|endoftext|>", "<|im_start|>", "<|im_end|>", "<think>", "</think>", "<tool_call>", "</tool_call>",
           "<tool_response>", "</tool_response>", "<|mask|>"]
RESERVED = 32  # ids at the top of the vocabulary, the named ones first


def special_id(name: str, vocab_size: int) -> int:
    return vocab_size - RESERVED + SPECIAL.index(name)


def stop_ids(cfg: Config) -> Tuple[int, int]:
    """<|im_end|> and <|endoftext|>."""
    return cfg["eos_token_id"], cfg["pad_token_id"]


def target_config(vocab_size: int, hidden: int, layers: int, mlp: int, heads: int, kv_heads: int, head_dim: int,
                  context: int) -> Config:
    return {
        "architectures": ["Qwen3ForCausalLM"], "model_type": "qwen3", "vocab_size": vocab_size, "hidden_size": hidden,
        "intermediate_size": mlp, "num_hidden_layers": layers, "num_attention_heads": heads,
        "num_key_value_heads": kv_heads, "head_dim": head_dim, "hidden_act": "silu", "rms_norm_eps": 1e-6,
        "rope_theta": 1000000.0, "rope_scaling": None, "max_position_embeddings": context, "attention_bias": False,
        "attention_dropout": 0.0, "tie_word_embeddings": True, "use_sliding_window": False, "sliding_window": None,
        "max_window_layers": layers, "use_cache": True, "initializer_range": 0.02, "bos_token_id": None,
        "eos_token_id": special_id("<|im_end|>", vocab_size), "pad_token_id": special_id("<|endoftext|>", vocab_size),
        "torch_dtype": "bfloat16"}


def draft_config(target: Config, layers: int, block: int, taps: List[int]) -> Config:
    """`taps`: 0-based layers whose outputs are read (hidden_states[i + 1] in Hugging Face). Never the last layer."""
    return dict(target, architectures=["DFlashDraftModel"], num_hidden_layers=layers, max_window_layers=layers,
                block_size=block, num_target_layers=target["num_hidden_layers"],
                layer_types=["full_attention"] * layers,
                dflash_config={"target_layer_ids": taps, "mask_token_id": special_id("<|mask|>", target["vocab_size"])})


@dataclasses.dataclass(frozen=True)
class Recipe:
    """One way through all stages. Steps, not minutes, so that a cut and resumed run equals an uncut one."""
    name: str
    target: Config
    draft: Config
    target_steps: int
    target_tokens: int      # a step
    micro_tokens: int       # a forward pass
    answers: int            # prompts that the target answers for the drafter
    answer_tokens: int      # longest answer
    answer_batch: int       # prompts answered together; eight such batches are saved at a time
    draft_steps: int
    draft_batch: int        # sequences a step
    draft_blocks: int       # anchors a sequence
    tau_prompts: int        # a set, when measuring acceptance
    answer_prompts: int     # a set, when counting right answers
    save_every_steps: int
    template_records: int   # generated word problems when no prepared data is given


_FULL_TARGET = target_config(4096, 256, 6, 768, 4, 2, 128, 1024)
_SMOKE_TARGET = target_config(640, 64, 6, 128, 4, 2, 32, 1024)

FULL = Recipe("full", _FULL_TARGET, draft_config(_FULL_TARGET, 2, 8, [1, 4]), target_steps=1450, target_tokens=8192,
              micro_tokens=2048, answers=45000, answer_tokens=200, answer_batch=128, draft_steps=5000, draft_batch=16, draft_blocks=32,
              tau_prompts=60, answer_prompts=320, save_every_steps=40, template_records=32000)
SMOKE = Recipe("smoke", _SMOKE_TARGET, draft_config(_SMOKE_TARGET, 2, 8, [1, 4]), target_steps=40, target_tokens=1024,
               micro_tokens=1024, answers=48, answer_tokens=24, answer_batch=2, draft_steps=16, draft_batch=8, draft_blocks=8,
               tau_prompts=2, answer_prompts=4, save_every_steps=5, template_records=400)
RECIPES = {r.name: r for r in (FULL, SMOKE)}
