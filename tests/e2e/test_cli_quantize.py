"""kakeya-llm quantize: the same file as llama.cpp's converter and quantiser make (tests/golden/quantize, made by
tools/golden/make_quantize_golden.py), and errors that leave nothing behind."""
import hashlib
import json
import os
import shutil
import signal
import stat
import subprocess
import tempfile
import time
import unittest

import checkpoints
from gguf_file import GgufFile
from program import BIN, TINY, read_json, run

TARGET, DRAFT = os.path.join(TINY, "target"), os.path.join(TINY, "draft")
# Written by one side only, or different by nature.
OWN_KEYS = {"general.name", "general.size_label", "qwen3.rope.dimension_count", "dflash.rope.dimension_count",
            "qwen3.vocab_size", "dflash.vocab_size", "tokenizer.ggml.padding_token_id",
            "tokenizer.ggml.add_space_prefix"}


def summary(value):
    if isinstance(value, (list, str)) and len(value) > 40:
        return {"sha256": hashlib.sha256(json.dumps(value).encode()).hexdigest()}
    return value


class SameAsLlamaCpp(unittest.TestCase):
    def check(self, golden_name, arguments, other_types=()):
        golden = read_json("tests", "golden", "quantize", golden_name + ".json")
        with tempfile.TemporaryDirectory() as d:
            path = os.path.join(d, "x.gguf")
            out = run("quantize", *arguments, "--out", path, "--type", golden_name.split("-")[1], "--json")
            self.assertEqual(out.code, 0, out.err)
            report = out.json()
            self.assertEqual(os.listdir(d), ["x.gguf"])
            self.assertEqual(report["bytes_after"], os.path.getsize(path))
            found = GgufFile(path)
        self.assertEqual(found.version, 3)
        metadata = {k: summary(v) for k, v in found.metadata.items() if k not in OWN_KEYS}
        expected = {k: v for k, v in golden["metadata"].items() if k not in OWN_KEYS}
        self.assertEqual(metadata.keys(), expected.keys())
        for key, value in expected.items():
            self.assertEqual(metadata[key], value, key)
        self.assertEqual(found.tensors.keys(), golden["tensors"].keys())
        self.assertEqual(report["tensors"], len(found.tensors))
        for name, want in golden["tensors"].items():
            have = found.tensors[name]
            self.assertEqual(have["shape"], want["shape"], name)
            if want["type"] == "Q5_0":  # llama.cpp's choice where rows do not fit Q4_K; ours is Q8_0
                self.assertIn(name, other_types)
                self.assertEqual(have["type"], "Q8_0", name)
                continue
            self.assertEqual(have["type"], want["type"], name)
            # The searches of the K types differ from ggml's; rope_freqs is computed in float there.
            if have["type"] in ("F32", "Q8_0", "Q4_0") and name != "rope_freqs.weight":
                self.assertEqual(have["sha256"], want["sha256"], name)
        return report

    def test_the_embedded_target(self):
        for kind in ("q8_0", "q4_0", "q4_k_m"):
            report = self.check("tiny-" + kind, ("--in", "tiny"))
            self.assertEqual(report["architecture"], "qwen3")
            self.assertEqual(report["notes"], [])

    def test_the_embedded_draft_with_the_tokenizer_of_its_target(self):
        report = self.check("draft-q8_0", ("--in", DRAFT, "--tokenizer", TARGET))
        self.assertEqual(report["architecture"], "dflash")

    def test_a_llama_with_paired_rows_and_rows_that_fit_no_large_block(self):
        with tempfile.TemporaryDirectory() as d:
            checkpoints.write_llama(d, TARGET)
            for kind in ("q8_0", "q4_0"):
                self.check("llama-" + kind, ("--in", d))
            narrow = [f"blk.{i}.{part}.weight" for i in range(9) for part in ("attn_output", "ffn_down")]
            report = self.check("llama-q4_k_m", ("--in", d), other_types=narrow)
            self.assertEqual(len(report["notes"]), 18)
            self.assertIn("model.layers.0.mlp.down_proj.weight: rows of 320 values do not fit", report["notes"][1])

    def test_threads_do_not_change_the_file(self):
        with tempfile.TemporaryDirectory() as d:
            digests = set()
            for threads in (1, 3):
                path = os.path.join(d, f"{threads}.gguf")
                out = run("quantize", "--in", "tiny", "--out", path, "--type", "q4_k_m", "--threads", threads)
                self.assertEqual(out.code, 0, out.err)
                with open(path, "rb") as f:
                    digests.add(hashlib.sha256(f.read()).hexdigest())
            self.assertEqual(len(digests), 1)

    def test_pure_means_one_type(self):
        with tempfile.TemporaryDirectory() as d:
            path = os.path.join(d, "x.gguf")
            self.assertEqual(run("quantize", "--in", "tiny", "--out", path, "--type", "q4_0", "--pure").code, 0)
            types = {t["type"] for t in GgufFile(path).tensors.values()}
            self.assertEqual(types, {"F32", "Q4_0"})


