"""kakeya-llm pull, list and rm against a hub on the loopback address, and models by their names."""
import hashlib
import os
import signal
import subprocess
import tempfile
import time
import unittest

from fake_hub import FakeHub, files_of
from program import BIN, TINY, run

TARGET = os.path.join(TINY, "target")
WEIGHTS = os.path.join(TARGET, "model.safetensors")
NAME = "kakeya/tiny-target"


class Models(unittest.TestCase):
    def setUp(self):
        self.dir = tempfile.TemporaryDirectory()
        self.hub = FakeHub(NAME, files_of(TARGET))
        self.env = {"KAKEYA_HOME": self.path("home"), "HF_ENDPOINT": self.hub.address, "HOME": self.path("user"),
                    "XDG_CONFIG_HOME": self.path("config"), "HF_TOKEN": ""}

    def tearDown(self):
        self.hub.close()
        self.dir.cleanup()

    def path(self, *parts):
        return os.path.join(self.dir.name, *parts)

    def run_ok(self, *args, **more):
        out = run(*args, env=self.env, **more)
        self.assertEqual(out.code, 0, out.err)
        return out

    def refused(self, code, words, *args):
        out = run(*args, env=self.env)
        self.assertEqual(out.code, code, out.out + out.err)
        for word in words:
            self.assertIn(word, out.err)
        return out

    def partial_bytes(self):
        total = 0
        for folder, _, names in os.walk(self.path("home")):
            total += sum(os.path.getsize(os.path.join(folder, n)) for n in names if n.endswith(".part"))
        return total

    def start_pull_and_wait(self, bytes_there):
        pull = subprocess.Popen([BIN, "pull", NAME], env=dict(os.environ, **self.env), stdout=subprocess.DEVNULL,
                                stderr=subprocess.PIPE)
        end = time.time() + 60
        while self.partial_bytes() < bytes_there and time.time() < end:
            self.assertIsNone(pull.poll(), "the pull ended before it was cut")
            time.sleep(0.02)
        return pull

    def test_killed_pull_is_continued_and_the_model_runs_by_its_name(self):
        self.hub.bytes_per_s = 4_000_000
        pull = self.start_pull_and_wait(2_000_000)
        pull.kill()
        pull.communicate()
        there = self.partial_bytes()
        self.assertGreater(there, 1_000_000)
        self.assertLess(there, os.path.getsize(WEIGHTS))
        self.refused(1, ["kakeya-llm pull " + NAME], "generate", "--target", NAME, "--prompt", "x")
        listed = self.run_ok("list", "--json").json()["models"]
        self.assertEqual([(m["name"], m["complete"]) for m in listed], [("tiny", True), (NAME, False)])

        self.hub.bytes_per_s = 0
        out = self.run_ok("pull", NAME, "--json").json()
        self.assertEqual(self.hub.ranges, ["bytes=%d-" % there])
        self.assertEqual(out["commit"], self.hub.commit)
        self.assertLess(out["received_bytes"], out["bytes"])
        with open(WEIGHTS, "rb") as f:
            sha256 = hashlib.sha256(f.read()).hexdigest()
        self.assertIn({"path": "model.safetensors", "size": os.path.getsize(WEIGHTS), "sha256": sha256}, out["files"])

        listed = self.run_ok("list", "--json").json()["models"][1]
        self.assertEqual((listed["name"], listed["complete"], listed["bytes"]), (NAME, True, out["bytes"]))
        self.assertIn(NAME, self.run_ok("list").out)

        ids = ("--prompt-ids", "4065,317,198", "-n", "8", "--json")
        pulled = self.run_ok("generate", "--target", NAME, *ids).json()
        embedded = self.run_ok("generate", "--target", "tiny", *ids).json()
        self.assertEqual(pulled["target"], "tiny-target")
        self.assertEqual((pulled["output_ids"], pulled["text"]), (embedded["output_ids"], embedded["text"]))
        self.assertEqual(self.run_ok("tokenize", "--tokenizer", NAME, stdin="hello\n").out,
                         self.run_ok("tokenize", "--tokenizer", TARGET, stdin="hello\n").out)

        self.refused(2, ["--yes"], "rm", NAME)
        self.run_ok("rm", NAME, "--yes")
        self.assertEqual(os.listdir(self.path("home", "models")), [])
        self.refused(1, ["no such model"], "rm", NAME, "--yes")
        self.refused(1, ["no such model"], "rm", NAME)  # and does not ask

    def test_ctrl_c_ends_a_pull_with_130_and_says_that_it_continues(self):
        self.hub.bytes_per_s = 2_000_000
        pull = self.start_pull_and_wait(500_000)
        pull.send_signal(signal.SIGINT)
        err = pull.communicate(timeout=30)[1].decode()
        self.assertEqual(pull.returncode, 130, err)
        self.assertIn("continues", err)
        self.assertGreater(self.partial_bytes(), 0)

    def test_a_damaged_manifest_breaks_its_own_row_alone(self):
        self.run_ok("pull", NAME)
        broken = self.path("home", "models", "org", "other")
        os.makedirs(broken)
        for name in ("manifest.json", "manifest.Q8_0.json"):
            with open(os.path.join(broken, name), "w") as f:
                f.write('{"format":' + "[" * 200000)
        rows = self.run_ok("list").out.splitlines()[1:]
        self.assertEqual([row.split()[0] for row in rows if not row.startswith("tiny ")],
                         [NAME, "org/other", "org/other:Q8_0"])
        self.assertIn("kakeya-llm rm org/other:Q8_0", rows[-1])
        self.assertIn("kakeya-llm pull org/other:Q8_0", rows[-1])
        models = self.run_ok("list", "--json").json()["models"]
        self.assertEqual([(m["name"], m["complete"], m["damage"] is None) for m in models[1:]],
                         [(NAME, True, True), ("org/other", False, False), ("org/other:Q8_0", False, False)])
        self.run_ok("generate", "--target", NAME, "--prompt", "x", "-n", 1)

    def test_second_pull_at_the_same_time_is_refused(self):
        self.hub.bytes_per_s = 2_000_000
        pull = self.start_pull_and_wait(100_000)
        self.refused(1, ["another pull"], "pull", NAME)
        self.refused(1, ["another pull"], "rm", NAME, "--yes")
        pull.kill()
        pull.communicate()

    def test_token_of_the_file_is_sent_and_the_environment_wins(self):
        os.makedirs(self.path("user", ".cache", "huggingface"))
        with open(self.path("user", ".cache", "huggingface", "token"), "w") as f:
            f.write("from-file\n")
        self.run_ok("pull", NAME, "--include", "config.json")
        self.assertEqual(set(self.hub.tokens), {"Bearer from-file"})
        self.hub.tokens.clear()
        self.env["HF_TOKEN"] = "from-env"
        self.run_ok("pull", NAME, "--include", "tokenizer.json")
        self.assertEqual(set(self.hub.tokens), {"Bearer from-env"})

    def test_pull_into_a_directory(self):
        out = self.run_ok("pull", NAME, "--dir", self.path("here"), "--exclude", "*.safetensors", "--json").json()
        self.assertEqual(out["path"], self.path("here"))
        self.assertEqual(sorted(os.listdir(self.path("here"))),
                         sorted([n for n in self.hub.files if n.endswith(".json")] + ["kakeya-manifest.json"]))
        self.refused(2, ["not empty"], "pull", NAME, "--dir", self.path("here"), "--force")

    def test_refusals_name_what_was_expected(self):
        self.refused(2, ["expected ORG/REPO"], "pull", "nonsense")
        self.refused(2, ["expected ORG/REPO"], "pull", "../../etc/passwd")
        self.refused(1, ["no such model"], "pull", "no/such")
        self.refused(2, ["leave no file"], "pull", NAME, "--include", "*.gguf")
        self.refused(2, ["not removed"], "rm", "/etc/passwd", "--yes")
        self.refused(2, ["not removed"], "rm", "tiny", "--yes")
        self.refused(1, ["kakeya-llm pull Qwen/Qwen3-8B"], "generate", "--target", "qwen3-8b", "--prompt", "x")
        self.refused(1, ["kakeya-llm pull z-lab/Qwen3-8B-DFlash-b16"], "generate", "--draft", "qwen3-8b-dflash",
                     "--prompt", "x")
        self.refused(2, ["no published draft"], "generate", "--target", TARGET, "--draft", "auto", "--prompt", "x")

    def test_known_draft_of_the_embedded_target(self):
        out = self.run_ok("generate", "--draft", "auto", "--prompt-ids", "4065,317,198", "-n", "4", "--json").json()
        self.assertEqual(out["draft"], "tiny")


