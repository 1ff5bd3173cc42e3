"""Qwen3 target and DFlash drafter, written by hand.

Parameters are float32; `dtype` is what matrices are multiplied in (float32 for reference, bfloat16 to train).
Tensor names are those of the Hugging Face files. Shapes: B sequences, T rows, S cached rows, H hidden, D head_dim,
nq query heads, nk KV heads, g = nq / nk.
"""
from __future__ import annotations

import math
from typing import List, Optional, Sequence, Tuple

import torch
import torch.nn as nn
import torch.nn.functional as F

from .config import Config
from .ops import HeadNormRope, Norm

KV = Tuple[torch.Tensor, torch.Tensor]


class RMSNorm(nn.Module):
    def __init__(self, n: int, eps: float):
        super().__init__()
        self.weight, self.eps = nn.Parameter(torch.ones(n)), eps

    def forward(self, x):
        return Norm.apply(x, self.weight, self.eps)


class Rope:
    def __init__(self, cfg: Config):
        d = cfg["head_dim"]
        self.inv = cfg["rope_theta"] ** (-torch.arange(0, d, 2, dtype=torch.float32) / d)

    def __call__(self, pos):
        """pos [...] -> cos and sin, each [..., 1, D/2]."""
        f = pos[..., None, None].float() * self.inv.to(pos.device)
        return f.cos(), f.sin()


