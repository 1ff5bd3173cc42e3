"""Completions and the manual page: every command and flag that --help shows is in them, and they are well-formed."""
import os
import re
import shutil
import subprocess
import tempfile
import unittest

from program import run

COMMANDS = ["run", "chat", "serve", "generate", "inspect", "doctor", "tune", "pull", "list", "rm", "tokenize", "detokenize", "render",
            "logits", "perplexity", "quantize", "completion", "man", "codec", "codec list", "codec roundtrip", "codec nearest",
            "codec bench", "bench", "bench acceptance", "bench speed"]


def flags_of(command):
    """What --help lists at the beginning of its lines."""
    text = run(*command.split(), "--help").out.split("Examples:")[0]
    found = set()
    for line in text.splitlines():
        match = re.match(r"^ {2,4}(-[\w-]+(?:,-[\w-]+)*)", line)
        if match:
            found.update(match.group(1).split(","))
    return found


def have(tool):
    return unittest.skipUnless(shutil.which(tool), "%s is not installed" % tool)


class Completion(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.scripts = {shell: run("completion", shell).out for shell in ("bash", "zsh", "fish")}
        cls.flags = {command: flags_of(command) for command in [""] + COMMANDS}

    def complete(self, *words):
        """What bash offers for the last word."""
        script = self.scripts["bash"] + '\nCOMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _kakeya_llm; printf "%s\\n" "${COMPREPLY[@]}"\n'
        with tempfile.TemporaryDirectory() as d:
            path = os.path.join(d, "c.bash")
            with open(path, "w") as f:
                f.write(script)
            out = subprocess.run(["bash", "--norc", path, "kakeya-llm", *words], stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=d)
        self.assertEqual(out.stderr, b"")
        return out.stdout.decode().split()

    def test_bash_offers_every_command_and_flag(self):
        top = {c for c in COMMANDS if " " not in c}
        self.assertEqual(set(self.complete("")), top)
        self.assertEqual(set(self.complete("bench", "")), {"acceptance", "speed"})
        for command, flags in self.flags.items():
            self.assertEqual(set(self.complete(*command.split(), "-")), flags, command)
            self.assertTrue("--help" in flags and (len(flags) >= 2 or command in ("man", "bench", "codec list", "codec")), command)
        self.assertEqual(self.complete("run", "--spec"), ["--speculation"])
        self.assertEqual(set(self.complete("run", "--speculation", "")), {"auto", "fixed", "off"})
        self.assertIn("qwen3-8b", self.complete("chat", "qwen3-8"))

    def test_zsh_and_fish_name_every_command_and_flag(self):
        for command, flags in self.flags.items():
            zsh = re.search(r"^  '%s'\) specs=\(\n(.*?)^  \) ;;" % re.escape("/".join(command.split())), self.scripts["zsh"], re.M | re.S).group(1)
            for flag in flags:
                self.assertIn("'*%s[" % flag, zsh, command)
                option = (" -l %s " % flag[2:]) if flag.startswith("--") else (" -s %s " % flag[1:])
                self.assertTrue(any(option in line + " " and all(("__fish_seen_subcommand_from " + w) in line for w in command.split())
                                    for line in self.scripts["fish"].splitlines()), (command, flag))

    @have("zsh")
    def test_zsh_reads_its_script(self):
        out = subprocess.run(["zsh", "-n"], input=self.scripts["zsh"].encode(), stderr=subprocess.PIPE)
        self.assertEqual((out.returncode, out.stderr), (0, b""))

    @have("fish")
    def test_fish_offers_commands_and_flags(self):
        with tempfile.TemporaryDirectory() as d:
            path = os.path.join(d, "kakeya-llm.fish")
            with open(path, "w") as f:
                f.write(self.scripts["fish"])
            def offered(line):
                out = subprocess.run(["fish", "--no-config", "-c", "source %s; complete -C '%s'" % (path, line)],
                                     stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=dict(os.environ, HOME=d), cwd=d)
                self.assertEqual(out.stderr, b"")
                return {l.split("\t")[0] for l in out.stdout.decode().splitlines()}
            self.assertTrue({"run", "chat", "bench"} <= offered("kakeya-llm "))
            self.assertIn("--kv", offered("kakeya-llm run --k"))
            self.assertIn("--protocol", offered("kakeya-llm bench acceptance --proto"))
            self.assertEqual(offered("kakeya-llm run --speculation "), {"auto", "fixed", "off"})

    def test_an_unknown_shell_is_refused(self):
        out = run("completion", "tcsh")
        self.assertEqual((out.code, out.out), (2, ""))


class ManPage(unittest.TestCase):
    def setUp(self):
        self.page = run("man").out

    def test_has_every_command_and_flag(self):
        plain = self.page.replace("\\-", "-")
        for command in COMMANDS:
            section = plain.split(".SS kakeya-llm %s\n" % command)[1].split("\n.S")[0]
            for flag in flags_of(command):
                self.assertIn("\\fB%s\\fR" % flag, section, command)
            if command not in ("bench", "codec"):
                self.assertIn("Examples:", section, command)

    @have("mandoc")
    def test_mandoc_finds_nothing_to_complain_about(self):
        out = subprocess.run(["mandoc", "-Tlint", "-Wwarning"], input=self.page.encode(), stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        complaints = [l for l in out.stdout.decode().splitlines() if "missing date" not in l]  # pages of one commit stay equal
        self.assertEqual(complaints, [])

    @have("man")
    def test_man_shows_it(self):
        with tempfile.NamedTemporaryFile("w", suffix=".1") as f:
            f.write(self.page)
            f.flush()
            out = subprocess.run(["man", "--warnings", "-l", f.name], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                 env=dict(os.environ, MANPAGER="cat", MANWIDTH="120", LC_ALL="C.UTF-8"))
        self.assertEqual((out.returncode, out.stderr), (0, b""))
        text = re.sub("\x1b\\[[0-9;]*m|.\x08", "", out.stdout.decode())
        for word in ("kakeya-llm run", "--show-acceptance", "EXIT STATUS", "KAKEYA_HOME"):
            self.assertIn(word, text)


if __name__ == "__main__":
    unittest.main(verbosity=2)
