"""kakeya-llm tune: its evidence adds up, its choice follows its rules, and run and chat obey it."""
import json
import math
import os
import statistics
import tempfile
import unittest

from program import TINY, clean_env, run
from serve_client import Server

QUESTION = "Ruth writes 4 letters every day. How many letters does she write in 4 weeks?"
SMALL = ("--n-samples", 4, "-n", 40, "--budget", 4)
# Student's t, 97.5 %, by degrees of freedom: any statistics textbook.
T_975 = {1: 12.706, 2: 4.303, 3: 3.182}


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

    def check_times(self, settings, tie, baseline, course):
        """Intervals and standings from the raw samples, computed here; {name: standing}."""
        per_token = []
        for s in settings:
            ms, tokens = s["samples"]["ms"], s["samples"]["tokens"]
            self.assertEqual((len(ms), len(tokens)), (course["prompts"], course["prompts"]))
            self.assertEqual({len(rounds) for rounds in ms}, {course["rounds"]})
            per_token.append([[t / max(n, 1) for t in rounds] for rounds, n in zip(ms, tokens)])

        def ratio(a, b):
            logs = [statistics.median(math.log(x / y) for x, y in zip(p, q)) for p, q in zip(a, b)]
            reach = T_975[len(logs) - 1] * statistics.stdev(logs) / math.sqrt(len(logs))
            mean = statistics.fmean(logs)
            return [math.exp(mean), math.exp(mean - reach), math.exp(mean + reach)]

        best = min(range(len(settings)), key=lambda i: ratio(per_token[i], per_token[0])[0])
        standings = {}
        for i, s in enumerate(settings):
            close = lambda found, wanted: [self.assertAlmostEqual(found[k], w, places=3) for k, w in zip(("estimate", "low", "high"), wanted)]
            close(s["time_ratio_to_" + baseline], ratio(per_token[i], per_token[0]))
            estimate, low, high = ratio(per_token[i], per_token[best])
            close(s["time"]["ratio_to_best"], (estimate, low, high))
            beaten = any(ratio(per_token[i], other)[1] > 1 + tie for j, other in enumerate(per_token) if j != i)
            wanted = "best" if i == best else "slower" if beaten else "equal" if high <= 1 + tie else "undecided"
            self.assertEqual(s["time"]["standing"], wanted)
            standings[s.get("name") or (s["speculation"], s["verify_width"])] = wanted
        self.assertGreaterEqual(course["rounds"], 1)
        if course["ended"] == "decided":
            self.assertNotIn("undecided", standings.values())
            self.assertGreaterEqual(course["rounds"], 2)
        return standings

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
        times = self.check_times([c for c in good], rules["tie"], "bf16", found["course"]["channels"])
        near = [c for c in good if times[c["name"]] in ("best", "equal")]
        self.assertEqual(found["choice"]["kv"], min(near, key=lambda c: c["bytes_per_token"])["name"])
        modes = found["drafting"]
        self.assertEqual([(m["speculation"], m["verify_width"]) for m in modes],
                         [("off", 0), ("auto", 0), ("fixed", 2), ("fixed", 4), ("fixed", 8)])
        times = self.check_times(modes, rules["tie"], "plain", found["course"]["drafting"])
        first = next(m for m in modes if times[(m["speculation"], m["verify_width"])] != "slower")
        self.assertEqual((found["choice"]["speculation"], found["choice"]["verify_width"]), (first["speculation"], first["verify_width"]))
        self.assertEqual(found["choice"]["draft"], first["speculation"] != "off")
        for m in modes[2:]:
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
        for word in ("with the draft tiny", "expected no draft", "kakeya-llm tune tiny --no-draft", "--no-profile"):
            self.assertIn(word, plain.err)
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
        for flags, words in (((), ["tripwire 3.25", "tokens, KV e8-q10"]), (("--kv", "q8_0"), ["tokens, KV q8_0"]),
                             (("--no-profile",), ["tokens, KV bf16"])):
            server = Server(*flags, env=self.env)
            self.assertEqual(server.stop(), 0)  # its log is complete now
            for word in words:
                self.assertIn(word, server.log)
            self.assertEqual("--no-profile" in server.log, "--no-profile" not in flags)

    def test_the_server_drafts_as_the_profile_says_and_requests_win(self):
        self.tune(*SMALL, "--channels", "bf16", "--widths", 4)
        self.edit(self.profiles()[0], speculation="fixed", verify_width=3)

        def used(server, **fields):
            own = server.chat(QUESTION, max_tokens=12, temperature=0, **fields)["kakeya"]
            return own["speculation"], own["verify_width"]

        server = Server(env=self.env)
        try:
            self.assertEqual(used(server), ("fixed", 3))
            self.assertEqual(used(server, kakeya={"speculation": "off"})[0], "off")
            self.assertEqual(used(server, kakeya={"verify_width": 5})[1], 5)
            self.assertEqual(used(server, kakeya={"speculation": "auto"})[0], "auto")
        finally:
            self.assertEqual(server.stop(), 0)
        self.assertIn("speculation fixed, width 3", server.log)
        for flags, wanted in ((("--speculation", "off"), "off"), (("--no-profile",), "auto")):
            server = Server(*flags, env=self.env)
            try:
                self.assertEqual(used(server)[0], wanted)
            finally:
                self.assertEqual(server.stop(), 0)

    def test_doctor_shows_every_value_and_where_it_comes_from(self):
        self.tune(*SMALL, "--channels", "bf16", "--widths", 4)
        path = self.profiles()[0]
        self.edit(path, kv="e8-q10", speculation="fixed", verify_width=3)
        config = os.path.join(self.place.name, "c.toml")
        with open(config, "w") as f:
            f.write("[serve]\nkv = \"q8_0\"\n")

        def settings(command, **env):
            out = run("doctor", "--quick", "--json", env=dict(self.env, KAKEYA_CONFIG=config, **env))
            check = {c["name"]: c for c in out.json()["checks"]}["settings of " + command]
            return check, {s["name"]: (s["value"], s["source"]) for s in check["detail"].get("settings", [])}

        check, found = settings("run")
        self.assertEqual(found, {"kv": ("e8-q10", "profile"), "draft-kv": ("bf16", "profile"), "speculation": ("fixed", "profile"),
                                 "verify-width": ("3", "profile")})
        self.assertIn(path, check["found"])
        found = settings("serve", KAKEYA_SPECULATION="off")[1]
        self.assertEqual((found["kv"], found["speculation"], found["verify-width"]),
                         (("q8_0", config), ("off", "KAKEYA_SPECULATION"), ("0", "default")))
        self.assertEqual(settings("chat", KAKEYA_NO_PROFILE="true")[1]["kv"], ("bf16", "default"))
        # What it says is what happens.
        out = run("run", "--json", QUESTION, env=dict(self.env, KAKEYA_SPECULATION="off")).json()
        self.assertEqual((out["kv"], out["speculation"]), ("e8-q10", "off"))

        with open(path) as f:
            profile = json.load(f)
        profile["machine"]["cpu"] = "Another CPU"
        with open(path, "w") as f:
            json.dump(profile, f)
        check, found = settings("run")
        self.assertEqual((check["level"], found["kv"]), ("warn", ("bf16", "default")))
        self.assertIn("Another CPU", check["found"])
        self.assertIn("kakeya-llm tune tiny --draft tiny", check["next_step"])

    def test_a_profile_of_another_model_draft_or_machine_is_refused(self):
        out = os.path.join(self.place.name, "p.json")
        self.tune(*SMALL, "--channels", "e8-q10", "--widths", 4, "--out", out)
        with open(out) as f:
            right = json.load(f)
        ask = lambda *args: run("run", "--json", "--profile", out, *args, QUESTION, env=self.env)
        self.assertEqual(ask().json()["profile"]["path"], out)
        self.assertEqual(run("run", "--json", QUESTION, env=self.env).json()["profile"], None)
        for change, words in (({"target": {"fingerprint": "f" * 64}}, ["the model tiny (ffffffffffff)", "expected tiny"]),
                              ({"draft": {"fingerprint": "f" * 64}}, ["the draft tiny (ffffffffffff)"]),
                              ({"machine": {"cores": 4096}}, ["another machine", "4096 cores"]),
                              ({"machine": {"isa": "other"}}, ["another machine", "other"])):
            wrong = json.loads(json.dumps(right))
            for part, fields in change.items():
                wrong[part].update(fields)
            with open(out, "w") as f:
                json.dump(wrong, f)
            refused = ask()
            self.assertEqual(refused.code, 1, refused.err)
            for word in (out, "kakeya-llm tune tiny", *words):
                self.assertIn(word, refused.err)
        with open(out, "w") as f:
            json.dump(right, f)
        plain = ask("--no-draft")
        self.assertEqual(plain.code, 1)
        self.assertIn("expected no draft", plain.err)
        self.assertEqual(ask("--no-profile").code, 2)

    def test_run_and_chat_show_the_band(self):
        self.tune(*SMALL, "--channels", "bf16", "--widths", 4)
        self.edit(self.profiles()[0], speculation="fixed", verify_width=4)
        with open(self.profiles()[0]) as f:
            profile = json.load(f)
        profile["acceptance_band"] = {"mean": 3.5, "low": 3.25, "high": 3.75, "window": 20}
        with open(self.profiles()[0], "w") as f:
            json.dump(profile, f)
        words = "3.50 when it was tuned, 3.25 to 3.75 over 20 requests"
        self.assertIn(words, run("run", "--stats", QUESTION, env=self.env).err)
        self.assertIn(words, run("chat", stdin=QUESTION + "\n/stats\n", env=self.env).out)
        self.assertEqual(run("run", "--json", QUESTION, env=self.env).json()["profile"]["acceptance_band"]["low"], 3.25)

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
        found = self.tune("--budget", 2, "--prompts", path, "-n", 30, "--no-draft", "--channels", "e8-q10", "--out", out, "--json").json()
        self.assertEqual((found["prompts"]["source"], found["prompts"]["n"], found["draft"]), (path, 2, None))
        self.assertEqual((found["choice"]["draft"], found["acceptance_band"]), (False, None))
        self.assertIsNone(found["channels"][1]["drop_pp"])
        self.assertTrue(os.path.exists(out))
        self.assertEqual(self.profiles(), [])
        shown = self.tune("--budget", 2, "--prompts", path, "-n", 30, "--dry-run", "--channels", "bf16", "--widths", 2).out
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
