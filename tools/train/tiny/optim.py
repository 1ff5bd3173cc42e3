"""What both training runs share: learning-rate shapes, Muon beside AdamW, checkpoints that a killed run goes on from."""
from __future__ import annotations

import math
import os
from typing import Any, Dict, Iterable, List

import torch

from .store import write_checkpoint


def trapezoid(f: float, warm: float = 0.02, flat: float = 0.45, end: float = 0.03) -> float:
    """Share of the peak rate at progress f in 0..1: warm-up, flat, linear to `end`."""
    if f < warm:
        return max(f / warm, 1e-3)
    return 1.0 if f < flat else end + (1 - end) * max(0.0, 1 - (f - flat) / (1 - flat))


def cosine(f: float, warm: float = 0.04, end: float = 0.02) -> float:
    return min(f / warm, 1.0) * (end + (1 - end) * 0.5 * (1 + math.cos(math.pi * f))) + 1e-4


class Muon:
    """Momentum, orthogonalised by five Newton-Schulz steps, for the matrices inside the layers (Jordan et al. 2024)."""

    def __init__(self, params: Iterable[torch.nn.Parameter], momentum: float = 0.95, decay: float = 0.1):
        self.params, self.m, self.decay = list(params), momentum, decay
        self.buf = [torch.zeros_like(p) for p in self.params]

    @torch.no_grad()
    def step(self, lr: float, dtype: torch.dtype) -> None:
        groups: Dict[tuple, List[tuple]] = {}
        for p, b in zip(self.params, self.buf):
            b.mul_(self.m).add_(p.grad)
            g = p.grad.add(b, alpha=self.m)
            groups.setdefault(tuple(sorted(g.shape)), []).append((p, g if g.shape[0] <= g.shape[1] else g.t()))
        for items in groups.values():
            for p, g in items:
                x = (g / (g.norm() + 1e-7)).to(dtype)
                for _ in range(5):
                    a = x @ x.t()
                    x = 3.4445 * x + (-4.7750 * a + 2.0315 * (a @ a)) @ x
                u = (x if p.shape[0] <= p.shape[1] else x.t()).to(p.dtype)
                p.mul_(1 - lr * self.decay).add_(u, alpha=-lr * max(1.0, p.shape[0] / p.shape[1]) ** 0.5)


class Trainer:
    """One model, its two optimizers, and the counters of a run. `state` is what a resumed run needs besides weights."""

    def __init__(self, model: torch.nn.Module, path: str, lr: float, muon_lr: float, muon_decay: float,
                 adam_decay: float, eps: float):
        self.model, self.path, self.lr, self.muon_lr = model, path, lr, muon_lr
        inner = [p for n, p in model.named_parameters() if p.dim() == 2 and "embed" not in n]
        ids = {id(p) for p in inner}
        self.rest = [p for p in model.parameters() if id(p) not in ids]
        groups = [{"params": [p for p in self.rest if p.dim() == 2], "weight_decay": adam_decay},
                  {"params": [p for p in self.rest if p.dim() != 2], "weight_decay": 0.0}]
        self.adam = torch.optim.AdamW([g for g in groups if g["params"]], lr=lr, betas=(0.9, 0.95), eps=eps)
        self.muon = Muon(inner, decay=muon_decay)
        self.state: Dict[str, Any] = {"step": 0, "epoch": 0, "batch": 0, "seconds": 0.0, "mean_loss": None, "log": []}

    def resume(self) -> bool:
        """Loads the last checkpoint if there is one."""
        if not os.path.exists(self.path):
            return False
        z = torch.load(self.path, map_location="cpu")
        self.model.load_state_dict(z["model"])
        self.adam.load_state_dict(z["adam"])
        for b, s in zip(self.muon.buf, z["muon"]):
            b.copy_(s)
        self.state = z["state"]
        return True

    def save(self) -> None:
        write_checkpoint(self.path, {"model": self.model.state_dict(), "adam": self.adam.state_dict(),
                                     "muon": self.muon.buf, "state": self.state})

    def update(self, share: float, loss: float, smooth: float) -> None:
        """Applies the gradients at `share` of the peak rates and clears them."""
        torch.nn.utils.clip_grad_norm_(self.rest, 1.0)
        for g in self.adam.param_groups:
            g["lr"] = self.lr * share
        self.adam.step()
        self.muon.step(self.muon_lr * share, self.model.dtype)
        for p in self.model.parameters():
            p.grad = None
        s = self.state
        s["step"] += 1
        s["mean_loss"] = loss if s["mean_loss"] is None else smooth * s["mean_loss"] + (1 - smooth) * loss
