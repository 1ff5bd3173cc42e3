"""kakeya-llm generate: golden texts, lossless drafting, sampling, and what goes wrong."""
import json
import os
import signal
import subprocess
import tempfile
import time
import unittest

from program import BIN, TINY, listed, read_json, run

GOLDEN = read_json("models", "tiny", "golden.json")["cases"]
QUESTION = "Ruth writes 4 letters every day. How many letters does she write in 4 weeks?"


def generate(*args, **more):
    return run("generate", "--target", "tiny", *args, **more)


class Golden(unittest.TestCase):
    def test_ids_text_and_acceptance_equal_pytorch(self):
        for case in (GOLDEN[0], GOLDEN[10], GOLDEN[15]):
            out = generate("--draft", "tiny", "--speculation", "fixed", "--kv", "f32", "--draft-kv", "f32", "--prompt-ids",
                           listed(case["prompt_ids"]), "-n", 128, "--json")
            self.assertEqual(out.code, 0, out.err)
            found = out.json()
            self.assertEqual(found["prompt_ids"], case["prompt_ids"])
            self.assertEqual(found["output_ids"], case["dflash_ids"])
            self.assertEqual(found["acceptance_lengths"], case["acceptance_lengths"])
            self.assertEqual(found["target_forwards"], len(case["acceptance_lengths"]))
            self.assertEqual(found["finish_reason"], "stop")
            self.assertEqual(found["text"], case["text"].replace("<|im_end|>", "").replace("<|endoftext|>", ""))

    def test_chat_renders_the_frame_the_model_was_trained_with(self):
        out = generate("--chat", QUESTION, "-n", 1, "--json").json()
        frame = "<|im_start|>user\n%s<|im_end|>\n<|im_start|>assistant\n<think>\n\n</think>\n\n" % QUESTION
        ids = run("tokenize", "--tokenizer", os.path.join(TINY, "target"), "--jsonl", stdin=json.dumps({"text": frame}) + "\n")
        self.assertEqual(out["prompt_ids"], ids.json())


class Drafting(unittest.TestCase):
    def test_changes_no_token_under_any_block_width_or_channel(self):
        prompt = listed(GOLDEN[1]["prompt_ids"])
        for kv in ("bf16", "e8-q10", "q4_0"):
            plain = generate("--kv", kv, "--prompt-ids", prompt, "-n", 40, "--json").json()
            self.assertEqual(plain["acceptance_lengths"], [])
            for flags in (("--speculation", "fixed"), ("--block-size", 4), ("--block-size", 16), ("--verify-width", 3), ("--speculation", "fixed", "--threads", 1)):
                drafted = generate("--draft", "tiny", "--kv", kv, "--prompt-ids", prompt, "-n", 40, "--json", *flags).json()
                self.assertEqual(drafted["output_ids"], plain["output_ids"], (kv, flags))
                self.assertLess(drafted["target_forwards"], plain["target_forwards"])

    def test_keeps_the_sampled_text_of_a_seed(self):
        flags = ("--chat", QUESTION, "-n", 30, "--temperature", 1, "--top-k", 50, "--seed", 7, "--json")
        plain, drafted = generate(*flags).json(), generate("--draft", "tiny", *flags).json()
        self.assertEqual(drafted["output_ids"], plain["output_ids"])
        other = generate("--draft", "tiny", *flags, "--accept-rule", "rejection")
        self.assertEqual(other.code, 0, other.err)

    def test_chooses_the_width_and_reports_each_change(self):
        flags = ("--draft", "tiny", "--prompt-ids", listed(GOLDEN[1]["prompt_ids"]), "-n", 60, "--json")
        off = generate(*flags, "--speculation", "off").json()
        self.assertEqual((off["speculation"], off["policy"], off["cycles"]), ("off", None, []))
        for args, mode in (((), "auto"), (("--speculation", "auto"), "auto"), (("--speculation", "fixed"), "fixed"),
                           (("--verify-width", 4), "fixed")):
            out = generate(*flags, *args).json()
            self.assertEqual(out["speculation"], mode)
            self.assertEqual(out["output_ids"], off["output_ids"], args)
            if mode == "fixed":
                self.assertIsNone(out["policy"])
                continue
            policy = out["policy"]
            self.assertEqual(policy["plain_cycles"] + policy["speculative_cycles"], len(out["cycles"]))
            widths = [cycle["proposed"] + 1 for cycle in out["cycles"]]
            changes = [i for i in range(len(widths)) if widths[i] != (widths[i - 1] if i else 1)]
            self.assertEqual([c["cycle"] for c in policy["changes"]], changes)
            self.assertEqual([c["to_width"] for c in policy["changes"]], [widths[i] for i in changes])
            self.assertTrue(all(c["reason"] for c in policy["changes"]))
        self.assertIn("speculation auto", generate("--draft", "tiny", "--chat", QUESTION).err)

    def test_reports_the_cache_per_layer(self):
        out = generate("--draft", "tiny", "--chat", QUESTION, "-n", 8, "--kv", "e8-q10", "--boundary", 1, "--draft-kv",
                       "q8_0", "--json").json()
        layers = [layer["channel"] for layer in out["kv"]["target"]["layers"]]
        self.assertEqual(layers, ["bf16"] + ["e8-q10"] * 4 + ["bf16"])
        self.assertLessEqual(out["kv"]["target"]["bits_allocated"], 608)
        self.assertEqual(out["kv"]["draft"]["channel"], "q8_0")
        self.assertGreater(out["timings"]["ttft_ms"], 0)


