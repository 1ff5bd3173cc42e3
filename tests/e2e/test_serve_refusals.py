"""`kakeya-llm serve`: which field a constraint's error is about, and what a closing server still finishes."""
import re
import threading
import time
import unittest

from serve_client import Server

QUESTION = "Tom has 3 bags of 4 apples. How many apples does Tom have?"
BAD = {"type": "object", "properties": {"a": {"type": "nonsense"}}}
CHAT = "/v1/chat/completions"


def wait_for(condition, seconds=20):
    until = time.monotonic() + seconds
    while time.monotonic() < until and not condition():
        time.sleep(0.02)
    return condition()


class Refusals(unittest.TestCase):
    def test_constraints_that_cannot_be_kept_name_their_field(self):
        chat = {"messages": [{"role": "user", "content": QUESTION}], "max_tokens": 4}
        tool = {"type": "function", "function": {"name": "f", "strict": True, "parameters": BAD}}
        schema = {"type": "json_schema", "name": "x", "schema": BAD}
        cases = (
            (CHAT, dict(chat, response_format={"type": "json_schema", "json_schema": {"name": "x", "schema": BAD}}), "response_format"),
            (CHAT, dict(chat, grammar="root ::= nothing"), "grammar"),
            (CHAT, dict(chat, guided_json=BAD), "guided_json"),
            (CHAT, dict(chat, structured_outputs={"json": BAD}), "structured_outputs.json"),
            (CHAT, dict(chat, tools=[tool]), "tools"),
            (CHAT, dict(chat, tool_choice="required"), "tool_choice"),
            ("/v1/completions", {"prompt": "a", "max_tokens": 4, "json_schema": BAD}, "json_schema"),
            ("/v1/responses", {"model": "tiny", "input": "a", "text": {"format": schema}}, "text.format"),
        )
        server = Server()
        try:
            for path, body, param in cases:
                status, _, answer = server.post(path, body)
                self.assertEqual((status, answer["error"]["param"]), (400, param), answer)
                self.assertTrue(answer["error"]["message"])
            # A mistake of another kind in a request with a good format is not blamed on it.
            status, _, answer = server.post(CHAT, dict(chat, response_format={"type": "json_object"}, kakeya={"kv": "q4_0"}))
            self.assertEqual((status, answer["error"]["param"]), (400, "kakeya.kv"), answer)
        finally:
            self.assertEqual(server.stop(), 0)


class Closing(unittest.TestCase):
    def ask(self, server, body, answers):
        thread = threading.Thread(target=lambda: answers.append(server.post(CHAT, body)))
        thread.start()
        self.addCleanup(thread.join)
        return thread

    def test_an_answer_of_several_choices_is_finished_and_what_waits_is_told(self):
        server = Server("--slots", "1", "--grace", "60")
        body = {"messages": [{"role": "user", "content": QUESTION}], "n": 3, "temperature": 0, "max_tokens": 200, "ignore_eos": True}
        begun, waiting = [], []
        first = self.ask(server, body, begun)
        self.assertTrue(wait_for(lambda: any(s["is_processing"] for s in server.request("GET", "/slots")[2])))
        second = self.ask(server, dict(body, n=2, user="another"), waiting)
        queued = re.compile(r"^vllm:num_requests_waiting\S* 4(\.0)?$", re.M)
        self.assertTrue(wait_for(lambda: queued.search(server.request("GET", "/metrics")[2]) is not None))
        self.assertEqual(server.stop(), 0)
        first.join(60)
        second.join(60)
        status, _, answer = begun[0]
        self.assertEqual(status, 200, answer)
        self.assertEqual([c["finish_reason"] for c in answer["choices"]], ["length"] * 3)
        status, headers, answer = waiting[0]
        self.assertEqual((status, answer["error"]["code"], headers["x-should-retry"]), (503, "server_closing", "true"))


if __name__ == "__main__":
    unittest.main()
