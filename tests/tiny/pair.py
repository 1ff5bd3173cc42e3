"""What the checks of the tiny pair share: the pair's files, prompts nobody trained on, and the program under test.

KAKEYA_BIN names the program. KAKEYA_TINY_FULL=1 (or --full on the command line) takes the long prompt lists.
"""
import json
import os
import shutil
import struct
import subprocess
import sys
import tempfile
import unittest

REPO = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
MODEL = os.path.join(REPO, "models", "tiny")
TARGET, DRAFT = os.path.join(MODEL, "target"), os.path.join(MODEL, "draft")
sys.path.insert(0, os.path.join(REPO, "tools", "train"))


def main():
    """unittest.main that also knows --full."""
    if "--full" in sys.argv:
        sys.argv.remove("--full")
        os.environ["KAKEYA_TINY_FULL"] = "1"
    unittest.main(verbosity=2)


def full():
    return os.environ.get("KAKEYA_TINY_FULL") == "1"


def count(short, long):
    return long if full() else short


def need(module):
    """Skips the test class when a Python module is missing."""
    try:
        return __import__(module)
    except ImportError:
        raise unittest.SkipTest("the Python module %s is missing (Debian: python3-%s)" % (module, module))


def binary():
    path = os.environ.get("KAKEYA_BIN", "")
    if not path:
        raise unittest.SkipTest("KAKEYA_BIN is not set: it names the kakeya-llm program")
    if not os.access(path, os.X_OK):
        raise AssertionError("KAKEYA_BIN=%s: not a program" % path)
    return path


def golden():
    """100 prompts of the mini sets, word problems first, with PyTorch's ids and accepted counts."""
    with open(os.path.join(MODEL, "golden_cycles.json"), encoding="utf-8") as f:
        return json.load(f)["cases"]


def mixed(cases, n):
    """The first n, word problems and code in the proportion of the whole list."""
    math = [c for c in cases if c["set"] == "gsm-mini"]
    code = [c for c in cases if c["set"] != "gsm-mini"]
    k = n * len(math) // len(cases)
    return math[:k] + code[:n - k]


def run(*args):
    p = subprocess.run([binary()] + [str(a) for a in args], stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=300)
    if p.returncode != 0:
        raise AssertionError("%s: exit code %d: %s" % (" ".join(map(str, args))[:200], p.returncode, p.stderr.decode()))
    return p.stdout.decode()


def listed(ids):
    return ",".join(map(str, ids))


def generate(prompt, draft=DRAFT, kv="bf16", draft_kv="bf16", tokens=128, *more):
    """The program's greedy answer as its JSON says it. draft=None decodes plainly."""
    args = ["generate", "--target", TARGET, "--kv", kv, "--prompt-ids", listed(prompt), "-n", tokens, "--json", "--threads", 1]
    if draft:
        args += ["--draft", draft, "--draft-kv", draft_kv, "--speculation", "fixed"]
    return json.loads(run(*(args + list(more))))


def logits(ids, kv="bf16", taps=False):
    """[tokens, vocabulary] float32, and with taps the tapped states [tokens, taps * hidden]."""
    numpy = need("numpy")
    with tempfile.TemporaryDirectory() as d:
        out = os.path.join(d, "x.npy")
        run("logits", "--target", TARGET, "--ids", listed(ids), "--rows", "all", "--kv", kv, "--out", out, "--threads", 1,
            *(["--draft", DRAFT, "--taps"] if taps else []))
        z = numpy.load(out)
        return (z, numpy.load(os.path.join(d, "x.taps.npy"))) if taps else z


def tau(results):
    """Mean over prompts of the mean acceptance length; prompts without a cycle do not count."""
    means = [sum(r["acceptance_lengths"]) / len(r["acceptance_lengths"]) for r in results if r["acceptance_lengths"]]
    return sum(means) / len(means)


def position_curve(results, block=8):
    """Share of cycles in which draft 1, 2, ... block - 1 was accepted."""
    lengths = [n for r in results for n in r["acceptance_lengths"]]
    return [sum(n > k for n in lengths) / len(lengths) for k in range(1, block)]


def falls(curve, by=0.2):
    """Never rises, and ends at least `by` lower. Drafts that have seen their labels do not fall."""
    return all(a >= b for a, b in zip(curve, curve[1:])) and curve[0] - curve[-1] >= by


def altered_draft(folder, change):
    """Writes a copy of the shipped drafter to `folder`; change(name, shape) gives a tensor's new values (float32) or None."""
    numpy = need("numpy")
    os.makedirs(folder)
    shutil.copyfile(os.path.join(DRAFT, "config.json"), os.path.join(folder, "config.json"))
    with open(os.path.join(DRAFT, "model.safetensors"), "rb") as f:
        raw = bytearray(f.read())
    n, = struct.unpack("<Q", raw[:8])
    for name, e in json.loads(raw[8:8 + n]).items():
        new = None if name == "__metadata__" else change(name, e["shape"])
        if new is not None:
            bits = (numpy.ascontiguousarray(new, numpy.float32).view(numpy.uint32) >> 16).astype(numpy.uint16)
            begin, end = (8 + n + at for at in e["data_offsets"])
            assert end - begin == bits.nbytes, name
            raw[begin:end] = bits.tobytes()
    with open(os.path.join(folder, "model.safetensors"), "wb") as f:
        f.write(raw)
    return folder


def random_draft(folder, seed=0):
    """Same shape, nothing learnt: normal matrices, unit norms."""
    numpy = need("numpy")
    rng = numpy.random.default_rng(seed)
    return altered_draft(folder, lambda name, shape: rng.normal(0, 0.02, shape) if len(shape) == 2 else numpy.ones(shape))


def deaf_draft(folder):
    """fc is zero, so every context row is what zeroed taps would give."""
    numpy = need("numpy")
    return altered_draft(folder, lambda name, shape: numpy.zeros(shape) if name == "fc.weight" else None)
