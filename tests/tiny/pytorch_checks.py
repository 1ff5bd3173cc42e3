"""Is the acceptance of the tiny pair real? Checks of the PyTorch reference, each with a control that must fail it.

1 lossless; 2 counted from outside; 3 controls; 4 no peeking, training masks included; 5 unseen prompts.
6 and 7 compare the C++ program with this one (engine_checks.py); 8, sampling, is src/decode's distribution test.
"""
import os
import unittest

import pair

os.environ.setdefault("ONEDNN_PRIMITIVE_CACHE_CAPACITY", "32")
TOKENS = 128


class Pair(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        for module in ("numpy", "regex"):
            pair.need(module)
        cls.torch = pair.need("torch")
        cls.torch.set_num_threads(1)
        from tiny import decode, draft_run, measure, store
        cls.decode, cls.draft_run, cls.measure = decode, draft_run, measure
        cls.target, cls.draft = store.load(pair.TARGET), store.load(pair.DRAFT)
        cls.cases = pair.golden()

    def prompts(self, short, long):
        return [c["prompt_ids"] for c in pair.mixed(self.cases, pair.count(short, long))]


class Lossless(Pair):
    """1 and 2."""

    def all_prompts(self):
        prompts = self.prompts(3, len(self.cases))
        if pair.full():
            from tiny.prompts import unseen
            from tiny.tokenizer import Tokenizer
            sets = unseen(Tokenizer(pair.TARGET))
            for name in ("GSM8K test", "HumanEval", "gsm-mini"):
                prompts += sets[name].prompts[60:110] if name in sets else []
        return prompts[:200]

    def test_text_is_the_same_with_and_without_the_drafter(self):
        found = {"equal": 0, "tie": 0, "different": 0}
        for p in self.all_prompts():
            run = self.decode.dflash(self.target, self.draft, p, TOKENS)
            found[self.decode.near(run.ids, *self.decode.plain(self.target, p, TOKENS))] += 1
            self.assertEqual(run.emitted, sum(run.cycles))       # 2: tokens out of the loop,
            self.assertEqual(run.forwards, len(run.cycles))      # over calls counted inside the target
        print("\n%s" % found)
        self.assertEqual(found["different"], 0)
        self.assertGreater(found["equal"], found["tie"])

    def test_accepting_one_draft_too_many_is_noticed(self):
        p = self.prompts(8, 8)[0]
        run = self.decode.dflash(self.target, self.draft, p, TOKENS)
        k = next(i for i, n in enumerate(run.cycles) if n < self.draft.block)
        at = 1 + sum(run.cycles[:k]) + run.cycles[k] - 1         # where the target's own token replaced a draft
        wrong = run.ids[:at] + [run.drafts[k][run.cycles[k] - 1]]
        self.assertEqual(self.decode.near(wrong, *self.decode.plain(self.target, p, at + 1)), "different")


class Controls(Pair):
    """3. Same loop, same prompts, a drafter that cannot know."""

    def test_controls_lose_and_baselines_are_beaten(self):
        prompts = [c["prompt_ids"] for c in self.cases if c["set"] == "gsm-mini"][:pair.count(2, 20)]
        real = self.measure.acceptance(self.target, self.draft, prompts, TOKENS)["tau_mean_of_prompts"]
        lost = {k: v["tau_mean_of_prompts"] for k, v in
                self.measure.controls(self.target, self.draft, prompts, TOKENS).items()}
        print("\ntau: drafter %.2f; %s" % (real, "; ".join("%s %.3f" % x for x in lost.items())))
        self.assertLessEqual(lost["random drafter"], 1.05)
        self.assertGreaterEqual(real - lost["zeroed taps"], 0.7)
        self.assertGreaterEqual(real - lost["another prompt's features"], 0.7)
        self.assertGreater(real, lost["repeat the last token"])
        self.assertGreater(real, lost["n-gram lookup in the text"])


class NoPeeking(Pair):
    """4. To the bit."""

    def setUp(self):
        c = self.cases[0]
        self.ids = (c["prompt_ids"] + c["dflash_ids"])[:96]
        self.at = len(c["prompt_ids"]) + 3

    def changed(self, keep):
        """The text with every token from `keep` on replaced."""
        return self.ids[:keep] + [(t + 1) % 4000 for t in self.ids[keep:]]

    def drafted(self, ids, anchors):
        """All blocks at once under the training mask, [anchors, block, H]."""
        torch = self.torch
        with torch.no_grad():
            feats = self.decode.features(self.target, ids, self.draft.taps)
            rows = self.draft_run.draft_training_rows(self.target, self.draft, feats, torch.tensor([ids]), torch.tensor([anchors]))
        return rows.view(len(anchors), self.draft.block, -1)

    def test_a_training_block_sees_nothing_from_its_anchor_on(self):
        anchors = [self.at, self.at + 5, self.at + 20]
        a, b = self.drafted(self.ids, anchors), self.drafted(self.changed(self.at + 1), anchors)
        self.assertTrue(self.torch.equal(a[0], b[0]))
        self.assertFalse(self.torch.equal(a[1], b[1]))           # the later blocks do see the change

    def test_a_training_block_sees_the_token_before_its_anchor(self):
        ids = list(self.ids)
        ids[self.at - 1] = (ids[self.at - 1] + 1) % 4000
        self.assertFalse(self.torch.equal(self.drafted(self.ids, [self.at])[0], self.drafted(ids, [self.at])[0]))

    def test_a_mask_that_lets_the_anchor_row_in_is_noticed(self):
        kept = self.draft_run.training_mask
        self.addCleanup(setattr, self.draft_run, "training_mask", kept)
        # Two rows too many: the features at the anchor and after it, which know the tokens to be drafted.
        self.draft_run.training_mask = lambda anchors, *rest: kept(anchors + 2, *rest)
        a, b = self.drafted(self.ids, [self.at]), self.drafted(self.changed(self.at + 1), [self.at])
        self.assertFalse(self.torch.equal(a[0], b[0]))

    def test_training_blocks_equal_decoding_blocks(self):
        anchors = [self.at, self.at + 1, self.at + 20]
        torch, rows = self.torch, self.drafted(self.ids, anchors)
        for k, s in enumerate(anchors):
            with torch.no_grad():
                feats = self.decode.features(self.target, self.ids[:s], self.draft.taps)
                block = torch.tensor([[self.ids[s]] + [self.draft.mask_id] * (self.draft.block - 1)])
                z = self.draft(self.target.model.embed_tokens(block), torch.arange(s, s + self.draft.block)[None],
                               self.draft.context_kv(feats, torch.arange(s)[None]))
            self.assertLess((z[0] - rows[k]).abs().max().item(), 1e-3)

    def test_a_rewound_cache_leaves_nothing_behind(self):
        """Rows that were verified and rejected before do not reach the next draft or verify."""
        torch, s, width = self.torch, self.at, 8
        from tiny.model import Cache, rows_mask
        found = []
        for ids in (self.ids, self.changed(s)):
            cache = Cache.of(self.target, 1, 128)
            taps = tuple(self.draft.taps)
            with torch.no_grad():
                self.target(torch.tensor([self.ids[:s]]), torch.arange(s)[None], rows_mask(s, 0), taps, cache)
                self.target(torch.tensor([ids[s:s + width]]), torch.arange(s, s + width)[None], rows_mask(width, s), taps, cache)
                cache.crop(s)
                found.append(self.target(torch.tensor([self.ids[s:s + width]]), torch.arange(s, s + width)[None],
                                         rows_mask(width, s), taps, cache))
        self.assertTrue(torch.equal(found[0][0], found[1][0]))
        self.assertTrue(torch.equal(found[0][1], found[1][1]))


class Unseen(Pair):
    """5. What the golden file says of 100 unseen prompts, and a sample of it measured again."""

    def test_acceptance_falls_with_position(self):
        for name, least in (("gsm-mini", 4.0), ("py-mini", 2.0)):
            cases = [c for c in self.cases if c["set"] == name]
            curve = pair.position_curve(cases)
            print("\n%s: tau %.2f, accepted at position %s" % (name, pair.tau(cases), " ".join("%.2f" % x for x in curve)))
            self.assertTrue(pair.falls(curve))
            self.assertGreater(pair.tau(cases), least)

    def test_golden_counts_are_those_of_these_weights(self):
        for c in pair.mixed(self.cases, pair.count(2, 100)):
            run = self.decode.dflash(self.target, self.draft, c["prompt_ids"], TOKENS)
            if c["smallest_gap"] > 1e-3:
                self.assertEqual(run.cycles, c["acceptance_lengths"])
                self.assertEqual(run.ids, c["dflash_ids"])


class Gates(Pair):
    """tools/train/gates.py lets the shipped target pass and stops one that has learnt nothing."""

    def found(self, target, prompts, tokens):
        import gates
        from tiny.prompts import unseen
        from tiny.tokenizer import Tokenizer
        tok = Tokenizer(pair.TARGET)
        kept = gates.MAX_NEW, gates.SAMPLED
        gates.MAX_NEW, gates.SAMPLED = tokens, prompts
        self.addCleanup(lambda: (setattr(gates, "MAX_NEW", kept[0]), setattr(gates, "SAMPLED", kept[1])))
        return [g.passed for g in gates.measure(target, tok, None, [unseen(tok, published="")["gsm-mini"]], prompts)]

    def test_the_shipped_target_passes(self):
        self.assertEqual(self.found(self.target, pair.count(6, 149), 200), [None, True, True, True])

    def test_a_target_that_learnt_nothing_misses(self):
        from tiny.model import Target
        self.assertEqual(self.found(Target(self.target.cfg).eval(), 3, 12)[:3], [None, False, False])


if __name__ == "__main__":
    pair.main()
