"""A Hugging Face hub on the loopback address that serves files as one repository, as the real one does:
docs/formats/hub.md says what that is and where it is written down. tests/clients/hub drives it with the real
huggingface_hub."""
import base64
import hashlib
import hmac
import http.server
import json
import os
import threading
import time
import urllib.parse

LARGE = (".safetensors", ".gguf", ".bin")
SECRET = b"signs addresses of the store"


class Listener:
    """Answers of `answer(request)` on a free port."""

    def __init__(self, answer):
        class Handler(http.server.BaseHTTPRequestHandler):
            def log_message(self, *args):
                pass

            def do_GET(self):
                try:
                    answer(self)
                except (BrokenPipeError, ConnectionResetError):
                    pass

            do_HEAD = do_GET

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.port = self.server.server_address[1]
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def close(self):
        self.server.shutdown()
        self.server.server_close()


class FakeHub:
    """`files`: {path in the repository: path on disk}. `bytes_per_s`: 0 = as fast as it goes."""

    def __init__(self, repository, files, commit="0123456789abcdef0123456789abcdef01234567"):
        self.repository, self.files, self.commit = repository, files, commit
        self.revisions = ["main", commit]
        self.bytes_per_s = 0
        self.sent = 0
        self.gated = self.private = self.disabled = False
        self.valid_tokens = None  # None: every token is one; those of members open gated and private repositories
        self.members = set()
        self.limited = []  # seconds to the reset, of the next answers of files
        self.page = 1000   # items of /tree
        self.mirrored = False  # addresses of pages are those of huggingface.co
        self.bad_signatures = 0  # addresses whose signature has run out
        self.other_etag = None
        self.ranges, self.tokens = [], []  # that the hub saw; ranges also at the store
        self.store_tokens, self.paths = [], []
        self.digests = {}
        self.hub, self.store = Listener(self.answer), Listener(self.answer_store)
        self.address = "http://127.0.0.1:%d" % self.hub.port
        self.store_address = "http://localhost:%d" % self.store.port  # another host

    def close(self):
        self.hub.close()
        self.store.close()

    def digest(self, name):
        if name not in self.digests:
            with open(self.files[name], "rb") as f:
                data = f.read()
            self.digests[name] = (len(data), hashlib.sha256(data).hexdigest(),
                                  hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest())
        return self.digests[name]

    def listing(self, blobs):
        siblings = []
        for name in self.files:
            item = {"rfilename": name}
            if blobs:
                size, sha256, oid = self.digest(name)
                item.update(size=size, blobId=oid)
                if name.endswith(LARGE):
                    item["lfs"] = {"size": size, "sha256": sha256, "pointerSize": 134}
            siblings.append(item)
        return {"_id": "65", "id": self.repository, "modelId": self.repository, "private": self.private,
                "gated": "manual" if self.gated else False, "disabled": False, "tags": [], "downloads": 1, "likes": 0,
                "createdAt": "2026-01-01T00:00:00.000Z", "lastModified": "2026-01-01T00:00:00.000Z", "sha": self.commit,
                "siblings": siblings}

    def tree(self):
        folders, items = set(), []
        for name in sorted(self.files):
            for depth in range(1, name.count("/") + 1):
                folder = "/".join(name.split("/")[:depth])
                if folder not in folders:
                    folders.add(folder)
                    items.append({"type": "directory", "oid": "f" * 40, "size": 0, "path": folder})
            size, sha256, oid = self.digest(name)
            item = {"type": "file", "oid": oid, "size": size, "path": name}
            if name.endswith(LARGE):
                item.update(lfs={"oid": sha256, "size": size, "pointerSize": 134}, xetHash=sha256[::-1])
            items.append(item)
        return items

    def refusal(self, token, files):
        """(status, code, message) of a repository that this token may not see; None when it may."""
        if token and self.valid_tokens is not None and token not in self.valid_tokens:
            return 401, None, "Invalid credentials in Authorization header"
        if self.private and token not in self.members:
            return (404, "RepoNotFound", "Repository not found") if token else \
                   (401, "RepoNotFound", "Invalid username or password.")
        if self.disabled:
            return 403, None, "Access to this resource is disabled."
        if files and self.gated and token not in self.members:
            words = "Access to model %s is restricted" % self.repository
            if not token:
                return 401, "GatedRepo", words + ". You must have access to it and be authenticated to access it. Please log in."
            return 403, "GatedRepo", words + " and you are not in the authorized list. Visit %s/%s to ask for access." % (self.address, self.repository)
        return None

    def answer(self, request):
        url = urllib.parse.urlsplit(request.path)
        query = urllib.parse.parse_qs(url.query)
        path = urllib.parse.unquote(url.path)
        authorization = request.headers.get("Authorization")
        self.tokens.append(authorization)
        self.paths.append(request.path)
        token = authorization[len("Bearer "):] if authorization else None
        api, resolve = "/api/models/%s/" % self.repository, "/%s/resolve/" % self.repository
        files = path.startswith((resolve, "/api/resolve-cache/models/%s/" % self.repository))
        known = path.startswith(api) or path == api[:-1] or files
        refused = self.refusal(token, files) if known else (401, "RepoNotFound", "Invalid username or password.") if not token else (404, "RepoNotFound", "Repository not found")
        if files and self.limited:
            seconds = self.limited.pop(0)
            return self.refuse(request, 429, None, "We had to rate limit you", limit=seconds)
        if refused:
            return self.refuse(request, *refused)
        if path.startswith("/api/resolve-cache/"):
            return self.answer_file(request, path.split(self.commit + "/", 1)[1])
        if files:
            revision, _, name = path[len(resolve):].partition("/")
            return self.answer_resolve(request, revision, name)
        what, _, rest = path[len(api):].partition("/")
        revision = rest or "main"
        if revision not in self.revisions:
            return self.refuse(request, 404, "RevisionNotFound", "Invalid rev id: %s" % revision)
        if what == "tree":
            return self.answer_tree(request, url.path, query)
        return self.send(request, 200, json.dumps(self.listing(query.get("blobs") == ["true"] or query.get("blobs") == ["True"])).encode(),
                         {"Content-Type": "application/json"})

    def answer_tree(self, request, path, query):
        at = int(base64.b64decode(query["cursor"][0]).decode()) if "cursor" in query else 0
        items = self.tree()
        if query.get("recursive", ["false"])[0].lower() != "true":
            items = [item for item in items if "/" not in item["path"]]
        headers = {"Content-Type": "application/json"}
        if at + self.page < len(items):
            cursor = base64.b64encode(str(at + self.page).encode()).decode()
            base = "https://huggingface.co" if self.mirrored else self.address
            headers["Link"] = '<%s%s?recursive=true&limit=%d&cursor=%s>; rel="next"' % (base, path, self.page, urllib.parse.quote(cursor))
        self.send(request, 200, json.dumps(items[at:at + self.page]).encode(), headers)

    def answer_resolve(self, request, revision, name):
        commit = {"X-Repo-Commit": self.commit}
        if revision not in self.revisions:
            return self.refuse(request, 404, "RevisionNotFound", "Invalid rev id: %s" % revision)
        if name not in self.files:
            return self.refuse(request, 404, "EntryNotFound", "Entry not found", commit)
        size, sha256, oid = self.digest(name)
        if not name.endswith(LARGE):
            # Small files come from a cache of the hub itself; the address is relative.
            place = "/api/resolve-cache/models/%s/%s/%s?%s=" % (self.repository, self.commit, urllib.parse.quote(name),
                                                               urllib.parse.quote(request.path, safe=""))
            return self.send(request, 307, b"Temporary Redirect", dict(commit, Location=place, ETag='"%s"' % oid,
                                                                      **{"X-Linked-Size": str(size), "X-Linked-Etag": '"%s"' % oid}))
        headers = dict(commit, Location=self.signed(name), ETag='"%s"' % oid)
        headers["X-Linked-Size"], headers["X-Linked-Etag"] = str(size), '"%s"' % (self.other_etag or sha256)
        headers["X-Xet-Hash"] = sha256[::-1]
        route = "%s/api/models/%s/xet-read-token/%s" % (self.address, self.repository, self.commit)
        headers["Link"] = '<%s>; rel="xet-auth", <%s/reconstructions/%s>; rel="xet-reconstruction-info"' % (route, self.store_address, sha256[::-1])
        self.send(request, 302, b"Found. Redirecting to the store", headers)

    def answer_file(self, request, name):
        size, _, oid = self.digest(name)
        self.send_file(request, name, {"X-Repo-Commit": self.commit, "ETag": '"%s"' % oid})

    def signed(self, name):
        expires = int(time.time()) + (3600 if self.bad_signatures == 0 else -10)
        self.bad_signatures = max(self.bad_signatures - 1, 0)
        key = hmac.new(SECRET, ("%s %d" % (name, expires)).encode(), "sha256").hexdigest()
        return "%s/xet-bridge-us/65/%s?X-Amz-Expires=%d&Signature=%s&response-content-disposition=inline" % (
            self.store_address, urllib.parse.quote(name), expires, key)

    def answer_store(self, request):
        """The store behind the hub: signed addresses alone, and no other credentials beside the signature."""
        url = urllib.parse.urlsplit(request.path)
        query = urllib.parse.parse_qs(url.query)
        name = urllib.parse.unquote(url.path).split("/", 3)[3]
        self.store_tokens.append(request.headers.get("Authorization"))
        if request.headers.get("Authorization"):
            return self.send(request, 400, b"<Error><Code>InvalidArgument</Code><Message>Only one auth mechanism allowed</Message></Error>")
        expires = int(query.get("X-Amz-Expires", ["0"])[0])
        right = hmac.new(SECRET, ("%s %d" % (name, expires)).encode(), "sha256").hexdigest()
        if query.get("Signature") != [right] or expires < time.time():
            return self.send(request, 403, b"<Error><Code>AccessDenied</Code><Message>Request has expired</Message></Error>")
        self.send_file(request, name, {"ETag": '"%s"' % self.digest(name)[1], "Accept-Ranges": "bytes"})

    def send_file(self, request, name, headers):
        with open(self.files[name], "rb") as f:
            data = f.read()
        wanted = request.headers.get("Range")
        if not wanted:
            return self.send(request, 200, data, headers)
        self.ranges.append(wanted)
        begin = int(wanted[len("bytes="):].split("-")[0])
        if begin >= len(data):
            return self.send(request, 416, b"", dict(headers, **{"Content-Range": "bytes */%d" % len(data)}))
        headers = dict(headers, **{"Content-Range": "bytes %d-%d/%d" % (begin, len(data) - 1, len(data))})
        self.send(request, 206, data[begin:], headers)

    def refuse(self, request, status, code, message, headers=None, limit=None):
        headers = dict(headers or {}, **{"X-Error-Message": message, "Content-Type": "application/json"})
        if code:
            headers["X-Error-Code"] = code
        if limit is not None:
            headers["RateLimit"] = '"resolvers";r=0;t=%d' % limit
            headers["RateLimit-Policy"] = '"fixed window";"resolvers";q=3000;w=300'
        self.send(request, status, json.dumps({"error": message}).encode(), headers)

    def send(self, request, status, body, headers=None):
        headers = dict({"RateLimit": '"api";r=499;t=120', "RateLimit-Policy": '"fixed window";"api";q=500;w=300'}, **(headers or {}))
        request.send_response(status)
        request.send_header("Content-Length", str(len(body)))
        for name, value in headers.items():
            request.send_header(name, value)
        request.end_headers()
        if request.command == "HEAD":
            return
        slow = self.bytes_per_s if status in (200, 206) else 0
        step = max(slow // 20, 1) if slow else max(len(body), 1)
        for at in range(0, len(body), step):
            request.wfile.write(body[at:at + step])
            self.sent += len(body[at:at + step])
            if slow:
                time.sleep(0.05)


def files_of(directory):
    return {name: os.path.join(directory, name) for name in sorted(os.listdir(directory))}
