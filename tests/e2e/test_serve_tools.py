"""`kakeya-llm serve` and tools on the embedded pair: stop strings, cut calls, schemas that lose keywords, and the head of a request."""
import json
import os
import socket
import tempfile
import unittest

from serve_client import Server

QUESTION = [{"role": "user", "content": "weather in Paris?"}]
CHAT = "/v1/chat/completions"
PARAMETERS = {"type": "object", "properties": {"n": {"enum": [1, 2]}}, "required": ["n"], "additionalProperties": False}


def tool(parameters):
    return {"type": "function", "function": {"name": "pick", "parameters": parameters}}


class Tools(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.TemporaryDirectory()
        cls.server = Server("--slots", "1", "--queue", "1", "--slot-save-path", cls.folder.name)

    @classmethod
    def tearDownClass(cls):
        code = cls.server.stop()
        cls.folder.cleanup()
        assert code == 0, (code, cls.server.log)

    def choice(self, **fields):
        status, _, body = self.server.post(CHAT, dict({"messages": QUESTION, "tools": [tool(PARAMETERS)], "temperature": 0,
                                                       "max_tokens": 150}, **fields))
        self.assertEqual(status, 200, body)
        return body["choices"][0], body

    def test_stop_strings_do_not_cut_calls(self):
        for speculation in ("off", "fixed"):
            for stop in ("\n", "<", '"', "}", "pick"):
                choice, _ = self.choice(tool_choice="required", parallel_tool_calls=False, stop=stop,
                                        kakeya={"speculation": speculation})
                self.assertEqual((choice["finish_reason"], choice["message"]["content"]), ("tool_calls", None), stop)
                self.assertIn(json.loads(choice["message"]["tool_calls"][0]["function"]["arguments"])["n"], (1, 2))

    def test_stop_strings_cut_the_content_beside_tools(self):
        whole = self.choice(max_tokens=60)[0]["message"]["content"]
        self.assertGreater(len(whole), 20)
        stop = whole[len(whole) // 2:len(whole) // 2 + 4]
        counts = set()
        for speculation in ("off", "fixed"):
            choice, body = self.choice(max_tokens=60, stop=[stop], kakeya={"speculation": speculation})
            self.assertEqual(choice["message"]["content"], whole[:whole.index(stop)])
            self.assertEqual((choice["finish_reason"], choice["stop_reason"]), ("stop", stop))
            counts.add(body["usage"]["completion_tokens"])
        self.assertEqual(len(counts), 1)

    def test_a_cut_call_leaves_no_tags(self):
        for limit in (1, 2, 3, 5):
            choice, _ = self.choice(tool_choice="required", max_tokens=limit)
            self.assertNotIn("<", choice["message"]["content"] or "")
            self.assertEqual(choice["finish_reason"], "length")
            body = {"model": "tiny", "max_tokens": limit, "messages": QUESTION, "tool_choice": {"type": "any"},
                    "tools": [{"name": "pick", "input_schema": PARAMETERS}]}
            status, _, message = self.server.post("/v1/messages", body)
            self.assertEqual(status, 200, message)
            self.assertNotIn("<", "".join(block.get("text", "") for block in message["content"]))

    def test_a_schema_loses_one_keyword_and_says_so(self):
        loose = dict(PARAMETERS, propertyNames={"minLength": 1})
        choice, body = self.choice(tools=[tool(loose)], tool_choice="required", parallel_tool_calls=False)
        self.assertEqual(body["kakeya"]["loosened"], ["pick#/propertyNames"])
        arguments = json.loads(choice["message"]["tool_calls"][0]["function"]["arguments"])
        self.assertEqual(list(arguments), ["n"])
        self.assertIn(arguments["n"], (1, 2))

    def test_more_answers_than_slots_and_queue_name_n(self):
        status, headers, body = self.server.post(CHAT, {"messages": QUESTION, "n": 4, "max_tokens": 2})
        self.assertEqual((status, body["error"]["param"]), (400, "n"), body)

    def test_a_damaged_slot_file_is_a_mistake_of_the_request(self):
        with open(os.path.join(self.folder.name, "bad.bin"), "wb") as file:
            file.write(b"no session at all" * 100)
        status, _, body = self.server.post("/slots/0?action=restore", {"filename": "bad.bin"})
        self.assertEqual((status, body["error"]["type"], body["error"]["param"]), (400, "invalid_request_error", "filename"), body)
        self.assertNotIn(self.folder.name, body["error"]["message"])

    def test_a_slot_that_does_not_exist_is_named(self):
        status, _, body = self.server.post(CHAT, {"messages": QUESTION, "id_slot": 5, "max_tokens": 2})
        self.assertEqual((status, body["error"]["param"]), (400, "id_slot"), body)

    def raw(self, head):
        with socket.create_connection(("127.0.0.1", self.server.port), timeout=20) as client:
            client.sendall(head.encode())
            answer = b""
            while b"\r\n\r\n" not in answer:
                piece = client.recv(4096)
                if not piece:
                    break
                answer += piece
        return answer.split(b"\r\n\r\n")[0].decode().split("\r\n")

    def test_heads_that_are_wrong_are_answered_at_once(self):
        post = f"POST {CHAT} HTTP/1.1\r\nContent-Type: application/json\r\n"
        for head, status in ((post + "Content-Length: 2\r\n\r\n{}", "400"),
                             (post + "Host: localhost\r\nHost: localhost\r\nContent-Length: 2\r\n\r\n{}", "400"),
                             (post + "Host: localhost:80@evil\r\nContent-Length: 2\r\n\r\n{}", "400"),
                             (post + "Host: localhost\r\nTransfer-Encoding: gzip\r\n\r\n", "501"),
                             (post + "Host: localhost\r\nExpect: 100-continue\r\nContent-Length: 99999999\r\n\r\n", "413")):
            lines = self.raw(head)
            self.assertEqual(lines[0].split()[1], status, head)
            self.assertEqual(sum(line.lower().startswith("connection:") for line in lines), 1, lines)


if __name__ == "__main__":
    unittest.main()
