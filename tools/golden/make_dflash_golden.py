#!/usr/bin/env python3
"""Golden outputs of the z-lab DFlash reference on a small random target and two drafts fitted to it.

    git clone https://github.com/z-lab/dflash && git -C dflash checkout 44947fb
    python make_dflash_golden.py --zlab dflash/dflash/model.py --out tests/golden/models

The reference is imported from --zlab and never copied. Writes dflash-target/, dflash-full/ and dflash-sliding/ (weights
in bfloat16, all computing in float32); the draft directories hold golden.json and golden.safetensors:

  golden.json         per case: prompt_ids, block_size, output_ids (without the prompt), acceptance_lengths (the
                      reference's: accepted + 1 a cycle), draft_ids (block - 1 a cycle) and the smallest distance
                      between the two best logits seen in any argmax
  golden.safetensors  taps.i [positions, taps * hidden]: tapped states in the order in which the draft consumed them;
                      draft_logits.i [cycles * (block - 1), vocab] of cases 0 and 1

The target is random. A draft with random weights is accepted almost never, so each draft is first fitted for some seconds to
the target's own greedy text; that is what gives acceptance lists worth comparing.

dflash-full runs the reference as it is. dflash-sliding has a sliding-window layer, for which that revision is not the law:
later ones made sliding layers causal inside the block, with the window rule q - k < W. That rule is written here, independently,
as an attention function that the reference's layers are told to use.

Needs torch, transformers 4.57.3, safetensors.
"""
import argparse
import importlib.util
import json
import pathlib
import shutil
import time

import torch
from safetensors.torch import save_file
from transformers import Qwen3Config, Qwen3ForCausalLM
from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS

from make_model_golden import randomise

PROMPT, NEW, BLOCK, WINDOW = 24, 48, 8, 6
SHAPE = dict(vocab_size=64, hidden_size=32, intermediate_size=48, num_attention_heads=4, num_key_value_heads=2,
             head_dim=64, rms_norm_eps=1e-6, max_position_embeddings=512, tie_word_embeddings=True)
TARGET = Qwen3Config(**SHAPE, num_hidden_layers=5, rope_theta=1000000.0)
DRAFTS = {
    "dflash-full": dict(layer_types=["full_attention"] * 2, rope_theta=10000.0),
    "dflash-sliding": dict(layer_types=["sliding_attention", "full_attention"], rope_theta=1000000.0,
                           sliding_window=WINDOW, use_sliding_window=True),
}


