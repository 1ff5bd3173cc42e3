"""benchmarks/peers/compare.py: its statistics, its rules for undisturbed samples, and whole runs with programs that
answer prepared numbers. Nothing here needs the peer or the network."""
import contextlib
import io
import json
import os
import pathlib
import statistics
import sys
import tempfile
import unittest
from unittest import mock

from program import repo

sys.path.insert(0, repo("benchmarks", "peers"))
try:
    import numpy  # noqa: F401
except ImportError:
    print("skipped: python3-numpy is not installed")
    sys.exit(0)
import cases
import compare
import measure
import programs
from measure import Sample, Turn

FAKE = str(pathlib.Path(__file__).with_name("fake_stepper.py"))
OURS = {"name": "ours", "step": {"1": 10.0, "8": 16.0, "16": 20.0}, "prompt": 100.0, "rss": 1e9}
PEER = {"name": "peer", "step": {"1": 12.0, "8": 36.0, "16": 60.0}, "prompt": 250.0, "rss": 1.5e9}


def command(spec):
    quoted = json.dumps(spec).replace("'", "")
    return f"{sys.executable} {FAKE} '{quoted}'"


def turn(value, clean=True):
    return Turn([Sample(value, value)], [0] if clean else [])


class Undisturbed(unittest.TestCase):
    def test_a_step_that_got_all_its_cpu_time_counts(self):
        self.assertEqual(Sample(10, 19.8, 0.1, 0, 0.1).disturbances(2, spins=True), [])

    def test_waiting_for_a_core_disturbs_a_step(self):
        self.assertEqual(Sample(10, 20, 0.9, 0, 0).disturbances(2, spins=False), ["waited for a core"])

    def test_missing_cpu_time_disturbs_only_programs_that_spin(self):
        sample = Sample(10, 12, 0.1, 0, 0)
        self.assertEqual(sample.disturbances(2, spins=True), ["less CPU time than threads x wall"])
        self.assertEqual(sample.disturbances(2, spins=False), [])

    def test_the_kernels_share_of_a_second_is_granted_to_long_steps_of_real_time_programs(self):
        long, short = Sample(2000, 3750, 250, 0, 0), Sample(100, 187, 12, 0, 0)
        self.assertEqual(long.disturbances(2, spins=True, realtime=True), [])
        self.assertEqual(len(long.disturbances(2, spins=True)), 2)
        self.assertEqual(len(short.disturbances(2, spins=True, realtime=True)), 2)

    def test_without_the_kernels_numbers_missing_cpu_time_is_all_there_is(self):
        self.assertEqual(Sample(10, 12).disturbances(2, spins=False), ["less CPU time than threads x wall"])

    def test_a_stolen_core_and_a_busy_opponent_disturb(self):
        self.assertEqual(Sample(100, 200, 0, 10, 0).disturbances(2, True, cores=2), ["a core was taken by the host"])
        self.assertEqual(Sample(100, 200, 0, 0, 5).disturbances(2, True, cores=2), ["the other program ran"])


class Statistics(unittest.TestCase):
    def test_the_ratio_is_the_median_of_pairs_and_above_one_in_our_favour(self):
        pairs = [(turn(10), turn(20)), (turn(20), turn(44)), (turn(40), turn(84))]
        found = measure.summarise(pairs, wanted_pairs=3)
        self.assertAlmostEqual(found["ratio"], 2.1)
        self.assertAlmostEqual(found["ratio_of_medians"], 2.2)
        self.assertFalse(found["disturbed"])

    def test_disturbed_pairs_do_not_count(self):
        pairs = [(turn(10), turn(20))] * 3 + [(turn(10), turn(500, clean=False))] * 3
        found = measure.summarise(pairs, wanted_pairs=3)
        self.assertEqual((found["ratio"], found["pairs_used"], found["pairs_clean"]), (2.0, 3, 3))

    def test_with_too_few_undisturbed_pairs_all_are_used_and_it_is_said(self):
        pairs = [(turn(10), turn(20))] + [(turn(10), turn(30, clean=False))] * 4
        found = measure.summarise(pairs, wanted_pairs=3)
        self.assertEqual((found["ratio"], found["pairs_used"], found["disturbed"]), (3.0, 5, True))
        self.assertEqual(found["ratio_of_fastest"], 2.0)

    def test_a_turn_is_worth_the_median_of_its_undisturbed_steps(self):
        samples = [Sample(v, v) for v in (10, 11, 12, 90)]
        self.assertEqual(Turn(samples, [0, 1, 2]).value_ms, 11)
        self.assertEqual(Turn(samples, []).value_ms, 10)

    def test_the_interval_covers_a_known_median_about_as_often_as_it_says(self):
        rng = numpy.random.default_rng(5)
        covered = 0
        for i in range(200):
            low, high = measure.interval(2.0 + rng.normal(0, 0.1, 15), seed=i, draws=500)
            covered += low <= 2.0 <= high
        self.assertGreater(covered, 176)  # 95 % would be 190; the median of few values covers a little less
        self.assertEqual(measure.interval([1.5] * 7), (1.5, 1.5))


