"""The model card: what was measured, what the data was, what the pair cannot do."""
from __future__ import annotations

from typing import Any, Dict, List

from .config import Config

HEAD = """# tiny: a {target_m:.2f}M-parameter Qwen3-architecture target and a {draft_m:.2f}M DFlash drafter

Trained from scratch, made to develop and test a decoding engine on a machine without a network. **It writes
GSM8K-shaped solutions; it does not solve GSM8K.** Its acceptance lengths say nothing about larger models.

- `target/`: `Qwen3ForCausalLM`, hidden {hidden_size}, {num_hidden_layers} layers, MLP {intermediate_size},
  {num_attention_heads} heads, {num_key_value_heads} KV heads, head_dim {head_dim}, q_norm and k_norm, theta 1,000,000, tied
  embeddings, vocabulary {vocab_size} (own byte-level BPE, Qwen split regex, digits one by one; the top 32 ids are reserved,
  `<|endoftext|>` {pad_token_id}, `<|im_end|>` {eos_token_id}, `<|mask|>` {mask_token_id}). Chat template: plain ChatML of our
  own, the same frame as Qwen3 with thinking off; trained with thinking off only. Python completion: raw prompt, no chat, ends
  with `<|endoftext|>`.
- `draft/`: DFlash, {draft_layers} layers, block {block_size}, taps: outputs of layers {taps} (0-based); embedding and head are the
  target's.
- `golden.json`, `golden_*.npy`: greedy ids (plain and DFlash), per-cycle acceptance, logits, taps and first draft logits,
  computed in float32 PyTorch from these files. `golden_cycles.json`: ids and accepted counts of 100 prompts of the mini sets.
  Both are made by `tools/golden/make_tiny_golden.py`. `report.json`: the measurements below.

Weights are bfloat16, safetensors. Recipe and commands: `tools/train/README.md`.
"""

TAIL = """
## Data

| set | licence |
|---|---|
| GSM8K train (twice), and numeric variants of it made by a generator | MIT (OpenAI) |
| SVAMP | MIT |
| **MBPP** (google-research), filtered against HumanEval | **CC-BY-4.0**: "Program Synthesis with Large Language Models", Austin et al. 2021 |
| template word problems, arithmetic drills, small Python functions | CC0-1.0, made for this project |

2% of each set was held out by a hash of the prompt; for the word problems numbers are blanked before hashing, so all variants
of one problem are on one side. GSM8K test and HumanEval were never trained on. A few GSM8K train questions share 13 words or
more with test questions, as published. "Held-out templates" and `gsm-mini` are unseen problems of the **same 24 templates**, so
the figures there are those of familiar forms; most functions of `py-mini` occur in training with other doctests.

## What it cannot do

- Reason. GSM8K test answers have the right shape, and mostly wrong operands. HumanEval was used for prompts only; no solution
  rate was measured, expect none or next to none.
- Multiply or divide beyond small numbers, talk, follow instructions, use tools, or think (`<think>` was always empty in
  training).
- Anything past 1,024 tokens; 86% of the training tokens came in rows of 256, the rest in rows of 1,024.
- Greedy text on unseen kinds of prompt can loop; callers need a token limit.
- Rows of the embedding for reserved ids other than those in the chat frame are untrained. `<|mask|>` is untrained too, and is
  meant to be.
"""


def _count(cfg: Config) -> int:
    """Parameters of `num_hidden_layers` layers."""
    h, m, d = cfg["hidden_size"], cfg["intermediate_size"], cfg["head_dim"]
    nq, nk = cfg["num_attention_heads"], cfg["num_key_value_heads"]
    return cfg["num_hidden_layers"] * (h * d * (2 * nq + 2 * nk) + 3 * h * m + 2 * h + 2 * d)


def head(target: Config, draft: Config) -> str:
    h, taps = target["hidden_size"], draft["dflash_config"]["target_layer_ids"]
    return HEAD.format(**target, target_m=(_count(target) + target["vocab_size"] * h + h) / 1e6,
                       draft_m=(_count(draft) + len(taps) * h * h + 2 * h) / 1e6, draft_layers=draft["num_hidden_layers"],
                       block_size=draft["block_size"], taps=" and ".join(map(str, taps)),
                       mask_token_id=draft["dflash_config"]["mask_token_id"])


