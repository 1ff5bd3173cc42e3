"""The whole training recipe at toy size, from generated data alone: once undisturbed, once killed in every long stage.

A killed and resumed run must end with the same weights, to the bit. The pair it makes is then run by the C++ program.
"""
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import unittest

import pair

TRAIN = os.path.join(pair.REPO, "tools", "train", "train.py")
WEIGHTS = (("target", "model.safetensors"), ("draft", "model.safetensors"), ("target", "tokenizer.json"))


class Smoke(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        for module in ("numpy", "regex", "torch"):
            pair.need(module)
        cls.folder = tempfile.mkdtemp()
        cls.addClassCleanup(shutil.rmtree, cls.folder)
        cls.whole = cls.command("whole")
        cls.done = subprocess.run(cls.whole, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        cls.log = cls.done.stdout.decode()

    @classmethod
    def path(cls, *parts):
        return os.path.join(cls.folder, *parts)

    @classmethod
    def command(cls, name, *more):
        return [sys.executable, TRAIN, "--smoke", "--run", cls.path(name, "run"), "--model", cls.path(name, "model")] + list(more)

    def read(self, *parts):
        with open(self.path(*parts), "rb") as f:
            return f.read()

    def killed_at(self, name, begun, ended):
        """Runs until file `begun` exists, then kills with SIGKILL; the stage must not have ended by itself."""
        p = subprocess.Popen(self.command(name, "--until", "draft-export"), stdout=subprocess.DEVNULL, stderr=subprocess.STDOUT)
        limit = time.time() + 300
        while not os.path.exists(self.path(name, "run", begun)):
            self.assertIsNone(p.poll(), "the run ended before %s" % begun)
            self.assertLess(time.time(), limit, begun)
            time.sleep(0.02)
        p.send_signal(signal.SIGKILL)
        p.wait()
        self.assertEqual(p.returncode, -signal.SIGKILL)
        self.assertFalse(os.path.exists(self.path(name, "run", ended)), "%s was over: nothing was cut" % ended)

    def test_the_chain_runs_and_learns(self):
        self.assertEqual(self.done.returncode, 0, self.log)
        for name in ("README.md", "report.json", "target/config.json", "draft/config.json", "target/tokenizer_config.json"):
            self.assertTrue(os.path.exists(self.path("whole", "model", name)), name)
        report = json.loads(self.read("whole", "model", "report.json"))
        # ln 640 = 6.46 is what an untrained model has.
        self.assertLess(report["held_out_loss"]["all"][0], 5.5)
        self.assertEqual(report["controls"]["random drafter"]["tau_pooled"], 1.0)
        for name, v in report["tau"].items():
            self.assertEqual(v["against_plain"], {"equal": v["prompts"]}, name)
        card = self.read("whole", "model", "README.md").decode()
        self.assertIn("CC-BY-4.0", card)
        self.assertIn("does not solve GSM8K", card)

    def test_a_finished_run_does_nothing_again(self):
        before = self.read("whole", "model", "draft", "model.safetensors")
        p = subprocess.run(self.whole, stdout=subprocess.PIPE)
        self.assertEqual(p.returncode, 0)
        self.assertEqual(p.stdout.decode().count("done before"), 9)
        self.assertEqual(self.read("whole", "model", "draft", "model.safetensors"), before)

    def test_a_run_killed_in_every_long_stage_ends_with_the_same_weights(self):
        self.killed_at("cut", "target.pt", "target.done")
        self.killed_at("cut", "answers.npz", "answers.done")
        self.killed_at("cut", "draft.pt", "draft.done")
        p = subprocess.run(self.command("cut", "--until", "draft-export"), stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        self.assertEqual(p.returncode, 0, p.stdout.decode())
        self.assertIn("draft: going on at step", p.stdout.decode())
        for parts in WEIGHTS:
            self.assertEqual(self.read("whole", "model", *parts), self.read("cut", "model", *parts), parts)

    def test_missing_data_is_wrong_usage(self):
        p = subprocess.run([sys.executable, TRAIN, "--run", self.path("x"), "--model", self.path("y"), "--data", self.path("none")],
                           stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        self.assertEqual(p.returncode, 2)
        self.assertIn(self.path("none", "train"), p.stderr.decode())

    def test_the_program_decodes_the_new_pair_as_pytorch_does(self):
        program = pair.binary()
        from tiny.decode import dflash
        from tiny.store import load
        target, draft = self.path("whole", "model", "target"), self.path("whole", "model", "draft")
        prompt = list(range(40, 60))
        want = dflash(load(target), load(draft), prompt, 32)
        p = subprocess.run([program, "generate", "--target", target, "--draft", draft, "--kv", "f32", "--draft-kv", "f32",
                            "--speculation", "fixed", "--prompt-ids", pair.listed(prompt), "-n", "32", "--json"], stdout=subprocess.PIPE, check=True)
        got = json.loads(p.stdout)
        if want.smallest_gap > 1e-3:
            self.assertEqual(got["output_ids"], want.ids)
            self.assertEqual(got["acceptance_lengths"], want.cycles)


if __name__ == "__main__":
    pair.main()
