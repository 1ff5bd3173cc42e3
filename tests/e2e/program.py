"""What the end-to-end scripts share: the program under test, its output, raw float files and .npy."""
import ast
import json
import os
import struct
import subprocess

REPO = os.environ.get("KAKEYA_SOURCE_DIR") or os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BIN = os.environ.get("KAKEYA_BIN") or os.path.join(REPO, "build", "release", "bin", "kakeya-llm")
TINY = os.path.join(REPO, "models", "tiny")


def repo(*parts):
    return os.path.join(REPO, *parts)


def read_json(*parts):
    with open(repo(*parts), encoding="utf-8") as f:
        return json.load(f)


def read_jsonl(*parts):
    with open(repo(*parts), encoding="utf-8") as f:
        return [json.loads(line) for line in f if line.strip()]


class Done:
    def __init__(self, code, out, err):
        self.code, self.out, self.err = code, out, err

    def json(self):
        return json.loads(self.out)


def run(*args, stdin="", env=None, timeout=300):
    p = subprocess.run([BIN] + [str(a) for a in args], input=stdin.encode(), stdout=subprocess.PIPE,
                       stderr=subprocess.PIPE, timeout=timeout, env=dict(os.environ, **(env or {})))
    return Done(p.returncode, p.stdout.decode(), p.stderr.decode())


def listed(ids):
    return ",".join(map(str, ids))


def write_f32(path, values):
    with open(path, "wb") as f:
        f.write(struct.pack("<%df" % len(values), *values))


def read_f32(path):
    with open(path, "rb") as f:
        data = f.read()
    return list(struct.unpack("<%df" % (len(data) // 4), data))


def read_npy(path):
    """(shape, flat values) of a little-endian float32 array in version 1.0 of the format, checked field by field."""
    with open(path, "rb") as f:
        data = f.read()
    assert data[:8] == b"\x93NUMPY\x01\x00", data[:8]
    length = struct.unpack("<H", data[8:10])[0]
    assert (10 + length) % 64 == 0 and data[9 + length:10 + length] == b"\n"
    header = ast.literal_eval(data[10:10 + length].decode())
    assert header["descr"] == "<f4" and header["fortran_order"] is False, header
    body = data[10 + length:]
    count = 1
    for n in header["shape"]:
        count *= n
    assert len(body) == 4 * count, (len(body), header)
    return header["shape"], struct.unpack("<%df" % count, body)


def clean_env(directory):
    """Variables that keep configuration, state and store of a test inside `directory`."""
    return {"HOME": directory, "XDG_CONFIG_HOME": os.path.join(directory, "config"),
            "XDG_STATE_HOME": os.path.join(directory, "state"), "XDG_DATA_HOME": os.path.join(directory, "data"), "NO_COLOR": ""}
