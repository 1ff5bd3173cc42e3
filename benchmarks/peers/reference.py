"""Qwen3 in numpy float32 on the dequantised weights of a GGUF file: the exact answer that both programs round.

With `rounding`, the inputs of matrices are rounded to int8 as one of the two programs does it; that shows which part of
a difference comes from there.
"""
import numpy as np


def as_ours(_kind):
    """How many values share a scale when the input of a matrix is rounded, and the type of the scale."""
    return 32, np.float32


def as_llama_cpp(kind):
    return (256, np.float32) if kind.endswith("_K") else (32, np.float16)


def rounded(x, block, scale_type):
    """Rows rounded to int8 with a scale per block."""
    parts = x.reshape(-1, block)
    scale = np.abs(parts).max(axis=1, keepdims=True) / 127
    codes = np.rint(parts / np.where(scale == 0, 1, scale))
    return (codes * scale.astype(scale_type)).astype(np.float32).reshape(x.shape)


def rms_norm(x, weight, eps):
    return x / np.sqrt(np.mean(np.square(x), axis=-1, keepdims=True) + eps) * weight


def softmax(x):
    e = np.exp(x - x.max(axis=-1, keepdims=True))
    return e / e.sum(axis=-1, keepdims=True)


class Qwen3:
    """weights: .metadata, .kinds and .values(name, rows), as GgufWeights has them."""

    def __init__(self, weights, rounding=None):
        meta = lambda key, default=None: weights.metadata.get("qwen3." + key, default)
        self.weights, self.rounding = weights, rounding
        self.layers, self.hidden = meta("block_count"), meta("embedding_length")
        self.heads, self.kv_heads = meta("attention.head_count"), meta("attention.head_count_kv")
        self.head_dim = meta("attention.key_length", self.hidden // self.heads)
        self.eps, self.base = meta("attention.layer_norm_rms_epsilon"), meta("rope.freq_base", 10000.0)

    def product(self, name, *inputs):
        """inputs times the matrix, which is read in pieces to bound memory."""
        kind = self.weights.kinds[name]
        if self.rounding and kind.startswith("Q"):
            inputs = [rounded(x, *self.rounding(kind)) for x in inputs]
        rows, step = len(self.weights.raw(name)), 16384
        pieces = [self.weights.values(name, slice(i, i + step)).T for i in range(0, rows, step)]
        return [np.concatenate([x @ w for w in pieces], axis=-1) for x in inputs]

    def rotate(self, x):
        """RoPE over [positions, heads, head_dim], halves paired."""
        half = self.head_dim // 2
        frequency = self.base ** (-np.arange(half) / half)
        angle = (np.arange(len(x))[:, None] * frequency)[:, None, :]
        cos, sin = np.cos(angle).astype(np.float32), np.sin(angle).astype(np.float32)
        a, b = x[..., :half], x[..., half:]
        return np.concatenate([a * cos - b * sin, b * cos + a * sin], axis=-1)

    def attend(self, q, k, v):
        """One text: causal attention, heads sharing keys and values in groups."""
        rows, group = len(q), self.heads // self.kv_heads
        mask = np.triu(np.full((rows, rows), -np.inf, np.float32), 1)
        out = np.empty((rows, self.heads, self.head_dim), np.float32)
        for h in range(self.heads):
            scores = q[:, h] @ k[:, h // group].T / np.float32(np.sqrt(self.head_dim)) + mask
            out[:, h] = softmax(scores) @ v[:, h // group]
        return out.reshape(rows, -1)

    def layer(self, i, texts):
        at = f"blk.{i}."
        norm = lambda x, part: rms_norm(x, self.weights.values(f"{at}{part}.weight"), self.eps)
        inputs = [norm(x, "attn_norm") for x in texts]
        q, k, v = (self.product(f"{at}attn_{part}.weight", *inputs) for part in "qkv")
        split = lambda x: x.reshape(len(x), -1, self.head_dim)
        mixed = [self.attend(self.rotate(norm(split(a), "attn_q_norm")), self.rotate(norm(split(b), "attn_k_norm")),
                             split(c)) for a, b, c in zip(q, k, v)]
        texts = [x + y for x, y in zip(texts, self.product(f"{at}attn_output.weight", *mixed))]
        inputs = [norm(x, "ffn_norm") for x in texts]
        gate, up = (self.product(f"{at}ffn_{part}.weight", *inputs) for part in ("gate", "up"))
        inner = [g / (1 + np.exp(-g)) * u for g, u in zip(gate, up)]
        return [x + y for x, y in zip(texts, self.product(f"{at}ffn_down.weight", *inner))]

    def logits(self, texts):
        """Lists of ids -> float32 logits [positions, vocabulary] of each."""
        rows = [self.weights.values("token_embd.weight", np.asarray(ids)) for ids in texts]
        for i in range(self.layers):
            rows = self.layer(i, rows)
        norm = self.weights.values("output_norm.weight")
        head = "output.weight" if "output.weight" in self.weights.kinds else "token_embd.weight"
        return self.product(head, *[rms_norm(x, norm, self.eps) for x in rows])
