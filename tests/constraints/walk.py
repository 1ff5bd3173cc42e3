"""Runs constraint-walk; one process per tokenizer."""
import json
import os
import pathlib
import subprocess

SOURCE = pathlib.Path(os.environ.get("KAKEYA_SOURCE_DIR", pathlib.Path(__file__).parents[2]))
SHARED = pathlib.Path(os.environ.get("KAKEYA_SHARED", SOURCE / "../shared"))
WALK = os.environ.get("KAKEYA_WALK", str(SOURCE / "build/release/bin/constraint-walk"))


def tokenizers():
    """Name -> path, of those that are here."""
    places = {"tiny": SOURCE / "models/tiny/target", "qwen3": SHARED / "data/tokenizers/qwen"}
    found = {name: path for name, path in places.items() if path.exists()}
    for name in places.keys() - found.keys():
        print(f"skipped: tokenizer {name}: no {places[name]}")
    return found


class Walk:
    def __init__(self, tokenizer):
        self.process = subprocess.Popen([WALK, str(tokenizer)], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                        text=True, encoding="utf-8")

    def ask(self, kind, **request):
        self.process.stdin.write(json.dumps({"kind": kind, **request}) + "\n")
        self.process.stdin.flush()
        return json.loads(self.process.stdout.readline())

    def close(self):
        self.process.stdin.close()
        self.process.wait()
        self.process.stdout.close()
