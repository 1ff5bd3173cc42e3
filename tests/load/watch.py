"""The server seen from outside while clients use it: memory, threads, files, counters."""
import os
import re
import statistics
import threading
import time

import wire


def of_process(pid):
    """(RSS in bytes, threads, open files)."""
    with open(f"/proc/{pid}/status", encoding="ascii") as f:
        text = f.read()
    rss = int(re.search(r"VmRSS:\s+(\d+) kB", text).group(1)) * 1024
    threads = int(re.search(r"Threads:\s+(\d+)", text).group(1))
    return rss, threads, len(os.listdir(f"/proc/{pid}/fd"))


def metrics(port):
    """Counters without labels but the model's, by name."""
    status, _, body = wire.ask(port, "GET", "/metrics")
    if status != 200:
        raise ValueError(f"/metrics: status {status}")
    found = re.findall(r"^([a-z_:]+)\{model_name=\"[^\"]*\"\} (\S+)$", body.decode(), re.M)
    return {name.split(":")[-1]: float(value) for name, value in found}


def wait_until(condition, seconds):
    """Seconds until `condition()` held, or None."""
    start = time.monotonic()
    while True:
        if condition():
            return time.monotonic() - start
        if time.monotonic() - start > seconds:
            return None
        time.sleep(0.02)


class Watch(threading.Thread):
    """Samples twice a second; asks /health every five seconds, which must answer within ten (times wire.slow)."""

    def __init__(self, process, port, tally):
        super().__init__(daemon=True)
        self.process, self.port, self.tally = process, port, tally
        self.start_time = time.monotonic()
        self.samples, self.health = [], []  # (seconds, rss), seconds
        self.most_threads = self.most_files = 0
        self.ended = threading.Event()

    def run(self):
        turn = 0
        while not self.ended.wait(0.5):
            if self.process.poll() is not None:
                self.tally.violation(f"the server ended with code {self.process.returncode}")
                return
            rss, threads, files = of_process(self.process.pid)
            self.samples.append((time.monotonic() - self.start_time, rss))
            self.most_threads, self.most_files = max(self.most_threads, threads), max(self.most_files, files)
            turn += 1
            if turn % 10 == 0:
                self.look()

    def look(self):
        start = time.monotonic()
        try:
            status, _, body = wire.ask(self.port, "GET", "/health")
        except (OSError, wire.Gone) as error:
            self.tally.violation(f"/health: {error}")
            return
        took = time.monotonic() - start
        self.health.append(took)
        if status != 200 or took > 10 * wire.slow:
            self.tally.violation(f"/health: status {status} after {took:.1f} s: {body[:200]!r}")

    def median(self, low, high):
        inside = [rss for at, rss in self.samples if low <= at < high]
        return statistics.median(inside) if inside else 0

    def memory(self, minutes):
        """Medians of two windows and what may lie between them: minute 2 and the last one; of a short run, its second
        and last quarters, where caches still fill.

        RSS moves by 5 MiB from minute to minute without a leak: glibc has 16 arenas on two cores, which hold 19 to 29 MiB
        of freed memory. In eight minutes with 64 clients (16 700 requests) the least of a minute that was in use, by
        mallinfo2(), stayed between 27 and 32 MiB, without a slope. A leak of 400 bytes a request would show here."""
        seconds = minutes * 60
        long = minutes >= 4
        windows = ((60, 120), (seconds - 60, seconds)) if long else ((seconds / 4, seconds / 2), (seconds * 3 / 4, seconds))
        medians = [self.median(low, high) for low, high in windows]
        each = [round(self.median(60 * i, 60 * (i + 1)) / 2**20, 1) for i in range(int(minutes))]
        allowed = max(6 << 20, medians[0] * 0.03) if long else 48 << 20
        return {"windows_s": windows, "first_mib": medians[0] / 2**20, "last_mib": medians[1] / 2**20,
                "growth_mib": (medians[1] - medians[0]) / 2**20, "allowed_mib": allowed / 2**20, "minutes_mib": each,
                "ok": medians[0] > 0 and medians[1] - medians[0] <= allowed}
