"""benchmarks/peers/agreement.py without the peer: its numbers by hand, its reader of blocks against values that ggml
made, its exact reference against PyTorch, and the program against that reference."""
import json
import math
import pathlib
import struct
import sys
import tempfile
import unittest

from program import TINY, listed, repo, run

sys.path.insert(0, repo("benchmarks", "peers"))
try:
    import numpy as np
except ImportError:
    print("skipped: python3-numpy is not installed")
    sys.exit(0)
import agreement
import reference
from gguf_weights import GgufWeights, dequantise

NAMES = {"attn_norm": "input_layernorm", "ffn_norm": "post_attention_layernorm", "attn_q_norm": "self_attn.q_norm",
         "attn_k_norm": "self_attn.k_norm", "attn_q": "self_attn.q_proj", "attn_k": "self_attn.k_proj",
         "attn_v": "self_attn.v_proj", "attn_output": "self_attn.o_proj", "ffn_gate": "mlp.gate_proj",
         "ffn_up": "mlp.up_proj", "ffn_down": "mlp.down_proj"}


class CheckpointWeights:
    """The embedded target's bf16 safetensors behind the interface of GgufWeights."""

    def __init__(self):
        data = pathlib.Path(TINY, "target", "model.safetensors").read_bytes()
        size = struct.unpack_from("<Q", data)[0]
        self._header, self._data = json.loads(data[8:8 + size]), data[8 + size:]
        config = json.loads(pathlib.Path(TINY, "target", "config.json").read_text(encoding="utf-8"))
        self.metadata = {
            "qwen3.block_count": config["num_hidden_layers"], "qwen3.embedding_length": config["hidden_size"],
            "qwen3.attention.head_count": config["num_attention_heads"],
            "qwen3.attention.head_count_kv": config["num_key_value_heads"],
            "qwen3.attention.key_length": config["head_dim"],
            "qwen3.attention.layer_norm_rms_epsilon": config["rms_norm_eps"],
            "qwen3.rope.freq_base": config["rope_theta"]}
        self.kinds = {"token_embd.weight": "BF16", "output_norm.weight": "BF16"}
        self.kinds |= {f"blk.{i}.{part}.weight": "BF16" for i in range(config["num_hidden_layers"]) for part in NAMES}

    def raw(self, name):
        if name == "token_embd.weight":
            key = "model.embed_tokens.weight"
        elif name == "output_norm.weight":
            key = "model.norm.weight"
        else:
            _, layer, part, _ = name.split(".")
            key = f"model.layers.{layer}.{NAMES[part]}.weight"
        info = self._header[key]
        first, last = info["data_offsets"]
        return dequantise("BF16", np.frombuffer(self._data[first:last], np.uint8)).reshape(info["shape"])

    def values(self, name, rows=None):
        return self.raw(name) if rows is None else self.raw(name)[rows]


