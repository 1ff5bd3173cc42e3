"""tools/random_gguf.py: files of the mixes that llama.cpp makes, with usable weights, that the program runs."""
import os
import pathlib
import sys
import tempfile
import unittest
from unittest import mock

from gguf_file import GgufFile
from program import read_json, repo, run

sys.path[:0] = [repo("tools"), repo("benchmarks", "peers")]
try:
    import numpy as np
except ImportError:
    print("skipped: python3-numpy is not installed")
    sys.exit(0)
import random_gguf
from gguf_weights import GgufWeights


def write(directory, name, mix, *, draft=False, pure=False, seed=0, shape="mini"):
    path = pathlib.Path(directory, name)
    kind = random_gguf.SHAPES[shape]
    random_gguf.write_gguf(path, random_gguf.metadata(name, kind, mix, draft),
                           random_gguf.tensor_list(kind, mix, draft, pure), seed)
    return path


class Files(unittest.TestCase):
    def test_types_and_shapes_are_those_of_llama_cpps_quantiser(self):
        shape = random_gguf.Shape(256, 768, 6, 4, 2, True, vocab=4096)  # the embedded target's
        for mix in ("q8_0", "q4_0", "q4_k_m"):
            golden = read_json("tests", "golden", "quantize", f"tiny-{mix}.json")["tensors"]
            ours = {name: {"type": kind, "shape": list(dims)}
                    for name, kind, dims in random_gguf.tensor_list(shape, mix, False, False)}
            self.assertEqual(ours, {name: {"type": t["type"], "shape": t["shape"]} for name, t in golden.items()}, mix)

    def test_a_file_is_well_formed_and_the_seed_decides_its_bytes(self):
        with tempfile.TemporaryDirectory() as d:
            files = [write(d, name, "q4_k_m", seed=seed) for name, seed in (("a", 0), ("b", 0), ("c", 1))]
            first, again, other = (GgufFile(f).tensors for f in files)
        self.assertEqual(first, again)
        self.assertNotEqual(first["blk.0.attn_q.weight"]["sha256"], other["blk.0.attn_q.weight"]["sha256"])
        self.assertEqual({t["type"] for t in first.values()}, {"F32", "Q4_K", "Q6_K"})

    def test_published_shapes_have_the_published_number_of_weights(self):
        # Qwen3 model cards: 0.6B has 0.44 B outside the embedding, 1.7B 1.4, 4B 3.6, 8B 6.95.
        for name, billions in (("0.6b", 0.44), ("1.7b", 1.4), ("4b", 3.6), ("8b", 6.95)):
            tensors = random_gguf.tensor_list(random_gguf.SHAPES[name], "q4_0", False, False)
            count = sum(np.prod(dims) for part, _, dims in tensors if part not in ("token_embd.weight", "output.weight"))
            self.assertAlmostEqual(count / 1e9, billions, delta=0.03 * billions, msg=name)

    def test_weights_have_mean_zero_and_the_deviation_of_their_width(self):
        with tempfile.TemporaryDirectory() as d:
            for mix in ("q8_0", "q4_0", "q4_k_m", "bf16"):
                weights = GgufWeights(write(d, mix, mix))
                for name in ("token_embd.weight", "blk.1.attn_q.weight", "blk.8.ffn_down.weight"):
                    values = weights.values(name)
                    want = values.shape[1] ** -0.5
                    self.assertAlmostEqual(values.std() / want, 1, delta=0.06, msg=f"{mix} {name}")
                    self.assertLess(abs(values.mean()), 0.015 * want, f"{mix} {name}")

    def test_a_small_disk_or_an_interruption_leaves_the_old_file(self):
        with tempfile.TemporaryDirectory() as d:
            old = pathlib.Path(d, "x.gguf")
            old.write_text("old")
            usage = mock.Mock(free=random_gguf.SPARE_BYTES + 1000)
            with mock.patch.object(random_gguf.shutil, "disk_usage", return_value=usage):
                with self.assertRaisesRegex(OSError, "x.gguf: needs 0.01 GB and 0.27 GB to spare, found 0.27 GB free"):
                    write(d, "x.gguf", "q4_0")
            with mock.patch.object(random_gguf, "random_rows", side_effect=KeyboardInterrupt):
                with self.assertRaises(KeyboardInterrupt):
                    write(d, "x.gguf", "q4_0")
            self.assertEqual((os.listdir(d), old.read_text()), (["x.gguf"], "old"))


class InTheProgram(unittest.TestCase):
    def test_target_and_draft_load_and_a_draft_does_not_change_the_text(self):
        with tempfile.TemporaryDirectory() as d:
            for mix, pure in (("q8_0", False), ("q4_0", False), ("q4_0", True), ("q4_k_m", False)):
                target, draft = write(d, "t.gguf", mix, pure=pure), write(d, "d.gguf", mix, draft=True, pure=pure)
                flags = ("generate", "--target", target, "--prompt-ids", "5,6,7", "-n", 12, "--json")
                plain, drafted = run(*flags), run(*flags, "--draft", draft)
                self.assertEqual((plain.code, drafted.code), (0, 0), plain.err + drafted.err)
                self.assertEqual(plain.json()["output_ids"], drafted.json()["output_ids"])
                self.assertEqual(len(plain.json()["output_ids"]), 12)

    def test_the_command_line_writes_the_named_file(self):
        with tempfile.TemporaryDirectory() as d:
            path = os.path.join(d, "deep", "x.gguf")
            with mock.patch.object(sys, "argv", ["random_gguf", "--shape", "mini", "--type", "q4_0", "--out", path]), \
                 mock.patch("builtins.print"):
                random_gguf.main()
            out = run("tokenize", "--tokenizer", path, stdin="to")
            self.assertEqual((out.code, out.out.strip()), (0, "[256]"), out.err)


if __name__ == "__main__":
    unittest.main()
