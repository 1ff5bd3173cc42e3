"""A running `kakeya-llm serve` on the embedded pair, and a client of the standard library."""
import http.client
import json
import os
import re
import signal
import subprocess
import threading

import program


class Server:
    """Started on a free port; `log` is its stderr so far."""

    def __init__(self, *flags, env=None):
        self.process = subprocess.Popen(
            [program.BIN, "serve", "--target", "tiny", "--draft", "tiny", "--port", "0", "--ctx", "1024", "--threads", "2",
             *flags], stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=dict(os.environ, **(env or {})))
        self.log, self.port = "", None
        self.ready = threading.Event()
        self.reader = threading.Thread(target=self._read, daemon=True)
        self.reader.start()
        if not self.ready.wait(60) or self.port is None:
            self.process.kill()
            raise RuntimeError("not ready: " + self.log)

    def _read(self):
        for line in self.process.stderr:
            self.log += line.decode()
            found = re.search(r"server is listening on http://127\.0\.0\.1:(\d+)", self.log)
            if found and "all slots are idle" in self.log:
                self.port = int(found.group(1))
                self.ready.set()
        self.ready.set()

    def connect(self):
        return http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)

    def request(self, method, path, body=None, headers=None):
        """(status, headers, JSON or text)."""
        connection = self.connect()
        try:
            send(connection, method, path, body, headers)
            response = connection.getresponse()
            return response.status, response.headers, decoded(response.read(), response.headers)
        finally:
            connection.close()

    def post(self, path, body, headers=None):
        return self.request("POST", path, body, headers)

    def chat(self, text, **fields):
        status, _, body = self.post("/v1/chat/completions", dict({"messages": [{"role": "user", "content": text}]}, **fields))
        if status != 200:
            raise AssertionError(body)
        return body

    def events(self, path, body):
        """The data of a stream's events; the last one is "[DONE]"."""
        connection = self.connect()
        try:
            send(connection, "POST", path, dict(body, stream=True))
            response = connection.getresponse()
            assert response.headers["content-type"] == "text/event-stream", response.headers
            text = response.read().decode("ascii")
            return [piece[6:] for piece in text.split("\n\n") if piece.startswith("data: ")]
        finally:
            connection.close()

    def stop(self, by=signal.SIGTERM):
        self.process.send_signal(by)
        code = self.process.wait(60)
        self.reader.join(10)
        self.process.stdout.close()
        self.process.stderr.close()
        return code


def send(connection, method, path, body=None, headers=None):
    data = body if body is None or isinstance(body, (bytes, str)) else json.dumps(body)
    connection.request(method, path, data, dict({"Content-Type": "application/json"} if data is not None else {}, **(headers or {})))


def decoded(data, headers):
    return json.loads(data) if headers.get("content-type", "").startswith("application/json") else data.decode()