class Errors(unittest.TestCase):
    def refused(self, code, message, *arguments, **options):
        with tempfile.TemporaryDirectory() as d:
            path = os.path.join(d, "x.gguf")
            with open(path, "w", encoding="utf-8") as f:
                f.write("old")
            out = run("quantize", *arguments, "--out", path, **options)
            self.assertEqual(out.code, code, out.err)
            self.assertIn(message, out.err)
            self.assertEqual(os.listdir(d), ["x.gguf"])
            with open(path, encoding="utf-8") as f:
                self.assertEqual(f.read(), "old")

    def test_name_what_is_wrong_and_keep_the_old_file(self):
        self.refused(2, "type 'q3_k', expected one of: q8_0, q4_0, q4_k_m", "--in", "tiny", "--type", "q3_k")
        self.refused(1, "does not exist", "--in", "/no/model", "--type", "q8_0")
        self.refused(1, "/no/tokenizer", "--in", DRAFT, "--tokenizer", "/no/tokenizer", "--type", "q8_0")
        self.refused(2, "threads -1", "--in", "tiny", "--type", "q8_0", "--threads", "-1")

    def test_weights_that_are_not_numbers_are_refused_by_name(self):
        with tempfile.TemporaryDirectory() as d:
            checkpoints.write_llama(d, TARGET, hidden=64, inner=64, layers=1, heads=2, kv_heads=1)
            weights = os.path.join(d, "model.safetensors")
            with open(weights, "r+b") as f:
                f.seek(-2, os.SEEK_END)
                f.write(b"\xc0\x7f")  # NaN in the last value of lm_head
            self.refused(1, "tensor output.weight holds NaN or infinity", "--in", d, "--type", "q4_0")

    def test_tensors_of_other_shapes_or_architectures_are_refused(self):
        with tempfile.TemporaryDirectory() as d:
            config = checkpoints.write_llama(d, TARGET, hidden=64, inner=64, layers=1, heads=2, kv_heads=1)
            config["vocab_size"] = 4095
            with open(os.path.join(d, "config.json"), "w", encoding="utf-8") as f:
                json.dump(config, f)
            self.refused(1, "shape [4096, 64], expected [4095, 64]", "--in", d, "--type", "q8_0")
            config.update(vocab_size=4096, architectures=["Qwen3ForCausalLM"])
            with open(os.path.join(d, "config.json"), "w", encoding="utf-8") as f:
                json.dump(config, f)
            self.refused(1, "q_norm.weight is missing", "--in", d, "--type", "q8_0")

    def test_a_full_disk_is_named_and_leaves_nothing(self):
        with tempfile.TemporaryDirectory() as d:
            path = os.path.join(d, "x.gguf")
            limited = f'trap "" XFSZ; ulimit -f 2000; exec "{BIN}" quantize --in tiny --out "{path}" --type q8_0'
            done = subprocess.run(["bash", "-c", limited], capture_output=True, text=True, timeout=300)
            self.assertEqual(done.returncode, 1, done.stderr)
            self.assertIn("write " + path, done.stderr)
            self.assertEqual(os.listdir(d), [])

    def test_interruption_leaves_nothing(self):
        with tempfile.TemporaryDirectory() as d:
            checkpoints.write_llama(os.path.join(d, "in"), TARGET)
            path = os.path.join(d, "x.gguf")
            p = subprocess.Popen([BIN, "quantize", "--in", os.path.join(d, "in"), "--out", path, "--type", "q4_k_m",
                                  "--threads", "1"], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
            while p.poll() is None and not any(n.startswith("x.gguf.tmp") for n in os.listdir(d)):
                time.sleep(0.001)
            p.send_signal(signal.SIGINT)
            _, err = p.communicate(timeout=60)
            self.assertEqual(p.returncode, 130, err)
            self.assertEqual(os.listdir(d), ["in"])

    def test_links_are_written_through_and_what_is_no_file_is_kept(self):
        with tempfile.TemporaryDirectory() as d:
            os.mkdir(os.path.join(d, "there"))
            for name, target in (("link", "there/x.gguf"), ("second", "link")):
                path = os.path.join(d, name)
                os.symlink(target, path)
                out = run("quantize", "--in", DRAFT, "--out", path, "--type", "q8_0")
                self.assertEqual(out.code, 0, out.err)
                self.assertEqual(os.readlink(path), target)
                self.assertEqual(os.listdir(os.path.join(d, "there")), ["x.gguf"])
                self.assertEqual(GgufFile(os.path.join(d, "there", "x.gguf")).version, 3)
                os.unlink(os.path.join(d, "there", "x.gguf"))
            pipe, through, circle = (os.path.join(d, name) for name in ("pipe", "through", "circle"))
            os.mkfifo(pipe)
            os.symlink("pipe", through)
            os.symlink("circle", circle)
            before = sorted(os.listdir(d))
            for path, word, code in ((pipe, "a named pipe", 2), (through, "a link to " + pipe, 2), (circle, "circle", 1),
                                     (os.path.join(d, "there"), "a directory", 2)):
                out = run("quantize", "--in", DRAFT, "--out", path, "--type", "q8_0")
                self.assertEqual(out.code, code, out.err)
                self.assertIn(path, out.err)
                self.assertIn(word, out.err)
            self.assertTrue(stat.S_ISFIFO(os.lstat(pipe).st_mode))
            self.assertEqual(sorted(os.listdir(d)), before)

    def test_a_directory_without_tokenizer_gives_a_note(self):
        with tempfile.TemporaryDirectory() as d:
            for name in ("config.json", "model.safetensors"):
                shutil.copy(os.path.join(DRAFT, name), d)
            path = os.path.join(d, "x.gguf")
            out = run("quantize", "--in", d, "--out", path, "--type", "q8_0", "--json")
            self.assertEqual(out.code, 0, out.err)
            self.assertIn("no tokenizer", out.json()["notes"][0])
            self.assertEqual(GgufFile(path).metadata["tokenizer.ggml.model"], "none")


if __name__ == "__main__":
    unittest.main()
