"""Values that flags, files and variables give: what cannot be is refused with exit code 2, where it came from is named,
and what is said to help does help."""
import os
import unittest

from own_folder import OwnFolder
from program import TINY, run
from serve_client import Server

QUESTION = "Tom has 3 bags of 4 apples. How many apples does Tom have?"
HINT = "codec list shows the KV channels"


class Values(OwnFolder):
    def refused(self, *args, words=(), code=2, env=None):
        out = run(*args, env=dict(self.env, **(env or {})), timeout=60)
        self.assertEqual(out.code, code, out.out + out.err)
        for word in words:
            self.assertIn(word, out.err)
        self.assertLess(len(out.err), 1500)
        return out.err


class Numbers(Values):
    def test_what_is_not_finite_is_refused_by_every_command(self):
        for command, flag in ((("serve", "--port", 0), "--temp"), (("serve", "--port", 0), "--tripwire"),
                              (("tune",), "--margin"), (("tune",), "--min-top1"), (("tune",), "--budget"),
                              (("inspect",), "--memory"), (("run", "Hi"), "--temperature"), (("run", "Hi"), "--top-p"),
                              (("generate", "--prompt", "Hi"), "--temperature")):
            for value in ("nan", "inf"):
                self.refused(*command, flag, value, words=(flag, "found '%s'" % value, "expected a"))
        self.refused("run", "Hi", "--temperature", "1e39", words=("--temperature", "1e39", "finite"))

    def test_memory_that_cannot_be_is_refused_in_few_words(self):
        for value in ("-1", "1e11"):
            self.assertLess(len(self.refused("inspect", "--memory", value, words=("--memory", "found '%s'" % value, "from 0"))), 300)
        out = run("inspect", "--memory", "1000000", "--json", env=self.env)
        self.assertEqual(out.json()["memory_bytes"], 1000000 << 30)

    def test_a_context_that_is_too_large_is_named_by_its_flag(self):
        for command in (("run", "Hi"), ("chat",), ("serve", "--port", 0)):
            message = self.refused(*command, "--ctx", 99999999, words=("--ctx", "99999999", "expected at most"))
            self.assertNotIn(HINT, message)
            self.assertNotIn("max_tokens", message)


class Origins(Values):
    def test_files_and_variables_are_named(self):
        path = self.write("config.toml", '# mine\nquiet = true\n\n[run]\nthreads = "many"\ntop-p = nan\n')
        self.refused("--config", path, "run", "Hi", words=(path + ", line", ))
        self.refused("--config", self.write("a.toml", "[run]\nthreads = many\n"), "run", "Hi",
                     words=("a.toml, line 2: threads: found 'many', expected a whole number",))
        self.refused("--config", self.write("b.toml", "\nspeculation = \"never\"\n"), "run", "Hi",
                     words=("b.toml, line 2: speculation", "never", "auto"))
        self.refused("run", "Hi", env={"KAKEYA_THREADS": "many"}, words=("KAKEYA_THREADS: found 'many'", "a whole number"))
        self.refused("run", "Hi", env={"KAKEYA_TOP_P": "nan"}, words=("KAKEYA_TOP_P: found 'nan'", "finite"))
        message = self.refused("run", "Hi", "--threads", "many", env={"KAKEYA_THREADS": "2"}, words=("--threads", "many"))
        self.assertNotIn("KAKEYA_", message)

    def test_a_directory_and_an_open_list_are_no_configuration(self):
        self.refused("--config", self.place.name, "run", "Hi", words=(self.place.name, "not a regular file"))
        for text in ('[run]\nstop = ["a","b"\n', 'stop = ["a",\n  "b"\n\n[serve]\nthreads = 2\n', "stop = [\n"):
            self.refused("--config", self.write("open.toml", text), "run", "Hi", words=("open.toml", "line", "without its end"))
        good = self.write("good.toml", '# [ not a list\n[run]\nstop = ["zz",\n  "b["]\nmax-tokens = 2\n')
        out = run("--config", good, "run", QUESTION, env=self.env)
        self.assertEqual(out.code, 0, out.err)


class NextSteps(Values):
    def test_channels_are_pointed_to_where_a_channel_is_wrong(self):
        prompt = ("--prompt-ids", "1,2,3")
        self.refused("generate", *prompt, "--kv", "zip", words=("zip", HINT))
        self.refused("run", "Hi", "--draft-kv", "zip", words=("zip", HINT))
        self.refused("codec", "bench", "--channel", "zip", words=("zip", HINT))
        for command in (("generate", *prompt, "--boundary", -1), ("serve", "--port", 0, "--boundary", -1),
                        ("inspect", "--tokens", 99999999), ("inspect", "--boundary", -1),
                        ("serve", "--port", 0, "--slots", 0)):
            self.assertNotIn(HINT, self.refused(*command))
        self.assertNotIn(HINT, self.refused("tune", "--prompts", self.path("none.txt"), code=1))

    def test_a_schema_is_named_by_its_file(self):
        path = self.write("bad.json", '{"type": "nothing"}')
        self.refused("run", "--schema", path, QUESTION, words=("--schema " + path,))
        self.refused("run", "--schema", self.write("deep.json", '{"a":' + "[" * 200000), QUESTION, words=("deep.json", "nests deeper"), code=1)

    def test_a_directory_without_a_model_is_no_prompt(self):
        os.mkdir(self.path("empty"))
        self.refused("run", self.path("empty"), "hi", words=("config.json",), code=1)
        here = os.getcwd()
        self.addCleanup(os.chdir, here)
        os.chdir(self.place.name)
        self.refused("run", "empty", "hi", words=("empty has no config.json",), code=1)


class Serving(Values):
    def test_the_model_may_be_the_first_argument(self):
        self.refused("serve", "tiny", "--target", "tiny", "--port", 0, words=("'tiny'", "--target", "expected one"))
        self.refused("serve", self.path("none"), "--port", 0, words=(self.path("none"),), code=1)
        self.refused("serve", "tiny", "--kv", "zip", "--port", 0, env={"KAKEYA_TARGET": "/none"}, words=("zip",))


if __name__ == "__main__":
    unittest.main()
