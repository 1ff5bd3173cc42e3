"""Requests whose answer is known: what each API is asked, and how its answer, whole or streamed, is read for comparing."""
import json

QUESTIONS = [
    "Tom has 3 bags of 4 apples. How many apples does Tom have?",
    "A train goes 60 miles in one hour. How far does it go in 3 hours?",
    "Write a Python function that adds two numbers.",
    "Sara had 15 marbles and lost 6. How many are left?",
    "List three colours.",
]
CHANNELS = [None, "bf16", "e8-q38"]  # None: the server's own
TOOLS = [{"type": "function", "function": {
    "name": "get_weather", "description": "Weather of a city",
    "parameters": {"type": "object", "required": ["city"], "additionalProperties": False,
                   "properties": {"city": {"enum": ["Paris", "Rome"]}, "celsius": {"type": "boolean"}}}}}]
SCHEMA = {"type": "object", "required": ["fruit", "fresh"], "additionalProperties": False,
          "properties": {"fruit": {"enum": ["apple", "pear"]}, "fresh": {"type": "boolean"}}}


class Case:
    """`read(whole JSON)` and `read_stream(body)` give the same value for the same answer."""

    def __init__(self, name, path, body, read, read_stream=None):
        self.kind, self.name, self.path, self.body = name.split("/")[0], name, path, body
        self.read, self.read_stream = read, read_stream

    def streamed(self, body=None):
        extra = {"stream_options": {"include_usage": True}} if self.path == "/v1/chat/completions" else {}
        return dict(body or self.body, stream=True, **extra)


def said(text, tag=None):
    return [{"role": "user", "content": text if tag is None else f"{text} ({tag})"}]


def read_chat(body):
    choice = body["choices"][0]
    message = choice["message"]
    calls = [(c["function"]["name"], c["function"]["arguments"]) for c in message.get("tool_calls", [])]
    return {"text": message["content"] or "", "calls": calls, "finish": choice["finish_reason"],
            "tokens": body["usage"]["completion_tokens"], "logprobs": choice["logprobs"] and choice["logprobs"]["content"]}


def events(data):
    text = data.decode("ascii")
    found = [piece[6:] for piece in text.split("\n\n") if piece.startswith("data: ")]
    if not found or found.pop() != "[DONE]":
        raise ValueError("a stream without [DONE]: " + text[-200:])
    return [json.loads(event) for event in found]


def read_chat_stream(data):
    out = {"text": "", "calls": [], "finish": None, "tokens": None, "logprobs": None}
    for chunk in events(data):
        if "error" in chunk:
            raise ValueError("error in a stream: " + json.dumps(chunk))
        if chunk.get("usage"):
            out["tokens"] = chunk["usage"]["completion_tokens"]
        for choice in chunk["choices"]:
            delta = choice["delta"]
            out["text"] += delta.get("content") or ""
            out["finish"] = choice["finish_reason"] or out["finish"]
            if choice.get("logprobs"):
                out["logprobs"] = (out["logprobs"] or []) + choice["logprobs"]["content"]
            for call in delta.get("tool_calls", []):
                function = call["function"]
                if "name" in function:
                    out["calls"].append((function["name"], ""))
                name, arguments = out["calls"][call["index"]]
                out["calls"][call["index"]] = (name, arguments + function.get("arguments", ""))
    return out


def read_completion(body):
    return [(c["text"], c["finish_reason"]) for c in sorted(body["choices"], key=lambda c: c["index"])]


def read_completion_stream(data):
    out = {}
    for chunk in events(data):
        for choice in chunk["choices"]:
            text, finish = out.get(choice["index"], ("", None))
            out[choice["index"]] = (text + choice["text"], choice["finish_reason"] or finish)
    return [out[i] for i in sorted(out)]


def read_embeddings(body):
    return [item["embedding"] for item in body["data"]]


def read_ollama(body):
    return {"text": body["message"]["content"], "finish": body["done_reason"], "tokens": body["eval_count"]}


def read_ollama_stream(data):
    lines = [json.loads(line) for line in data.decode().splitlines()]
    last = lines[-1]
    if not last.get("done"):
        raise ValueError("a stream without its end: " + json.dumps(last))
    return {"text": "".join(line["message"]["content"] for line in lines), "finish": last["done_reason"],
            "tokens": last["eval_count"]}


def read_anthropic(body):
    return {"text": "".join(b["text"] for b in body["content"] if b["type"] == "text"), "finish": body["stop_reason"]}


def read_anthropic_stream(data):
    out = {"text": "", "finish": None}
    ended = False
    for piece in data.decode().split("\n\n"):
        for line in piece.splitlines():
            if not line.startswith("data: "):
                continue
            event = json.loads(line[6:])
            if event["type"] == "content_block_delta":
                out["text"] += event["delta"].get("text", "")
            elif event["type"] == "message_delta":
                out["finish"] = event["delta"]["stop_reason"]
            ended = ended or event["type"] == "message_stop"
    if not ended:
        raise ValueError("a stream without message_stop")
    return out


