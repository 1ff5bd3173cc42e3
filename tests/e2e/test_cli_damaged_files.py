"""Files that somebody edited, cut or made up: profiles, saved conversations, lines on stdin, pipes where files belong.
Each is refused by name and field, with exit code 1, and never ends or stops the program."""
import json
import os
import shutil
import unittest

from own_folder import OwnFolder
from program import TINY, run

DEEP = "[" * 200000
TARGET = os.path.join(TINY, "target")
QUESTION = "Tom has 3 bags of 4 apples. How many apples does Tom have?"


class Files(OwnFolder):
    def refused(self, *args, words, stdin="", code=1):
        out = run(*args, stdin=stdin, env=self.env, timeout=60)
        self.assertEqual(out.code, code, out.out + out.err)
        for word in words:
            self.assertIn(word, out.err)
        return out.err


class Profiles(Files):
    def profile(self):
        path = self.path("profile.json")
        out = run("tune", "--n-samples", 2, "-n", 4, "--budget", 0, "--channels", "e8-q10", "--widths", 4, "--out", path,
                  env=self.env)
        self.assertEqual(out.code, 0, out.err)
        with open(path) as f:
            return json.load(f)

    def test_nesting_is_refused(self):
        path = self.write("deep.json", '{"schema":' + DEEP)
        for command in (("run", "--profile", path, "Hi"), ("serve", "--port", 0, "--profile", path)):
            self.refused(*command, words=("deep.json", "nests deeper than 64 levels at byte 73"))
        report = run("doctor", "--quick", env=dict(self.env, KAKEYA_PROFILE=path))
        self.assertIn(report.code, (0, 1))
        self.assertIn("nests deeper", report.out + report.err)

    def test_values_are_checked_by_file_and_field(self):
        good = self.profile()
        for field, value, words in (("kv", "foo", ("/choice/kv", "'foo'")), ("draft_kv", "bar", ("/choice/draft_kv", "'bar'")),
                                    ("verify_width", -3, ("/choice/verify_width", "-3", "from 0")),
                                    ("verify_width", 2.5, ("/choice/verify_width", "2.5")),
                                    ("verify_width", 50, ("/choice/verify_width", "found 50", "at most 8")),
                                    ("verify_width", 1 << 64, ("/choice/verify_width",))):
            path = self.write("odd.json", dict(good, choice=dict(good["choice"], **{field: value})))
            self.refused("run", "--profile", path, QUESTION, words=("odd.json",) + words)

    def test_the_note_says_what_is_in_effect(self):
        good = self.profile()
        good["choice"].update(kv="bf16", speculation="off", verify_width=0)
        path = self.write("profile.json", good)
        out = run("run", "--profile", path, "--kv", "e8-q4", "-n", 2, QUESTION, env=self.env)
        self.assertEqual(out.code, 0, out.err)
        self.assertIn("note: speculation off by the profile", out.err)
        self.assertNotIn("KV", out.err)
        out = run("run", "--profile", path, "--kv", "e8-q4", "--draft-kv", "bf16", "--speculation", "auto", "-n", 2, QUESTION,
                  env=self.env)
        self.assertNotIn("profile", out.err)


class Conversations(Files):
    def saved(self, **changes):
        settings = {"kv": "bf16", "draft_kv": "bf16", "speculation": "auto", "verify_width": 0, "thinking": False}
        settings.update(changes.pop("settings", {}))
        root = {"schema": "kakeya-chat-v1", "target": "tiny", "draft": "tiny", "system": "", "settings": settings,
                "messages": [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hello"}]}
        root.update(changes)
        return self.write("talk.json", root)

    def test_nesting_is_refused(self):
        path = self.write("deep.json", '{"schema":"kakeya-chat-v1","settings":{"top_k":' + DEEP)
        self.refused("chat", "--load", path, words=("deep.json", "nests deeper than 64 levels"))
        self.refused("chat", stdin="/load " + path + "\n", words=("deep.json", "nests deeper than 64 levels"))

    def test_every_field_is_checked(self):
        path = self.saved()
        self.assertEqual(run("chat", "--load", path, env=self.env).code, 0)
        message = {"role": "assistant", "content": "Hello"}
        for changes, words in (({"system": 7}, ("system", "7")), ({"target": []}, ("target",)),
                               ({"settings": {"verify_width": 500}}, ("settings.verify_width", "500", "from 0 to 8")),
                               ({"settings": {"verify_width": 1 << 64}}, ("settings.verify_width",)),
                               ({"settings": {"speculation": "bogus"}}, ("settings.speculation", "bogus")),
                               ({"settings": {"stop": [1, 2]}}, ("settings.stop[0]", "found 1")),
                               ({"settings": {"stop": [""]}}, ("settings.stop[0]", "not empty")),
                               ({"settings": {"stop": "END"}}, ("settings.stop", "list")),
                               ({"settings": {"thinking": 1}}, ("settings.thinking",)),
                               ({"messages": [dict(message, reasoning_content=5)]}, ("messages[0].reasoning_content", "found 5")),
                               ({"messages": [{"role": "tool", "content": "x"}]}, ("messages[0]",))):
            path = self.saved(**changes)
            self.refused("chat", "--load", path, words=("talk.json",) + words)

    def test_a_pipe_in_the_place_of_the_cache_is_no_cache(self):
        path = self.saved()
        os.mkfifo(path + ".kv")
        out = run("chat", "--load", path, env=self.env, timeout=60)
        self.assertEqual(out.code, 0, out.err)
        self.assertIn("named pipe", out.err)


class Lines(Files):
    def test_nesting_and_unknown_ids_are_refused(self):
        for line, words in (("[" + DEEP, ("line 1", "nests deeper")), ("[99999999]", ("line 1", "entry 0 is 99999999")),
                            ("[1, 2, 2147483647]", ("entry 2",))):
            self.refused("detokenize", "--tokenizer", TARGET, stdin=line + "\n", words=words)
        self.refused("tokenize", "--tokenizer", TARGET, "--jsonl", stdin='{"text":' + DEEP + "\n", words=("nests deeper",))
        every = run("detokenize", "--tokenizer", TARGET, stdin="[0, 1, 2, 300]\n", env=self.env)
        self.assertEqual(every.code, 0, every.err)


class Pipes(Files):
    def test_a_pipe_where_a_file_belongs_is_refused_at_once(self):
        pipe = self.path("pipe")
        os.mkfifo(pipe)
        self.refused("run", "--profile", pipe, "Hi", words=(pipe, "named pipe"))
        self.refused("chat", "--load", pipe, words=(pipe, "named pipe"))
        model = self.path("model")
        shutil.copytree(TARGET, model)
        for name in ("config.json", "model.safetensors"):
            os.unlink(os.path.join(model, name))
            os.mkfifo(os.path.join(model, name))
            self.refused("inspect", model, words=(name, "named pipe"))
            self.refused("run", model, "Hi", words=(name, "named pipe"))
            os.unlink(os.path.join(model, name))
            shutil.copy(os.path.join(TARGET, name), model)


if __name__ == "__main__":
    unittest.main()