def _training(runs: Dict[str, Any]) -> List[str]:
    """Figures of the two runs, as far as `runs` has them."""
    out: List[str] = list(runs.get("notes", []))
    log = runs.get("target_log", [])
    if log:
        out += ["", "| training: minutes | tokens | loss |", "|---|---|---|"]
        out += ["| %.1f | %.2fM | %.3f |" % (s / 60, n / 1e6, l) for _, n, s, l in log[::max(1, len(log) // 8)]]
    return out


def _acceptance_row(name: str, v: Dict[str, Any]) -> str:
    plain = ", ".join("%d %s" % (n, m) for m, n in v["against_plain"].items()) if v["against_plain"] else "not compared"
    return "| %s | %d | %d | **%.2f** | %.2f | %s | %s | %s |" % (
        name, v["prompts"], v["cycles"], v["tau_mean_of_prompts"], v["tau_pooled"], " ".join(map(str, v["histogram"])),
        " ".join("%.2f" % x for x in v["kept_given_all_before"]), plain)


def measured(report: Dict[str, Any]) -> str:
    out = ["", "## Measured", ""] + _training(report.get("training", {}))
    out += ["", "| held-out loss, answer tokens | nats a token | tokens |", "|---|---|---|"]
    out += ["| %s | %.3f | %d |" % (k, v[0], v[1]) for k, v in report["held_out_loss"].items()]
    out += ["", "| greedy final answers | n | right | ends with `#### n` and stop | no end in 200 tokens |",
            "|---|---|---|---|---|"]
    out += ["| %s | %d | %.1f%% | %.1f%% | %.1f%% |" % (k, v["n"], 100 * v["right"], 100 * v["well_formed"], 100 * v["no_end"])
            for k, v in report["answers"].items()]
    out += ["", "Acceptance length (tokens a verify pass, the target's own included; greedy, float32, at most 200 new tokens, whole",
            "block; mean over prompts / pooled):", "",
            "| | prompts | cycles | tau | pooled | cycles with 1, 2, ... tokens | kept, given all before | DFlash = plain |",
            "|---|---|---|---|---|---|---|---|"]
    out += [_acceptance_row(k, v) for k, v in report["tau"].items()]
    out += [_acceptance_row("control, " + k, v) for k, v in report["controls"].items()]
    out += ["", "HumanEval and `py-mini` are raw completions; prompts of at most 600 tokens. Full cycles on HumanEval are mostly",
            "texts that loop, so its mean flatters. Final answers: batched, bfloat16 products. The controls run on held-out",
            "templates (or `gsm-mini`). \"tie\" would be a first difference where the two best logits are within 1e-3."]
    for name, v in report["answers"].items():
        for e in v.get("samples", [])[:1]:
            text = (e["prompt"] + e["answer"]).replace("\n", "\n    ").replace("\n    \n", "\n\n")
            out += ["", "Sample, %s (wanted %s):" % (name, e["wanted"]), "", "    " + text]
    return "\n".join(out) + "\n"


def _program(p: Dict[str, Any]) -> str:
    """What the C++ program measured on the same files; {} where it was not run."""
    if not p:
        return ""
    out = ["", "## The C++ engine on the same files", "", p["about"], "", "| prompts | n | tau | accepted at position 1 to 7 |",
           "|---|---|---|---|"]
    out += ["| %s | %d | **%.2f** | %s |" % (v["set"], v["prompts"], v["tau"], " ".join("%.2f" % x for x in v["accepted_at_position"]))
            for v in p["tau"]]
    out += ["", p["channels_about"], "", "| KV channel of the target | tau | loss | tau with the draft's cache in it too |", "|---|---|---|---|"]
    out += ["| %s | %.3f | %.4f | %s |" % (v["kv"], v["tau"], v["loss"], "%.3f" % v["tau_both"] if "tau_both" in v else "-")
            for v in p["channels"]]
    return "\n".join(out) + "\n"


def _gates(gates: List[Dict[str, str]]) -> str:
    if not gates:
        return ""
    out = ["", "Gates (`tools/train/gates.py`):", "", "| gate | wanted | found |", "|---|---|---|"]
    return "\n".join(out + ["| %s | %s | %s |" % (g["name"], g["wanted"], g["found"]) for g in gates]) + "\n"


def card(target: Config, draft: Config, report: Dict[str, Any]) -> str:
    return (head(target, draft) + measured(report) + _gates(report.get("gates", [])) + _program(report.get("program", {})) +
            TAIL)
