#!/usr/bin/env python3
"""bench acceptance survives kill -9, Ctrl-C and a full disk, and resumes to the same figures."""
import os
import pathlib
import pty
import resource
import signal
import subprocess
import tempfile
import time
import unittest

from bench_support import SOURCE, command, environment, frozen, results, run

DRY = ["--dry-run", "--n-samples", 60, "--max-tokens", 128]
REAL = ["--n-samples", 3, "--max-tokens", 48, "--channels", "bf16,e8-q10", "--datasets", "gsm-mini,py-mini", "--offline"]


class Interrupted(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.base = pathlib.Path(self.folder.name)

    def tearDown(self):
        self.folder.cleanup()

    def kill_in_the_middle(self, out, flags, lines, how):
        """Starts a run and signals it once its journals hold `lines` lines."""
        process = subprocess.Popen(command(out, *flags), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                                   env=environment())
        deadline = time.monotonic() + 120
        while process.poll() is None and time.monotonic() < deadline:
            if sum(p.read_bytes().count(b"\n") for p in out.glob("*.partial.jsonl")) >= lines:
                process.send_signal(how)
                break
            time.sleep(0.001)
        _, errors = process.communicate(timeout=120)
        return process.returncode, errors

    def test_kill_and_resume_give_the_same_bytes_as_no_kill(self):
        self.assertEqual(run(self.base / "whole", *DRY).returncode, 0)
        out = self.base / "killed"
        for lines in (30, 200, 350):  # killed three times on its way
            code, _ = self.kill_in_the_middle(out, DRY + ["--resume"], lines, signal.SIGKILL)
            self.assertEqual(code, -signal.SIGKILL)
            self.assertEqual(list(out.glob("*.json")), [])
        journal = next(p for p in sorted(out.glob("*.partial.jsonl")) if p.read_bytes().count(b"\n") > 3)
        journal.write_bytes(journal.read_bytes()[:-200])  # a torn write
        done = run(out, *DRY, "--resume")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual(frozen(out), frozen(self.base / "whole"))
        self.assertEqual(list(out.glob("*.partial.jsonl")), [])

    def test_finished_run_resumes_to_itself(self):
        out = self.base / "out"
        small = ["--dry-run", "--n-samples", 3, "--max-tokens", 64]
        run(out, *small)
        before = frozen(out)
        done = run(out, *small, "--resume")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual(frozen(out), before)

    def test_resume_refuses_other_parameters_by_name(self):
        out = self.base / "out"
        self.kill_in_the_middle(out, DRY, 30, signal.SIGKILL)
        for flags, named in [(["--max-tokens", 64], "params.max_tokens"), (["--seed", 5], "seed"),
                             (["--block-size", 8], "block_size"), (["--draft-kv", "e8-q38"], "draft_channel"),
                             (["--n-samples", 61], "n_samples")]:
            given = dict(zip(DRY[1::2], DRY[2::2])) | dict([flags])
            done = run(out, "--dry-run", *[part for pair in given.items() for part in pair], "--resume")
            self.assertEqual(done.returncode, 2, flags)
            self.assertIn(named, done.stderr)

    def test_interrupt_keeps_what_is_finished_and_says_how_to_go_on(self):
        out = self.base / "out"
        code, errors = self.kill_in_the_middle(out, DRY, 30, signal.SIGINT)
        self.assertEqual(code, 130)
        self.assertIn("--resume", errors)
        self.assertEqual(run(out, *DRY, "--resume").returncode, 0)
        self.assertEqual(len(results(out)), 8)

    def test_two_runs_do_not_share_a_directory(self):
        out = self.base / "out"
        flags = ["--dry-run", "--n-samples", 4000, "--max-tokens", 128]
        process = subprocess.Popen(command(out, *flags), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                                   env=environment())
        while process.poll() is None and not list(out.glob("*.partial.jsonl")):
            time.sleep(0.01)
        second = run(out, *flags, "--resume")
        process.kill()
        process.wait()
        self.assertEqual(second.returncode, 2)
        self.assertIn("another run", second.stderr)

    def test_full_disk_leaves_no_half_written_result(self):
        small = ["--dry-run", "--n-samples", 3, "--max-tokens", 64]
        self.assertEqual(run(self.base / "whole", *small).returncode, 0)
        limit = int(0.8 * min(p.stat().st_size for p in (self.base / "whole").glob("*.json")))
        out = self.base / "out"
        done = run(out, *small, preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit)))
        self.assertEqual(done.returncode, 1)
        self.assertIn("error: write", done.stderr)
        self.assertIn("--resume", done.stderr)
        self.assertTrue(all(p.name.endswith(".partial.jsonl") for p in out.iterdir()), list(out.iterdir()))
        self.assertEqual(run(out, *small, "--resume").returncode, 0)
        self.assertEqual(frozen(out), frozen(self.base / "whole"))

    def test_disk_that_fills_up_while_records_are_kept_stops_cleanly(self):
        out = self.base / "out"
        done = run(out, *DRY, preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (20000, 20000)))
        self.assertEqual(done.returncode, 1)
        self.assertIn(".partial.jsonl", done.stderr)
        for journal in out.glob("*.partial.jsonl"):
            self.assertTrue(journal.read_bytes().endswith(b"\n"), journal.name)
        self.assertEqual(run(out, *DRY, "--resume").returncode, 0)

    def test_tiny_file_system_that_is_full(self):
        place = self.base / "disk"
        place.mkdir()
        mount = ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(place)]
        if os.geteuid() != 0 or subprocess.run(mount, capture_output=True).returncode != 0:
            self.skipTest("mounting a small tmpfs needs root and the right to mount")
        try:
            done = run(place / "out", "--dry-run", "--n-samples", 3, "--max-tokens", 64)
            self.assertEqual(done.returncode, 1)
            self.assertIn("No space left", done.stderr)
            self.assertEqual(list((place / "out").glob("*.json")), [])
            self.assertEqual(list((place / "out").glob("*.tmp*")), [])
        finally:
            subprocess.run(["umount", str(place)], check=True)

    def test_terminal_gets_bars_with_an_estimate_of_the_time_left(self):
        master, slave = pty.openpty()
        process = subprocess.Popen(command(self.base / "out", *DRY), stdout=subprocess.DEVNULL, stderr=slave,
                                   env=environment())
        os.close(slave)
        text = b""
        while True:
            try:
                piece = os.read(master, 65536)
            except OSError:  # the other side has closed
                break
            if not piece:
                break
            text += piece
        os.close(master)
        self.assertEqual(process.wait(), 0)
        text = text.decode()
        self.assertIn("\x1b[", text)
        self.assertIn("█", text)
        self.assertRegex(text, r"e8-q10 .* 30/60 .*tau +\d+\.\d\d.*ETA \d+:\d\d")


@unittest.skipUnless((SOURCE / "models/tiny/target/model.safetensors").exists(), "models/tiny is not here")
class EmbeddedPair(unittest.TestCase):
    def test_real_run_killed_and_resumed_gives_the_same_bytes(self):
        with tempfile.TemporaryDirectory() as folder:
            whole, killed = pathlib.Path(folder) / "whole", pathlib.Path(folder) / "killed"
            done = run(whole, *REAL)
            self.assertIn(done.returncode, (1, 3), done.stderr)  # three prompts decide nothing
            process = subprocess.Popen(command(killed, *REAL), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                                       env=environment())
            while process.poll() is None and sum(p.read_bytes().count(b"\n") for p in killed.glob("*.partial.jsonl")) < 9:
                time.sleep(0.002)
            process.kill()
            process.wait()
            self.assertEqual(list(killed.glob("*.json")), [])
            run(killed, *REAL, "--resume")
            self.assertEqual(frozen(killed), frozen(whole))
            for name, cell in results(whole).items():
                self.assertEqual([c for c in cell["checks"] if not c["passed"]], [], name)
                self.assertEqual(cell["engine"], "kakeya")


if __name__ == "__main__":
    unittest.main()