def load_reference(path):
    spec = importlib.util.spec_from_file_location("zlab_dflash", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    module._cuda_time = time.perf_counter  # its clock wants a GPU
    return module


def window_attention(module, query, key, value, attention_mask, scaling, sliding_window=None, **_):
    """Full layers see everything; sliding layers k <= q and q - k < W. Block rows are the last keys."""
    groups = query.shape[1] // key.shape[1]
    key, value = key.repeat_interleave(groups, 1), value.repeat_interleave(groups, 1)
    scores = query @ key.transpose(-1, -2) * scaling
    if sliding_window is not None:
        k = torch.arange(key.shape[2])[None, :]
        q = key.shape[2] - query.shape[2] + torch.arange(query.shape[2])[:, None]
        scores = scores.masked_fill(~((k <= q) & (q - k < sliding_window)), float("-inf"))
    return (scores.softmax(-1) @ value).transpose(1, 2), None


def taps_of(hidden_states, ids):
    return torch.cat([hidden_states[i + 1] for i in ids], dim=-1)


def fit(draft, target, prompts, steps, seed):
    """Teaches the draft the target's greedy text: one random anchor a step, all prompts at once."""
    with torch.inference_mode():
        text = target.generate(prompts, max_new_tokens=NEW + BLOCK, min_new_tokens=NEW + BLOCK, do_sample=False,
                               pad_token_id=0)
        taps = taps_of(target(text, output_hidden_states=True).hidden_states, draft.target_layer_ids).clone()
    text, taps = text.clone(), taps.clone()
    optimiser = torch.optim.Adam(draft.parameters(), lr=2e-3)
    generator = torch.Generator().manual_seed(seed)
    for _ in range(steps):
        s = int(torch.randint(PROMPT, text.shape[1] - BLOCK + 1, (1,), generator=generator))
        block = torch.full((len(text), BLOCK), draft.mask_token_id)
        block[:, 0] = text[:, s]
        hidden = draft(target_hidden=taps[:, :s], noise_embedding=target.model.embed_tokens(block).detach(),
                       position_ids=torch.arange(s + BLOCK)[None], is_causal=False)
        logits = target.lm_head(hidden[:, 1:])
        loss = torch.nn.functional.cross_entropy(logits.flatten(0, 1), text[:, s + 1:s + BLOCK].flatten())
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    return loss.item()


def gap(logits):
    best = logits.topk(2, dim=-1).values
    return (best[..., 0] - best[..., 1]).min().item()


def run_case(reference, draft, target, prompt, block):
    """One greedy generation by the reference's own loop, with everything that crosses its borders recorded."""
    taps, draft_ids, draft_logits, gaps = [], [], [], []

    def on_draft(module, args, kwargs, output):
        taps.append(kwargs["target_hidden"][0].clone())
        draft_logits.append(target.lm_head(output[:, 1 - block:])[0].clone())
        gaps.append(gap(draft_logits[-1]))

    def on_target(module, args, kwargs, output):
        gaps.append(gap(output.logits))
        ids = args[0]
        if len(draft_logits) > len(draft_ids):
            draft_ids.append(ids[0, 1:].tolist())

    hooks = [draft.register_forward_hook(on_draft, with_kwargs=True),
             target.register_forward_hook(on_target, with_kwargs=True)]
    result = reference.dflash_generate(draft, target, prompt[None], NEW, None, 0.0, block_size=block, return_stats=True)
    for hook in hooks:
        hook.remove()
    return dict(prompt_ids=prompt.tolist(), block_size=block, output_ids=result.output_ids[0, len(prompt):].tolist(),
                acceptance_lengths=result.acceptance_lengths, draft_ids=draft_ids,
                smallest_gap=round(min(gaps), 6)), torch.cat(taps), torch.cat(draft_logits)


def make_draft(reference, name, out, target, seed):
    directory = out / name
    shutil.rmtree(directory, ignore_errors=True)
    config = Qwen3Config(**SHAPE, num_hidden_layers=2, **DRAFTS[name])
    config.architectures = ["DFlashDraftModel"]
    config.block_size, config.num_target_layers = BLOCK, TARGET.num_hidden_layers
    config.dflash_config = dict(target_layer_ids=[0, 2, 3], mask_token_id=63)
    draft = reference.DFlashDraftModel(config)
    if name == "dflash-sliding":
        draft.config._attn_implementation = "block_window"
    randomise(draft, seed)
    prompts = torch.randint(0, 63, (10, PROMPT), generator=torch.Generator().manual_seed(seed + 1))
    loss = fit(draft, target, prompts[:8], 250, seed + 2)
    with torch.no_grad():
        for p in draft.parameters():
            p.copy_(p.to(torch.bfloat16).float())

    cases, tensors = [], {}
    for i, (row, block) in enumerate([(0, 8), (1, 8), (8, 8), (2, 5), (9, 2)]):  # rows 8 and 9 were never fitted
        case, taps, logits = run_case(reference, draft, target, prompts[row], block)
        cases.append(case)
        tensors[f"taps.{i}"] = taps
        if i < 2:
            tensors[f"draft_logits.{i}"] = logits
        print(name, "block", block, "acceptance", case["acceptance_lengths"], "gap", case["smallest_gap"])
    print(name, "fit loss", round(loss, 3))

    draft.to(torch.bfloat16).save_pretrained(directory)
    (directory / "golden.json").write_text(json.dumps(dict(cases=cases), separators=(",", ":")) + "\n")
    save_file({k: v.contiguous() for k, v in tensors.items()}, directory / "golden.safetensors")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--zlab", required=True, help="dflash/model.py of the reference, revision 44947fb")
    parser.add_argument("--out", type=pathlib.Path, required=True)
    args = parser.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    ALL_ATTENTION_FUNCTIONS.register("block_window", window_attention)
    reference = load_reference(args.zlab)

    target = Qwen3ForCausalLM(TARGET)
    randomise(target, 7)
    directory = args.out / "dflash-target"
    shutil.rmtree(directory, ignore_errors=True)
    target.to(torch.bfloat16).save_pretrained(directory)
    (directory / "generation_config.json").unlink(missing_ok=True)
    target = Qwen3ForCausalLM.from_pretrained(directory, dtype=torch.float32).eval()
    for i, name in enumerate(DRAFTS):
        make_draft(reference, name, args.out, target, 1000 * (i + 1))


if __name__ == "__main__":
    main()