class Cases(unittest.TestCase):
    def test_every_wanted_value_belongs_to_a_row(self):
        files = sorted(pathlib.Path(repo("benchmarks", "peers", "wanted")).glob("*.json"))
        self.assertGreaterEqual(len(files), 2)
        summary = {"ours_ms": 10.0, "peer_ms": 20.0, "ratio": 2.0, "ci95": (1.9, 2.1),
                   "ratio_of_fastest": 2.0, "disturbed": False}
        results = {(g.ours, g.peer, c.name): summary for g in cases.groups() for c in g.cases}
        memory = {(g.ours, g.peer, g.memory_depth): ((1, 1), (2, 2)) for g in cases.groups()}
        rows = (cases.timed_rows(results) + cases.cost_rows(results) + cases.long_rows(results) +
                cases.memory_rows(memory))
        for file in files:
            wanted = json.loads(file.read_text(encoding="utf-8"))
            self.assertEqual(set(wanted) - {"note"}, {r.key for r in rows if r.key in wanted}, file)

    def test_steps_of_several_rows_are_counted_in_those_of_their_round(self):
        def summary(ours, peer):
            pairs = [(turn(a), turn(b)) if a else (turn(1, clean=False), turn(b)) for a, b in zip(ours, peer)]
            return measure.summarise(pairs, wanted_pairs=3)
        # The machine is three times slower from the second round on; the fourth is disturbed.
        results = {("x", cases.F16, "decode-64"): summary((10, 30, 30, 30), (20, 60, 60, 60)),
                   ("x", cases.F16, "rows8-64"): summary((15, 45, 45, None), (60, 180, 180, 900))}
        row, = cases.cost_rows(results)
        self.assertEqual((row.case, row.ours, row.peer_value, row.ratio), ("rows8-64/decode-64", 1.5, 3.0, 2.0))
        self.assertFalse(row.disturbed)

    def test_steps_of_a_depth_go_in_rounds_and_prompts_alone(self):
        names = [[c.name for c in together] for together in cases.in_rounds(cases.groups()[0].cases)]
        self.assertEqual(names, [["decode-64", "rows8-64", "rows16-64"], ["prompt-512"]])

    def test_names_choose_cases_and_unknown_ones_are_refused(self):
        self.assertEqual([c.name for g in cases.groups(["decode"]) for c in g.cases][:2],
                         ["decode-64", "decode-16384"])
        self.assertEqual([[c.name for c in g.cases] for g in cases.groups(["rows8-64"])], [["rows8-64"]])
        self.assertEqual([g.cases for g in cases.groups(["memory-64"])], [()])
        with self.assertRaisesRegex(ValueError, "'rows9'"):
            cases.groups(["rows9"])

    def test_the_best_setting_is_the_faster_one(self):
        def summary(peer_ms):
            return {"ours_ms": 10.0, "peer_ms": peer_ms, "ratio": peer_ms / 10, "ci95": (1, 2),
                    "ratio_of_fastest": 1.0, "disturbed": False}
        results = {("e8-q10", cases.F16, "decode-16384"): summary(30.0),
                   ("e8-q10", cases.F16_PLAIN, "decode-16384"): summary(25.0)}
        first, other = cases.long_rows(results)
        self.assertEqual((first.peer, first.ratio, first.key), ("best: f16, FA off", 2.5, "decode-16384 e8-q10 best"))
        self.assertEqual((other.peer, other.ratio, other.key), ("f16, FA on", 3.0, ""))

    def test_a_verdict_names_the_rule(self):
        row = cases.Row("x", "x", "bf16", "f16", "steps", 2.6, 5.0, 1.9)
        self.assertEqual(cases.verdict(row, {"x": {"ratio_at_least": 1.9}}), ("ratio >= 1.9", "reached"))
        self.assertEqual(cases.verdict(row, {"x": {"ours_at_most": 2.5}}), ("ours <= 2.5 steps", "not reached"))
        self.assertEqual(cases.verdict(row, {}), ("", ""))
        row.disturbed = True
        self.assertEqual(cases.verdict(row, {"x": {"ratio_at_least": 1.9}})[1], "not decided: disturbed")


