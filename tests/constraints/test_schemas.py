#!/usr/bin/env python3
"""JSON Schema under constraint: what is written is valid by python3-jsonschema, what is valid can be written."""
import datetime
import json
import sys
import unittest

import schema_cases
import walk

try:
    import jsonschema
except ImportError:
    print("skipped: no python3-jsonschema")
    sys.exit(0)

WALKS = 6

# The package's own check of "time" is that of draft 3, without a zone; "date-time" needs another package.
FORMATS = jsonschema.FormatChecker(["date", "ipv4", "uuid"])
FORMATS.checks("time", ValueError)(lambda text: datetime.time.fromisoformat(text).tzinfo is not None)
FORMATS.checks("date-time", ValueError)(
    lambda text: text[10] == "T" and datetime.datetime.fromisoformat(text).tzinfo is not None)


# Here a document is valid by the specification, but outside what we write.
NARROWED = {json.dumps(schema) for schema in schema_cases.NARROWED}


def validator(schema):
    return jsonschema.Draft202012Validator(schema, format_checker=FORMATS)


class Schemas(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.walks = {name: walk.Walk(path) for name, path in walk.tokenizers().items()}

    @classmethod
    def tearDownClass(cls):
        for one in cls.walks.values():
            one.close()

    def _formatMessage(self, msg, standard):
        return f"{getattr(self, 'now', '')}: {super()._formatMessage(msg, standard)}"

    def each(self, cases):
        for name, one in self.walks.items():
            for case in cases:
                self.now = f"tokenizer {name}, schema {json.dumps(case[0])[:300]}"
                yield (one, *case)

    def test_every_finished_walk_is_valid(self):
        finished = total = 0
        for one, schema, _, _ in self.each(schema_cases.CASES):
            answer = one.ask("schema", text=json.dumps(schema), walks=WALKS, seed=7)
            self.assertNotIn("error", answer)
            for result in answer["walks"]:
                total += 1
                self.assertNotIn("empty_mask", result)
                if not result["ended"]:
                    continue  # a long minimum, or recursion that went deep
                finished += 1
                try:
                    validator(schema).validate(json.loads(result["text"]))
                except Exception as error:
                    self.fail(f"{result['text']!r}: {str(error)[:300]}")
        self.assertGreater(finished, 0.95 * total)

    def test_the_cases_are_what_they_say(self):
        for schema, valid, invalid in schema_cases.CASES:
            for text in valid:
                validator(schema).validate(json.loads(text))
            for text in invalid:
                try:
                    document = json.loads(text)
                except ValueError:
                    continue
                if json.dumps(schema) not in NARROWED and "NaN" not in text and "\\ud83d" not in text:
                    self.assertFalse(validator(schema).is_valid(document), (schema, text))

    def test_valid_documents_can_be_written_and_others_cannot(self):
        for one, schema, valid, invalid in self.each(schema_cases.CASES):
            answer = one.ask("schema", text=json.dumps(schema), texts=valid + invalid)
            self.assertNotIn("error", answer)
            got = dict(zip(valid + invalid, answer["accepted"]))
            want = {**{text: True for text in valid}, **{text: False for text in invalid}}
            self.assertEqual(got, want)

    def test_what_cannot_be_kept_is_refused_by_place(self):
        for one, schema, message in self.each(schema_cases.REFUSED):
            answer = one.ask("schema", text=json.dumps(schema), walks=1)
            self.assertIn("error", answer)
            self.assertIn(message, answer["error"])
            self.assertIn(answer["code"], ("unsupported", "invalid argument"))

    def test_nullable_lets_null_come(self):
        for one, schema, text in self.each([({"type": "string", "nullable": True}, "null"),
                                            ({"$ref": "#/$defs/a", "nullable": True, "$defs": {"a": {"type": "integer"}}},
                                             "null")]):
            answer = one.ask("schema", text=json.dumps(schema), texts=[text, "true"])
            self.assertEqual(answer.get("accepted"), [True, False], answer)

    def test_walks_of_json_objects_parse(self):
        for one, _ in self.each([("json_object",)]):
            for result in one.ask("json_object", walks=30, seed=3)["walks"]:
                self.assertTrue(result["ended"])
                self.assertIsInstance(json.loads(result["text"]), dict)

    def test_blanks_come_to_an_end(self):
        for one, _ in self.each([("blanks",)]):
            texts = ['{"a":' + blank + "1}" for blank in ("", " ", "\n" + " " * 20, "  ", "\n\n", "\n" + " " * 21)]
            self.assertEqual(one.ask("json_object", texts=texts)["accepted"], [True] * 3 + [False] * 3)

    def test_nesting_comes_to_an_end(self):
        for one, _ in self.each([("nesting",)]):
            texts = ['{"a": ' * n + "1" + "}" * n for n in (1, 32, 33)]
            self.assertEqual(one.ask("json_object", texts=texts)["accepted"], [True, True, False])


if __name__ == "__main__":
    unittest.main()
