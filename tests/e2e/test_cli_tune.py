"""kakeya-llm tune: its evidence adds up, its choice follows its rules, and run and chat obey it."""
import json
import os
import tempfile
import unittest

from program import TINY, clean_env, run
from serve_client import Server

QUESTION = "Ruth writes 4 letters every day. How many letters does she write in 4 weeks?"
SMALL = ("--n-samples", 4, "-n", 40)


class Tune(unittest.TestCase):
    def setUp(self):
        self.place = tempfile.TemporaryDirectory()
        self.addCleanup(self.place.cleanup)
        self.env = clean_env(self.place.name)

    def tune(self, *args, code=0):
        out = run("tune", *args, env=self.env)
        self.assertEqual(out.code, code, out.err)
        return out

    def profiles(self):
        place = os.path.join(self.place.name, "config", "kakeya", "profiles")
        return [os.path.join(place, name) for name in os.listdir(place)] if os.path.isdir(place) else []

    def edit(self, path, **choice):
        with open(path) as f:
            profile = json.load(f)
        profile["choice"].update(choice)
        with open(path, "w") as f:
            json.dump(profile, f)

    def test_the_choice_follows_the_rules_written_beside_it(self):
        found = self.tune(*SMALL, "--json").json()
        with open(self.profiles()[0]) as f:
            self.assertEqual(json.load(f), found)
        rules, channels = found["rules"], found["channels"]
        self.assertEqual([c["name"] for c in channels], ["bf16", "e8-q38", "e8-q10", "e8-q4"])
        self.assertTrue(channels[0]["qualifies"])
        self.assertEqual((channels[0]["drop_pp"]["estimate"], channels[0]["top1_agreement"]["estimate"]), (0, 1))
        for c in channels[1:]:
            right = c["drop_pp"]["high"] <= rules["margin_pp"] and c["top1_agreement"]["low"] >= rules["min_top1"]
            self.assertEqual(c["qualifies"], right)
            self.assertEqual(c["reason"] is None, right)
            self.assertAlmostEqual(100 * (channels[0]["acceptance_rate"] - c["acceptance_rate"]), c["drop_pp"]["estimate"])
            self.assertEqual(c["bytes_per_token"], 6144 * c["bits_allocated"] / 2048)
        good = [c for c in channels if c["qualifies"]]
        fastest = min(c["time_ratio_to_bf16"] for c in good)
        near = [c for c in good if c["time_ratio_to_bf16"] <= fastest * (1 + rules["tie"])]
        self.assertEqual(found["choice"]["kv"], min(near, key=lambda c: c["bytes_per_token"])["name"])
        modes = found["drafting"]
        self.assertEqual([(m["speculation"], m["verify_width"]) for m in modes],
                         [("auto", 0), ("fixed", 2), ("fixed", 4), ("fixed", 8), ("off", 0)])
        fastest = min(m["time_ratio_to_plain"] for m in modes)
        first = next(m for m in modes if m["time_ratio_to_plain"] <= fastest * (1 + rules["tie"]))
        self.assertEqual((found["choice"]["speculation"], found["choice"]["verify_width"]), (first["speculation"], first["verify_width"]))
        self.assertEqual(found["choice"]["draft"], first["speculation"] != "off")
        for m in modes[1:4]:
            self.assertTrue(1 <= m["acceptance_length"] <= m["verify_width"])
        self.assertEqual((found["prompts"]["n"], found["schema"]), (4, "kakeya-profile-v1"))
        for key in ("cpu", "isa", "threads", "load_average"):
            self.assertIn(key, found["machine"])
        if found["acceptance_band"]:
            band = found["acceptance_band"]
            self.assertTrue(1 <= band["low"] <= band["mean"] <= band["high"])

    def test_run_and_chat_obey_unless_told_otherwise(self):
        self.tune(*SMALL, "--channels", "e8-q10", "--widths", 4)
        self.edit(self.profiles()[0], kv="q8_0", speculation="fixed", verify_width=3)
        ask = lambda *args: run("run", "--json", *args, QUESTION, env=self.env)
        out = ask()
        self.assertEqual((out.json()["kv"], out.json()["speculation"]), ("q8_0", "fixed"))
        self.assertIn("--no-profile", out.err)
        self.assertEqual(ask("--no-profile").json()["kv"], "bf16")
        self.assertEqual((ask("--kv", "e8-q4").json()["kv"], ask("--speculation", "off").json()["speculation"]), ("e8-q4", "off"))
        plain = ask("--no-draft")  # another pair than the one measured
        self.assertEqual(plain.json()["kv"], "bf16")
        self.assertIn("another draft", plain.err)
        chat = run("chat", stdin=QUESTION + "\n/stats\n", env=self.env)
        self.assertIn("KV q8_0", chat.out)
        other = run("run", "--json", os.path.join(TINY, "target"), QUESTION, env=self.env)  # another name
        self.assertEqual(other.json()["kv"], "bf16")

    def test_the_server_takes_channels_and_tripwire(self):
        self.tune(*SMALL, "--channels", "bf16", "--widths", 4)
        self.edit(self.profiles()[0], kv="e8-q10")
        with open(self.profiles()[0]) as f:
            profile = json.load(f)
        profile["acceptance_band"] = {"mean": 4, "low": 3.25, "high": 5, "window": 20}
        with open(self.profiles()[0], "w") as f:
            json.dump(profile, f)
        for flags, words in (((), ["KV e8-q10, tripwire 3.25", "tokens, KV e8-q10"]), (("--kv", "q8_0"), ["tokens, KV q8_0"]),
                             (("--no-profile",), ["tokens, KV bf16"])):
            server = Server(*flags, env=self.env)
            self.assertEqual(server.stop(), 0)  # its log is complete now
            for word in words:
                self.assertIn(word, server.log)
            self.assertEqual("--no-profile" in server.log, "--no-profile" not in flags)

    def test_a_broken_profile_is_an_error_with_a_way_out(self):
        self.tune(*SMALL, "--channels", "bf16", "--widths", 4)
        path = self.profiles()[0]
        self.edit(path, kv=7)
        out = run("run", QUESTION, env=self.env)
        self.assertEqual(out.code, 1)
        for word in (path, "/choice/kv", "--no-profile"):
            self.assertIn(word, out.err)
        self.assertEqual(run("run", "--no-profile", QUESTION, env=self.env).code, 0)

    def test_takes_prompts_of_the_user_and_plain_decoding(self):
        path = os.path.join(self.place.name, "p.txt")
        with open(path, "w") as f:
            f.write(QUESTION + "\n\n" + json.dumps({"prompt": "Tom has 3 bags of 4 apples. How many apples?"}) + "\n")
        out = os.path.join(self.place.name, "out.json")
        found = self.tune("--prompts", path, "-n", 30, "--no-draft", "--channels", "e8-q10", "--out", out, "--json").json()
        self.assertEqual((found["prompts"]["source"], found["prompts"]["n"], found["draft"]), (path, 2, None))
        self.assertEqual((found["choice"]["draft"], found["acceptance_band"]), (False, None))
        self.assertIsNone(found["channels"][1]["drop_pp"])
        self.assertTrue(os.path.exists(out))
        self.assertEqual(self.profiles(), [])
        shown = self.tune("--prompts", path, "-n", 30, "--dry-run", "--channels", "bf16", "--widths", 2).out
        self.assertIn("chosen: KV bf16", shown)
        self.assertEqual(self.profiles(), [])

    def test_errors_name_what_is_wrong(self):
        bad = os.path.join(self.place.name, "bad.jsonl")
        with open(bad, "w") as f:
            f.write("fine\n{\"text\": 1}\n")
        for code, word, args in ((1, "line 2", ["--prompts", bad]), (1, "/no/file", ["--prompts", "/no/file"]), (2, "zip", ["--channels", "zip"]),
                                 (2, "--n-samples", ["--n-samples", 1]), (1, "kakeya-llm pull no/model", ["no/model"]),
                                 (2, "verify_width", ["--widths", 300])):
            self.assertIn(word, self.tune(*SMALL[2:], *args, code=code).err)
        self.assertEqual(self.profiles(), [])


if __name__ == "__main__":
    unittest.main(verbosity=2)
