#!/usr/bin/env python3
"""bench acceptance --dry-run: files, schema, figures recomputed from records, MOCK everywhere, wrong usage."""
import json
import pathlib
import re
import tempfile
import unittest

import jsonschema

from bench_support import SCHEMA, acceptance, drop_pp, results, run

CHANNELS = ["bf16", "e8-q38", "e8-q10", "e8-q4"]


class DryRun(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.TemporaryDirectory()
        cls.out = pathlib.Path(cls.folder.name) / "out"
        cls.done = run(cls.out, "--dry-run", "--n-samples", 3, "--max-tokens", 64)
        cls.cells = results(cls.out)

    @classmethod
    def tearDownClass(cls):
        cls.folder.cleanup()

    def test_writes_exactly_eight_results_and_two_reports(self):
        self.assertEqual(self.done.returncode, 0, self.done.stderr)
        expected = {f"b2_dflash_kakeya_{d}_{c}.json" for d in ("gsm8k", "humaneval") for c in CHANNELS}
        self.assertEqual({p.name for p in self.out.iterdir()}, expected | {"FINDINGS.md", "report.html"})

    def test_results_are_valid_for_an_independent_validator(self):
        schema = json.loads(SCHEMA.read_text())
        jsonschema.Draft202012Validator.check_schema(schema)
        validator = jsonschema.Draft202012Validator(schema)
        for name, cell in self.cells.items():
            self.assertEqual([e.message for e in validator.iter_errors(cell)], [], name)

    def test_schema_refuses_what_it_should(self):
        validator = jsonschema.Draft202012Validator(json.loads(SCHEMA.read_text()))
        good = self.cells["b2_dflash_kakeya_gsm8k_e8-q10.json"]
        for damage in ({"schema": "b2-dflash-kakeya-v2"}, {"records": []}, {"title": "fine"}, {"protocol": "other"}):
            self.assertFalse(validator.is_valid({**good, **damage}), damage)
        for missing in ("metrics", "comparison", "dataset", "params"):
            self.assertFalse(validator.is_valid({k: v for k, v in good.items() if k != missing}), missing)

    def test_every_figure_follows_from_the_records(self):
        for name, cell in self.cells.items():
            dataset, channel = re.fullmatch(r"b2_dflash_kakeya_(\w+?)_(.*)\.json", name).groups()
            for protocol, found in (("free", cell["metrics"]), ("forced", cell["metrics"]["forced"])):
                want, length = acceptance(cell["records"], protocol), found["acceptance_length"]
                for key in ("mean", "pooled", "p50", "p95"):
                    self.assertAlmostEqual(length[key], want[key], 12, f"{name} {protocol} {key}")
                self.assertEqual(length["histogram"], want["histogram"])
                for a, b in zip(length["per_position"], want["per_position"], strict=True):
                    self.assertAlmostEqual(a, b, 12)
                self.assertAlmostEqual(found["acceptance_rate"], want["rate"], 12)
                self.assertAlmostEqual(found["accepted_share"], want["share"], 12)
            base = self.cells[f"b2_dflash_kakeya_{dataset}_bf16.json"]["records"]
            self.assertAlmostEqual(cell["comparison"]["drop_pp"], drop_pp(cell["records"], base, "forced"), 9)
            low, high = cell["comparison"]["ci95"]
            self.assertTrue(low <= cell["comparison"]["drop_pp"] <= high, name)

    def test_follows_the_order_of_the_theory(self):
        for dataset in ("gsm8k", "humaneval"):
            taus = [self.cells[f"b2_dflash_kakeya_{dataset}_{c}.json"]["metrics"]["acceptance_length"]["mean"]
                    for c in CHANNELS]
            self.assertEqual(taus, sorted(taus, reverse=True))
            for tau, theory in zip(taus, (15, 14, 12, 8)):
                self.assertLess(abs(tau - theory), 1.5)

    def test_says_mock_everywhere(self):
        self.assertIn("MOCK", self.done.stdout)
        self.assertIn("MOCK", self.done.stderr)
        findings, report = (self.out / "FINDINGS.md").read_text(), (self.out / "report.html").read_text()
        self.assertTrue(findings.startswith("# MOCK"))
        self.assertRegex(report, r"<title>MOCK")
        self.assertRegex(report, r"<h1>MOCK")
        for cell in self.cells.values():
            self.assertEqual(cell["engine"], "mock")
            self.assertTrue(cell["title"].startswith("MOCK"))
            self.assertEqual(cell["dataset"]["source"], "synthetic")

    def test_report_needs_nothing_from_outside(self):
        report = (self.out / "report.html").read_text()
        for forbidden in ("<script", "http://", "https://", "src=", "@import", "url("):
            self.assertNotIn(forbidden, report)
        self.assertEqual(report.count("<svg"), report.count("</svg>"))
        self.assertGreaterEqual(report.count("<svg"), 10)

    def test_does_not_write_over_an_earlier_run(self):
        before = {p.name: p.read_bytes() for p in self.out.iterdir()}
        again = run(self.out, "--dry-run", "--n-samples", 3, "--max-tokens", 64)
        self.assertEqual(again.returncode, 2)
        self.assertIn("--overwrite", again.stderr)
        self.assertEqual({p.name: p.read_bytes() for p in self.out.iterdir()}, before)


class OtherRuns(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.out = pathlib.Path(self.folder.name) / "out"

    def tearDown(self):
        self.folder.cleanup()

    def test_wrong_usage_is_refused_before_any_work(self):
        for flags, named in [(["--channels", "e9-q3"], "e9-q3"), (["--channels", "bf16,bf16"], "bf16"),
                             (["--datasets", "gsm9k"], "gsm9k"), (["--protocol", "guess"], "guess"),
                             (["--draft-kv", "fp3"], "fp3"), (["--n-samples", "0"], "n-samples"),
                             (["--margin", "e8-q4"], "e8-q4"), (["--margin", "tq4=3"], "tq4"),
                             (["--temperature", "1", "--protocol", "forced"], "temperature"),
                             (["--verify-width", "20", "--block-size", "8"], "verify-width"),
                             (["--verify-width", "300"], "verify-width"),
                             (["--block-size", "513"], "block-size"),
                             (["--boundary", "99"], "boundary"),
                             (["--n-samples", "-1"], "-1"), (["--max-tokens", "-5"], "-5"),
                             (["--resume", "--overwrite"], "--resume"), (["--n-samples", "many"], "many")]:
            done = run(self.out, "--dry-run", *flags)
            self.assertEqual(done.returncode, 2, flags)
            self.assertIn(named, done.stderr)
            self.assertFalse(self.out.exists(), flags)

    def test_each_protocol_alone_is_valid_too(self):
        validator = jsonschema.Draft202012Validator(json.loads(SCHEMA.read_text()))
        for protocol in ("free", "forced"):
            done = run(self.out / protocol, "--dry-run", "--n-samples", 2, "--max-tokens", 48, "--protocol", protocol,
                       "--datasets", "gsm8k")
            self.assertEqual(done.returncode, 0, done.stderr)
            for name, cell in results(self.out / protocol).items():
                self.assertEqual([e.message for e in validator.iter_errors(cell)], [], name)
                self.assertEqual(cell["metrics"]["protocol"], protocol)
                self.assertEqual(cell["comparison"]["protocol"], protocol)
                self.assertEqual(cell["metrics"]["agreement"] is None, protocol == "free")

    def test_json_goes_to_stdout_alone(self):
        done = run(self.out, "--dry-run", "--n-samples", 2, "--max-tokens", 48, "--json", "--channels", "e8-q10")
        summary = json.loads(done.stdout)
        self.assertEqual(summary["engine"], "mock")
        self.assertEqual([c["channel"] for c in summary["channels"]], ["bf16", "e8-q10"])  # the baseline was added
        self.assertIn("bf16 added", done.stderr)

    def test_a_margin_of_the_users_own_is_used_and_recorded(self):
        done = run(self.out, "--dry-run", "--n-samples", 12, "--max-tokens", 64, "--margin", "e8-q4=90", "--datasets", "gsm8k")
        self.assertEqual(done.returncode, 0, done.stderr)
        cell = results(self.out)["b2_dflash_kakeya_gsm8k_e8-q4.json"]
        self.assertEqual(cell["comparison"]["margin_pp"], 90)
        self.assertEqual(cell["comparison"]["verdict"], "non-inferior")

    def test_another_major_version_is_refused_by_name(self):
        self.assertEqual(run(self.out, "--dry-run", "--n-samples", 2, "--max-tokens", 48).returncode, 0)
        path = self.out / "b2_dflash_kakeya_gsm8k_bf16.json"
        path.write_text(path.read_text().replace("b2-dflash-kakeya-v1", "b2-dflash-kakeya-v2"))
        done = run(self.out, "--dry-run", "--n-samples", 2, "--max-tokens", 48, "--resume")
        self.assertEqual(done.returncode, 2)
        self.assertIn("b2-dflash-kakeya-v2", done.stderr)


if __name__ == "__main__":
    unittest.main()