class WholeRuns(unittest.TestCase):
    def setUp(self):
        # What the kernel says about the machine that tests run on must not decide which prepared numbers count.
        patch = mock.patch.multiple(measure, WAITED_SHARE=1e6, STOLEN_SHARE=1e6, OTHER_SHARE=1e6)
        patch.start()
        self.addCleanup(patch.stop)

    def run_compare(self, ours, peer, *flags):
        with tempfile.TemporaryDirectory() as d:
            with contextlib.redirect_stdout(io.StringIO()) as out, contextlib.redirect_stderr(io.StringIO()) as err:
                code = compare.main(["--model", "fake.gguf", "--ours", command(ours), "--peer", command(peer),
                                     "--threads", "1", "--no-probe", "--out", d, *flags])
            result = json.loads(pathlib.Path(d, "fake.json").read_text(encoding="utf-8"))
            self.assertEqual(pathlib.Path(d, "fake.md").read_text(encoding="utf-8").strip(), out.getvalue().strip())
        return code, result, out.getvalue(), err.getvalue()

    def test_a_quick_run_gives_the_table_of_prepared_numbers(self):
        code, result, text, _ = self.run_compare(OURS, PEER, "--quick", "--pairs", "2")
        self.assertEqual(code, 0)
        rows = {r["case"]: r for r in result["rows"]}
        self.assertAlmostEqual(rows["decode-64"]["ours"], 100.0)  # tokens per second
        self.assertAlmostEqual(rows["decode-64"]["ratio"], 1.2)
        self.assertAlmostEqual(rows["rows16-64"]["ratio"], 3.0)
        self.assertAlmostEqual(rows["prompt-512"]["ours"], 5120.0)
        self.assertAlmostEqual(rows["rows16-64/decode-64"]["ours"], 2.0)
        self.assertAlmostEqual(rows["rows16-64/decode-64"]["peer_value"], 5.0)
        self.assertAlmostEqual(rows["memory-64"]["ratio"], 1.5)
        self.assertAlmostEqual(rows["memory-64 peak"]["ours"], 2.0)
        self.assertEqual(result["limits"]["dram_gbs"], 50.0)
        self.assertIn("| rows16-64 | e8-q10 | f16, FA on | ms | 20.0 | 60.0 | 3.00", text)
        for case in result["measurements"]:
            self.assertEqual(case["ratio"], statistics.median(
                p["peer"]["value_ms"] / p["ours"]["value_ms"] for p in case["pairs"]))

    def test_turns_alternate(self):
        with tempfile.TemporaryDirectory() as d:
            log = os.path.join(d, "log")
            self.run_compare(dict(OURS, log=log), dict(PEER, log=log), "--cases", "rows16-64", "--pairs", "2")
            with open(log, encoding="utf-8") as f:
                sides = [name for name, request in map(json.loads, f) if request["op"] == "step"]
        runs = [sides[0]] + [b for a, b in zip(sides, sides[1:]) if a != b]
        self.assertEqual(runs[:6], ["ours", "peer"] * 3)  # the warm-up, then two pairs

    def test_steps_of_a_spinning_peer_without_its_cpu_time_are_taken_again_up_to_a_limit(self):
        code, result, text, _ = self.run_compare(OURS, dict(PEER, cpu_share=0.5), "--cases", "decode-64",
                                                 "--pairs", "2", "--attempts", "3", "--wanted",
                                                 repo("benchmarks", "peers", "wanted", "8b.json"))
        self.assertEqual(code, 0)
        case, = result["measurements"]
        self.assertEqual((case["pairs_taken"], case["pairs_clean"], case["disturbed"]), (6, 0, True))
        self.assertIn("1.20 *", text)
        self.assertIn("not decided: disturbed", text)

    def test_drift_that_both_share_does_not_reach_the_paired_ratio(self):
        slow = {"drift": 1.05}
        _, result, _, _ = self.run_compare(dict(OURS, **slow), dict(PEER, **slow), "--cases", "decode-64",
                                           "--pairs", "5")
        self.assertAlmostEqual(result["measurements"][0]["ratio"], 1.2)

    def test_a_program_that_is_busy_unasked_is_named(self):
        code, result, _, err = self.run_compare(OURS, dict(PEER, busy=True), "--quick")
        self.assertEqual(code, 1)
        self.assertIn("peer (f16, FA on): ran ", err)
        self.assertIn("without a request", result["failure"])

    def test_errors_and_ends_of_a_program_are_named(self):
        code, result, _, _ = self.run_compare(dict(OURS, error_on="prompt"), PEER, "--cases", "prompt")
        self.assertEqual(code, 1)
        self.assertIn("no such thing", result["failure"])
        _, result, _, _ = self.run_compare(OURS, dict(PEER, exit_on="step"), "--cases", "decode-64")
        self.assertIn("ended with code 7: out of luck", result["failure"])

    def test_what_was_measured_before_a_failure_is_kept(self):
        _, result, _, _ = self.run_compare(dict(OURS, error_on="prompt"), PEER, "--quick", "--pairs", "2")
        self.assertEqual([m["case"] for m in result["measurements"]], ["decode-64", "rows8-64", "rows16-64"])

    def test_long_contexts_start_the_peer_once_per_setting(self):
        with tempfile.TemporaryDirectory() as d:
            log = os.path.join(d, "log")
            code, result, text, _ = self.run_compare(OURS, dict(PEER, log=log), "--cases", "decode-16384",
                                                     "--pairs", "1")
            with open(log, encoding="utf-8") as f:
                quits = sum(json.loads(line)[1]["op"] == "quit" for line in f)
        self.assertEqual((code, quits), (0, 4))  # f16 with and without FA, q8_0, q4_0
        self.assertIn("| decode-16384 | bf16 | best: f16, FA on | tok/s |", text)

    def test_a_silent_program_is_given_up(self):
        with self.assertRaisesRegex(programs.ProgramError, "no answer within 0.2 s"):
            programs.Program("silent", ["sleep", "5"], timeout_s=0.2)


if __name__ == "__main__":
    unittest.main()
