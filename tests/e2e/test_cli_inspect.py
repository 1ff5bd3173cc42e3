"""kakeya-llm inspect: against the files themselves, the caches of a run, and the published sizes of models."""
import json
import os
import shutil
import struct
import tempfile
import unittest

from program import TINY, listed, run

GIB = 1 << 30


def header(path):
    with open(path, "rb") as f:
        return json.loads(f.read(struct.unpack("<Q", f.read(8))[0]))


class Inspect(unittest.TestCase):
    def test_counts_what_the_files_hold(self):
        found = run("inspect", "--json").json()
        for part in ("target", "draft"):
            tensors = {k: v for k, v in header(os.path.join(TINY, part, "model.safetensors")).items() if k != "__metadata__"}
            self.assertEqual(found[part]["tensors"], len(tensors))
            self.assertEqual(found[part]["weight_bytes"], sum(t["data_offsets"][1] - t["data_offsets"][0] for t in tensors.values()))
            parameters = 0
            for t in tensors.values():
                n = 1
                for size in t["shape"]:
                    n *= size
                parameters += n
            self.assertEqual(found[part]["parameters"], parameters)
            with open(os.path.join(TINY, part, "config.json")) as f:
                config = json.load(f)
            for ours, theirs in (("layers", "num_hidden_layers"), ("hidden_size", "hidden_size"), ("kv_heads", "num_key_value_heads"),
                                 ("context", "max_position_embeddings"), ("vocab_size", "vocab_size")):
                self.assertEqual(found[part][ours], config[theirs])
        self.assertEqual(found["draft"]["block_size"], 8)

    def test_cache_bytes_are_those_of_a_run(self):
        ids = listed([5] * 150)
        for kv in ("bf16", "e8-q10", "tq3"):
            ledger = run("generate", "--draft", "tiny", "--kv", kv, "--prompt-ids", ids, "-n", 2,
                         "--speculation", "fixed", "--json").json()["kv"]
            channel = run("inspect", "--tokens", 150, "--kv", kv, "--json").json()["channels"][0]
            self.assertEqual(channel["kv_bytes"], ledger["target"]["codes_bytes"])
            self.assertEqual(channel["draft_kv_bytes"], ledger["draft"]["codes_bytes"])
            self.assertEqual(channel["bits_allocated"], ledger["target"]["bits_allocated"])

    def test_an_8b_model_is_known_from_its_shape_alone(self):
        found = run("inspect", "random:qwen3-8b:bf16", "--tokens", 40960, "--memory", 24, "--json").json()
        self.assertEqual(found["target"]["weight_bytes"], 16381470720)  # published
        channels = {c["channel"]: c for c in found["channels"]}
        self.assertEqual(channels["bf16"]["bytes_per_token"], 144 * 1024)
        self.assertEqual(channels["e8-q10"]["bytes_per_token"], 144 * 1024 * 608 / 2048)
        self.assertTrue(channels["bf16"]["fits"])
        for c in found["channels"]:
            self.assertEqual(c["total_bytes"], c["weight_bytes"] + c["kv_bytes"] + c["scratch_bytes"])
            self.assertEqual(c["fits"], c["total_bytes"] <= 24 * GIB)
        small = run("inspect", "random:qwen3-8b:bf16", "--tokens", 40960, "--memory", 18, "--kv", "bf16,e8-q10", "--json").json()
        self.assertEqual([c["fits"] for c in small["channels"]], [False, True])
        most = small["channels"][0]["most_tokens"]
        self.assertLess(most, 40960)
        fits = run("inspect", "random:qwen3-8b:bf16", "--tokens", most // 64 * 64, "--memory", 18, "--kv", "bf16", "--json").json()
        self.assertTrue(fits["channels"][0]["fits"])

    def test_boundary_layers_and_the_text_form(self):
        plain = run("inspect", "--kv", "e8-q10", "--json").json()["channels"][0]["bytes_per_token"]
        edge = run("inspect", "--kv", "e8-q10", "--boundary", 1, "--json").json()["channels"][0]["bytes_per_token"]
        self.assertEqual((plain, edge), (6 * 4 * 76, 4 * 4 * 76 + 2 * 4 * 256))  # layers x rows of a layer x bytes
        out = run("inspect", "--tokens", 100, "--memory", 1).out
        for word in ("target", "draft", "qwen3", "million parameters in bf16", "context 1024", "e8-q38", "yes"):
            self.assertIn(word, out)
        self.assertIn("no, 0 tokens do", run("inspect", "--memory", 0.001).out)
        self.assertNotIn("draft ", run("inspect", "--no-draft", "--kv", "bf16").out)

    def pair(self, directory, change=None, tensors=None, tokens=None):
        """inspect of the embedded target with a draft whose config.json, tensor header or tokenizer is changed; and what
        generate says, which loads it."""
        draft = os.path.join(directory, "draft")
        shutil.rmtree(draft, ignore_errors=True)
        shutil.copytree(os.path.join(TINY, "draft"), draft)
        with open(os.path.join(draft, "config.json")) as f:
            config = json.load(f)
        (change or (lambda c: None))(config)
        with open(os.path.join(draft, "config.json"), "w") as f:
            json.dump(config, f)
        if tokens:
            with open(os.path.join(TINY, "target", "tokenizer.json"), encoding="utf-8") as f:
                tokenizer = json.load(f)
            tokens(tokenizer)
            with open(os.path.join(draft, "tokenizer.json"), "w", encoding="utf-8") as f:
                json.dump(tokenizer, f)
        args = ("--draft", draft, "--json")
        return run("inspect", *args), run("generate", "--target", "tiny", *args, "--prompt-ids", "5,6,7", "-n", 4)

    def test_a_draft_that_does_not_fit_is_refused_as_by_the_loader(self):
        changes = {
            "hidden_size": lambda c: c.update(hidden_size=128), "vocab_size": lambda c: c.update(vocab_size=4090),
            "num_target_layers": lambda c: c.update(num_target_layers=36),
            "target_layer_ids": lambda c: c["dflash_config"].update(target_layer_ids=[1, 5]),
            "fc.weight": lambda c: c["dflash_config"].update(target_layer_ids=[1, 2, 4]),
            "mask_token_id": lambda c: c["dflash_config"].update(mask_token_id=4096),
            "block_size": lambda c: c.update(block_size=1), "q_proj": lambda c: c.update(head_dim=64),
            "layers.2.": lambda c: c.update(num_hidden_layers=3, layer_types=["full_attention"] * 3),
            "rope": lambda c: c.update(rope_scaling={"rope_type": "yarn", "factor": 4.0}),
        }
        with tempfile.TemporaryDirectory() as directory:
            for word, change in changes.items():
                found, loaded = self.pair(directory, change)
                self.assertEqual((found.code, loaded.code), (1, 1), word + found.err + loaded.err)
                self.assertIn(word, found.err)
                self.assertEqual(found.err.splitlines()[0], loaded.err.splitlines()[0])
                self.assertIn("--no-draft", found.err)

    def test_what_runs_but_is_odd_is_noted(self):
        with tempfile.TemporaryDirectory() as directory:
            found, loaded = self.pair(directory)
            self.assertEqual((found.json()["pair_notes"], loaded.code), ([], 0), loaded.err)
            found, loaded = self.pair(directory, lambda c: c.update(rope_theta=10000.0))
            self.assertEqual((len(found.json()["pair_notes"]), loaded.code), (1, 0))
            self.assertIn("rope_theta of the draft is 10000, the target has 1000000", found.json()["pair_notes"][0])
            found = self.pair(directory, tokens=lambda t: None)[0]
            self.assertEqual(found.json()["pair_notes"], [])

            def swap(tokenizer):
                vocab = tokenizer["model"]["vocab"]
                a, b = [k for k, v in vocab.items() if v in (65, 66)]
                vocab[a], vocab[b] = vocab[b], vocab[a]

            note = self.pair(directory, tokens=swap)[0].json()["pair_notes"]
            self.assertEqual(len(note), 1)
            self.assertIn("token 65 of the draft's tokenizer", note[0])
            shown = run("inspect", "--draft", os.path.join(directory, "draft")).out
            self.assertIn("note     token 65", shown)
            doctor = run("doctor", "--quick", "--json", "--model", "tiny", "--draft", os.path.join(directory, "draft"))
            pair = {c["name"]: c for c in doctor.json()["checks"]}["pair"]
            self.assertEqual(pair["level"], "warn")
            self.assertIn("token 65", pair["found"])

    def test_errors_name_what_is_wrong(self):
        for code, words, args in ((1, ["/no/model"], ["/no/model"]), (1, ["kakeya-llm pull no/model"], ["no/model"]),
                                  (2, ["zip", "codec list"], ["--kv", "zip"]), (2, ["2000", "1024"], ["--tokens", 2000]),
                                  (2, ["boundary"], ["--boundary", "-1"]), (1, ["does not fit"], ["--draft", "random:qwen3-8b-dflash:q4_0"]),
                                  (1, ["expected a target"], [os.path.join(TINY, "draft")]), (2, ["--memory"], ["--memory", "-1"])):
            out = run("inspect", *args)
            self.assertEqual(out.code, code, (args, out.err))
            for word in words:
                self.assertIn(word, out.err)


if __name__ == "__main__":
    unittest.main(verbosity=2)
