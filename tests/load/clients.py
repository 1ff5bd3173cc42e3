"""What a client does: asks and compares, leaves at a random moment, reads slowly, sends half a request, or a wrong one."""
import json
import random
import socket
import threading
import time

import cases
import wire

MAX_BODY = 256 << 10  # the server's --max-body
# Behaviour and its weight.
BEHAVIOURS = {"whole": 30, "stream": 30, "slow reader": 8, "leaves at once": 5, "leaves in prompt": 5,
              "leaves in stream": 10, "half a request": 4, "wrong request": 12, "large body": 4, "looks": 4}


class Full(Exception):
    """429: worth another try."""


class Tally:
    """Counts, times and violations of all clients."""

    def __init__(self):
        self.lock = threading.Lock()
        self.counts, self.times, self.compared, self.violations, self.broken = {}, {}, {}, [], 0

    def add(self, behaviour, outcome, seconds):
        with self.lock:
            self.counts[(behaviour, outcome)] = self.counts.get((behaviour, outcome), 0) + 1
            if outcome == "ok":
                self.times.setdefault(behaviour, []).append(seconds)

    def same(self, kind):
        with self.lock:
            self.compared[kind] = self.compared.get(kind, 0) + 1

    def least_compared(self, kinds):
        with self.lock:
            return min(sorted(kinds), key=lambda kind: self.compared.get(kind, 0))

    def violation(self, text):
        with self.lock:
            self.broken += 1
            if len(self.violations) < 40:
                self.violations.append(text[:600])


