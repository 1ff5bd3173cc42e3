#!/usr/bin/env python3
"""The instruction gate fails when it has to: every check gives it a table that was tampered with."""
import os
import subprocess
import tempfile
import unittest

GATE = os.environ["KAKEYA_GATE"]
CASES = "rows/rope"  # a few thousand steps for all variants
SKIPPED = 77


def gate(*arguments):
    done = subprocess.run([GATE, "--filter", CASES, *arguments], capture_output=True, text=True)
    return done.returncode, done.stdout + done.stderr


class InstructionGate(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.table = os.path.join(folder.name, "table.tsv")
        code, text = gate("--update", "--table", self.table)
        if code == SKIPPED:
            self.skipTest(text.strip())
        self.assertEqual(code, 0, text)
        with open(self.table, encoding="utf-8") as f:
            self.lines = f.read().splitlines()
        self.rows = [i for i, line in enumerate(self.lines) if line.startswith(CASES + "\tscalar\t")]
        self.assertEqual(len(self.rows), 1, self.lines)

    def write(self, lines):
        with open(self.table, "w", encoding="utf-8") as f:
            f.write("\n".join(lines) + "\n")

    def scaled(self, factor):
        """The table with the scalar case's entry times `factor`."""
        fields = self.lines[self.rows[0]].split("\t")
        fields[2] = "%.6g" % (float(fields[2]) * factor)
        return [("\t".join(fields) if i == self.rows[0] else line) for i, line in enumerate(self.lines)]

    def check(self, lines, code, *wanted, arguments=()):
        self.write(lines)
        found, text = gate("--table", self.table, *arguments)
        self.assertEqual(found, code, text)
        for part in wanted:
            self.assertIn(part, text)

    def test_the_table_just_written_passes(self):
        self.check(self.lines, 0, " 0 failed, 0 fell; 0 not checked")

    def test_ten_percent_more_than_the_table_fails_and_names_the_case(self):
        self.check(self.scaled(0.9), 1, "FAIL " + CASES + " [scalar]", "+11.1 %", " 1 failed")

    def test_two_percent_more_passes(self):
        self.check(self.scaled(0.98), 0, " 0 failed, 0 fell")

    def test_fewer_instructions_ask_for_a_new_table(self):
        self.check(self.scaled(1.1), 0, "fell " + CASES + " [scalar]", "update the table", " 1 fell")

    def test_a_case_without_an_entry_fails(self):
        self.check(self.lines[:self.rows[0]] + self.lines[self.rows[0] + 1:], 1,
                   "FAIL " + CASES + " [scalar]", "no entry in the table")

    def test_an_entry_without_a_case_fails(self):
        self.check(self.lines + [CASES + "_that_is_gone\tscalar\t1\tvalue"], 1,
                   "FAIL " + CASES + "_that_is_gone [scalar]", "no such case")

    def test_variants_of_other_cpus_are_reported_as_not_checked(self):
        self.check(self.lines + [CASES + "\tneon\t1\tvalue"], 0, "1 not checked on this CPU: no neon (1)")

    def test_another_compiler_skips_unless_forced(self):
        other = [("# compiler: gcc 3.4.6" if line.startswith("# compiler: ") else line) for line in self.lines]
        self.check(other, SKIPPED, "skipped", "gcc 3.4.6")
        self.check(other, 0, "gcc 3.4.6", " 0 failed", arguments=["--force"])

    def test_update_rewrites_what_runs_here_and_keeps_the_rest(self):
        neon = CASES + "\tneon\t1\tvalue"
        self.write(self.scaled(0.5) + [neon])
        self.assertEqual(gate("--update", "--table", self.table)[0], 0)
        with open(self.table, encoding="utf-8") as f:
            self.assertEqual(sorted(f.read().splitlines()), sorted(self.lines + [neon]))

    def test_a_broken_line_is_named(self):
        self.check(self.lines + ["rows/rope\tscalar"], 1, "line %d: found 2 fields" % (len(self.lines) + 1))


if __name__ == "__main__":
    unittest.main()
