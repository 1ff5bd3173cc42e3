"""Is the acceptance of the tiny pair real? Seven checks of the C++ program, each with a control that must fail it.

Numbers as in the list of pytorch_checks.py; check 8 (sampling) is src/decode's distribution test.
"""
import gzip
import json
import os
import shutil
import subprocess
import tempfile
import unittest

import pair

# The PyTorch reference keeps its cache in float32; comparisons with it use the channel that does the same.
EXACT = ("f32", "f32")
# Two best logits nearer than this may swap places between two implementations.
TIE = 1e-3
CHAT = "<|im_start|>user\n%s<|im_end|>\n<|im_start|>assistant\n<think>\n\n</think>\n\n"


class Pair(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        pair.binary()
        pair.need("numpy")
        cls.cases = pair.golden()
        cls.folder = tempfile.mkdtemp()
        cls.addClassCleanup(shutil.rmtree, cls.folder)

    def drafted(self, cases, draft=pair.DRAFT, kv="bf16", draft_kv="bf16"):
        return [pair.generate(c["prompt_ids"], draft, kv, draft_kv) for c in cases]


class Lossless(Pair):
    """1. With the drafter = without it, token for token. 2. tau counted from outside."""

    def prompts(self):
        cases = list(self.cases)
        if pair.full():
            cases += more_prompts(200 - len(cases))
        return cases if pair.full() else pair.mixed(cases, 16)

    def test_text_is_the_same_with_and_without_the_drafter(self):
        accepted = rejected = 0
        for kv in ("bf16", "e8-q10"):
            for c in self.prompts():
                with_draft = pair.generate(c["prompt_ids"], kv=kv)
                self.assertEqual(with_draft["output_ids"], pair.generate(c["prompt_ids"], None, kv)["output_ids"], kv)
                accepted += sum(n > 1 for n in with_draft["acceptance_lengths"])
                rejected += sum(n < 8 for n in with_draft["acceptance_lengths"])
        self.assertGreater(accepted, 0)   # otherwise nothing was at stake
        self.assertGreater(rejected, 0)

    def test_a_drafter_that_is_always_wrong_changes_the_passes_and_not_the_text(self):
        lost = pair.random_draft(os.path.join(self.folder, "random"))
        for c in pair.mixed(self.cases, 3):
            good, bad = pair.generate(c["prompt_ids"]), pair.generate(c["prompt_ids"], lost)
            self.assertEqual(good["output_ids"], bad["output_ids"])
            self.assertGreater(bad["target_forwards"], good["target_forwards"])

    def test_tau_equals_tokens_over_target_passes_counted_elsewhere(self):
        for c in pair.mixed(self.cases, 6):
            r = pair.generate(c["prompt_ids"])
            cycles = r["cycles"]
            self.assertEqual(r["target_forwards"], len(cycles))
            # The target's cache saw the prompt once, and then one block a cycle.
            for layer in r["kv"]["target"]["layers"]:
                calls = layer["codec_fired"]["calls"] + layer["skip_fired"]["calls"]
                self.assertEqual(calls, 1 + len(cycles))
            self.assertEqual(len(r["output_ids"]) - 1, sum(x["emitted"] for x in cycles))
            self.assertEqual([x["accepted"] + 1 for x in cycles], r["acceptance_lengths"])
            self.assertTrue(all(x["emitted"] == x["accepted"] + 1 for x in cycles[:-1]))
            self.assertLessEqual(cycles[-1]["emitted"], cycles[-1]["accepted"] + 1)


class Controls(Pair):
    """3. A drafter that cannot know must not be accepted."""

    def test_random_and_deaf_drafters_lose(self):
        cases = [c for c in self.cases if c["set"] == "gsm-mini"][:pair.count(6, 40)]
        real = pair.tau(self.drafted(cases))
        random = pair.tau(self.drafted(cases, pair.random_draft(os.path.join(self.folder, "random"))))
        deaf = pair.tau(self.drafted(cases, pair.deaf_draft(os.path.join(self.folder, "deaf"))))
        print("\ntau: drafter %.2f, random weights %.3f, zeroed taps %.2f" % (real, random, deaf))
        self.assertLessEqual(random, 1.05)
        self.assertGreaterEqual(real - deaf, 0.7)


class NoPeeking(Pair):
    """4. What the drafter is given for a row does not depend on later tokens."""

    def test_later_tokens_change_no_bit_of_an_earlier_row(self):
        ids = self.cases[0]["prompt_ids"] + self.cases[0]["dflash_ids"]
        at = len(self.cases[0]["prompt_ids"])
        later = ids[:at] + [(t + 1) % 4000 for t in ids[at:]]
        before = ids[:at - 1] + [(ids[at - 1] + 1) % 4000] + ids[at:]
        for kv in ("bf16", "e8-q10"):
            z, taps = pair.logits(ids, kv, taps=True)
            z_later, taps_later = pair.logits(later, kv, taps=True)
            z_before, taps_before = pair.logits(before, kv, taps=True)
            self.assertEqual(taps[:at].tobytes(), taps_later[:at].tobytes())
            self.assertEqual(z[:at].tobytes(), z_later[:at].tobytes())
            self.assertNotEqual(taps[at - 1].tobytes(), taps_before[at - 1].tobytes())
            self.assertNotEqual(z[at].tobytes(), z_before[at].tobytes())


class Unseen(Pair):
    """5. Acceptance on prompts nobody trained on; it falls with position."""

    def test_acceptance_falls_with_position(self):
        sets = {"gsm-mini": [c for c in self.cases if c["set"] == "gsm-mini"][:pair.count(10, 60)],
                "py-mini": [c for c in self.cases if c["set"] == "py-mini"][:pair.count(6, 40)]}
        for name, prompts in published(pair.count(4, 60)).items():
            sets[name] = prompts
        least = {"gsm-mini": 4.0, "py-mini": 2.0, "GSM8K test": 1.8, "HumanEval": 1.3}
        for name, cases in sets.items():
            results = self.drafted(cases)
            curve = pair.position_curve(results)
            print("\n%s: %d prompts, tau %.2f, accepted at position %s" % (
                name, len(cases), pair.tau(results), " ".join("%.2f" % x for x in curve)))
            self.assertTrue(pair.falls(curve), name)
            self.assertGreater(pair.tau(results), least[name], name)

    def test_drafts_that_know_their_labels_would_not_fall(self):
        leaking = [{"acceptance_lengths": [8, 8, 8, 8, 7]}]
        self.assertFalse(pair.falls(pair.position_curve(leaking)))


class TwoImplementations(Pair):
    """6. The program and PyTorch accept the same drafts."""

    def test_accepted_counts_equal_those_of_pytorch(self):
        cases = self.cases if pair.full() else pair.mixed(self.cases, 16)
        results, ties = self.drafted(cases, pair.DRAFT, *EXACT), 0
        for c, r in zip(cases, results):
            same = r["acceptance_lengths"] == c["acceptance_lengths"] and r["output_ids"] == c["dflash_ids"]
            if not same and c["smallest_gap"] < TIE:
                ties += 1
                continue
            self.assertEqual(r["output_ids"], c["dflash_ids"])
            self.assertEqual(r["acceptance_lengths"], c["acceptance_lengths"])
        ours, theirs = pair.tau(results), pair.tau(cases)
        print("\ntau on %d prompts: %.4f, PyTorch %.4f; parted at a tie: %d" % (len(cases), ours, theirs, ties))
        self.assertLess(abs(ours / theirs - 1), 0.01)
        self.assertLessEqual(ties, len(cases) // 50)

    def test_another_drafter_does_not_give_these_counts(self):
        deaf = pair.deaf_draft(os.path.join(self.folder, "deaf"))
        cases = pair.mixed(self.cases, 4)
        self.assertNotEqual([c["acceptance_lengths"] for c in cases],
                            [r["acceptance_lengths"] for r in self.drafted(cases, deaf, *EXACT)])


class WithLatticeCache(Pair):
    """7. tau and loss, with and without the E8 cache: four numbers a channel. The loss is that of the reference answers."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        rows = mini_records()[:pair.count(12, 149)]
        prompts = encoded([CHAT % r["question"] for r in rows])
        texts = encoded([CHAT % r["question"] + r["answer"] + "<|im_end|>" for r in rows])
        cls.answered = [(len(p["prompt_ids"]), t["prompt_ids"]) for p, t in zip(prompts, texts)]

    def loss(self, kv):
        """Nats an answer token."""
        numpy = pair.need("numpy")
        total = n = 0
        for start, ids in self.answered:
            z = pair.logits(ids, kv).astype(numpy.float64)
            at = numpy.arange(start, len(ids))
            rows = z[at - 1]
            top = rows.max(1)
            total += (numpy.log(numpy.exp(rows - top[:, None]).sum(1)) + top - rows[range(len(at)), numpy.array(ids)[at]]).sum()
            n += len(at)
        return total / n

    def test_loss_and_tau_with_and_without(self):
        cases = pair.mixed(self.cases, pair.count(8, 100))
        tau, loss = pair.tau(self.drafted(cases)), self.loss("bf16")
        print("\nbf16: tau %.3f, loss %.4f" % (tau, loss))
        # channel: most that tau may fall (share), most that the loss may rise (nats)
        for kv, tau_fall, loss_rise in (("e8-q38", 0.05, 0.002), ("e8-q10", 0.10, 0.005), ("e8-q4", 0.10, 0.01)):
            t, l = pair.tau(self.drafted(cases, kv=kv)), self.loss(kv)
            both = pair.tau(self.drafted(cases, kv=kv, draft_kv=kv))
            print("%s: tau %.3f, loss %.4f; with the draft's cache in it too: tau %.3f" % (kv, t, l, both))
            self.assertGreater(t, tau * (1 - tau_fall), kv)
            self.assertLess(l - loss, loss_rise, kv)

    def test_a_channel_too_coarse_is_noticed(self):
        cases = pair.mixed(self.cases, pair.count(6, 20))
        rise = self.loss("e8-q2") - self.loss("bf16")
        fall = 1 - pair.tau(self.drafted(cases, kv="e8-q2", draft_kv="e8-q2")) / pair.tau(self.drafted(cases))
        print("\ne8-q2: loss %+.4f, tau %+.1f%%" % (rise, -100 * fall))
        self.assertGreater(rise, 0.01)                             # more than any channel above may


def mini_records():
    with open(os.path.join(pair.REPO, "data", "gsm-mini.jsonl"), encoding="utf-8") as f:
        return [json.loads(l) for l in f]


def published(n):
    """{set: prompts} of GSM8K test and HumanEval where they are to be had; needs only the tokenizer of the program."""
    data = os.path.join(os.environ.get("KAKEYA_SHARED") or os.path.join(os.path.dirname(pair.REPO), "shared"), "data")
    out = {}
    path = os.path.join(data, "gsm8k", "test.jsonl")
    if os.path.exists(path):
        with open(path, encoding="utf-8") as f:
            rows = [json.loads(l)["question"] for l in f]
        out["GSM8K test"] = encoded([CHAT % q for q in rows[::max(1, len(rows) // n)][:n]])
    path = os.path.join(data, "humaneval", "HumanEval.jsonl.gz")
    if os.path.exists(path):
        with gzip.open(path, "rt", encoding="utf-8") as f:
            rows = [json.loads(l)["prompt"] for l in f]
        out["HumanEval"] = [c for c in encoded(rows) if len(c["prompt_ids"]) <= 600][:n]
    if not out:
        print("\nno GSM8K or HumanEval in %s (KAKEYA_SHARED): the mini sets alone" % data)
    return out


def encoded(texts):
    lines = "".join(json.dumps({"text": t, "parse_special": True}) + "\n" for t in texts)
    p = subprocess.run([pair.binary(), "tokenize", "--tokenizer", pair.TARGET, "--jsonl"], input=lines.encode(),
                       stdout=subprocess.PIPE, check=True)
    return [{"prompt_ids": json.loads(l)} for l in p.stdout.decode().splitlines()]


def more_prompts(n):
    """Further prompts for the long list: the published sets, or the rest of gsm-mini."""
    sets = published(n)
    found = [c for pack in zip(*sets.values()) for c in pack] if len(sets) == 2 else [c for s in sets.values() for c in s]
    if len(found) < n:
        found += encoded([CHAT % r["question"] for r in mini_records()])
    return found[:n]


if __name__ == "__main__":
    pair.main()