class Client(threading.Thread):
    def __init__(self, number, seed, port, known, tally, until):
        super().__init__(daemon=True)
        self.random = random.Random(f"{seed}/{number}")
        self.number, self.port, self.known, self.tally, self.until = number, port, known, tally, until
        self.link = None  # kept between requests, sometimes

    def run(self):
        names, weights = list(BEHAVIOURS), list(BEHAVIOURS.values())
        self.attempt(names[2 * self.number % len(names)])  # so that a short run, too, tries everything
        self.attempt(names[(2 * self.number + 1) % len(names)])
        while time.monotonic() < self.until:
            self.attempt(self.random.choices(names, weights)[0])
        self.drop()

    def attempt(self, name):
        work = getattr(self, name.replace(" ", "_"))
        while True:
            start = time.monotonic()
            try:
                work()
                self.tally.add(name, "ok", time.monotonic() - start)
                return
            except Full:
                self.tally.add(name, "429", 0)
                self.drop()
                time.sleep(self.random.uniform(0.2, 2))
                if time.monotonic() >= self.until:
                    return
            except (OSError, ValueError, KeyError, TypeError, wire.Gone) as error:
                self.drop()
                self.tally.add(name, "wrong", 0)
                self.tally.violation(f"client {self.number}, {name}: {type(error).__name__}: {error}")
                time.sleep(0.5)
                return

    def drop(self, reset=False):
        if self.link is not None:
            self.link.close(reset)
            self.link = None

    def open(self, small=False):
        """A connection: half of the time the one of the request before."""
        if small or self.random.random() < 0.5:
            self.drop()
        if self.link is None:
            self.link = wire.Link(self.port, small)
        return self.link

    def checked(self, wanted, status, headers, body, what):
        if status == 429:
            if "retry-after" not in headers:
                raise ValueError("429 without retry-after")
            raise Full
        if status != wanted:
            raise ValueError(f"{what}: status {status}, expected {wanted}: {body[:300]!r}")
        if headers.get("connection", "").lower() == "close":
            self.drop()

    def pick(self, streamable=False):
        """A case, with drafts as chance has it: the text may not depend on them."""
        fitting = [k for k in self.known if not streamable or k[0].read_stream]
        if self.random.random() < 0.3:
            least = self.tally.least_compared({case.kind for case, _ in fitting})
            fitting = [k for k in fitting if k[0].kind == least]
        case, answer = self.random.choice(fitting)
        body = dict(case.body)
        if case.path in ("/v1/chat/completions", "/v1/completions"):
            body["kakeya"] = dict(body.get("kakeya", {}), speculation=self.random.choice(["auto", "fixed", "off"]))
        return case, body, answer

    def compare(self, case, found, answer):
        if found != answer:
            raise ValueError(f"{case.name}: differs from the answer alone: {json.dumps(found)[:250]} /// {json.dumps(answer)[:250]}")
        self.tally.same(case.kind)

    def whole(self):
        case, body, answer = self.pick()
        link = self.open()
        link.send("POST", case.path, body)
        status, headers, data = link.response()
        self.checked(200, status, headers, data, case.name)
        self.compare(case, case.read(json.loads(data)), answer)

    def stream(self, link=None):
        case, body, answer = self.pick(streamable=True)
        link = link or self.open()
        link.send("POST", case.path, case.streamed(body))
        status, headers, data = link.response()
        self.checked(200, status, headers, data, case.name)
        self.compare(case, case.read_stream(data), answer)

    def slow_reader(self):
        link = self.open(small=True)
        link.slow = self.random.randint(20, 120)
        try:
            self.stream(link)
        finally:
            self.drop()

    def leave(self, body, moment):
        self.drop()
        link = wire.Link(self.port)
        try:
            link.send("POST", "/v1/chat/completions", body)
            moment(link)
        finally:
            link.close(reset=self.random.random() < 0.5)

    def leaves_at_once(self):
        self.leave(cases.long_body(self.random.random(), 500, self.random.random() < 0.5), lambda link: None)

    def leaves_in_prompt(self):
        words = " ".join(self.random.choice("one two three four five six".split()) for _ in range(600))
        body = dict(cases.long_body("", 200, self.random.random() < 0.5), messages=cases.said(words))
        self.leave(body, lambda link: time.sleep(self.random.uniform(0, 0.15)))

    def leaves_in_stream(self):
        def read_some(link):
            status, headers, *_ = link.head()
            self.checked(200, status, headers, b"", "stream")
            for _, _piece in zip(range(self.random.randint(1, 12)), link.pieces(headers)):
                pass
        self.leave(cases.long_body(self.random.random(), 600, True), read_some)

    def half_a_request(self):
        self.drop()
        data = wire.request_bytes("POST", "/v1/chat/completions", cases.long_body("", 20, False))
        link = wire.Link(self.port)
        try:
            link.sock.sendall(data[:self.random.randint(1, len(data) - 1)])
            if self.random.random() < 0.5:
                time.sleep(self.random.uniform(0, 1))
                return
            link.sock.shutdown(socket.SHUT_WR)
            try:
                status, _, body = link.response()
            except (wire.Gone, ConnectionResetError):
                return
            if status != 400:
                raise ValueError(f"half a request: status {status}, expected 400: {body[:200]!r}")
        finally:
            link.close()

    def wrong_request(self):
        name, method, path, body, headers, wanted = self.random.choice(cases.BAD)
        link = self.open()
        link.send(method, path, body, headers)
        status, answered, data = link.response()
        self.checked(wanted, status, answered, data, name)
        if "message" not in json.loads(data)["error"]:
            raise ValueError(f"{name}: an error without a message: {data[:200]!r}")

    def large_body(self):
        self.drop()
        link = wire.Link(self.port)
        size = MAX_BODY + self.random.choice([1, 70_000, 3 << 20])
        chunked = self.random.random() < 0.5
        fields = {"Content-Length": None, "Transfer-Encoding": "chunked"} if chunked else {"Content-Length": str(size)}
        try:
            link.sock.sendall(wire.request_bytes("POST", "/v1/completions", b"", fields))
            try:
                self.send_large(link, size, chunked)
            except (BrokenPipeError, ConnectionResetError):
                pass  # refused before all was sent; the answer may be lost with it
            try:
                status, _, body = link.response()
            except (wire.Gone, ConnectionResetError):
                return
            if status != 413:
                raise ValueError(f"large body: status {status}, expected 413: {body[:200]!r}")
        finally:
            link.close()

    @staticmethod
    def send_large(link, size, chunked):
        while size > 0:
            piece = b" " * min(size, 32768)
            link.sock.sendall(b"%x\r\n%s\r\n" % (len(piece), piece) if chunked else piece)
            size -= len(piece)
        if chunked:
            link.sock.sendall(b"0\r\n\r\n")

    def looks(self):
        link = self.open()
        for method, path, body in (("GET", "/v1/models", None), ("GET", "/slots", None), ("GET", "/health", None),
                                   ("POST", "/tokenize", {"content": "Tom has 3 bags"})):
            link.send(method, path, body)
            status, headers, data = link.response()
            self.checked(200, status, headers, data, path)
            json.loads(data)
            if self.link is None:
                return