class Output(unittest.TestCase):
    def test_streams_text_to_stdout_and_notes_to_stderr(self):
        out = generate("--draft", "tiny", "--chat", QUESTION)
        self.assertEqual(out.code, 0)
        self.assertEqual(out.out.strip(), generate("--draft", "tiny", "--chat", QUESTION, "--json").json()["text"].strip())
        self.assertIn("tokens a pass", out.err)

    def test_ids_come_from_files_too(self):
        with tempfile.TemporaryDirectory() as d:
            for name, text in (("a.json", "[4065, 424, 270]\n"), ("b.txt", "4065 424\n270\n")):
                path = os.path.join(d, name)
                with open(path, "w") as f:
                    f.write(text)
                self.assertEqual(generate("--prompt-ids", path, "-n", 1, "--json").json()["prompt_ids"], [4065, 424, 270])

    def test_ends_with_130_after_an_interrupt(self):
        p = subprocess.Popen([BIN, "generate", "--target", "tiny", "--prompt", "1 2 3", "-n", "1000", "--temperature", "2",
                              "--json"], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        time.sleep(0.5)
        p.send_signal(signal.SIGINT)
        out, _ = p.communicate(timeout=60)
        if p.returncode == 0:
            self.skipTest("it was done before the signal came")
        self.assertEqual(p.returncode, 130)
        if out:
            self.assertIn(b'"finish_reason":"cancelled"', out)


class Errors(unittest.TestCase):
    def expect(self, code, words, *args, **more):
        out = run(*args, **more)
        self.assertEqual(out.code, code, (args, out.out[:200], out.err))
        self.assertTrue(out.err.startswith("error: "), out.err)
        self.assertEqual(out.out, "")
        for word in words:
            self.assertIn(word, out.err, args)

    def test_wrong_usage_is_2(self):
        ask = ("generate", "--target", "tiny", "--prompt", "x")
        self.expect(2, ["e9-q1", "e8-qN"], *ask, "--kv", "e9-q1")
        self.expect(2, ["zip"], *ask, "--draft-kv", "zip")
        self.expect(2, ["verify_width is 9", "block_size, which is 8"], *ask, "--draft", "tiny", "--verify-width", 9)
        self.expect(2, ["--draft"], *ask, "--block-size", 8)
        self.expect(2, ["--draft"], *ask, "--speculation", "fixed")
        self.expect(2, ["--speculation", "--verify-width"], *ask, "--draft", "tiny", "--speculation", "auto", "--verify-width", 4)
        self.expect(2, ["--speculation", "sometimes"], *ask, "--speculation", "sometimes")
        self.expect(2, ["temperature"], *ask, "--temperature", "-1")
        self.expect(2, ["2000", "1024"], *ask, "-n", 2000)
        self.expect(2, ["--isa", "mmx", "scalar"], "--isa", "mmx", *ask)
        self.expect(2, ["mmx"], *ask, env={"KAKEYA_ISA": "mmx"})
        self.expect(2, ["4096"], "generate", "--prompt-ids", "1,4096")
        self.expect(2, ["--max-tokens", "0"], *ask, "-n", 0)
        self.expect(2, ["prompt"], "generate", "--target", "tiny")
        self.expect(2, ["prompt"], *ask, "--chat", "y")
        self.expect(2, ["boundary"], *ask, "--boundary", "-1")
        self.expect(2, ["threads"], *ask, "--threads", "-3")
        self.expect(2, ["frobnicate"], "frobnicate")
        self.expect(2, ["--seed", "-1"], *ask, "--seed", "-1")
        self.expect(2, [], *ask, "--no-such-flag")

    def test_failing_work_is_1(self):
        self.expect(1, ["/no/model", "does not exist"], "generate", "--target", "/no/model", "--prompt", "x")
        self.expect(1, ["/no/draft", "does not exist"], "generate", "--draft", "/no/draft", "--prompt", "x")
        self.expect(1, ["/no/ids"], "generate", "--prompt-ids", "/no/ids")

    def test_bad_ids_name_the_place(self):
        with tempfile.TemporaryDirectory() as d:
            path = os.path.join(d, "ids.txt")
            for text, word in (("1, 2, x", "token 2 is 'x'"), ("[1, 99999999999]", "token 1 is '99999999999'"),
                               ("", "no token ids"), ("[1, [2]]", "token 1 is '[2]'"), ("1.5", "1.5")):
                with open(path, "w") as f:
                    f.write(text)
                self.expect(2, [word, path], "generate", "--prompt-ids", path)

    @unittest.skipUnless(os.path.exists("/dev/full"), "no /dev/full here")
    def test_output_that_cannot_be_written_is_1(self):
        ids = ("--prompt-ids", "1,2", "-n", "2")
        for args in (["generate", *ids], ["generate", *ids, "--json"], ["codec", "list"], ["--version"],
                     ["bench", "acceptance", "--dry-run", "--n-samples", "1", "--json", "--out-dir"]):
            with tempfile.TemporaryDirectory() as d, open("/dev/full", "wb") as full:
                args = args + [os.path.join(d, "out")] if args[-1] == "--out-dir" else args
                p = subprocess.run([BIN, *args], stdout=full, stderr=subprocess.PIPE, timeout=60)
                self.assertEqual(p.returncode, 1, (args, p.stderr))
                self.assertIn(b"error: ", p.stderr)


class Help(unittest.TestCase):
    def test_every_command_shows_examples(self):
        top = run("--help")
        self.assertEqual(top.code, 0)
        for name in (["generate"], ["tokenize"], ["detokenize"], ["render"], ["logits"], ["perplexity"], ["codec"],
                     ["codec", "roundtrip"], ["codec", "nearest"], ["codec", "bench"], ["codec", "list"], ["pull"], ["list"], ["rm"]):
            self.assertIn(name[0], top.out)
            out = run(*name, "--help")
            self.assertEqual(out.code, 0)
            self.assertIn("Examples:", out.out)
            self.assertIn("kakeya-llm " + name[0], out.out)

    def test_version_lists_the_cpu_variants_and_each_can_be_forced(self):
        out = run("--version")
        self.assertEqual(out.code, 0)
        self.assertIn("kakeya-llm 0.", out.out)
        names = out.out.split("CPU variants here:")[1].strip(" )\n").split(", ")
        self.assertEqual(names[0], "scalar")
        for name in names:
            self.assertEqual(generate("--prompt", "1 + 1", "-n", 2, "--json", "--isa", name).json()["isa"], name)
        self.assertEqual(generate("--prompt", "1", "-n", 1, "--json", env={"KAKEYA_ISA": "scalar"}).json()["isa"], "scalar")


if __name__ == "__main__":
    unittest.main(verbosity=2)
