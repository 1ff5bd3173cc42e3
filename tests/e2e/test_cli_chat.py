"""kakeya-llm chat: from a script and on a terminal; conversations on disk."""
import json
import os
import stat
import unittest

from own_folder import OwnFolder
from program import BIN, run
from terminal import Terminal

APPLES = "Tom has 3 bags of 4 apples. How many apples does Tom have?"
PENS = "Mia has 3 pens. She buys 4 pens. How many pens does she have?"


class Chat(OwnFolder):
    def say(self, *lines, args=(), code=0):
        out = run("chat", "--color", "never", *args, stdin="".join(line + "\n" for line in lines), env=self.env)
        self.assertEqual(out.code, code, out.err)
        return out


class Scripted(Chat):
    def test_answers_like_run_and_knows_what_was_said(self):
        one = run("run", APPLES, env=self.env).out
        self.assertEqual(self.say(APPLES).out, one)
        out = self.say(APPLES, PENS, "/stats")
        self.assertTrue(out.out.startswith(one))
        # The second prompt holds the first question and answer; most of it is in the cache.
        cached = int(out.out.split("cached)")[0].split("(")[-1])
        self.assertGreater(cached, 20)

    def test_drafting_and_channels_keep_the_text_of_a_seed(self):
        plain = self.say("/set temperature 1", "/set seed 5", "/draft off", APPLES).out
        for mode in ("on", "auto", "fixed"):
            out = self.say("/set temperature 1", "/set seed 5", "/draft " + mode, APPLES).out
            self.assertEqual(out.split("\n", 1)[1], plain.split("\n", 1)[1])
        self.assertIn("draft tiny: off", plain)

    def test_switching_the_channel_says_what_it_costs(self):
        out = self.say(APPLES, "/kv e8-q10", PENS, "/kv", "/stats").out
        self.assertIn("e8-q10: 608 bits a vector, 1824 bytes a token", out)  # 6 layers x 2 heads x 2 x 608 bits
        self.assertIn("was bf16: 2048 bits a vector, 6144 bytes a token", out)
        self.assertIn("KV e8-q10", out)
        self.assertIn("e8-q99", self.say("/kv e8-q99", APPLES, "/stats").out)  # in no list, and a channel all the same
        out = self.say("/kv zip", code=1)
        self.assertIn("zip", out.err)

    def test_several_lines_make_one_message(self):
        first, second = APPLES.split(". ")
        expected = self.say('"""', first + ".", second + '"""', "/save " + self.path("a.json"))
        self.assertIn("saved 2 messages", expected.out)
        self.say(first + ".\\", second, "/save " + self.path("b.json"))
        for name in ("a.json", "b.json"):
            with open(self.path(name)) as f:
                messages = json.load(f)["messages"]
            self.assertEqual(messages[0]["content"].strip(), first + ".\n" + second, name)
            self.assertEqual(len(messages), 2)

    def test_regen_clear_and_system(self):
        out = self.say(APPLES, "/regen", "/clear", "/regen", "/system Be brief.", "/system none", code=1)
        answer = run("run", APPLES, env=self.env).out
        self.assertTrue(out.out.startswith(answer + answer + "cleared\n"), out.out)
        self.assertIn("no question yet", out.err)
        self.assertIn("system: Be brief.\nsystem: (none)", out.out)

    def test_a_regen_that_fails_takes_nothing_away(self):
        saved = self.path("kept.json")
        out = self.say(APPLES, "/system " + "Be brief. " * 40, "/regen", "/system none", "/save " + saved, args=("--ctx", 100), code=1)
        self.assertIn("stay as they were", out.err)
        with open(saved) as f:
            messages = json.load(f)["messages"]
        self.assertEqual([m["role"] for m in messages], ["user", "assistant"])
        self.assertEqual((messages[0]["content"], messages[1]["content"]), (APPLES, run("run", APPLES, env=self.env).out.strip()))

    def test_settings_are_checked_and_shown(self):
        out = self.say("/set", "/set temperature 0.5", "/set top_k 3", "/set stop END", "/set max_tokens 2", "/set", APPLES,
                       "/set temperature default", "/set")
        self.assertIn('temperature 0.5, top_k 3, max_tokens 2, stop ["END"]', out.out)
        self.assertIn('\ntop_k 3, max_tokens 2, stop ["END"]', out.out)
        for line, word in (("/set temperature hot", "hot"), ("/set temperature -1", "-1"), ("/set frob 1", "temperature"),
                           ("/set seed", "value"), ("/nope", "/help"), ("/think maybe", "maybe"), ("/draft maybe", "maybe"),
                           ("/save", "FILE"), ("/load", "FILE"), ("/load " + self.path("none.json"), "none.json")):
            self.assertIn(word, self.say(line, code=1).err, line)

    def test_a_question_that_does_not_fit_is_taken_back(self):
        out = self.say(APPLES, PENS, "/save " + self.path("a.json"), args=("--ctx", 60), code=1)
        self.assertIn("/clear", out.err)
        self.assertIn("saved 2 messages", out.out)

    def test_every_command_of_help_is_there(self):
        out = self.say("/help").out
        for name in ("help", "kv", "draft", "stats", "save", "load", "system", "clear", "regen", "think", "set", "exit"):
            self.assertIn("/%s " % name, out)
        self.assertEqual(self.say("/exit", APPLES).out, "")


