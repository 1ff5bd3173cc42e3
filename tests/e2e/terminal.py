"""A program on a pseudo-terminal: what it shows, and what a person types."""
import os
import pty
import re
import select
import subprocess
import time

ESCAPES = re.compile(r"\x1b(\[[0-9;?]*[A-Za-z]|[=>()][0B]?)")


class Terminal:
    def __init__(self, args, env):
        self.master, slave = pty.openpty()
        self.process = subprocess.Popen(args, stdin=slave, stdout=slave, stderr=slave, start_new_session=True,
                                        env=dict(os.environ, TERM="xterm", **env), preexec_fn=self._take_terminal)
        os.close(slave)
        self.shown = ""
        self.raw = ""

    @staticmethod
    def _take_terminal():
        import fcntl
        import termios
        fcntl.ioctl(0, termios.TIOCSCTTY, 0)  # so that Ctrl-C becomes a signal

    def _take(self, wait):
        if not select.select([self.master], [], [], wait)[0]:
            return True
        try:
            data = os.read(self.master, 65536)
        except OSError:  # the other end closed
            return False
        self.raw += data.decode("utf-8", "replace")
        self.shown = ESCAPES.sub("", self.raw).replace("\r", "")
        return bool(data)

    def expect(self, text, after=0, timeout=60):
        """Waits until `text` is shown beyond position `after`; the position behind it."""
        end = time.time() + timeout
        while time.time() < end:
            at = self.shown.find(text, after)
            if at >= 0:
                return at + len(text)
            if not self._take(0.2):
                break
        raise AssertionError("not shown: %r after %d in %r" % (text, after, self.shown))

    def type(self, text):
        os.write(self.master, text.encode())

    def end(self, timeout=60):
        """The exit code, once the program has ended."""
        end = time.time() + timeout
        while self.process.poll() is None and time.time() < end:
            self._take(0.1)
        code = self.process.poll()
        self.close()
        return code

    def close(self):
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        if self.master >= 0:
            os.close(self.master)
            self.master = -1
