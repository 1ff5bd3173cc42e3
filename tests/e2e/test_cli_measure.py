"""kakeya-llm logits, perplexity and codec: numbers against PyTorch's and against the definitions."""
import json
import math
import os
import random
import stat
import tempfile
import unittest

from program import listed, read_f32, read_json, read_npy, repo, run, write_f32

GOLDEN = read_json("models", "tiny", "golden.json")["cases"]


class Logits(unittest.TestCase):
    def test_equal_pytorch_and_so_do_the_tapped_states(self):
        shape, golden = read_npy(repo("models", "tiny", "golden_logits.npy"))
        tap_shape, golden_taps = read_npy(repo("models", "tiny", "golden_taps.npy"))
        width = len(golden_taps) // tap_shape[0]
        for case in [c for c in GOLDEN if c.get("logits_row") is not None]:
            row = case["logits_row"]
            with tempfile.TemporaryDirectory() as d:
                path = os.path.join(d, "x.npy")
                out = run("logits", "--target", "tiny", "--draft", "tiny", "--kv", "f32", "--ids",
                          listed(case["prompt_ids"]), "--taps", "--out", path)
                self.assertEqual((out.code, out.out), (0, ""), out.err)
                self.assertEqual(sorted(os.listdir(d)), ["x.npy", "x.taps.npy"])
                found_shape, found = read_npy(path)
                self.assertEqual(found_shape, (1, shape[1]))
                expected = golden[row * shape[1]:(row + 1) * shape[1]]
                self.assertLess(max(abs(a - b) for a, b in zip(found, expected)), 1e-3)
                found_shape, found = read_npy(os.path.join(d, "x.taps.npy"))
                self.assertEqual(found_shape, (len(case["prompt_ids"]), width))
                expected = golden_taps[row * width:(row + 1) * width]
                self.assertLess(max(abs(a - b) for a, b in zip(found[-width:], expected)), 1e-3)

    def test_all_rows_end_with_the_last(self):
        with tempfile.TemporaryDirectory() as d:
            ids = GOLDEN[0]["prompt_ids"][:9]
            last, every = os.path.join(d, "last.npy"), os.path.join(d, "all.npy")
            self.assertEqual(run("logits", "--ids", listed(ids), "--out", last).code, 0)
            self.assertEqual(run("logits", "--ids", listed(ids), "--rows", "all", "--out", every).code, 0)
            shape, values = read_npy(every)
            self.assertEqual(shape, (9, 4096))
            self.assertEqual(values[-4096:], read_npy(last)[1])

    def test_errors_leave_no_file(self):
        with tempfile.TemporaryDirectory() as d:
            path = os.path.join(d, "x.npy")
            for code, args in ((2, ("--ids", "1,2", "--taps")), (2, ("--ids", "1,4096")), (1, ("--ids", "/no/file")),
                               (2, ("--ids", "1", "--rows", "some")), (2, ("--ids", "1", "--kv", "nothing"))):
                out = run("logits", *args, "--out", path)
                self.assertEqual(out.code, code, (args, out.err))
                self.assertTrue(out.err.startswith("error: "), out.err)
            self.assertEqual(os.listdir(d), [])
            out = run("logits", "--ids", "1", "--out", os.path.join(d, "no", "x.npy"))
            self.assertEqual(out.code, 1)
            self.assertIn(os.path.join(d, "no", "x.npy"), out.err)


class Perplexity(unittest.TestCase):
    def test_is_the_mean_loss_of_the_logits(self):
        text = "Tom has 3 bags. Each bag has 4 apples. He has 3 * 4 = 12 apples.\n#### 12\n"
        with tempfile.TemporaryDirectory() as d:
            path, logits = os.path.join(d, "text.txt"), os.path.join(d, "x.npy")
            with open(path, "w") as f:
                f.write(text)
            out = run("perplexity", "--target", "tiny", "--file", path, "--json")
            self.assertEqual(out.code, 0, out.err)
            found = out.json()
            ids = run("tokenize", "--tokenizer", repo("models", "tiny", "target"), "--jsonl",
                      stdin=json.dumps({"text": text}) + "\n").json()
            self.assertEqual(found["tokens"], len(ids) - 1)
            run("logits", "--ids", listed(ids), "--rows", "all", "--out", logits)
            (_, vocab), values = read_npy(logits)
            loss = 0.0
            for i, token in enumerate(ids[1:]):
                row = values[i * vocab:(i + 1) * vocab]
                top = max(row)
                loss += top + math.log(sum(math.exp(x - top) for x in row)) - row[token]
            self.assertAlmostEqual(found["nll"], loss / (len(ids) - 1), places=5)
            self.assertAlmostEqual(found["perplexity"], math.exp(found["nll"]), places=5)
            coarse = run("perplexity", "--file", path, "--kv", "e8-q4", "--ctx", 16, "--json").json()
            self.assertNotEqual(coarse["nll"], found["nll"])
            self.assertLess(coarse["tokens"], found["tokens"])

    def test_refuses_an_empty_text_and_an_impossible_window(self):
        with tempfile.TemporaryDirectory() as d:
            path = os.path.join(d, "text.txt")
            open(path, "w").close()
            self.assertEqual(run("perplexity", "--file", path).code, 1)
            with open(path, "w") as f:
                f.write("one two three")
            out = run("perplexity", "--file", path, "--ctx", 5000)
            self.assertEqual(out.code, 2)
            self.assertIn("5000", out.err)
            self.assertIn("1024", out.err)


