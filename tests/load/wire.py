"""HTTP over a plain socket, so that a client can read slowly, send half, or leave at any byte."""
import json
import socket
import struct
import time

KEY = "load-key"
WAIT = 120  # seconds; an answer that takes longer counts as none
slow = 1  # how many times slower than usual the program is (a sanitizer in it): limits of time are so much longer


class Gone(Exception):
    """The server ended the connection before the response was whole."""


class Link:
    """One connection. `small` asks for a receive buffer that a slow reader fills."""

    def __init__(self, port, small=False):
        self.sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        if small:
            self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
        self.sock.settimeout(WAIT * slow)
        self.sock.connect(("127.0.0.1", port))
        self.buffer = b""
        self.slow = 0  # bytes still to be read one by one
        self.pause = 0.05

    def close(self, reset=False):
        if reset:  # RST in place of FIN
            self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.sock.close()

    def send(self, method, path, body=None, headers=None):
        self.sock.sendall(request_bytes(method, path, body, headers))

    def fill(self):
        if self.slow > 0:
            self.slow -= 1
            time.sleep(self.pause)
        piece = self.sock.recv(1 if self.slow > 0 else 65536)
        if not piece:
            raise Gone("connection ended by the server")
        self.buffer += piece

    def line(self):
        while b"\r\n" not in self.buffer:
            self.fill()
        text, self.buffer = self.buffer.split(b"\r\n", 1)
        return text

    def take(self, count):
        while len(self.buffer) < count:
            self.fill()
        piece, self.buffer = self.buffer[:count], self.buffer[count:]
        return piece

    def head(self):
        """(status, headers with names in lower case)."""
        status = int(self.line().split()[1])
        headers = {}
        while True:
            text = self.line().decode("latin-1")
            if not text:
                return status, headers
            name, _, value = text.partition(":")
            headers[name.strip().lower()] = value.strip()

    def pieces(self, headers):
        """The body as it comes."""
        if headers.get("transfer-encoding", "").lower() != "chunked":
            yield self.take(int(headers.get("content-length", "0")))
            return
        while True:
            size = int(self.line(), 16)
            piece = self.take(size + 2)[:-2]
            if size == 0:
                return
            yield piece

    def response(self):
        """(status, headers, body)."""
        status, headers = self.head()
        return status, headers, b"".join(self.pieces(headers))


def request_bytes(method, path, body=None, headers=None):
    """`body`: bytes as they are, anything else as JSON. A header of None is left out."""
    fields = {"Host": "localhost", "Authorization": "Bearer " + KEY}
    data = b""
    if body is not None:
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        fields.update({"Content-Type": "application/json", "Content-Length": str(len(data))})
    fields.update(headers or {})
    lines = [f"{method} {path} HTTP/1.1"] + [f"{k}: {v}" for k, v in fields.items() if v is not None]
    return ("\r\n".join(lines) + "\r\n\r\n").encode() + data


def ask(port, method, path, body=None, headers=None):
    """(status, headers, body) over a connection of its own."""
    link = Link(port)
    try:
        link.send(method, path, body, headers)
        return link.response()
    finally:
        link.close()
