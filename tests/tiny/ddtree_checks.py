"""The tree of tools/ddtree against brute force, and its counting against a chain's."""
import itertools
import math
import os
import random
import sys
import unittest

import pair

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "tools", "ddtree"))
from tree import Curve, best_first, best_rows, path_indices


def random_slots(rng, slots, tokens):
    out = []
    for _ in range(slots):
        weights = [rng.random() ** 3 + 1e-3 for _ in range(tokens)]
        ranked = sorted(((math.log(w / sum(weights)), t) for t, w in enumerate(weights)), reverse=True)
        out.append([(t, p) for p, t in ranked])
    return out


class Tree(unittest.TestCase):
    def test_holds_the_likeliest_prefixes_of_all(self):
        rng = random.Random(1)
        for _ in range(50):
            slots = random_slots(rng, 4, 5)
            every = []
            for depth in range(1, 5):
                for chosen in itertools.product(*slots[:depth]):
                    every.append((sum(p for _, p in chosen), tuple(t for t, _ in chosen)))
            every.sort(reverse=True)
            found = best_first(slots, 30)
            self.assertEqual({tokens for tokens, _ in found}, {tokens for _, tokens in every[:30]})
            for (_, p), (q, _) in zip(found, every):
                self.assertAlmostEqual(p, q)

    def test_parents_stand_before_children(self):
        seen = {()}
        for tokens, _ in best_first(random_slots(random.Random(2), 6, 8), 200):
            self.assertIn(tokens[:-1], seen)
            seen.add(tokens)

    def test_a_path_is_counted_up_to_its_first_missing_node(self):
        order = [((7,), -0.1), ((7, 8), -0.2), ((5,), -2.5), ((7, 8, 9), -2.6)]
        self.assertEqual(path_indices(order, [7, 8, 9]), [1, 2, 4])
        self.assertEqual(path_indices(order, [7, 8, 1]), [1, 2])
        self.assertEqual(path_indices(order, [5, 8]), [3])
        self.assertEqual(path_indices(order, [6]), [])

    def test_one_token_a_slot_is_the_chain(self):
        order = best_first([[(3, -0.1)], [(4, -0.2)], [(5, -9.0)]], 10)
        self.assertEqual([tokens for tokens, _ in order], [(3,), (3, 4), (3, 4, 5)])


class Cost(unittest.TestCase):
    def test_curve_is_linear_between_points_and_beyond(self):
        curve = Curve({1: 100.0, 2: 110.0, 4: 150.0})
        self.assertEqual([curve(r) for r in (1, 2, 3, 4, 6)], [100, 110, 130, 150, 190])

    def test_rows_are_added_while_they_pay(self):
        self.assertEqual(best_rows([0.9, 0.8, 0.01], [100.0, 101.0, 102.0, 150.0]), 3)
        self.assertEqual(best_rows([0.01], [100.0, 150.0]), 1)


class Numbers(unittest.TestCase):
    def test_the_whole_chain_has_the_cycles_of_the_decoding_loop(self):
        for module in ("numpy", "regex"):
            pair.need(module)
        pair.need("torch").set_num_threads(1)
        import tree_numbers as numbers
        from tiny import store
        target, draft = store.load(pair.TARGET), store.load(pair.DRAFT)
        prompt = pair.mixed(pair.golden(), 1)[0]["prompt_ids"]
        totals = numbers.run_prompt(target, draft, prompt, 48, Curve(numbers.CURVE), numbers.DRAFT_MS)  # compares them
        tokens, cycles = totals["chain 8"][0], totals["chain 8"][2]
        self.assertLess(cycles, tokens)
        self.assertLessEqual(totals["tree 64"][2], totals["tree 4"][2])
        self.assertEqual(totals["plain"][2], tokens)


if __name__ == "__main__":
    unittest.main()
