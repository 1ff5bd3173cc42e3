"""A Hugging Face hub on the loopback address that serves one directory as one repository."""
import hashlib
import http.server
import json
import os
import threading
import time


class FakeHub:
    """`files`: {path in the repository: path on disk}. `bytes_per_s`: 0 = as fast as it goes."""

    def __init__(self, repository, files, commit="0123456789abcdef0123456789abcdef01234567"):
        self.repository, self.files, self.commit = repository, files, commit
        self.bytes_per_s = 0
        self.sent = 0
        self.ranges, self.tokens = [], []
        hub = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def log_message(self, *args):
                pass

            def do_GET(self):
                hub.tokens.append(self.headers.get("Authorization"))
                try:
                    hub.answer(self)
                except (BrokenPipeError, ConnectionResetError):
                    pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.address = "http://127.0.0.1:%d" % self.server.server_address[1]
        self.thread = threading.Thread(target=self.server.serve_forever, daemon=True)
        self.thread.start()

    def close(self):
        self.server.shutdown()
        self.server.server_close()

    def listing(self):
        siblings = []
        for name, path in self.files.items():
            with open(path, "rb") as f:
                data = f.read()
            item = {"rfilename": name, "size": len(data),
                    "blobId": hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest()}
            if name.endswith((".safetensors", ".gguf")):
                item["lfs"] = {"size": len(data), "sha256": hashlib.sha256(data).hexdigest(), "pointerSize": 134}
            siblings.append(item)
        return {"id": self.repository, "sha": self.commit, "siblings": siblings}

    def answer(self, request):
        path = request.path.split("?")[0]
        if path == "/api/models/%s/revision/main" % self.repository:
            return self.send(request, 200, json.dumps(self.listing()).encode())
        prefix = "/%s/resolve/%s/" % (self.repository, self.commit)
        if not path.startswith(prefix) or path[len(prefix):] not in self.files:
            return self.send(request, 404, b'{"error": "Entry not found"}')
        with open(self.files[path[len(prefix):]], "rb") as f:
            data = f.read()
        wanted = request.headers.get("Range")
        if not wanted:
            return self.send(request, 200, data)
        self.ranges.append(wanted)
        begin = int(wanted[len("bytes="):].rstrip("-"))
        self.send(request, 206, data[begin:], "bytes %d-%d/%d" % (begin, len(data) - 1, len(data)))

    def send(self, request, status, body, content_range=None):
        request.send_response(status)
        request.send_header("Content-Length", str(len(body)))
        if content_range:
            request.send_header("Content-Range", content_range)
        request.end_headers()
        step = max(self.bytes_per_s // 20, 1) if self.bytes_per_s else max(len(body), 1)
        for at in range(0, len(body), step):
            request.wfile.write(body[at:at + step])
            self.sent += len(body[at:at + step])
            if self.bytes_per_s:
                time.sleep(0.05)


def files_of(directory):
    return {name: os.path.join(directory, name) for name in sorted(os.listdir(directory))}