class Numbers(unittest.TestCase):
    def test_kl_of_two_coins(self):
        logits = lambda p: np.log([[p, 1 - p]])
        expected = 0.75 * math.log(0.75 / 0.5) + 0.25 * math.log(0.25 / 0.5)
        self.assertAlmostEqual(agreement.kl(logits(0.75), logits(0.5))[0], expected)
        self.assertAlmostEqual(agreement.kl(logits(0.75) + 1e3, logits(0.5) - 1e3)[0], expected)

    def test_near_ties_are_counted_apart(self):
        first = np.array([[2.0, 0.0, 0.0], [1.0, 0.99, 0.0], [3.0, 0.0, 1.0]])
        second = np.array([[2.0, 0.0, 0.0], [1.0, 1.01, 0.0], [0.0, 3.0, 1.0]])
        found = agreement.compare_logits(first, second, near_tie=0.1)
        self.assertEqual((found.near_ties, found.top1_differs_outside_near_ties), (1, 1))
        self.assertAlmostEqual(found.top1_equal, 1 / 3)
        self.assertEqual(found.kl_above_limit, 1)

    def test_conclusions_say_what_holds_and_who_is_nearer(self):
        near, far = agreement.Comparison(9, 1e-4, 1e-4, 5e-3, 2, 1, 0, 0), agreement.Comparison(9, 2e-3, 1e-3, 5e-3, 2, 1, 0, 1)
        found = dict.fromkeys(agreement.PAIRS, near) | {(agreement.EXACT, agreement.PEER): far}
        text, good = agreement.conclusions(found, "ours")
        self.assertTrue(good)
        self.assertIn("every position does not hold", text)
        self.assertIn("nearer to the exact answer: ours", text)
        self.assertFalse(agreement.conclusions(found | {(agreement.PEER, agreement.OURS): far}, "ours")[1])

    def test_a_side_is_nearer_only_where_positions_agree_on_it(self):
        noise = np.random.default_rng(2).normal(0, 1, (2, 200))
        self.assertEqual(agreement.nearer(noise[0], noise[1]), "neither clearly")
        self.assertEqual(agreement.nearer(noise[0], noise[1] + 1), "ours")
        self.assertEqual(agreement.nearer(noise[0] + 1, noise[1]), "llama.cpp")


class Reference(unittest.TestCase):
    def test_blocks_have_the_values_that_ggml_gives_them(self):
        for kind in ("q8_0", "q4_0", "q4_k", "q5_k", "q6_k"):
            blocks = np.fromfile(repo("tests", "golden", "blocks", kind + ".blocks"), np.uint8)
            expected = np.fromfile(repo("tests", "golden", "blocks", kind + ".f32"), "<f4")
            np.testing.assert_array_equal(dequantise(kind.upper(), blocks), expected, kind)

    def test_the_exact_answer_is_pytorchs(self):
        golden = json.loads(pathlib.Path(TINY, "golden.json").read_text(encoding="utf-8"))["cases"]
        rows = np.load(pathlib.Path(TINY, "golden_logits.npy"))
        cases = [c for c in golden if c.get("logits_row") is not None]
        self.assertEqual(len(cases), len(rows))
        found = reference.Qwen3(CheckpointWeights()).logits([c["prompt_ids"] for c in cases])
        for case, logits in zip(cases, found):
            np.testing.assert_allclose(logits[-1], rows[case["logits_row"]], atol=2e-3)

    def test_rounding_keeps_the_largest_of_a_block_and_errs_by_half_a_step(self):
        x = np.random.default_rng(1).normal(size=(4, 512)).astype(np.float32)
        for block in (32, 256):
            found = reference.rounded(x, block, np.float32).reshape(-1, block)
            parts = x.reshape(-1, block)
            largest = np.abs(parts).max(axis=1)
            self.assertTrue((np.abs(found - parts).max(axis=1) <= 0.501 * largest / 127).all())
            np.testing.assert_allclose(np.abs(found).max(axis=1), largest, rtol=1e-6)

    def test_the_program_gives_the_exact_answer_but_for_its_rounding(self):
        with tempfile.TemporaryDirectory() as d:
            for mix in ("q8_0", "q4_0", "q4_k_m"):
                path, out = pathlib.Path(d, mix + ".gguf"), pathlib.Path(d, "x.npy")
                self.assertEqual(run("quantize", "--in", "tiny", "--type", mix, "--out", path).code, 0)
                ids = agreement.tiny_texts(60)[0]
                done = run("logits", "--target", path, "--ids", listed(ids), "--rows", "all", "--kv", "f32",
                           "--out", out)
                self.assertEqual(done.code, 0, done.err)
                exact = reference.Qwen3(GgufWeights(path)).logits([ids])[0]
                found = agreement.compare_logits(exact, np.load(out), near_tie=0.1)
                self.assertEqual((found.positions, found.top1_differs_outside_near_ties), (60, 0))
                self.assertLess(found.kl_mean, 1e-4, mix)


if __name__ == "__main__":
    unittest.main()
