"""llama-server's own routes and flags, and log-probabilities of prompts, on the embedded pair with real tokens."""
import json
import tempfile
import unittest

import program
from serve_client import Server

PROMPT = "Tom has 3 bags of 4 apples. How many"


class Native(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.server = Server("--slots", "2", "--alias", "tiny,other", "--tags", "small", "--n-predict", "400", "--seed", "5")

    @classmethod
    def tearDownClass(cls):
        code = cls.server.stop()
        assert code == 0, (code, cls.server.log)

    def complete(self, prompt=PROMPT, **fields):
        status, _, body = self.server.post("/completion", dict({"prompt": prompt, "n_predict": 12, "temperature": 0}, **fields))
        self.assertEqual(status, 200, body)
        return body

    def refused(self, param, path="/completion", **fields):
        status, _, body = self.server.post(path, dict({"prompt": "x"}, **fields))
        self.assertEqual((status, body["error"]["param"]), (400, param), body)

    def ids(self, text):
        return self.server.post("/tokenize", {"content": text})[2]["tokens"]

    def test_the_text_is_that_of_openais_route_and_streams_in_pieces(self):
        whole = self.complete(return_tokens=True)
        other = self.server.post("/v1/completions", {"prompt": PROMPT, "max_tokens": 12, "temperature": 0})[2]
        self.assertEqual(whole["content"], other["choices"][0]["text"])
        self.assertEqual((whole["stop"], whole["stop_type"], whole["tokens_predicted"]), (True, "limit", 12))
        self.assertEqual((whole["prompt"], whole["tokens_evaluated"]), (PROMPT, len(self.ids(PROMPT))))
        self.assertEqual(whole["model"], "tiny")
        self.assertGreaterEqual(whole["kakeya"]["proposed"], 0)
        events = [json.loads(e) for e in self.server.events("/completion", {"prompt": PROMPT, "n_predict": 12, "temperature": 0,
                                                                            "timings_per_token": True,
                                                                            "kakeya": {"return_drafted": True}})]
        self.assertEqual("".join(e["content"] for e in events), whole["content"])
        self.assertEqual([t for e in events for t in e["tokens"]], whole["tokens"])
        self.assertEqual({len(e["tokens"]) for e in events[:-1]}, {1})
        self.assertEqual("".join(run[0] for e in events[:-1] for run in e["kakeya"]["drafted"]), whole["content"])
        self.assertEqual([e["stop"] for e in events], [False] * (len(events) - 1) + [True])
        self.assertIn("predicted_per_second", events[0]["timings"])
        self.assertEqual(events[-1]["tokens_predicted"], 12)

    def test_prompts_are_texts_tokens_mixtures_and_lists(self):
        text = self.complete("Tom has 3 bags")
        self.assertEqual(self.complete(self.ids("Tom has 3 bags"))["content"], text["content"])
        mixed = self.complete(self.ids("Tom has") + [" 3 bags"])
        self.assertEqual(mixed["prompt"], "Tom has 3 bags")
        several = self.complete(["Tom has 3 bags", self.ids("Tom has 3 bags"), {"prompt_string": "Sam"}])
        self.assertEqual([a["index"] for a in several], [0, 1, 2])
        self.assertEqual(several[0]["content"], several[1]["content"])
        self.refused("prompt", prompt=[1, 2.5])

    def test_no_tokens_warm_the_cache_and_minus_one_goes_on_to_the_limit(self):
        prompt = PROMPT + " apples are there in all?"
        none = self.complete(prompt, n_predict=0)
        self.assertEqual((none["content"], none["tokens_predicted"], none["stop_type"]), ("", 0, "limit"))
        self.assertGreater(self.complete(prompt)["tokens_cached"], 0)
        self.assertEqual(self.complete(prompt, cache_prompt=False)["tokens_cached"], 0)
        full = self.complete("word " * 1000, n_predict=-1, ignore_eos=True)
        self.assertTrue(full["truncated"])
        self.assertEqual(full["tokens_evaluated"] + full["tokens_predicted"], 1024)

    def test_stops_biases_and_constraints_hold(self):
        text = self.complete()["content"]
        stop = text[4:7]
        word = self.complete(stop=[stop])
        self.assertEqual((word["content"], word["stop_type"], word["stopping_word"]), (text[:text.index(stop)], "word", stop))
        first = self.complete(n_predict=1, return_tokens=True)["tokens"][0]
        self.assertNotEqual(self.complete(n_predict=1, return_tokens=True, logit_bias=[[first, False]])["tokens"][0], first)
        self.assertIn(self.complete(grammar='root ::= "yes" | "no"')["content"], ("yes", "no"))
        schema = {"type": "object", "properties": {"n": {"enum": [1, 2]}}, "required": ["n"], "additionalProperties": False}
        self.assertIn(json.loads(self.complete(json_schema=schema, n_predict=100)["content"])["n"], (1, 2))

    def test_probabilities_settings_and_chosen_fields(self):
        tokens = self.complete(n_probs=3, return_tokens=True)
        for token, given in zip(tokens["completion_probabilities"], tokens["tokens"], strict=True):
            self.assertEqual((token["id"], token["logprob"]), (given, token["top_logprobs"][0]["logprob"]))
            self.assertEqual(len(token["top_logprobs"]), 3)
        drawn = self.complete(n_probs=3, post_sampling_probs=True)["completion_probabilities"]
        self.assertEqual([p["prob"] for p in drawn[0]["top_probs"]], [1.0, 0.0, 0.0])
        self.refused("post_sampling_probs", post_sampling_probs=True, temperature=1)
        chosen = self.complete(response_fields=["content", "generation_settings/seed", "generation_settings/n_predict"],
                               id_slot=1, n_predict=999, stop=["a"])
        self.assertEqual(sorted(chosen), ["content", "generation_settings/n_predict", "generation_settings/seed"])
        self.assertEqual((chosen["generation_settings/seed"], chosen["generation_settings/n_predict"]), (5, 400))
        self.assertEqual(self.complete(id_slot=1)["id_slot"], 1)

    def test_what_is_not_there_is_refused_by_name_and_its_off_value_taken(self):
        self.complete(mirostat=0, typical_p=1.0, dry_multiplier=0.0, xtc_probability=0.0, n_keep=0, min_keep=0, n_indent=0)
        for field, value in (("mirostat", 2), ("n_indent", 4), ("lora", [{"id": 0, "scale": 1}]), ("samplers", ["top_k"])):
            self.refused(field, **{field: value})
        self.refused("id_slot", id_slot="x")
        self.refused("input_prefix", path="/infill", input_prefix="a", input_suffix="b")  # no such tokens in this model

    def test_an_echo_has_the_logprobs_that_pytorch_found(self):
        case = program.read_json("models", "tiny", "golden.json")["cases"][0]
        prompt, answer = case["prompt_ids"], case["plain_ids"]
        body = {"prompt": prompt + answer, "max_tokens": 0, "echo": True, "logprobs": 1, "temperature": 0}
        status, _, whole = self.server.post("/v1/completions", body)
        self.assertEqual(status, 200, whole)
        choice = whole["choices"][0]
        logprobs = choice["logprobs"]
        self.assertEqual((len(logprobs["tokens"]), whole["usage"]["completion_tokens"]), (len(prompt + answer), 0))
        self.assertEqual("".join(logprobs["tokens"]), choice["text"])
        self.assertEqual((logprobs["token_logprobs"][0], logprobs["top_logprobs"][0]), (None, None))
        for i in range(len(prompt), len(prompt + answer)):  # the greedy text: every token is the most probable one
            self.assertEqual(list(logprobs["top_logprobs"][i]), [logprobs["tokens"][i]])
            self.assertEqual(list(logprobs["top_logprobs"][i].values()), [logprobs["token_logprobs"][i]])
        more = self.server.post("/v1/completions", dict(body, prompt=prompt, max_tokens=3))[2]["choices"][0]["logprobs"]
        self.assertEqual(more["tokens"], logprobs["tokens"][:len(prompt) + 3])
        self.assertEqual(more["text_offset"], logprobs["text_offset"][:len(prompt) + 3])
        self.refused("max_tokens", path="/v1/completions", max_tokens=0)

    def test_prompts_are_counted_without_an_answer(self):
        messages = [{"role": "user", "content": PROMPT}]
        used = self.server.chat(PROMPT, max_tokens=1)["usage"]["prompt_tokens"]
        for path, body in (("/v1/chat/completions/input_tokens", {"messages": messages}), ("/responses/input_tokens", {"input": PROMPT}),
                           ("/v1/messages/count_tokens", {"model": "tiny", "messages": messages})):
            self.assertEqual(self.server.post(path, body)[2]["input_tokens"], used, path)
        self.assertEqual(self.server.post("/responses", {"input": PROMPT, "max_output_tokens": 2})[2]["usage"]["input_tokens"], used)

    def test_names_tags_and_embeddings_of_tokens(self):
        model = self.server.request("GET", "/models")[2]["data"][0]
        self.assertEqual((model["id"], model["aliases"], model["tags"]), ("tiny", ["tiny", "other"], ["small"]))
        self.assertEqual(self.server.chat("hi", max_tokens=1, model="other")["model"], "tiny")
        inputs = [PROMPT, self.ids(PROMPT), self.ids(PROMPT)[:-1] + [" many"], {"content": [{"type": "text", "text": PROMPT}]}]
        vectors = [d["embedding"] for d in self.server.post("/v1/embeddings", {"input": inputs})[2]["data"]]
        for vector in vectors[1:]:
            self.assertEqual(vector, vectors[0])


class Flags(unittest.TestCase):
    def test_slots_and_metrics_are_switched_off_and_a_template_is_chosen(self):
        server = Server("--no-slots", "--no-metrics", "--chat-template", "chatml")
        try:
            for path in ("/slots", "/metrics"):
                status, _, body = server.request("GET", path)
                self.assertEqual((status, body["error"]["type"]), (501, "not_supported_error"))
            self.assertEqual(server.request("GET", "/props")[2]["chat_template_family"], "chatml")
            prompt = server.post("/apply-template", {"messages": [{"role": "user", "content": "hi"}]})[2]["prompt"]
            self.assertEqual(prompt, "<|im_start|>user\nhi<|im_end|>\n<|im_start|>assistant\n")
        finally:
            self.assertEqual(server.stop(), 0)

    def test_a_template_that_is_not_rendered_here_ends_the_start(self):
        with tempfile.NamedTemporaryFile("w", suffix=".jinja") as file:
            file.write("{% for m in messages %}{{ m.content }}{% endfor %}")
            file.flush()
            for flags, words in ((["--chat-template-file", file.name], "not rendered here"), (["--chat-template", "llama3"], "<|start_header_id|>")):
                done = program.run("serve", "--target", "tiny", "--port", "0", *flags, timeout=60)
                self.assertEqual(done.code, 1)
                self.assertIn(words, done.err)


if __name__ == "__main__":
    unittest.main()
