"""kakeya-llm bench speed on the embedded pair: fields in all four formats, and the line protocol."""
import csv
import io
import json
import subprocess
import unittest

from program import BIN, run

SMALL = ("-r", 2, "-p", 40, "-d", "0,64", "--rows", "1,4", "-t", 2, "--probe-mib", 64)

# What readers of llama-bench's JSON look for.
LLAMA_BENCH = ("build_commit build_number cpu_info gpu_info backends model_filename model_type model_size "
               "model_n_params n_batch n_ubatch n_threads type_k type_v n_prompt n_gen n_depth test_time avg_ns "
               "stddev_ns avg_ts stddev_ts").split()
OURS = ("test weights kv_channel draft isa n_rows simulated median_ns min_ns ms_per_pass cpu_ms_per_pass ratio_to_one_row "
        "break_even_tokens bytes_per_pass bandwidth_gbs share_of_bandwidth gops share_of_int8_peak peak_rss_bytes "
        "note").split()


class Formats(unittest.TestCase):
    def test_json_has_every_field_of_every_test(self):
        out = run("bench", "speed", *SMALL, "--kv", "bf16,e8-q10", "-n", 6, "-pg", "16,4", "-o", "json")
        self.assertEqual(out.code, 0, out.err)
        rows = out.json()
        names = ["pp40", "tg6", "pp16+tg4", "rows1", "rows4"]
        names += [n + "@d64" for n in names]
        self.assertEqual([(r["kv_channel"], r["test"]) for r in rows],
                         [(kv, n) for kv in ("bf16", "e8-q10") for n in names])
        for r in rows:
            self.assertEqual([k for k in r][:len(LLAMA_BENCH)], LLAMA_BENCH)
            for key in OURS + ["limits", "samples_ns", "samples_ts", "samples_cpu_ns"]:
                self.assertIn(key, r)
            self.assertEqual([len(r[k]) for k in ("samples_ns", "samples_ts", "samples_cpu_ns")], [2, 2, 2])
            self.assertEqual(r["min_ns"], min(r["samples_ns"]))
            self.assertAlmostEqual(r["avg_ns"], sum(r["samples_ns"]) / 2, delta=1)
            tokens = r["n_prompt"] + r["n_gen"] or r["n_rows"]
            self.assertAlmostEqual(r["samples_ts"][0], tokens * 1e9 / r["samples_ns"][0], places=3)
            self.assertEqual((r["weights"], r["simulated"], r["n_threads"]), ("file", False, 2))
            self.assertGreater(r["limits"]["dram_gbs_min"], 0)
            self.assertGreaterEqual(r["limits"]["dram_gbs_max"], r["limits"]["dram_gbs_min"])
            self.assertAlmostEqual(r["share_of_bandwidth"], r["bandwidth_gbs"] / r["limits"]["dram_gbs"], places=6)
            self.assertGreater(r["peak_rss_bytes"], 1 << 20)
        found = {(r["kv_channel"], r["test"]): r for r in rows}
        self.assertEqual(found["bf16", "rows1"]["ratio_to_one_row"], 1)
        # Six layers of two heads with 128 values: 64 tokens more, in bf16 and in 76 bytes a vector.
        for kv, vector in (("bf16", 256), ("e8-q10", 76)):
            more = found[kv, "rows4@d64"]["bytes_per_pass"] - found[kv, "rows4"]["bytes_per_pass"]
            self.assertEqual(more, 64 * 6 * 2 * 2 * vector)

    def test_the_other_formats_say_the_same(self):
        lines = [json.loads(s) for s in run("bench", "speed", *SMALL, "-n", 0, "-o", "jsonl").out.splitlines()]
        table = list(csv.DictReader(io.StringIO(run("bench", "speed", *SMALL, "-n", 0, "-o", "csv").out)))
        text = run("bench", "speed", *SMALL, "-n", 0).out
        cells = [[c.strip() for c in s.split("|")[1:-1]] for s in text.splitlines() if s.startswith("|")]
        names = ["pp40", "rows1", "rows4", "pp40@d64", "rows1@d64", "rows4@d64"]
        self.assertEqual([r["test"] for r in lines], names)
        self.assertEqual([r["test"] for r in table], names)
        self.assertEqual(cells[0][:5] + cells[0][6:8], ["model", "size", "params", "backend", "threads", "test", "t/s"])
        self.assertEqual([c[6] for c in cells[2:]], names)
        for key in LLAMA_BENCH + OURS + ["limits_dram_gbs", "limits_int8_gops"]:
            self.assertIn(key, table[0])
        self.assertIn("Memory reads", text)
        for word in ("SIMULATED", "RANDOM"):
            self.assertNotIn(word, text + json.dumps(lines) + json.dumps(table))

    def test_a_draft_is_timed_and_its_break_even_told(self):
        args = ("bench", "speed", "--draft", "tiny", "-p", 0, "-n", 0, "--rows", "1,4,8,16", "-r", 2, "-t", 2,
                "--probe-mib", 64)
        rows = {r["test"]: r for r in run(*args, "-o", "json").json()}
        self.assertEqual(list(rows), ["rows1", "rows4", "rows8", "rows16", "draft-propose8", "draft-observe1",
                                      "draft-observe8"])
        draft_ms = rows["draft-propose8"]["ms_per_pass"] + rows["draft-observe8"]["ms_per_pass"]
        for name in ("rows4", "rows8"):
            expected = (rows[name]["ms_per_pass"] + draft_ms) / rows["rows1"]["ms_per_pass"]
            self.assertAlmostEqual(rows[name]["break_even_tokens"], expected, places=6)
        self.assertIsNone(rows["rows1"]["break_even_tokens"])
        self.assertIsNone(rows["rows16"]["break_even_tokens"])  # wider than the block
        self.assertRegex(run(*args).out, r"depth 0: rows 4: \d+\.\d\d, rows 8: \d+\.\d\d\n")

    def test_simulated_rows_are_labelled_in_every_format(self):
        for form in ("md", "csv", "json", "jsonl"):
            out = run("bench", "speed", "--draft", "tiny", "-p", 0, "-n", 24, "--rows", "8", "-r", 1, "-t", 2,
                      "--simulate-acceptance", 3.5, "--probe-mib", 64, "-o", form)
            self.assertEqual(out.code, 0, out.err)
            self.assertIn("SIMULATED-3.5-tg24-rows8", out.out)
            self.assertIn("chance decides which drafts stand", out.out)
            if form == "json":
                row = out.json()[-1]
                self.assertTrue(row["simulated"])
                self.assertGreaterEqual(row["emitted_tokens"], 24)


