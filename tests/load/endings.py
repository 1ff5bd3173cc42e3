"""What must hold after the load: everybody leaves, everybody is answered as before, the server closes in time."""
import json
import signal
import threading
import time

import cases
import watch
import wire

LEAVERS = 32


def everybody_leaves(port, slots, tally):
    """Long requests, half of them streams, cut all at once: the models stop within a second."""
    links = []
    for i in range(LEAVERS):
        links.append(wire.Link(port))
        links[-1].send("POST", "/v1/chat/completions", cases.long_body(f"leaver {i}", 900, i % 2 == 0))
    busy = watch.wait_until(lambda: watch.metrics(port)["num_requests_running"] == slots, 20 * wire.slow)
    if busy is None:
        tally.violation("everybody leaves: the slots never filled")
    for link in links:
        link.close()

    def quiet():
        now = watch.metrics(port)
        return now["num_requests_running"] == 0 and now["num_requests_waiting"] == 0
    took = watch.wait_until(quiet, wire.slow)
    if took is None:
        tally.violation(f"everybody leaves: requests still ran or waited {wire.slow} s later")
    made = watch.metrics(port)["generation_tokens_total"]
    time.sleep(1)
    later = watch.metrics(port)["generation_tokens_total"]
    if later != made:
        tally.violation(f"everybody leaves: {later - made:.0f} tokens were made for nobody")
    return {"quiet_after_s": took, "tokens_made_later": later - made}


def nothing_is_left(process, before, tally):
    """Threads and files are again as many as before the clients came; a closing connection may linger a second."""
    def back():
        _, threads, files = watch.of_process(process.pid)
        return threads <= before[1] and files <= before[2]
    took = watch.wait_until(back, 5 * wire.slow)
    now = watch.of_process(process.pid)
    if took is None:
        tally.violation(f"threads, files: {now[1:]} after the load, {before[1:]} before it")
    return {"threads": now[1], "files": now[2]}


class Stream(threading.Thread):
    """Reads a stream to its end, whatever that is."""

    def __init__(self, port, body):
        super().__init__(daemon=True)
        self.link, self.body = wire.Link(port), body
        self.status, self.data, self.whole = None, b"", False
        self.began = threading.Event()

    def run(self):
        try:
            self.link.send("POST", "/v1/chat/completions", self.body)
            self.status, headers = self.link.head()
            for piece in self.link.pieces(headers):
                self.data += piece
                if b'"content":"' in self.data.replace(b'"content":""', b""):
                    self.began.set()
            self.whole = True
        except (OSError, wire.Gone):
            pass
        finally:
            self.link.close()
            self.began.set()


def drain(server, slots, known, grace, tally):
    """SIGTERM with running and waiting streams: the first end whole and as alone, the others are told, code 0."""
    case, answer = next(k for k in known if k[0].name == "chat/long answer")
    running = [Stream(server.port, case.streamed()) for _ in range(slots)]
    for stream in running:
        stream.start()
    for stream in running:
        stream.began.wait(20 * wire.slow)
    waiting = [Stream(server.port, cases.long_body(f"late {i}", 900, True)) for i in range(4)]
    for stream in waiting:
        stream.start()
    watch.wait_until(lambda: watch.metrics(server.port)["num_requests_waiting"] > 0, 2 * wire.slow)
    start = time.monotonic()
    server.process.send_signal(signal.SIGTERM)
    code = server.process.wait(grace + 30 * wire.slow)
    took = time.monotonic() - start
    for stream in running + waiting:
        stream.join(10 * wire.slow)
    if code != 0 or took > grace + 2 * wire.slow:
        tally.violation(f"drain: code {code} after {took:.1f} s, expected 0 within {grace} s")
    for stream in running:
        try:
            found = case.read_stream(stream.data)
        except ValueError as error:
            found = str(error)
        if found != answer:
            tally.violation(f"drain: a running stream ended as {json.dumps(found)[:300]}")
    told = sum(s.status == 503 or (s.whole and (b'"error"' in s.data or b"[DONE]" in s.data)) for s in waiting)
    if told != len(waiting):
        tally.violation(f"drain: {len(waiting) - told} waiting clients were cut off without a word")
    return {"exit_code": code, "took_s": took, "running": len(running), "waiting_told": told}


def no_grace(start_server, slots, tally):
    """--grace 0 with streams that would go on for long: cut at once, code 0."""
    server = start_server("--grace", "0")
    stream = Stream(server.port, dict(cases.long_body("endless", 900, True), n=slots))
    stream.start()
    if watch.wait_until(lambda: watch.metrics(server.port)["num_requests_running"] == slots, 20 * wire.slow) is None:
        tally.violation("no grace: the slots never filled")
    start = time.monotonic()
    server.process.send_signal(signal.SIGTERM)
    code = server.process.wait(60 * wire.slow)
    took = time.monotonic() - start
    stream.join(10 * wire.slow)
    if code != 0 or took > 2 * wire.slow:
        tally.violation(f"no grace: code {code} after {took:.1f} s, expected 0 within {2 * wire.slow} s")
    if stream.data.count(b'"finish_reason":"length"') == slots:
        tally.violation("no grace: every stream ended by itself before it could be cut")
    return {"exit_code": code, "took_s": took}