def chat(name, text, **fields):
    body = dict({"messages": said(text), "temperature": 0}, **fields)
    return Case("chat/" + name, "/v1/chat/completions", body, read_chat, read_chat_stream)


def all_cases(ollama, anthropic):
    """Every one greedy, or drawn by a seed."""
    out = []
    for i, question in enumerate(QUESTIONS):
        for kv in CHANNELS:
            own = {"kv": kv} if kv else {}
            out.append(chat(f"{i}/{kv}", question, max_tokens=60 + 20 * i, kakeya=own))
    story = " ".join(f"{q} Answer {i}." for i, q in enumerate(QUESTIONS * 4))
    out.append(chat("long prompt", story, max_tokens=40))
    out.append(chat("long answer", QUESTIONS[2], max_tokens=300, ignore_eos=True))
    out.append(chat("logprobs", QUESTIONS[1], max_tokens=120, ignore_eos=True, logprobs=True, top_logprobs=5))
    out.append(chat("drawn", QUESTIONS[0], max_tokens=60, temperature=1.0, top_k=0, top_p=1, seed=11))
    for name, extra in (("tools", {"tools": TOOLS, "tool_choice": "required", "max_tokens": 160}),
                        ("schema", {"max_tokens": 160, "response_format": {
                            "type": "json_schema", "json_schema": {"name": "x", "schema": SCHEMA, "strict": True}}})):
        for i in (0, 3):
            case = chat(f"{name} {i}", QUESTIONS[i], **extra)
            case.kind = name
            out.append(case)
    for i, prompt in enumerate((["Tom has"], ["def add(a, b):", "The sum of"], ["Once"])):
        body = {"prompt": prompt, "max_tokens": 40 + 10 * i, "temperature": 0}
        out.append(Case(f"completion/{i}", "/v1/completions", body, read_completion, read_completion_stream))
    for i in (1, 2, 4):
        body = {"input": QUESTIONS[:i]}
        out.append(Case(f"embedding/{i}", "/v1/embeddings", body, read_embeddings))
    for i in (0, 3):
        options = {"temperature": 0, "num_predict": 60}
        if ollama:
            body = {"model": ollama, "messages": said(QUESTIONS[i]), "options": options, "stream": False}
            out.append(Case(f"ollama/{i}", "/api/chat", body, read_ollama, read_ollama_stream))
        if anthropic:
            body = {"model": anthropic, "messages": said(QUESTIONS[i]), "max_tokens": 60, "temperature": 0}
            out.append(Case(f"anthropic/{i}", "/v1/messages", body, read_anthropic, read_anthropic_stream))
    return out


def long_body(tag, tokens, stream):
    """Runs until it is cancelled or `tokens` are made; `tag` keeps prompts apart."""
    return {"messages": said("Count upwards.", tag), "ignore_eos": True, "max_tokens": tokens, "temperature": 0,
            "stream": stream}


BAD = [  # name, method, path, body, headers, status that docs/server.md names
    ("malformed JSON", "POST", "/v1/chat/completions", b'{"messages": [', {}, 400),
    ("not an object", "POST", "/v1/completions", b"[1, 2", {}, 400),
    ("field of a wrong type", "POST", "/v1/chat/completions", {"messages": said("x"), "max_tokens": "many"}, {}, 400),
    ("prompt too long", "POST", "/v1/chat/completions", {"messages": said("word " * 3000)}, {}, 400),
    ("bad schema", "POST", "/v1/chat/completions", {"messages": said("x"), "response_format": {
        "type": "json_schema", "json_schema": {"name": "x", "schema": {"type": "nothing"}}}}, {}, 400),
    ("channel not allowed", "POST", "/v1/chat/completions", {"messages": said("x"), "kakeya": {"kv": "e8-q4"}}, {}, 400),
    ("wrong key", "POST", "/v1/chat/completions", {"messages": said("x")}, {"Authorization": "Bearer wrong"}, 401),
    ("no key", "GET", "/v1/models", None, {"Authorization": None}, 401),
    ("unknown model", "POST", "/v1/chat/completions", {"model": "gpt-nothing", "messages": said("x")}, {}, 404),
    ("unknown path", "GET", "/nowhere", None, {}, 404),
    ("wrong method", "GET", "/v1/chat/completions", None, {}, 405),
    ("wrong content type", "POST", "/v1/chat/completions", b"messages=x", {"Content-Type": "text/plain"}, 415),
    ("compressed body", "POST", "/v1/chat/completions", b"\x1f\x8b", {"Content-Encoding": "gzip"}, 415),
    ("two lengths", "POST", "/v1/completions", b"{}", {"Transfer-Encoding": "chunked"}, 400),
]
