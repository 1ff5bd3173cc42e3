"""A measured program that answers JSON lines: start, ask, and what the kernel says about its threads."""
import json
import os
import pathlib
import select
import subprocess
import tempfile
import time


class ProgramError(Exception):
    """A program did not start, ended, answered late, or answered with an error."""


class Program:
    """One process. `spins`: its threads never sleep during a step, so missing CPU time means a lost core."""

    def __init__(self, name, command, spins=False, environment=None, timeout_s=600, realtime=False):
        self.name, self.command = name, [str(c) for c in command]
        self.spins, self.timeout_s, self.realtime = spins, timeout_s, realtime
        if realtime:  # first in, first out: ordinary processes get no core while a step runs
            self.command = ["chrt", "--fifo", "1", *self.command]
        self._errors = tempfile.TemporaryFile()
        try:
            self._process = subprocess.Popen(self.command, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                             stderr=self._errors, env=dict(os.environ, **(environment or {})))
        except OSError as error:
            raise ProgramError(f"{name}: {error}") from error
        self._buffer = b""
        try:
            self.ready = self._answer("start", "ready")
            if realtime and os.sched_getscheduler(self._process.pid) != os.SCHED_FIFO:
                raise ProgramError(f"{name}: real-time scheduling was refused")
        except ProgramError:
            self._process.kill()
            self.close()
            raise

    @property
    def threads(self):
        return int(self.ready.get("threads", 1))

    def ask(self, **request):
        try:
            self._process.stdin.write(json.dumps(request).encode() + b"\n")
            self._process.stdin.flush()
        except OSError as error:
            raise ProgramError(f"{self.name}: {request}: {error}: {self._last_words()}") from error
        return self._answer(request, request["op"])

    def _answer(self, request, op):
        line = self._line(request)
        try:
            answer = json.loads(line)
        except ValueError:
            raise ProgramError(f"{self.name}: {request}: found {line[:200]!r}, expected a JSON object") from None
        if not isinstance(answer, dict) or answer.get("op") != op:
            raise ProgramError(f"{self.name}: {request}: found {line[:500].decode(errors='replace').strip()}, "
                               f"expected op {op!r}")
        return answer

    def _line(self, request):
        end = time.monotonic() + self.timeout_s
        while b"\n" not in self._buffer:
            left = end - time.monotonic()
            if left <= 0 or not select.select([self._process.stdout], [], [], left)[0]:
                raise ProgramError(f"{self.name}: {request}: no answer within {self.timeout_s} s")
            piece = os.read(self._process.stdout.fileno(), 1 << 16)
            if not piece:
                code = self._process.wait()
                raise ProgramError(f"{self.name}: {request}: ended with code {code}: {self._last_words()}")
            self._buffer += piece
        line, _, self._buffer = self._buffer.partition(b"\n")
        return line

    def _last_words(self):
        self._errors.seek(0)
        return self._errors.read()[-500:].decode(errors="replace").strip() or "nothing on standard error"

    def scheduler_ms(self):
        """(milliseconds its threads ran, milliseconds they waited for a core), or None without schedstat."""
        ran = waited = 0
        try:
            for task in pathlib.Path(f"/proc/{self._process.pid}/task").iterdir():
                numbers = (task / "schedstat").read_text().split()
                ran, waited = ran + int(numbers[0]), waited + int(numbers[1])
        except (OSError, ValueError, IndexError):
            return None
        return ran / 1e6, waited / 1e6

    def close(self):
        if self._process.poll() is None:
            try:
                self._process.stdin.write(b'{"op":"quit"}\n')
                self._process.stdin.close()
                self._process.wait(10)
            except (OSError, subprocess.TimeoutExpired):
                self._process.kill()
                self._process.wait()
        for stream in (self._process.stdin, self._process.stdout, self._errors):
            try:
                stream.close()
            except OSError:
                pass  # a pipe whose reader has ended

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


def check_idle(programs, seconds=0.5, share=0.03, tries=4):
    """Raises when a program keeps working although nobody asks: it would slow the other one down. Right after its
    start or a request one may still have something to finish, so only the last of the tries counts."""
    for last_try in range(tries - 1, -1, -1):
        before = [p.scheduler_ms() for p in programs]
        time.sleep(seconds)
        after = [p.scheduler_ms() for p in programs]
        ran = [first and last and last[0] - first[0] for first, last in zip(before, after)]
        busy = [(p, ms) for p, ms in zip(programs, ran) if ms and ms > 1e3 * seconds * share]
        if not busy:
            return
        if last_try == 0:
            raise ProgramError(f"{busy[0][0].name}: ran {busy[0][1]:.0f} ms of {1e3 * seconds:.0f} ms "
                               "without a request, expected an idle program")
