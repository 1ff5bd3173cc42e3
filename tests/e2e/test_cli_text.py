"""kakeya-llm tokenize, detokenize and render, line by line."""
import json
import os
import unittest

from program import TINY, read_jsonl, repo, run

TOKENIZER = os.path.join(TINY, "target")
VECTORS = read_jsonl("tests", "golden", "text", "tiny.jsonl")


def lines(out):
    return [json.loads(line) for line in out.splitlines()]


class Tokenize(unittest.TestCase):
    def test_jsonl_equals_hugging_face(self):
        stdin = "".join(json.dumps({"text": v["text"], "parse_special": v["parse_special"]}) + "\n" for v in VECTORS)
        out = run("tokenize", "--tokenizer", TOKENIZER, "--jsonl", stdin=stdin)
        self.assertEqual(out.code, 0, out.err)
        self.assertEqual(lines(out.out), [v["ids"] for v in VECTORS])

    def test_plain_lines_equal_the_same_texts_as_objects(self):
        texts = [v for v in VECTORS if "\n" not in v["text"] and "\r" not in v["text"] and v["parse_special"]]
        self.assertGreater(len(texts), 5)
        out = run("tokenize", "--tokenizer", TOKENIZER, stdin="".join(v["text"] + "\n" for v in texts))
        self.assertEqual(lines(out.out), [v["ids"] for v in texts])

    def test_special_tokens_can_be_ordinary_text(self):
        plain = lines(run("tokenize", "--tokenizer", TOKENIZER, "--plain-special", stdin="<|im_end|>\n").out)[0]
        self.assertGreater(len(plain), 1)
        self.assertEqual(lines(run("tokenize", "--tokenizer", TOKENIZER, stdin="<|im_end|>\n").out), [[4066]])

    def test_reads_the_file_of_the_published_family(self):
        data = os.environ.get("KAKEYA_SHARED") or os.path.join(os.path.dirname(repo()), "shared")
        path = os.path.join(data, "data", "tokenizers", "qwen")
        if not os.path.exists(os.path.join(path, "vectors.jsonl")):
            self.skipTest("%s/vectors.jsonl is missing (set KAKEYA_SHARED)" % path)
        vectors = read_jsonl(path, "vectors.jsonl")
        stdin = "".join(json.dumps({"text": v["text"], "parse_special": v["parse_special"]}) + "\n" for v in vectors)
        out = run("tokenize", "--tokenizer", os.path.join(path, "tokenizer.json.gz"), "--jsonl", stdin=stdin)
        self.assertEqual(lines(out.out), [v["ids"] for v in vectors])


class Detokenize(unittest.TestCase):
    def test_goes_back(self):
        stdin = "".join(json.dumps(v["ids"]) + "\n" for v in VECTORS)
        out = run("detokenize", "--tokenizer", TOKENIZER, "--jsonl", stdin=stdin)
        self.assertEqual([o["text"] for o in lines(out.out)], [v["decoded"] for v in VECTORS])
        single = [v for v in VECTORS if not set(v["decoded"]) & set("\n\r\x85\u2028\u2029\x0b\x0c\x1c\x1d\x1e")]
        out = run("detokenize", "--tokenizer", TOKENIZER, stdin="".join(json.dumps(v["ids"]) + "\n" for v in single))
        self.assertEqual(out.out.split("\n")[:-1], [v["decoded"] for v in single])

    def test_special_tokens_can_be_left_out(self):
        out = run("detokenize", "--tokenizer", TOKENIZER, "--skip-special", stdin="[4065, 301, 4066]\n")
        kept = run("detokenize", "--tokenizer", TOKENIZER, stdin="[4065, 301, 4066]\n")
        self.assertEqual(kept.out, "<|im_start|>" + out.out.rstrip("\n") + "<|im_end|>\n")


class Render(unittest.TestCase):
    def test_golden_cases_of_the_models_family(self):
        cases = [c for c in read_jsonl("tests", "golden", "text", "chat_cases.jsonl") if c["family"] == "qwen3"][:40]
        self.assertGreater(len(cases), 5)
        out = run("render", "--tokenizer", TOKENIZER, "--jsonl", stdin="".join(json.dumps(c) + "\n" for c in cases))
        self.assertEqual(out.code, 0, out.err)
        self.assertEqual(lines(out.out), [c["expected"] for c in cases])


class Errors(unittest.TestCase):
    def test_name_the_line(self):
        for command, stdin, word in (("tokenize", '{"text": "a"}\n{"txt": 1}\n', "'text'"),
                                     ("tokenize", '{"text": "a"}\nnot json\n', "not valid JSON"),
                                     ("detokenize", "[1]\n[1, -2]\n", "-2"), ("detokenize", "[1]\n{}\n", "array"),
                                     ("render", '{"messages": [{"role": "user", "content": "x"}]}\n{"messages": 3}\n',
                                      "messages")):
            out = run(command, "--tokenizer", TOKENIZER, "--jsonl", stdin=stdin)
            self.assertIn(out.code, (1, 2), out.err)
            self.assertIn("line 2", out.err)
            self.assertIn(word, out.err)
            self.assertEqual(len(out.out.splitlines()), 1, "the line before was good")

    def test_a_missing_tokenizer_is_named(self):
        out = run("tokenize", "--tokenizer", "/no/such/place", stdin="x\n")
        self.assertEqual(out.code, 1)
        self.assertIn("/no/such/place", out.err)


if __name__ == "__main__":
    unittest.main(verbosity=2)