class Refusals(unittest.TestCase):
    def test_name_what_was_found_and_expected(self):
        for code, words, args in (
                (2, ["-p", "'x'"], ("-p", "1,x")),
                (2, ["--rows", "'4-1'"], ("--rows", "4-1")),
                (2, ["-pg", "'512'"], ("-pg", "512")),
                (2, ["e7-q10"], ("--kv", "e7-q10")),
                (2, ["rows1@d5000", "1024"], ("-p", 0, "-n", 0, "-d", 5000)),
                (2, ["--draft"], ("--simulate-acceptance", 3)),
                (2, ["expected 1 to 8"], ("--simulate-acceptance", 9, "--draft", "tiny")),
                (2, ["-r"], ("-r", 0)),
                (2, ["no-such-model", "qwen3-8b"], ("--random", "no-such-model")),
                (2, ["2 values", "one with --interactive"], ("--interactive", "--kv", "bf16,e8-q10")),
                (2, ["xml"], ("-o", "xml")),
                (1, ["/no/model"], ("-m", "/no/model"))):
            out = run("bench", "speed", *args)
            self.assertEqual((out.code, out.out), (code, ""), (args, out.err))
            self.assertTrue(out.err.startswith("error: "), out.err)
            for word in words:
                self.assertIn(word, out.err)


class LineProtocol(unittest.TestCase):
    def answers(self, *requests, draft=True):
        args = [BIN, "bench", "speed", "--interactive", "-m", "tiny", "--kv", "e8-q10", "-t", "2", "--probe-mib", "64"]
        text = "".join((r if isinstance(r, str) else json.dumps(r)) + "\n" for r in requests)
        p = subprocess.run(args + (["--draft", "tiny"] if draft else []), input=text.encode(), stdout=subprocess.PIPE,
                           stderr=subprocess.PIPE, timeout=120)
        self.assertEqual((p.returncode, p.stderr), (0, b""))
        return [json.loads(line) for line in p.stdout.decode().splitlines()]

    def test_every_request_has_one_answer(self):
        found = self.answers({"op": "step", "rows": 16, "depth": 500, "logits": "all"}, {"op": "step", "rows": 1},
                             {"op": "prompt", "tokens": 40, "depth": 0}, {"op": "draft", "block": 8, "depth": 64},
                             {"op": "observe", "rows": 8, "depth": 64}, {"op": "memory"}, {"op": "limits"},
                             {"op": "quit"}, {"op": "memory"})
        ready = found.pop(0)
        self.assertEqual({k: ready[k] for k in ("op", "model", "kv", "draft", "threads", "weights")},
                         {"op": "ready", "model": "tiny", "kv": "e8-q10", "draft": "tiny", "threads": 2,
                          "weights": "file"})
        self.assertTrue(ready["isa"])
        self.assertEqual([a["op"] for a in found], ["step", "step", "prompt", "draft", "observe", "memory", "limits"])
        for a in found[:5]:
            self.assertGreater(a["wall_ms"], 0)
            self.assertGreater(a["cpu_ms"], 0)
        self.assertGreaterEqual(found[5]["peak_rss_bytes"], found[5]["rss_bytes"])
        self.assertGreater(found[6]["dram_gbs"], 0)
        self.assertIn("int8_gops", found[6])

    def test_a_bad_request_is_answered_and_the_next_one_served(self):
        bad = ["", "x", "[1]", '{"op":1}', {"op": "jump"}, {"op": "step", "rows": -1}, {"op": "step", "rows": 0},
               {"op": "step", "row": 1}, {"op": "step", "logits": "some"}, {"op": "step", "depth": 1025},
               {"op": "prompt"}, {"op": "draft", "block": 8}, {"op": "observe"}]
        found = self.answers(*bad, {"op": "step"}, draft=False)[1:]
        self.assertEqual(len(found), len(bad))  # an empty line is no request
        for a in found[:-1]:
            self.assertEqual(list(a), ["error"])
        self.assertEqual(found[-1]["op"], "step")


if __name__ == "__main__":
    unittest.main(verbosity=2)