class OnDisk(Chat):
    def test_saving_names_the_channel_of_the_cache_not_of_the_next_answer(self):
        path = self.path("a.json")
        out = self.say(APPLES, "/kv e8-q10", "/save " + path, "/load " + path).out
        self.assertRegex(out, r"tokens of KV cache \(bf16\) in ")
        self.assertIn("/kv bf16 before /load takes the saved cache", out)

    def test_a_saved_conversation_goes_on_from_its_cache(self):
        path = self.path("talk.json")
        whole = self.say(APPLES, PENS, args=("--kv", "e8-q10")).out
        first = self.say(APPLES, "/save " + path, args=("--kv", "e8-q10")).out
        self.assertIn("tokens of KV cache (e8-q10) in " + path + ".kv", first)
        self.assertEqual(stat.S_IMODE(os.stat(path + ".kv").st_mode), 0o600)
        out = self.say("/load " + path, PENS, "/stats", args=("--kv", "e8-q10"))
        self.assertIn("loaded 2 messages, and", out.out)
        answer = whole.split("\n", 2)[2]
        self.assertIn(answer.strip(), out.out)
        cached = int(out.out.split("cached)")[0].split("(")[-1])
        self.assertGreater(cached, 20)
        again = self.say(PENS, args=("--kv", "e8-q10", "--load", path)).out
        self.assertEqual(again.strip(), answer.strip())

    def test_a_cache_of_another_channel_or_damaged_is_computed_again(self):
        path = self.path("talk.json")
        self.say(APPLES, "/save " + path, args=("--kv", "e8-q10"))
        whole = self.say(APPLES, PENS).out.split("\n", 2)[2].strip()
        out = self.say("/load " + path, PENS).out
        self.assertIn("computed again", out)
        self.assertIn("/kv e8-q10 before /load", out)
        self.assertIn(whole, out)
        self.assertIn("tokens of KV cache", self.say("/kv e8-q10", "/load " + path).out)
        without = self.say("/load " + path, args=("--kv", "e8-q10", "--no-draft")).out  # kept with a draft's rows
        self.assertIn("computed again", without)
        with open(path + ".kv", "r+b") as f:
            f.seek(200)
            byte = f.read(1)
            f.seek(200)
            f.write(bytes([byte[0] ^ 1]))
        self.assertIn("computed again", self.say("/load " + path, args=("--kv", "e8-q10")).out)
        os.remove(path + ".kv")
        self.assertIn("computed again", self.say("/load " + path, args=("--kv", "e8-q10")).out)

    def test_files_that_are_no_conversations_are_refused(self):
        path = self.path("x.json")
        good = {"schema": "kakeya-chat-v1", "messages": [], "settings": {}}
        for change, word in (({"schema": "other"}, "kakeya-chat-v1"), ({"messages": {}}, "messages"),
                             ({"messages": [{"role": "robot", "content": "x"}]}, "messages[0]"),
                             ({"messages": [{"role": "user"}]}, "messages[0]"), ({"settings": {"temperature": "hot"}}, "temperature"),
                             ({"settings": {"speculation": "maybe"}}, "maybe"), ({"settings": {"thinking": 1}}, "thinking")):
            with open(path, "w") as f:
                json.dump(dict(good, **change), f)
            out = self.say("/load " + path, code=1)
            self.assertIn(word, out.err)
        with open(path, "w") as f:
            f.write("[1, 2")
        self.assertIn(path, self.say("/load " + path, code=1).err)


class OnATerminal(Chat):
    def start(self, *args):
        terminal = Terminal([BIN, "chat", *args], self.env)
        self.addCleanup(terminal.close)
        terminal.expect(">>> ")
        return terminal

    def test_ctrl_c_stops_the_answer_and_not_the_program(self):
        t = self.start("--temperature", "5", "--draft", "tiny", "--max-tokens", "900")
        t.type("/draft off\n")
        at = t.expect("draft tiny: off")
        at = t.expect(">>> ", at)
        t.type("go\n")
        at = t.expect("go\n", at)
        while len(t.shown) < at + 20:  # some of the answer
            t._take(0.1)
        t.type("\x03")
        at = t.expect(">>> ", t.expect("[stopped", at))
        t.type("half a line\x03")
        at = t.expect("^C", at)
        at = t.expect(">>> ", at)
        t.type("/set\n")
        t.expect(">>> ", t.expect("temperature 5", at))
        t.type("\x04")
        self.assertEqual(t.end(), 0)

    def test_lines_can_be_edited_and_come_back_from_the_history(self):
        t = self.start()
        t.type("/systemX\x7f Be brieg\x7ff.\n")
        t.expect(">>> ", t.expect("system: Be brief.\n"))
        t.type("/exit\n")
        self.assertEqual(t.end(), 0)
        history = self.path("state", "kakeya", "history")
        self.assertEqual(stat.S_IMODE(os.stat(history).st_mode), 0o600)
        t = self.start()
        t.type("\x1b[A\x1b[A\n")  # up twice: the line before /exit
        t.expect(">>> ", t.expect("system: Be brief.\n"))
        t.type("\x04")
        self.assertEqual(t.end(), 0)

    def test_characters_of_several_bytes_arrive_whole(self):
        t = self.start()
        t.type("/system Größe 数\n")
        t.expect(">>> ", t.expect("system: Größe 数\n"))
        t.type("\x04")
        self.assertEqual(t.end(), 0)

    def test_drafted_tokens_are_green_on_a_terminal(self):
        self.env.pop("NO_COLOR")
        t = self.start("--show-acceptance", "--speculation", "fixed")
        t.type(APPLES + "\n")
        t.expect(">>> ", t.expect("####"))
        self.assertIn("\x1b[32m", t.raw)
        t.type("\x04")
        self.assertEqual(t.end(), 0)


if __name__ == "__main__":
    unittest.main(verbosity=2)