class Settings(unittest.TestCase):
    """Command line over environment over file over defaults, seen through the seed that --json repeats."""

    def setUp(self):
        self.dir = tempfile.TemporaryDirectory()
        self.config = os.path.join(self.dir.name, "kakeya", "config.toml")
        os.makedirs(os.path.dirname(self.config))
        self.env = {"XDG_CONFIG_HOME": self.dir.name}

    def tearDown(self):
        self.dir.cleanup()

    def write(self, text, path=None):
        with open(path or self.config, "w") as f:
            f.write(text)

    def dim(self, *args, **env):
        out = run("codec", "list", "--json", *args, env={**self.env, **env})
        self.assertEqual(out.code, 0, out.err)
        return out.json()["dim"]

    def test_order(self):
        default = self.dim()
        self.assertNotIn(default, (8, 16, 32, 64, 256))
        self.write("dim = 8\n")
        self.assertEqual(self.dim(), 8)
        self.write("# comment\ndim = 8\n\n[codec.list]\ndim = 16\n")
        self.assertEqual(self.dim(), 16)
        self.assertEqual(self.dim(KAKEYA_DIM="32"), 32)
        self.assertEqual(self.dim("--dim", "64", KAKEYA_DIM="32"), 64)
        other = os.path.join(self.dir.name, "other.toml")
        self.write("[codec.list]\ndim = 256\n", other)
        self.assertEqual(self.dim(KAKEYA_CONFIG=other), 256)
        self.assertEqual(self.dim("--config", other), 256)

    def test_mistakes_are_named(self):
        for text, word in (("dimm = 8\n", "'dimm'"), ("[codec.list]\nthreads = 8\n", "'threads'"),
                           ("[nonsense]\ndim = 8\n", "[nonsense]"), ("[rm]\nyes = true\n", "'yes'"),
                           ("dim = many\n", "many")):
            self.write(text)
            out = run("codec", "list", env=self.env)
            self.assertEqual(out.code, 2, out.out + out.err)
            self.assertIn(word, out.err)
        out = run("codec", "list", "--config", "/no/such/file", env=self.env)
        self.assertEqual(out.code, 2, out.err)
        self.assertIn("/no/such/file", out.err)
        self.assertEqual(run("codec", "list", env={**self.env, "KAKEYA_CONFIG": "/no/such/file"}).code, 2)

    def test_help_does_not_repeat_every_flag_as_a_variable(self):
        out = run("generate", "--help", env=self.env)
        self.assertEqual(out.code, 0)
        self.assertNotIn("KAKEYA_DRAFT_KV", out.out)


if __name__ == "__main__":
    unittest.main(verbosity=2)
