"""Split GGUF models: the same model as the whole file, in every command that takes one; and what is said when parts
do not belong together."""
import os
import pathlib
import shutil
import sys
import tempfile
import unittest

from fake_hub import FakeHub, files_of
from gguf_file import GgufFile
from gguf_split import split
from program import clean_env, read_npy, repo, run

sys.path.insert(0, repo("tools"))
try:
    import numpy  # noqa: F401  random_gguf needs it
except ImportError:
    print("skipped: python3-numpy is not installed")
    sys.exit(0)
import random_gguf

IDS = "5,6,7,8,9"


def write(directory, name, mix="q8_0", draft=False, seed=0):
    shape = random_gguf.SHAPES["mini"]
    path = pathlib.Path(directory, name)
    random_gguf.write_gguf(path, random_gguf.metadata("m", shape, mix, draft),
                           random_gguf.tensor_list(shape, mix, draft, False), seed)
    return str(path)


class SplitModels(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.root = tempfile.TemporaryDirectory()
        cls.whole = write(cls.root.name, "whole.gguf")
        os.mkdir(os.path.join(cls.root.name, "parts"))
        cls.parts = split(cls.whole, os.path.join(cls.root.name, "parts", "m-Q8_0"), 3)
        cls.draft = write(cls.root.name, "draft.gguf", draft=True)

    @classmethod
    def tearDownClass(cls):
        cls.root.cleanup()

    def setUp(self):
        self.dir = tempfile.TemporaryDirectory()
        self.env = dict(clean_env(self.dir.name), KAKEYA_HOME=os.path.join(self.dir.name, "store"), HF_TOKEN="")

    def tearDown(self):
        self.dir.cleanup()

    def ok(self, *args, **more):
        out = run(*args, env=self.env, **more)
        self.assertEqual(out.code, 0, out.err)
        return out

    def refused(self, words, *args):
        out = run(*args, env=self.env)
        self.assertEqual(out.code, 1, out.out + out.err)
        for word in words:
            self.assertIn(word, out.err)

    def copies(self):
        """The parts, in a folder of this test's own."""
        paths = []
        for path in self.parts:
            paths.append(os.path.join(self.dir.name, os.path.basename(path)))
            shutil.copy(path, paths[-1])
        return paths

    def logits(self, model):
        path = os.path.join(self.dir.name, "logits.npy")
        self.ok("logits", "--target", model, "--ids", IDS, "--rows", "all", "--out", path)
        return read_npy(path)

    def test_any_part_is_the_whole_model(self):
        whole = self.logits(self.whole)
        drafted = self.ok("generate", "--target", self.whole, "--draft", self.draft, "--prompt-ids", IDS, "-n", 12,
                          "--json").json()
        for model in (*self.parts, os.path.dirname(self.parts[0])):
            self.assertEqual(self.logits(model), whole)
        draft_parts = split(self.draft, os.path.join(self.dir.name, "d"), 2)
        same = self.ok("generate", "--target", self.parts[1], "--draft", draft_parts[1], "--prompt-ids", IDS, "-n", 12,
                       "--json").json()
        self.assertEqual(same["target"], "m-Q8_0")
        for key in ("output_ids", "acceptance_lengths"):
            self.assertEqual(same[key], drafted[key], key)
        self.assertEqual(self.ok("tokenize", "--tokenizer", self.parts[2], stdin="to").out.strip(), "[256]")

    def test_metadata_may_stand_in_a_part_of_its_own(self):
        parts = split(self.whole, os.path.join(self.dir.name, "m"), 4, tensor_first=False)
        self.assertEqual(self.logits(parts[0]), self.logits(self.whole))

    def test_inspect_counts_all_parts(self):
        tensors = GgufFile(self.whole).tensors
        for named in self.parts:
            found = self.ok("inspect", named, "--no-draft", "--json").json()["target"]
            self.assertEqual((found["id"], found["path"]), ("m-Q8_0", self.parts[0]))
            self.assertEqual((found["tensors"], found["files"]), (len(tensors), 3))
        whole = self.ok("inspect", self.whole, "--no-draft", "--json").json()["target"]
        for key in ("parameters", "weight_bytes", "dtype", "layers", "hidden_size", "vocab_size"):
            self.assertEqual(found[key], whole[key], key)
        self.assertIn("in 3 files", self.ok("inspect", self.parts[1], "--no-draft").out)

    def test_pull_takes_all_parts_and_list_shows_one_model(self):
        files = files_of(os.path.dirname(self.parts[0]))
        files["m-Q4_0.gguf"] = self.whole
        hub = FakeHub("org/m-GGUF", files)
        self.addCleanup(hub.close)
        self.env["HF_ENDPOINT"] = hub.address
        out = self.ok("pull", "org/m-GGUF:q8_0", "--json").json()
        self.assertEqual([f["path"] for f in out["files"]], [os.path.basename(p) for p in self.parts])
        self.assertEqual(os.path.basename(out["path"]), "m-Q8_0-00001-of-00003.gguf")
        models = [m for m in self.ok("list", "--json").json()["models"] if not m["embedded"]]
        self.assertEqual([(m["name"], m["type"], m["bytes"]) for m in models],
                         [("org/m-GGUF:Q8_0", "Q8_0", sum(os.path.getsize(p) for p in self.parts))])
        self.assertEqual(self.logits("org/m-GGUF:Q8_0"), self.logits(self.whole))
        first = os.path.basename(self.parts[0])
        other = self.ok("pull", "org/m-GGUF", "--include", first, "--dir", os.path.join(self.dir.name, "here"),
                        "--json").json()
        self.assertEqual(len(other["files"]), 3)

    def test_a_quantisation_names_one_model_of_a_pull_by_patterns(self):
        files = {"m-Q8_0.gguf": self.whole, "m-Q4_0.gguf": write(self.dir.name, "q4.gguf", "q4_0")}
        hub = FakeHub("org/m-GGUF", files)
        self.addCleanup(hub.close)
        self.env["HF_ENDPOINT"] = hub.address
        self.ok("pull", "org/m-GGUF", "--include", "*.gguf")
        self.assertEqual(self.logits("org/m-GGUF:Q8_0"), self.logits(self.whole))
        self.assertNotEqual(self.logits("org/m-GGUF:q4_0"), self.logits(self.whole))
        self.refused(["2 GGUF models", "m-Q4_0.gguf"], "inspect", "org/m-GGUF", "--no-draft")
        self.refused(["kakeya-llm pull org/m-GGUF:Q6_K"], "inspect", "org/m-GGUF:Q6_K", "--no-draft")

    def test_parts_that_do_not_belong_together_are_refused(self):
        parts = self.copies()
        os.remove(parts[1])
        for named in (parts[0], parts[2]):
            self.refused([parts[1], "no such file", "part 2 of 3", "pull"], "inspect", named, "--no-draft")
        parts = self.copies()
        os.rename(parts[2], parts[1])
        self.refused([parts[1], "split.no", "part 3 of 3", "part 2 of 3"], "inspect", parts[0], "--no-draft")
        parts = self.copies()
        other = split(self.draft, os.path.join(self.dir.name, "other"), 3)
        os.rename(other[1], parts[1])
        self.refused([parts[1], "split.tensors.count", "another model"], "generate", "--target", parts[0],
                     "--prompt-ids", IDS, "-n", 2)
        self.copies()
        os.truncate(parts[2], os.path.getsize(parts[2]) - 4096)
        self.refused([parts[2], "tensor", "inside the"], "inspect", parts[0], "--no-draft")


if __name__ == "__main__":
    unittest.main(verbosity=2)