class Attention(nn.Module):
    def __init__(self, c: Config):
        super().__init__()
        h, d = c["hidden_size"], c["head_dim"]
        self.nq, self.nk, self.d, self.eps = c["num_attention_heads"], c["num_key_value_heads"], d, c["rms_norm_eps"]
        self.q_proj = nn.Linear(h, self.nq * d, bias=False)
        self.k_proj = nn.Linear(h, self.nk * d, bias=False)
        self.v_proj = nn.Linear(h, self.nk * d, bias=False)
        self.o_proj = nn.Linear(self.nq * d, h, bias=False)
        self.q_norm, self.k_norm = RMSNorm(d, self.eps), RMSNorm(d, self.eps)

    def qkv(self, u, cs, dtype):
        """u [B, T, H] -> q [B, nk, g, T, D], k and v [B, nk, T, D]."""
        B, T, _ = u.shape
        nq, nk, d = self.nq, self.nk, self.d
        w = torch.cat([self.q_proj.weight, self.k_proj.weight, self.v_proj.weight]).to(dtype)
        x = F.linear(u.to(dtype), w).view(B, T, nq + 2 * nk, d)
        nw = torch.cat([self.q_norm.weight.expand(nq, d), self.k_norm.weight.expand(nk, d)])
        qk = HeadNormRope.apply(x[:, :, :nq + nk], nw, cs[0], cs[1], self.eps)
        q = qk[:, :, :nq].reshape(B, T, nk, nq // nk, d).permute(0, 2, 3, 1, 4)
        return q, qk[:, :, nq:].transpose(1, 2), x[:, :, nq + nk:].transpose(1, 2)

    def kv(self, u, cs, dtype) -> KV:
        """u [B, T, H] -> k and v [B, nk, T, D]."""
        B, T, _ = u.shape
        w = torch.cat([self.k_proj.weight, self.v_proj.weight]).to(dtype)
        x = F.linear(u.to(dtype), w).view(B, T, 2 * self.nk, self.d)
        k = HeadNormRope.apply(x[:, :, :self.nk], self.k_norm.weight.expand(self.nk, self.d), cs[0], cs[1], self.eps)
        return k.transpose(1, 2), x[:, :, self.nk:].transpose(1, 2)

    def out(self, o, dtype):
        """o [B, nk, g, T, D] -> [B, T, H]."""
        B, nk, g, T, d = o.shape
        return F.linear(o.permute(0, 3, 1, 2, 4).reshape(B, T, nk * g * d), self.o_proj.weight.to(dtype))

    @staticmethod
    def attend(q, k, v, mask):
        """q [B, nk, g, T, D], k and v [B, nk, S, D]; mask [B, 1, T, S] is added to the scores."""
        B, nk, g, T, d = q.shape
        s = torch.matmul((q * d ** -0.5).reshape(B, nk, g * T, d), k.transpose(-1, -2)).view(B, nk * g, T, -1)
        if mask is not None:
            s = s + mask
        p = torch.softmax(s, -1).view(B, nk, g * T, -1)
        return torch.matmul(p, v).view(B, nk, g, T, d)


class MLP(nn.Module):
    def __init__(self, c: Config):
        super().__init__()
        h, m = c["hidden_size"], c["intermediate_size"]
        self.gate_proj, self.up_proj = nn.Linear(h, m, bias=False), nn.Linear(h, m, bias=False)
        self.down_proj = nn.Linear(m, h, bias=False)

    def forward(self, x, dtype):
        gu = F.linear(x.to(dtype), torch.cat([self.gate_proj.weight, self.up_proj.weight]).to(dtype))
        g, u = gu.chunk(2, -1)
        return F.linear(F.silu(g) * u, self.down_proj.weight.to(dtype))


class Layer(nn.Module):
    def __init__(self, c: Config):
        super().__init__()
        self.self_attn, self.mlp = Attention(c), MLP(c)
        self.input_layernorm = RMSNorm(c["hidden_size"], c["rms_norm_eps"])
        self.post_attention_layernorm = RMSNorm(c["hidden_size"], c["rms_norm_eps"])


class Stack(nn.Module):
    def __init__(self, c: Config):
        super().__init__()
        self.embed_tokens = nn.Embedding(c["vocab_size"], c["hidden_size"])
        self.layers = nn.ModuleList([Layer(c) for _ in range(c["num_hidden_layers"])])
        self.norm = RMSNorm(c["hidden_size"], c["rms_norm_eps"])


def init_weights(module: nn.Module, cfg: Config, std: float = 0.02) -> None:
    """Normal; projections back into the residual stream are smaller by sqrt(2 layers)."""
    for name, p in module.named_parameters():
        if p.dim() == 2:
            out = name.endswith(("o_proj.weight", "down_proj.weight"))
            nn.init.normal_(p, 0.0, std / math.sqrt(2 * cfg["num_hidden_layers"]) if out else std)


class Cache:
    """K and V of `rows` sequences and at most `size` positions; `n` positions are committed."""

    def __init__(self, layers: int, rows: int, heads: int, size: int, d: int, dtype):
        self.kv = [(torch.zeros(rows, heads, size, d, dtype=dtype), torch.zeros(rows, heads, size, d, dtype=dtype))
                   for _ in range(layers)]
        self.n = 0

    @classmethod
    def of(cls, model: "Target", rows: int, size: int) -> "Cache":
        c = model.cfg
        return cls(c["num_hidden_layers"], rows, c["num_key_value_heads"], size, c["head_dim"], model.dtype)

    def append(self, layer: int, k, v) -> KV:
        end = self.n + k.shape[2]
        for mine, new in zip(self.kv[layer], (k, v)):
            mine[:, :, self.n:end] = new
        if layer == len(self.kv) - 1:
            self.n = end
        return self.kv[layer][0][:, :, :end], self.kv[layer][1][:, :, :end]

    def crop(self, n: int) -> None:
        self.n = n

    def keep(self, rows) -> None:
        self.kv = [(k[rows], v[rows]) for k, v in self.kv]


class Target(nn.Module):
    """`forwards` counts calls: tokens a verify pass are checked against it from outside the decoding loop."""

    def __init__(self, cfg: Config):
        super().__init__()
        self.cfg = cfg
        self.model, self.rope = Stack(cfg), Rope(cfg)
        self.dtype = torch.float32
        self.forwards = 0
        init_weights(self, cfg)

    def forward(self, ids, pos, mask, taps: Sequence[int] = (), cache: Optional[Cache] = None):
        """ids and pos [B, T] -> final-norm hidden states [B, T, H], tapped outputs side by side [B, T, taps * H].

        With a `cache` the new rows are appended to it and see everything in it that `mask` allows."""
        self.forwards += 1
        x, got, cs = self.model.embed_tokens(ids), [], self.rope(pos)
        for i, l in enumerate(self.model.layers):
            q, k, v = l.self_attn.qkv(l.input_layernorm(x), cs, self.dtype)
            if cache is not None:
                k, v = cache.append(i, k, v)
            x = x + l.self_attn.out(l.self_attn.attend(q, k, v, mask), self.dtype)
            x = x + l.mlp(l.post_attention_layernorm(x), self.dtype)
            if i in taps:
                got.append(x)
        return self.model.norm(x), torch.cat(got, -1) if taps else None

    def logits(self, h):
        return F.linear(h.to(self.dtype), self.model.embed_tokens.weight.to(self.dtype)).float()


class Draft(nn.Module):
    """Embedding and head are the target's; `forward` takes embedded rows and returns final-norm hidden states."""

    def __init__(self, cfg: Config):
        super().__init__()
        self.cfg = c = cfg
        self.taps: List[int] = c["dflash_config"]["target_layer_ids"]
        self.block, self.mask_id = c["block_size"], c["dflash_config"]["mask_token_id"]
        self.fc = nn.Linear(len(self.taps) * c["hidden_size"], c["hidden_size"], bias=False)
        self.hidden_norm = RMSNorm(c["hidden_size"], c["rms_norm_eps"])
        self.layers = nn.ModuleList([Layer(c) for _ in range(c["num_hidden_layers"])])
        self.norm, self.rope = RMSNorm(c["hidden_size"], c["rms_norm_eps"]), Rope(c)
        self.dtype = torch.float32
        init_weights(self, c)

    @torch.no_grad()
    def start_from(self, target: Target) -> None:
        """Layers become copies of the target's last ones, fc the mean of the taps: a random start wastes a third."""
        last = target.model.layers[-len(self.layers):]
        for mine, theirs in zip(self.layers, last):
            mine.load_state_dict(theirs.state_dict())
        h = self.fc.weight.shape[0]
        self.fc.weight.copy_(torch.cat([torch.eye(h)] * len(self.taps), 1) / len(self.taps))
        self.hidden_norm.weight.copy_(last[0].input_layernorm.weight)
        self.norm.weight.copy_(target.model.norm.weight)

    def context(self, feats):
        """Tapped features [B, T, taps * H] -> fused context rows [B, T, H]."""
        return self.hidden_norm(F.linear(feats.to(self.dtype), self.fc.weight.to(self.dtype)))

    def context_kv(self, feats, pos) -> List[KV]:
        """Rotated K and V of committed rows, one pair a layer: what a draft cache holds."""
        c, cs = self.context(feats), self.rope(pos)
        return [l.self_attn.kv(c, cs, self.dtype) for l in self.layers]

    def forward(self, emb, pos, ctx: Sequence[KV], mask=None):
        """emb [B, R, H] with R = N blocks * block, pos [B, R]; ctx from context_kv over T rows.

        mask [B, 1, R, T] is added to the context scores. A block sees context and itself, both ways."""
        x, cs = emb, self.rope(pos)
        B, R, _ = emb.shape
        n = min(self.block, R)
        for l, (kc, vc) in zip(self.layers, ctx):
            a = l.self_attn
            q, k, v = a.qkv(l.input_layernorm(x), cs, self.dtype)
            nk, g, d = a.nk, a.nq // a.nk, a.d
            q = q * d ** -0.5
            sc = torch.matmul(q.reshape(B, nk, g * R, d), kc.transpose(-1, -2)).view(B, nk * g, R, -1)
            if mask is not None:
                sc = sc + mask
            kb, vb = k.reshape(B, nk, 1, R // n, n, d), v.reshape(B, nk, 1, R // n, n, d)
            sb = torch.matmul(q.reshape(B, nk, g, R // n, n, d), kb.transpose(-1, -2)).view(B, nk * g, R, n)
            p = torch.softmax(torch.cat([sc, sb], -1), -1)
            pc, pb = p[..., :-n], p[..., -n:]
            o = torch.matmul(pc.reshape(B, nk, g * R, -1), vc).view(B, nk, g, R, d)
            o = o + torch.matmul(pb.reshape(B, nk, g, R // n, n, n), vb).view(B, nk, g, R, d)
            x = x + a.out(o, self.dtype)
            x = x + l.mlp(l.post_attention_layernorm(x), self.dtype)
        return self.norm(x)


def packed_mask(seg, dtype):
    """[B, T] document numbers -> [B, 1, T, T] additive: causal and within a document."""
    T = seg.shape[1]
    ok = (seg[:, :, None] == seg[:, None, :]) & torch.ones(T, T, dtype=torch.bool, device=seg.device).tril()
    return torch.zeros(ok.shape, dtype=dtype, device=seg.device).masked_fill_(~ok, -1e9)[:, None]


def rows_mask(new: int, old: int, dtype=torch.float32):
    """`new` rows after `old` committed ones, causal: [1, 1, new, old + new]."""
    m = torch.zeros(new, old + new, dtype=dtype)
    m[:, old:] = torch.full((new, new), -1e9).triu(1).to(dtype)
    return m[None, None]
