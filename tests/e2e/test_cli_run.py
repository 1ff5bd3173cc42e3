"""kakeya-llm run: one answer, from an argument or a pipe, with everything that can be said about it."""
import json
import os
import signal
import subprocess
import tempfile
import unittest

from program import BIN, TINY, clean_env, run as run_program

QUESTION = "Ruth writes 4 letters every day. How many letters does she write in 4 weeks?"


class WithHome(unittest.TestCase):
    def setUp(self):
        self.place = tempfile.TemporaryDirectory()
        self.addCleanup(self.place.cleanup)
        self.env = clean_env(self.place.name)

    def ask(self, *args, **more):
        return run_program("run", *args, env=dict(self.env, **more.pop("env", {})), **more)


class Answers(WithHome):
    def test_are_those_of_generate_whatever_drafts(self):
        expected = run_program("generate", "--chat", QUESTION, "--json").json()["text"].strip()
        self.assertIn("112", expected)
        for args in ((QUESTION,), ("tiny", QUESTION), ("--no-draft", QUESTION), ("--speculation", "fixed", QUESTION),
                     ("--verify-width", 3, QUESTION), tuple(QUESTION.split()), (os.path.join(TINY, "target"), QUESTION)):
            out = self.ask(*args)
            self.assertEqual((out.code, out.out.strip()), (0, expected), (args, out.err))

    def test_say_which_draft_was_taken_and_why(self):
        self.assertIn("--no-draft", self.ask(QUESTION).err)
        self.assertEqual(self.ask("--no-draft", QUESTION).err, "")
        found = self.ask("--no-draft", "--json", QUESTION).json()
        self.assertEqual((found["draft"], found["draft_kv"], found["speculation"]), (None, None, "off"))

    def test_take_what_is_piped_in_as_the_text_to_work_on(self):
        whole = self.ask(stdin=QUESTION + "\n", *["--json"]).json()
        self.assertEqual(whole["usage"]["prompt_tokens"], self.ask(QUESTION, "--json").json()["usage"]["prompt_tokens"])
        both = self.ask("Tom", "has", "--json", stdin="3 bags").json()
        joined = self.ask("Tom has\n\n3 bags", "--json").json()
        self.assertEqual(both["usage"]["prompt_tokens"], joined["usage"]["prompt_tokens"])
        self.assertEqual(both["text"], joined["text"])

    def test_json_counts_the_drafts_as_generate_does(self):
        flags = ("--speculation", "fixed", "--draft-kv", "bf16", "--json")
        found = self.ask(QUESTION, *flags).json()
        other = run_program("generate", "--draft", "tiny", "--chat", QUESTION, *flags).json()
        self.assertEqual(found["acceptance"]["lengths"], other["acceptance_lengths"])
        self.assertEqual(found["acceptance"]["acceptance_length"],
                         sum(other["acceptance_lengths"]) / len(other["acceptance_lengths"]))
        ids = [i for i in other["output_ids"] if i not in (4064, 4066)]  # the stop tokens are not shown
        self.assertEqual(found["output_ids"], ids)
        self.assertEqual(len(found["drafted"]), len(found["output_ids"]))
        self.assertGreater(sum(found["drafted"]), 0)
        self.assertLessEqual(sum(found["drafted"]), found["acceptance"]["accepted"])
        self.assertEqual(found["finish_reason"], "stop")

    def test_a_smaller_channel_takes_less_memory(self):
        sizes = [self.ask("--kv", kv, "--no-draft", "--json", QUESTION).json()["kv_bytes"] for kv in ("bf16", "e8-q10")]
        self.assertAlmostEqual(sizes[1] / sizes[0], 608 / 2048, places=3)

    def test_marks_what_came_from_the_draft(self):
        plain = self.ask("--speculation", "fixed", QUESTION).out
        marked = self.ask("--speculation", "fixed", "--show-acceptance", QUESTION).out
        self.assertIn("\u27e8", marked)
        self.assertEqual(marked.replace("\u27e8", "").replace("\u27e9", ""), plain)
        coloured = self.ask("--speculation", "fixed", "--show-acceptance", "--color", "always", QUESTION).out
        self.assertIn("\033[32m", coloured)
        drafted = self.ask("--speculation", "fixed", "--json", QUESTION).json()
        self.assertEqual("".join(part.split("\u27e9")[0] for part in marked.split("\u27e8")[1:]),
                         self.text_of([i for i, d in zip(drafted["output_ids"], drafted["drafted"]) if d]))

    def text_of(self, ids):
        return run_program("detokenize", "--tokenizer", os.path.join(TINY, "target"), stdin=json.dumps(ids) + "\n").out[:-1]

    def test_stats_sampling_system_and_stop(self):
        self.assertRegex(self.ask("--stats", QUESTION).err, r"tokens/s.*acceptance length [1-9].*KV bf16.*kB")
        flags = ("--temperature", 1, "--seed", 7, "--json", QUESTION)
        self.assertEqual(self.ask(*flags).json()["output_ids"], self.ask("--no-draft", *flags).json()["output_ids"])
        self.assertEqual(self.ask(*flags).json()["seed"], 7)
        longer = self.ask("--system", "Be brief.", "--json", QUESTION).json()["usage"]["prompt_tokens"]
        self.assertGreater(longer, self.ask("--json", QUESTION).json()["usage"]["prompt_tokens"])
        stopped = self.ask("--stop", "weeks", "--json", QUESTION).json()
        self.assertEqual(stopped["stop_string"], "weeks")
        self.assertNotIn("weeks", stopped["text"])
        self.assertEqual(self.ask("-n", 3, "--json", QUESTION).json()["usage"]["output_tokens"], 3)

    def test_model_and_flags_come_from_the_configuration_file(self):
        os.makedirs(os.path.join(self.place.name, "config", "kakeya"))
        path = os.path.join(self.place.name, "config", "kakeya", "config.toml")
        with open(path, "w") as f:
            f.write("[run]\nmodel = \"%s\"\nno-draft = true\n" % os.path.join(TINY, "target"))
        found = self.ask("--json", QUESTION).json()
        self.assertEqual((found["target"], found["draft"]), ("target", None))
        self.assertEqual(self.ask("tiny", "--json", QUESTION).json()["target"], "tiny")

    def test_ends_with_130_after_an_interrupt(self):
        p = subprocess.Popen([BIN, "run", "--temperature", "5", "-n", "900", "--speculation", "off", "x"], stdin=subprocess.DEVNULL,
                             stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=dict(os.environ, **self.env))
        p.stdout.read(1)  # the answer has begun
        p.send_signal(signal.SIGINT)
        _, err = p.communicate(timeout=60)
        if p.returncode == 0:
            self.skipTest("it was done before the signal came")
        self.assertEqual(p.returncode, 130)
        self.assertIn(b"interrupted", err)


