"""Trains the target: next-token loss on all tokens, prompt tokens at weight 0.3."""
from __future__ import annotations

import os
import time

import torch

from .config import Recipe
from .documents import Docs, batches
from .model import Target, packed_mask
from .ops import HeadLoss
from .optim import Trainer, trapezoid


def _one_batch(model: Target, b: dict, micro_tokens: int) -> float:
    """Adds the gradients of a batch; returns its loss."""
    rows, total, step_loss = max(1, micro_tokens // b["x"].shape[1]), b["w"].sum(), 0.0
    for i in range(0, b["x"].shape[0], rows):
        s = slice(i, i + rows)
        h, _ = model(b["x"][s], b["pos"][s], packed_mask(b["seg"][s], model.dtype))
        w = b["w"][s].flatten()
        loss, _ = HeadLoss.apply(h.flatten(0, 1), model.model.embed_tokens.weight, b["y"][s].flatten(), w, None, 0.0,
                                 model.dtype)
        share = w.sum() / total
        (loss * share).backward()
        step_loss += loss.item() * share.item()
    return step_loss


def train_target(recipe: Recipe, docs: Docs, path: str, dtype: str = "bfloat16", seed: int = 0,
                 lr: float = 2e-3, muon_lr: float = 0.02) -> None:
    """Runs to recipe.target_steps from wherever `path` stands. Batches depend on the seed and the epoch alone."""
    torch.manual_seed(seed)
    model = Target(recipe.target)
    model.dtype = getattr(torch, dtype)
    t = Trainer(model, path, lr, muon_lr, muon_decay=0.1, adam_decay=0.1, eps=1e-10)
    t.state["tokens"] = 0
    if t.resume():
        print("target: going on at step %d" % t.state["step"], flush=True)
    st, start, said = t.state, time.time() - t.state["seconds"], time.time()
    while st["step"] < recipe.target_steps:
        before = st["step"]
        for k, b in enumerate(batches(docs, seed + 1000 * st["epoch"], recipe.target_tokens)):
            if st["step"] >= recipe.target_steps:
                break
            if k < st["batch"]:
                continue
            b = {n: torch.from_numpy(v) for n, v in b.items()}
            loss = _one_batch(model, b, recipe.micro_tokens)
            t.update(trapezoid(st["step"] / recipe.target_steps), loss, 0.95)
            st["batch"] = k + 1
            st["tokens"] += int((b["seg"] > 0).sum())
            st["seconds"] = time.time() - start
            if time.time() - said > 15 or st["step"] == recipe.target_steps:
                said = time.time()
                st["log"].append([st["step"], st["tokens"], round(st["seconds"]), round(st["mean_loss"], 4)])
                print("target: step %d of %d, tokens %d, %ds, loss %.4f" % (
                    st["step"], recipe.target_steps, st["tokens"], st["seconds"], st["mean_loss"]), flush=True)
            if st["step"] % recipe.save_every_steps == 0:
                t.save()
        if st["step"] < recipe.target_steps:
            if st["step"] == before and st["batch"] == 0:
                raise ValueError("%s: no full batch of %d tokens in the training documents" % (
                    os.path.dirname(path), recipe.target_tokens))
            st["epoch"] += 1
            st["batch"] = 0
    t.save()
