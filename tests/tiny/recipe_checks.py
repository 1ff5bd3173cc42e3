"""The parts of the training recipe, on small random inputs: gradients, files, tokenizer, packing, resuming."""
import os
import shutil
import tempfile
import unittest

import pair


def normal_norm(torch, x, w):
    return x * torch.rsqrt((x * x).mean(-1, keepdim=True) + 1e-6) * w


class Torch(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        for module in ("numpy", "regex"):
            pair.need(module)
        cls.torch = pair.need("torch")
        cls.torch.set_num_threads(1)
        cls.torch.manual_seed(0)
        cls.folder = tempfile.mkdtemp()
        cls.addClassCleanup(shutil.rmtree, cls.folder)


class HandWrittenGradients(Torch):
    """Against torch's own differentiation of the plain formula."""

    def grads(self, f, *args):
        args = [x.detach().clone().requires_grad_() for x in args]
        y = f(*args)
        self.torch.manual_seed(1)
        (y * self.torch.randn(y.shape)).sum().backward()
        return [y] + [x.grad for x in args]

    def equal(self, f, g, args, tolerance):
        for a, b in zip(self.grads(f, *args), self.grads(g, *args)):
            self.assertLess((a - b).abs().max().item(), tolerance)

    def test_norm(self):
        from tiny.ops import Norm
        x, w = self.torch.randn(3, 5, 256), self.torch.rand(256)
        self.equal(lambda x, w: Norm.apply(x, w, 1e-6), lambda x, w: normal_norm(self.torch, x, w), (x, w), 1e-5)

    def test_head_norm_and_rope(self):
        from tiny.config import FULL
        from tiny.model import Rope
        from tiny.ops import HeadNormRope
        torch = self.torch
        c, s = Rope(FULL.target)(torch.arange(5)[None])

        def plain(x, w):
            a, b = normal_norm(torch, x, w).chunk(2, -1)
            return torch.cat([a * c - b * s, b * c + a * s], -1)
        self.equal(lambda x, w: HeadNormRope.apply(x, w, c, s, 1e-6), plain, (torch.randn(3, 5, 6, 128), torch.rand(6, 128)), 1e-5)

    def test_head_loss(self):
        from tiny.ops import HeadLoss
        torch = self.torch
        h, e, y = torch.randn(1500, 64), torch.randn(128, 64) * .05, torch.randint(0, 128, (1500,))
        w, t = torch.rand(1500), torch.randn(1500, 128)

        def plain(h, e):
            z, q = torch.log_softmax(h @ e.t(), -1), torch.log_softmax(t, -1)
            return ((-z.gather(1, y[:, None])[:, 0] + 0.5 * (q.exp() * (q - z)).sum(1)) * w).sum() / w.sum()
        self.equal(lambda h, e: HeadLoss.apply(h, e, y, w, t, 0.5, torch.float32)[0], plain, (h, e), 1e-4)


class Files(Torch):
    def test_weights_survive_safetensors_in_bfloat16(self):
        from tiny.config import SMOKE
        from tiny.model import Draft
        from tiny.store import read_safetensors, write_safetensors
        state = {k: v.detach() for k, v in Draft(SMOKE.draft).state_dict().items()}
        path = os.path.join(self.folder, "x.safetensors")
        write_safetensors(path, state)
        back = read_safetensors(path)
        self.assertEqual(back.keys(), state.keys())
        self.assertTrue(all(self.torch.equal(back[k], v.bfloat16().float()) for k, v in state.items()))

    def test_the_shipped_tokenizer_survives_text(self):
        from tiny.tokenizer import Tokenizer
        tok = Tokenizer(pair.TARGET)
        for text in ("<|im_start|>user\nhéllo 你好 12,345\n\n  x<|im_end|>\n", "It's 5 * $16 = $80.\n#### 80"):
            self.assertEqual(tok.decode(tok.encode(text)), text)
        self.assertEqual(len(tok.encode("12345")), 5)            # digits one by one

    def test_a_half_written_file_does_not_replace_a_whole_one(self):
        from tiny.store import read_json, write_json, write_whole
        path = os.path.join(self.folder, "x.json")
        write_json(path, {"a": 1})

        def dies(tmp):
            with open(tmp, "w") as f:
                f.write("{")
            raise OSError("no space left")
        self.assertRaises(OSError, write_whole, path, dies)
        self.assertEqual(read_json(path), {"a": 1})


class Documents(Torch):
    def docs(self):
        from tiny.documents import Docs, build
        from tiny.tokenizer import Tokenizer
        path = os.path.join(self.folder, "docs.npz")
        rows = [{"prompt": "Tom has %d apples and eats %d. How many are left?" % (k + 9, k % 7), "answer": "#### %d" % (k + 9 - k % 7)}
                for k in range(300)]
        code = [{"prompt": "def f%d(a):\n    \"\"\"Add %d to a.\"\"\"\n" % (k, k), "answer": "    return a + %d\n" % k} for k in range(200)]
        build({"synthetic_gsm": rows, "synthetic_python": code}, Tokenizer(pair.TARGET), path)
        return Docs(path)

    def test_variants_of_one_problem_are_on_one_side(self):
        d = self.docs()
        self.assertEqual(len(set(d.held[d.src == 0])), 1)        # one wording, many numbers
        self.assertEqual(set(d.held[d.src == 1]), {True, False})

    def test_batches_hold_every_token_once_and_nothing_held_out(self):
        from tiny.documents import batches
        d = self.docs()
        real = sum(int((b["seg"] > 0).sum()) for b in batches(d, 0, 256, long=512))
        train = int(d.len[d.select(False)].sum())
        self.assertLessEqual(real, train)
        self.assertGreater(real, 0.9 * train)                    # the last rows of an epoch may not fill a batch
        held = {tuple(d.doc(i)) for i in d.select(True)}
        for b in batches(d, 0, 256, long=512):
            for x, seg in zip(b["x"], b["seg"]):
                for s in range(1, int(seg.max()) + 1):
                    self.assertNotIn(tuple(x[seg == s]), held)

    def test_loss_weights_tell_prompt_from_answer(self):
        from tiny.documents import pack_rows
        d = self.docs()
        n, p = int(d.len[3]), int(d.plen[3])
        w = pack_rows(d, [[3]], 256, False, 0.25)["w"][0]
        self.assertEqual(set(w[:p - 1]), {0.25})                 # the row before the answer predicts its first token
        self.assertEqual(set(w[p - 1:n - 1]), {1.0})
        self.assertEqual(set(w[n - 1:]), {0.0})


class Measures(Torch):
    def test_loops_are_told_from_endings_and_lists(self):
        from tiny.measure import is_loop
        self.assertTrue(is_loop([5, 6] + [1, 2, 3] * 4, (9,)))
        self.assertFalse(is_loop([5, 6] + [1, 2, 3] * 4 + [9], (9,)))
        self.assertFalse(is_loop(list(range(60)), (9,)))

    def test_ngram_lookup_continues_the_last_occurrence(self):
        from tiny.decode import ngram_lookup
        self.assertEqual(ngram_lookup([1, 2, 3, 4, 5, 1, 2, 3], 2), [4, 5])
        self.assertEqual(ngram_lookup([1, 2, 3], 2), [])


if __name__ == "__main__":
    pair.main()