class KnownDraft(WithHome):
    def test_is_used_once_it_was_pulled(self):
        model = os.path.join(self.place.name, "Qwen3-4B")  # by its name; it is the embedded target
        os.symlink(os.path.join(TINY, "target"), model)
        out = self.ask("--json", model, QUESTION)
        self.assertIsNone(out.json()["draft"])
        self.assertIn("kakeya-llm pull z-lab/Qwen3-4B-DFlash-b16", out.err)
        self.pull_by_hand("z-lab", "Qwen3-4B-DFlash-b16", os.path.join(TINY, "draft"))
        drafted = self.ask("--json", "--speculation", "fixed", model, QUESTION)
        self.assertEqual(drafted.json()["draft"], "Qwen3-4B-DFlash-b16")
        self.assertIn("z-lab/Qwen3-4B-DFlash-b16", drafted.err)
        self.assertEqual(drafted.json()["output_ids"], out.json()["output_ids"])
        self.assertIsNone(self.ask("--json", "--no-draft", model, QUESTION).json()["draft"])

    def pull_by_hand(self, org, repo, source):
        place = os.path.join(self.place.name, "data", "kakeya", "models", org, repo)
        os.makedirs(os.path.join(place, "snap"))
        os.symlink(source, os.path.join(place, "snap", repo))
        files = [{"path": name, "size": os.path.getsize(os.path.join(source, name)), "sha256": "0" * 64}
                 for name in ("config.json", "model.safetensors")]
        with open(os.path.join(place, "manifest.json"), "w") as f:
            json.dump({"format": "kakeya-model-v1", "id": "%s/%s" % (org, repo), "revision": "main", "commit": "0" * 40,
                       "date": "2026-01-01T00:00:00Z", "snapshot": "snap", "files": files}, f)


class Constrained(WithHome):
    def test_answers_keep_a_schema(self):
        path = os.path.join(self.place.name, "s.json")
        with open(path, "w") as f:
            json.dump({"type": "object", "properties": {"answer": {"type": "integer"}}, "required": ["answer"],
                       "additionalProperties": False}, f)
        out = self.ask("--schema", path, "-n", 100, QUESTION)
        self.assertEqual(out.code, 0, out.err)
        self.assertEqual(list(json.loads(out.out)), ["answer"])
        self.assertIsInstance(json.loads(out.out)["answer"], int)
        # The tiny model writes on and on in a string; that it began an object is the constraint's doing.
        found = self.ask("--format", "json", "-n", 40, "--json", QUESTION).json()
        self.assertRegex(found["text"], r'^\{\s*["}]')
        self.assertFalse(self.ask("-n", 40, QUESTION).out.startswith("{"))


class Errors(WithHome):
    def expect(self, code, words, *args, **more):
        out = self.ask(*args, **more)
        self.assertEqual((out.code, out.out), (code, ""), (args, out.err))
        for word in words:
            self.assertIn(word, out.err, args)

    def test_name_the_next_step(self):
        self.expect(2, ["no prompt", "kakeya-llm chat"])
        self.expect(1, ["kakeya-llm pull no/model", "kakeya-llm list"], "no/model", "hello")
        self.expect(1, ["/no/model"], "/no/model", "hello")
        self.expect(2, ["--no-draft"], "--no-draft", "--draft", "tiny", "hello")
        self.expect(2, ["--verify-width", "--draft"], "--no-draft", "--verify-width", 4, "hello")
        self.expect(2, ["--verify-width", "fixed"], "--speculation", "auto", "--verify-width", 4, "hello")
        self.expect(2, ["zip", "codec list"], "--kv", "zip", "hello")
        self.expect(2, ["20 tokens"], "--ctx", 20, QUESTION)
        self.expect(1, ["/no/schema"], "--schema", "/no/schema", "hello")
        self.expect(2, ["--format"], "--format", "xml", "hello")
        self.expect(2, ["--schema"], "--format", "json", "--schema", "x", "hello")
        self.expect(2, ["temperature"], "--temperature", "-1", "hello")


if __name__ == "__main__":
    unittest.main(verbosity=2)
