#!/usr/bin/env python3
"""Tool calls under constraint, and free text before them."""
import json
import re
import sys
import unittest

import walk

try:
    import jsonschema
except ImportError:
    print("skipped: no python3-jsonschema")
    sys.exit(0)

WEATHER = {"type": "function", "function": {"name": "get_weather", "description": "d", "parameters": {
    "type": "object", "properties": {"city": {"type": "string"}, "unit": {"enum": ["C", "F"]}},
    "required": ["city"]}}}
ADD = {"type": "function", "function": {"name": "add", "parameters": {
    "type": "object", "properties": {"a": {"type": "integer"}, "b": {"type": "integer"}}, "required": ["a", "b"]}}}
NOW = {"type": "function", "function": {"name": "get_now"}}
TOOLS = [WEATHER, ADD, NOW]

ONE = '<tool_call>\n{"name": "get_weather", "arguments": {"city": "Köln", "unit": "C"}}\n</tool_call>'
TWO = '<tool_call>\n{"name": "add", "arguments": {"a": 1, "b": -2}}\n</tool_call>'
EMPTY = '<tool_call>\n{"name": "get_now", "arguments": {}}\n</tool_call>'
COMPACT = '<tool_call>{"name":"add","arguments":{"a":1,"b":2}}</tool_call>'
WRONG_NAME = ONE.replace("get_weather", "get_wind")
WRONG_TYPE = TWO.replace("1", '"1"')


class ToolCalls(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.walks = {name: walk.Walk(path) for name, path in walk.tokenizers().items()}

    @classmethod
    def tearDownClass(cls):
        for one in cls.walks.values():
            one.close()

    def check(self, texts, **spec):
        for name, one in self.walks.items():
            with self.subTest(tokenizer=name):
                answer = one.ask("tool_calls", tools=TOOLS, texts=list(texts), **spec)
                self.assertEqual(dict(zip(texts, answer.get("accepted", []))), texts, answer)

    def calls_of(self, text):
        schemas = {t["function"]["name"]: t["function"].get("parameters", {"maxProperties": 0}) for t in TOOLS}
        calls = re.findall(r"<tool_call>\n?(.*?)\n?</tool_call>", text, re.DOTALL)
        for call in map(json.loads, calls):
            self.assertEqual(list(call), ["name", "arguments"])
            jsonschema.validate(call["arguments"], schemas[call["name"]])
        return calls

    def test_calls_are_allowed_token_by_token(self):
        self.check({ONE: True, TWO: True, EMPTY: True, COMPACT: True, ONE + "\n" + TWO: True,
                    WRONG_NAME: False, WRONG_TYPE: False, "text": False, "": False,
                    ONE + "\n": False, ONE + "text": False})

    def test_one_call_when_not_parallel(self):
        self.check({ONE: True, ONE + "\n" + TWO: False}, parallel=False)

    def test_text_is_free_until_the_marker_when_optional(self):
        self.check({"": True, "Hello <b>": True, "< tool_call>": True, "Let me look.\n" + ONE: True,
                    "x" + ONE + "\n" + TWO: True, "Hello " + WRONG_NAME: False, ONE + " bye": False,
                    "<tool_call>": False}, after="<tool_call>", optional=True)

    def test_text_must_reach_the_marker_when_it_is_not(self):
        self.check({"": False, "thinking</think>\n\n" + ONE: True, "</think>" + ONE: True,
                    "thinking</think>": False, "a</think>b" + ONE: False, ONE: False,
                    "<think>\nI call <tool_call>\n</think>\n\n" + TWO: True}, after="</think>")

    def test_walks_end_in_valid_calls(self):
        for name, one in self.walks.items():
            with self.subTest(tokenizer=name):
                for result in one.ask("tool_calls", tools=TOOLS, walks=20, tokens=60, seed=5)["walks"]:
                    self.assertTrue(result["ended"], result)
                    self.assertGreater(len(self.calls_of(result["text"])), 0)

    def test_optional_walks_hold_valid_calls_only(self):
        for name, one in self.walks.items():
            with self.subTest(tokenizer=name):
                answer = one.ask("tool_calls", tools=TOOLS, walks=10, tokens=30, seed=5, after="<tool_call>",
                                 optional=True)
                for result in answer["walks"]:
                    self.assertTrue(result["ended"])
                    self.calls_of(result["text"])

    def test_marker_may_come_in_pieces(self):
        for name, one in self.walks.items():
            with self.subTest(tokenizer=name):
                grammar = 'root ::= "a" | "b"'
                answer = one.ask("grammar", text=grammar, after="E<N>D", optional=False,
                                 texts=["some E<N>Da", "E<NE<N>Db", "E<N>Dc", "E<N>D", "E<N>"])
                self.assertEqual(answer.get("accepted"), [True, True, False, False, False], answer)


if __name__ == "__main__":
    unittest.main()
