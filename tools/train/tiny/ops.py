"""Three operations with hand-written gradients, where that halves the time on a CPU. Checked in tests/tiny."""
from __future__ import annotations

import torch


class Norm(torch.autograd.Function):
    """RMSNorm over the last dimension, in float32 inside. x [..., H], w [H]."""

    @staticmethod
    def forward(ctx, x, w, eps):
        xf = x.float()
        r = torch.rsqrt((xf * xf).mean(-1, keepdim=True) + eps)
        n = xf * r
        ctx.save_for_backward(n, r, w)
        ctx.dtype = x.dtype
        return n * w

    @staticmethod
    def backward(ctx, g):
        n, r, w = ctx.saved_tensors
        g = g.float()
        gw = (g * n).reshape(-1, w.shape[-1]).sum(0)
        gn = g * w
        gx = gn.sub_(n * (gn * n).mean(-1, keepdim=True)).mul_(r)
        return gx.to(ctx.dtype), gw, None


class HeadNormRope(torch.autograd.Function):
    """RMSNorm of each head, then rotate-half RoPE. x [..., heads, D], w [heads, D], cos and sin [..., 1, D/2]."""

    @staticmethod
    def forward(ctx, x, w, cos, sin, eps):
        xf = x.float()
        r = torch.rsqrt((xf * xf).mean(-1, keepdim=True) + eps)
        n = xf * r
        ctx.save_for_backward(n, r, w, cos, sin)
        ctx.dtype = x.dtype
        a, b = (n * w).chunk(2, -1)
        out = torch.empty_like(n)
        h = n.shape[-1] // 2
        torch.sub(a * cos, b * sin, out=out[..., :h])
        torch.add(b * cos, a * sin, out=out[..., h:])
        return out.to(x.dtype)

    @staticmethod
    def backward(ctx, g):
        n, r, w, cos, sin = ctx.saved_tensors
        a, b = g.float().chunk(2, -1)
        gy = torch.empty_like(n)
        h = n.shape[-1] // 2
        torch.add(a * cos, b * sin, out=gy[..., :h])
        torch.sub(b * cos, a * sin, out=gy[..., h:])
        gw = (gy * n).flatten(0, -3).sum(0)
        gn = gy.mul_(w)
        gx = gn.sub_(n * (gn * n).mean(-1, keepdim=True)).mul_(r)
        return gx.to(ctx.dtype), gw, None, None, None


class HeadLoss(torch.autograd.Function):
    """Weighted cross-entropy through the tied head, 1,024 rows at a time, so the full logits never exist.

    h [N, H], emb [V, H], y [N] labels, w [N] weights. With `teacher` [N, V] (the target's logits) adds
    beta * KL(teacher || model). Gradients are made in the forward pass. Returns (loss, weighted accuracy)."""

    @staticmethod
    def forward(ctx, h, emb, y, w, teacher, beta, dtype):
        gh, ge, loss, right = torch.empty_like(h), torch.zeros_like(emb), 0.0, 0.0
        e = emb.to(dtype)
        for i in range(0, h.shape[0], 1024):
            s = slice(i, i + 1024)
            hs = h[s].to(dtype)
            z = (hs @ e.t()).float()
            ys, ws = y[s, None], w[s, None]
            logp = torch.log_softmax(z, -1)
            right += (w[s] * (z.argmax(-1) == y[s])).sum().item()
            loss -= (ws * logp.gather(1, ys)).sum().item()
            p = logp.exp()
            if teacher is not None:
                tl = torch.log_softmax(teacher[s].float(), -1)
                t = tl.exp()
                loss += beta * (ws * t * (tl - logp)).sum().item()
                p = p * (1 + beta) - beta * t
            p.scatter_add_(1, ys, -torch.ones_like(ys, dtype=p.dtype))
            p = p.mul_(ws).to(dtype)
            gh[s] = (p @ e).to(gh.dtype)
            if ctx.needs_input_grad[1]:
                ge += p.t() @ hs
        total = w.sum()
        ctx.save_for_backward(gh / total, ge / total if ctx.needs_input_grad[1] else None)
        return torch.tensor(loss / total.item()), torch.tensor(right / total.item())

    @staticmethod
    def backward(ctx, g, _):
        gh, ge = ctx.saved_tensors
        return gh * g.to(gh.device), ge * g.to(gh.device) if ge is not None else None, None, None, None, None, None
