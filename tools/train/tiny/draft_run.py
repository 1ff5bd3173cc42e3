"""Trains the DFlash drafter on the frozen target's own greedy answers.

A block is [token at the anchor, mask, mask, ...] at positions anchor + k. It sees target features strictly before the
anchor and its own block, both ways. Slot k is to say what the target says at anchor + k: cross-entropy against its argmax plus
beta * KL(target || drafter), slot weight exp(-(k - 1) / gamma). Embedding and head are the target's, frozen.
"""
from __future__ import annotations

import time
from typing import List, Optional

import numpy as np
import torch

from .config import Recipe
from .model import Draft, Target, packed_mask
from .ops import HeadLoss
from .optim import Trainer, cosine


def groups_of_similar_length(off: np.ndarray, size: int, seed: int) -> List[np.ndarray]:
    rng = np.random.default_rng(seed)
    n = np.diff(off)
    order = rng.permutation(len(n))
    order = np.concatenate([c[np.argsort(n[c], kind="stable")]
                            for c in np.array_split(order, max(1, len(n) // (size * 64)))])
    groups = [order[i:i + size] for i in range(0, len(order) - size + 1, size)]
    rng.shuffle(groups)
    return groups


def draw_anchors(lens: np.ndarray, plen: np.ndarray, count: int, rng) -> torch.Tensor:
    """Random positions inside the answers, [B, N]. An anchor needs one token after it."""
    out = np.zeros((len(lens), count), np.int64)
    for r, (n, p) in enumerate(zip(lens, plen)):
        out[r] = np.resize(rng.permutation(np.arange(p, n - 1)), count)
    return torch.from_numpy(out)


def block_tokens(ids: torch.Tensor, anchors: torch.Tensor, block: int, mask_id: int) -> torch.Tensor:
    """ids [B, T], anchors [B, N] -> [B, N, block]: the anchor's token, then masks."""
    blk = torch.full(anchors.shape + (block,), mask_id, dtype=torch.long)
    blk[:, :, 0] = ids.gather(1, anchors)
    return blk


def training_mask(anchors: torch.Tensor, block: int, T: int, dtype) -> torch.Tensor:
    """[B, N] -> [B, 1, N * block, T] additive: context strictly before the anchor."""
    B, N = anchors.shape
    unseen = torch.arange(T) >= anchors[:, :, None]
    mask = torch.zeros(B, N, T, dtype=dtype).masked_fill_(unseen, -1e9)
    return mask[:, :, None].expand(B, N, block, T).reshape(B, 1, N * block, T)


def draft_training_rows(target: Target, draft: Draft, feats, ids, anchors) -> torch.Tensor:
    """All blocks at once under the training mask: [B, N * block, H]."""
    n, T = draft.block, ids.shape[1]
    pos = (anchors[:, :, None] + torch.arange(n)).flatten(1)
    emb = target.model.embed_tokens(block_tokens(ids, anchors, n, draft.mask_id).flatten(1))
    ctx = draft.context_kv(feats, torch.arange(T)[None])
    return draft(emb, pos, ctx, training_mask(anchors, n, T, draft.dtype))


def losses(target: Target, draft: Draft, ids, lens, anchors, gamma: float, beta: float):
    """ids [B, T], lens [B], anchors [B, N] -> (loss, weighted slot accuracy)."""
    B, T = ids.shape
    n = draft.block
    with torch.no_grad():
        h, feats = target(ids, torch.arange(T)[None], packed_mask(torch.ones(1, T, dtype=torch.long), target.dtype),
                          taps=draft.taps)
        k = torch.arange(n)
        pos = anchors[:, :, None] + k
        w = torch.exp(-(k - 1).float() / gamma) * (k > 0) * (pos < lens[:, None, None])
        use = w.flatten().nonzero()[:, 0]
        row = (pos - 1).clamp(0, T - 1) + T * torch.arange(B)[:, None, None]
        teacher = target.logits(h.flatten(0, 1)[row.flatten()[use]]).to(target.dtype)
    z = draft_training_rows(target, draft, feats, ids, anchors).flatten(0, 1)[use]
    return HeadLoss.apply(z, target.model.embed_tokens.weight, teacher.argmax(-1), w.flatten()[use], teacher, beta,
                          draft.dtype)


def train_draft(recipe: Recipe, target: Target, answers: str, path: str, init: Optional[Draft] = None, seed: int = 0,
                lr: float = 1e-3, muon_lr: float = 0.01, gamma: float = 4.0, beta: float = 0.5) -> None:
    """Runs to recipe.draft_steps from wherever `path` stands. `init`: weights to start from; then use lower rates."""
    torch.manual_seed(seed)
    draft = Draft(recipe.draft)
    draft.dtype = target.dtype
    draft.start_from(target)
    if init is not None:
        draft.load_state_dict(init.state_dict())
    t = Trainer(draft, path, lr, muon_lr, muon_decay=0.05, adam_decay=0.0, eps=1e-8)
    t.state.update(sequences=0, mean_accuracy=None)
    if t.resume():
        print("draft: going on at step %d" % t.state["step"], flush=True)
    z = np.load(answers)
    flat, off, plen = z["ids"], z["off"], z["plen"]
    if len(plen) < recipe.draft_batch:
        raise ValueError("%s: %d answers, expected at least a batch of %d" % (answers, len(plen), recipe.draft_batch))
    st, start, said = t.state, time.time() - t.state["seconds"], time.time()
    while st["step"] < recipe.draft_steps:
        for k, group in enumerate(groups_of_similar_length(off, recipe.draft_batch, seed + 1000 * st["epoch"])):
            if st["step"] >= recipe.draft_steps:
                break
            if k < st["batch"]:
                continue
            rng = np.random.default_rng([seed, st["epoch"], k])
            docs = [torch.from_numpy(flat[off[i]:off[i + 1]].astype(np.int64)) for i in group]
            lens = np.diff(off)[group]
            ids = torch.nn.utils.rnn.pad_sequence(docs, True)
            count = int(min(recipe.draft_blocks, (lens - plen[group] - 1).max()))
            anchors = draw_anchors(lens, plen[group], count, rng)
            loss, acc = losses(target, draft, ids, torch.from_numpy(lens), anchors, gamma, beta)
            loss.backward()
            t.update(cosine(st["step"] / recipe.draft_steps), loss.item(), 0.97)
            a = st["mean_accuracy"]
            st["mean_accuracy"] = acc.item() if a is None else 0.97 * a + 0.03 * acc.item()
            st["batch"] = k + 1
            st["sequences"] += len(group)
            st["seconds"] = time.time() - start
            if time.time() - said > 15 or st["step"] == recipe.draft_steps:
                said = time.time()
                st["log"].append([st["step"], round(st["seconds"]), round(st["mean_loss"], 4),
                                  round(st["mean_accuracy"], 4)])
                print("draft: step %d of %d, %ds, loss %.4f, slot accuracy %.3f" % (
                    st["step"], recipe.draft_steps, st["seconds"], st["mean_loss"], st["mean_accuracy"]), flush=True)
            if st["step"] % recipe.save_every_steps == 0:
                t.save()
        if st["step"] < recipe.draft_steps:
            st["epoch"] += 1
            st["batch"] = 0
    t.save()
