"""`kakeya-llm serve` on the embedded pair: what clients rely on, with real tokens."""
import json
import signal
import socket
import tempfile
import time
import unittest

import serve_client
from serve_client import Server

QUESTION = "Tom has 3 bags of 4 apples. How many apples does Tom have?"


class Serve(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.server = Server("--kv-allow", "e8-q38", "--slots", "2")

    @classmethod
    def tearDownClass(cls):
        code = cls.server.stop()
        assert code == 0, (code, cls.server.log)

    def test_a_streamed_answer_is_the_whole_one_cut_in_pieces(self):
        whole = self.server.chat(QUESTION, max_tokens=40, temperature=0)
        body = {"messages": [{"role": "user", "content": QUESTION}], "max_tokens": 40, "temperature": 0,
                "stream_options": {"include_usage": True}}
        events = self.server.events("/v1/chat/completions", body)
        self.assertEqual(events.pop(), "[DONE]")
        chunks = [json.loads(event) for event in events]
        self.assertEqual(len({(c["id"], c["created"], c["model"]) for c in chunks}), 1)
        self.assertEqual(chunks[0]["choices"][0]["delta"], {"role": "assistant", "content": ""})
        text = "".join(c["choices"][0]["delta"].get("content", "") for c in chunks if c["choices"])
        self.assertEqual(text, whole["choices"][0]["message"]["content"])
        finishes = [c["choices"][0]["finish_reason"] for c in chunks if c["choices"] and c["choices"][0]["finish_reason"]]
        self.assertEqual(finishes, [whole["choices"][0]["finish_reason"]])
        usage = chunks[-1]["usage"]
        self.assertEqual(chunks[-1]["choices"], [])
        self.assertEqual(usage["total_tokens"], usage["prompt_tokens"] + usage["completion_tokens"])
        self.assertEqual(usage["completion_tokens"], whole["usage"]["completion_tokens"])

    def test_the_text_does_not_depend_on_drafts_and_the_answer_says_what_they_did(self):
        fixed = self.server.chat(QUESTION, max_tokens=40, temperature=0, kakeya={"speculation": "fixed"})
        off = self.server.chat(QUESTION, max_tokens=40, temperature=0, kakeya={"speculation": "off"})
        self.assertEqual(fixed["choices"][0]["message"]["content"], off["choices"][0]["message"]["content"])
        self.assertGreaterEqual(fixed["kakeya"]["acceptance_length"], 1)
        self.assertEqual(off["kakeya"]["proposed"], 0)
        details = fixed["usage"]["completion_tokens_details"]
        self.assertEqual(details["accepted_prediction_tokens"], fixed["kakeya"]["accepted"])

    def test_a_channel_is_chosen_within_the_list(self):
        body = self.server.chat(QUESTION, max_tokens=8, kakeya={"kv": "e8-q38"})
        self.assertEqual(body["kakeya"]["kv_channel"], "e8-q38")
        status, _, error = self.server.post("/v1/chat/completions", {"messages": [{"role": "user", "content": "x"}],
                                                                     "kakeya": {"kv": "e8-q4"}})
        self.assertEqual((status, error["error"]["param"]), (400, "kakeya.kv"))

    def test_a_seed_repeats_and_two_choices_differ_by_theirs(self):
        once = self.server.chat(QUESTION, max_tokens=24, temperature=1.0, top_k=0, top_p=1, seed=7, n=2)
        again = self.server.chat(QUESTION, max_tokens=24, temperature=1.0, top_k=0, top_p=1, seed=7, n=2)
        texts = [c["message"]["content"] for c in once["choices"]]
        self.assertEqual(texts, [c["message"]["content"] for c in again["choices"]])
        self.assertEqual(len(once["choices"]), 2)

    def test_logprobs_join_to_the_text(self):
        body = self.server.chat(QUESTION, max_tokens=24, temperature=0, logprobs=True, top_logprobs=2)
        tokens = body["choices"][0]["logprobs"]["content"]
        self.assertEqual(bytes(b for t in tokens for b in t["bytes"]).decode(), body["choices"][0]["message"]["content"])
        for token in tokens:
            self.assertEqual(len(token["top_logprobs"]), 2)
            self.assertAlmostEqual(token["logprob"], token["top_logprobs"][0]["logprob"], places=4)

    def test_a_stop_string_split_over_tokens_ends_the_answer_and_is_not_in_it(self):
        text = self.server.chat(QUESTION, max_tokens=40, temperature=0)["choices"][0]["message"]["content"]
        stop = text[len(text) // 2:len(text) // 2 + 5]
        body = self.server.chat(QUESTION, max_tokens=40, temperature=0, stop=["\u0001"] * 9 + [stop])
        self.assertEqual(body["choices"][0]["message"]["content"], text[:text.index(stop)])
        self.assertEqual(body["choices"][0]["finish_reason"], "stop")

    def test_limits_of_tokens(self):
        self.assertEqual(self.server.chat(QUESTION, max_tokens=1)["usage"]["completion_tokens"], 1)
        self.server.chat("hi", max_tokens=32000, stop=["."])  # clamped, not refused
        status, _, body = self.server.post("/v1/chat/completions",
                                           {"messages": [{"role": "user", "content": "word " * 3000}]})
        self.assertEqual((status, body["error"]["code"]), (400, "context_length_exceeded"))
        self.assertIn("This model's maximum context length is 1024 tokens", body["error"]["message"])

    def test_a_second_request_finds_its_prefix_again(self):
        self.server.chat(QUESTION + " Say it.", max_tokens=4, temperature=0)
        body = self.server.chat(QUESTION + " Say it.", max_tokens=4, temperature=0)
        self.assertGreater(body["usage"]["prompt_tokens_details"]["cached_tokens"], 0)

    def test_a_client_that_leaves_frees_its_slot_within_a_second(self):
        for stream in (True, False):
            body = json.dumps({"messages": [{"role": "user", "content": "Count."}], "stream": stream, "ignore_eos": True})
            client = socket.create_connection(("127.0.0.1", self.server.port))
            client.sendall(("POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
                            f"Content-Length: {len(body)}\r\n\r\n{body}").encode())
            self.assertTrue(self.wait_for(lambda: self.busy() == 1, 10), "never ran")
            client.close()
            self.assertTrue(self.wait_for(lambda: self.busy() == 0, 1.5), f"stream {stream}")

    def busy(self):
        return sum(slot["is_processing"] for slot in self.server.request("GET", "/slots")[2])

    @staticmethod
    def wait_for(condition, seconds):
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            if condition():
                return True
            time.sleep(0.02)
        return False

    def test_completions_continue_texts_and_tokens(self):
        text = self.server.post("/v1/completions", {"prompt": "Tom has", "max_tokens": 6, "temperature": 0, "logprobs": 1})[2]
        ids = self.server.post("/tokenize", {"content": "Tom has"})[2]["tokens"]
        tokens = self.server.post("/v1/completions", {"prompt": ids, "max_tokens": 6, "temperature": 0})[2]
        self.assertEqual(text["choices"][0]["text"], tokens["choices"][0]["text"])
        self.assertEqual("".join(text["choices"][0]["logprobs"]["tokens"]), text["choices"][0]["text"])

    SCHEMA = {"type": "object", "properties": {"n": {"enum": [1, 2]}, "ok": {"type": "boolean"}}, "required": ["n", "ok"],
              "additionalProperties": False}

    def test_an_answer_with_a_schema_keeps_it(self):
        form = {"type": "json_schema", "json_schema": {"name": "x", "strict": True, "schema": self.SCHEMA}}
        for speculation in ("off", "fixed"):
            body = self.server.chat(QUESTION, max_tokens=200, response_format=form, kakeya={"speculation": speculation})
            value = json.loads(body["choices"][0]["message"]["content"])
            self.assertIn(value["n"], (1, 2))
            self.assertIsInstance(value["ok"], bool)

    def test_required_and_named_tools_are_called_and_empty_schemas_work(self):
        tools = [{"type": "function", "function": {"name": "pick", "parameters": self.SCHEMA}},
                 {"type": "function", "function": {"name": "ping", "parameters": {"type": "object", "properties": {}}}}]
        for choice, names in (("required", ("pick", "ping")), ({"type": "function", "function": {"name": "pick"}}, ("pick",))):
            body = self.server.chat(QUESTION, max_tokens=300, tools=tools, tool_choice=choice, parallel_tool_calls=False)
            choice = body["choices"][0]
            self.assertEqual(choice["finish_reason"], "tool_calls", body)
            self.assertIsNone(choice["message"]["content"])
            call = choice["message"]["tool_calls"][0]
            self.assertIn(call["function"]["name"], names)
            self.assertIsInstance(json.loads(call["function"]["arguments"]), dict)

    def test_a_schema_that_cannot_be_kept_is_refused_with_its_place(self):
        form = {"type": "json_schema", "json_schema": {"name": "x", "schema": {"type": "nonsense"}}}
        status, _, body = self.server.post("/v1/chat/completions", {"messages": [{"role": "user", "content": "x"}],
                                                                    "response_format": form})
        self.assertEqual((status, body["error"]["type"]), (400, "invalid_request_error"))

    def test_embeddings_are_unit_vectors(self):
        status, _, body = self.server.post("/v1/embeddings", {"input": ["one", "two"]})
        self.assertEqual(status, 200)
        for item in body["data"]:
            self.assertAlmostEqual(sum(x * x for x in item["embedding"]), 1, places=4)

    def test_one_connection_serves_after_errors(self):
        connection = self.server.connect()
        for method, path, body, wanted in (("POST", "/v1/chat/completions", "{", 400), ("GET", "/nowhere", None, 404),
                                           ("GET", "/v1/chat/completions", None, 405), ("GET", "/v1/models", None, 200)):
            serve_client.send(connection, method, path, body)
            response = connection.getresponse()
            response.read()
            self.assertEqual(response.status, wanted, path)
        connection.close()

    def test_metrics_count_speculation(self):
        self.server.chat(QUESTION, max_tokens=16, temperature=0, kakeya={"speculation": "fixed"})
        text = self.server.request("GET", "/metrics")[2]
        drafts = [line for line in text.splitlines() if line.startswith("vllm:spec_decode_num_drafts_total")]
        self.assertGreater(int(drafts[0].split()[-1]), 0)
        self.assertIn('position="0"', text)


class Lifetime(unittest.TestCase):
    def test_a_running_answer_is_finished_before_the_end_and_new_ones_are_refused(self):
        server = Server("--grace", "240")  # enough under a sanitizer, too
        connection = server.connect()
        serve_client.send(connection, "POST", "/v1/chat/completions",
                          {"messages": [{"role": "user", "content": "Count."}], "ignore_eos": True, "stream": True,
                           "max_tokens": 300})
        response = connection.getresponse()
        server.process.send_signal(signal.SIGTERM)
        text = response.read().decode()
        self.assertIn('"finish_reason":"length"', text)
        self.assertTrue(text.endswith("data: [DONE]\n\n"))
        connection.close()
        self.assertEqual(server.process.wait(60), 0)
        server.process.stdout.close()
        server.process.stderr.close()

    def test_a_slot_outlives_its_cache_in_a_file(self):
        with tempfile.TemporaryDirectory() as folder:
            server = Server("--slots", "1", "--slot-save-path", folder)
            try:
                first = server.chat(QUESTION, max_tokens=4, temperature=0)
                saved = server.post("/slots/0?action=save", {"filename": "a.bin"})[2]
                server.post("/slots/0?action=erase", {})
                self.assertEqual(server.post("/slots/0?action=restore", {"filename": "a.bin"})[2]["n_restored"], saved["n_saved"])
                again = server.chat(QUESTION, max_tokens=4, temperature=0)
                self.assertEqual(again["choices"], first["choices"])
                self.assertGreater(again["usage"]["prompt_tokens_details"]["cached_tokens"], 0)
                self.assertEqual(server.post("/slots/0?action=restore", {"filename": "b"})[0], 400)
            finally:
                self.assertEqual(server.stop(), 0)

    def test_a_full_queue_and_a_second_signal(self):
        server = Server("--slots", "1", "--queue", "1")
        body = {"messages": [{"role": "user", "content": "Count."}], "ignore_eos": True, "stream": True}
        streams = [server.connect() for _ in range(2)]
        for stream in streams:
            serve_client.send(stream, "POST", "/v1/chat/completions", body)
            self.assertEqual(stream.getresponse().status, 200)
        status, headers, error = server.post("/v1/chat/completions", dict(body, stream=False))
        self.assertEqual((status, error["error"]["code"], headers["x-should-retry"]), (429, "queue_full", "true"))
        server.process.send_signal(signal.SIGINT)
        self.assertTrue(Serve.wait_for(lambda: "closing" in server.log, 5))
        self.assertEqual(server.stop(signal.SIGINT), 130)
        for stream in streams:
            stream.close()

    def test_keys_guard_and_cors_speaks_on_errors(self):
        server = Server("--alias", "qwen3-tiny", env={"KAKEYA_API_KEY": "sk-local"})
        try:
            status, headers, body = server.request("GET", "/v1/models", headers={"Origin": "app://obsidian.md"})
            self.assertEqual((status, body["error"]["code"]), (401, "invalid_api_key"))
            self.assertEqual(headers["access-control-allow-origin"], "app://obsidian.md")
            body = server.request("GET", "/models", headers={"Authorization": "Bearer sk-local"})[2]
            self.assertEqual(body["data"][0]["id"], "qwen3-tiny")
            self.assertEqual(server.request("OPTIONS", "/v1/chat/completions", headers={"Origin": "tauri://localhost"})[0], 200)
        finally:
            self.assertEqual(server.stop(signal.SIGINT), 0)


if __name__ == "__main__":
    unittest.main()