class Codec(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.x, self.y = os.path.join(self.folder.name, "x.f32"), os.path.join(self.folder.name, "y.f32")
        rng = random.Random(5)
        self.rows = 40
        self.values = [rng.gauss(0, 1) for _ in range(self.rows * 128)]
        write_f32(self.x, self.values)

    def tearDown(self):
        self.folder.cleanup()

    def test_roundtrip_reports_bits_and_the_error_of_its_own_file(self):
        limits = {"bf16": 2048, "e8-q38": 864, "e8-q10": 608, "e8-q4": 480, "q8_0": 1088, "q4_0": 576}
        errors = []
        for channel, bits in limits.items():
            out = run("codec", "roundtrip", "--channel", channel, "--dim", 128, "--in", self.x, "--out", self.y, "--json")
            self.assertEqual(out.code, 0, out.err)
            found = out.json()
            self.assertEqual((found["channel"], found["vectors"], found["dim"]), (channel, self.rows, 128))
            self.assertLessEqual(found["bits_allocated"], bits)
            self.assertGreater(found["bits_formula"], 0)
            x, y = read_f32(self.x), read_f32(self.y)
            self.assertEqual(len(y), len(x))
            error = sum((b - a) ** 2 for a, b in zip(x, y)) / sum(a * a for a in x)
            self.assertAlmostEqual(found["rel_mse"] / error, 1, places=6)
            errors.append(error)
        self.assertLess(errors[0], 2.0 ** -16)          # half a unit of 8 bits, squared
        self.assertLess(errors[1], errors[2])
        self.assertLess(errors[2], errors[3])

    def test_nearest_points_of_known_blocks(self):
        write_f32(self.x, [0.5] * 8 + [0.9, 0.1, -0.1, 1.1, 0, 0, 0, 0])
        self.assertEqual(run("codec", "nearest", "--lattice", "e8", "--in", self.x, "--out", self.y).code, 0)
        self.assertEqual(read_f32(self.y), [0.5] * 8 + [1, 0, 0, 1, 0, 0, 0, 0])
        write_f32(self.x, [1.2, 0.9, 0.1, 0.0, 2.0, 0.1, 0.2, 0.6])
        self.assertEqual(run("codec", "nearest", "--lattice", "d4", "--in", self.x, "--out", self.y).code, 0)
        self.assertEqual(read_f32(self.y), [1, 1, 0, 0, 2, 0, 0, 0])

    def test_bench_measures_and_list_names(self):
        out = run("codec", "bench", "--channel", "e8-q10,q8_0", "--rows", 256, "--repeats", 1, "--json")
        self.assertEqual(out.code, 0, out.err)
        speeds = out.json()["channels"]
        self.assertEqual([s["channel"] for s in speeds], ["e8-q10", "q8_0"])
        for s in speeds:
            for key in ("encode_per_s", "decode_per_s", "attend_per_s", "memcpy_per_s", "bf16_attend_per_s"):
                self.assertGreater(s[key], 0, key)
        patterns = [f["pattern"] for f in run("codec", "list", "--json").json()["families"]]
        for pattern in ("bf16", "e8-qN", "d4-qN", "q8_0", "q4_0"):
            self.assertIn(pattern, patterns)

    def test_errors_leave_no_file(self):
        def expect(code, words, *args):
            out = run("codec", *args, "--out", self.y)
            self.assertEqual(out.code, code, out.err)
            self.assertTrue(out.err.startswith("error: "), out.err)
            for word in words:
                self.assertIn(word, out.err)
            self.assertFalse(os.path.exists(self.y))
        expect(2, ["e8-q1"], "roundtrip", "--channel", "e8-q1", "--in", self.x)
        expect(1, ["96"], "roundtrip", "--channel", "e8-q10", "--dim", 96, "--in", self.x)
        expect(1, ["/no/file"], "roundtrip", "--in", "/no/file")
        write_f32(self.x, [1.0] * 130)
        expect(1, [self.x, "520", "512"], "roundtrip", "--in", self.x)
        write_f32(self.x, [1.0] * 127 + [math.nan])
        expect(1, ["row 0"], "roundtrip", "--in", self.x)
        expect(2, ["e7"], "nearest", "--lattice", "e7", "--in", self.x)
        write_f32(self.x, [1.0] * 15 + [math.nan])
        expect(1, ["block 1, value 7", "nan"], "nearest", "--in", self.x)

    def test_a_pipe_as_output_is_written_to_and_a_link_followed(self):
        write_f32(self.x, [0.25] * 8)
        with tempfile.TemporaryDirectory() as d:
            pipe, link, file = (os.path.join(d, name) for name in ("pipe", "link", "file"))
            os.mkfifo(pipe)
            reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
            out = run("codec", "nearest", "--in", self.x, "--out", pipe)
            self.assertEqual(out.code, 0, out.err)
            self.assertEqual(len(os.read(reader, 100)), 32)
            os.close(reader)
            self.assertTrue(stat.S_ISFIFO(os.stat(pipe).st_mode))
            write_f32(file, [1.0])
            os.symlink(file, link)
            self.assertEqual(run("codec", "nearest", "--in", self.x, "--out", link).code, 0)
            self.assertTrue(os.path.islink(link))
            self.assertEqual(len(read_f32(file)), 8)
            out = run("codec", "nearest", "--in", self.x, "--out", d)
            self.assertEqual(out.code, 1)
            self.assertIn("is a directory", out.err)


if __name__ == "__main__":
    unittest.main(verbosity=2)
