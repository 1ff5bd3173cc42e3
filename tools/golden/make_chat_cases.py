#!/usr/bin/env python3
"""Golden chats: random conversations rendered by the models' own templates with Jinja2, as Hugging Face does it.

    tools/golden/make_chat_cases.py --qwen3 Qwen-Qwen3-0.6B.jinja --tiny tools/train/chatml.jinja
                                    [--llama3 llama-3.1.jinja] [--llama32 llama-3.2.jinja] [--coder qwen3-coder.jinja]
                                    [--thinking qwen3-thinking-2507.jinja] [--count 300] [--seed 1] [--out FILE]

A case is {family, messages, tools, add_generation_prompt, enable_thinking, date_string, expected}. family "tiny" marks the embedded
model's template: its tokenizer is of the qwen3 family, so those cases are for render(qwen3, thinking off).
The templates are not part of this repository. Same seed, same file.
"""
import argparse
import json
import pathlib
import random

from jinja2.sandbox import ImmutableSandboxedEnvironment

WORDS = ["Hello", "2 + 2?", "世界", "👩‍👩‍👧", "a\nb", "\n", "\n\n", " ", "", "<think>", "</think>", "<think>\nhm\n</think>\n\nyes",
         "<tool_response>", "</tool_response>", "<|im_end|>", "\"quoted\" \\ back", "tab\there", "{'a': 1}", "\u2028", "\x1c",
         "\u3000", "<tool_call>", "\r\n", "é\u0301", "\x7f", "``` python\nprint(1)\n```", "0"]
NUMBERS = [0, -1, 1.0, 0.1, -0.0, 1e16, 1e15, 123456789.125, 1e-5, 0.0001, 5e-324, 1.7976931348623157e308, 2**63, 2**64,
           -(2**63) - 1, 10**30, 1e22, 1e23, 3.0e-10, 100000000000000000000.0]


def text(rng):
    return "".join(rng.choice(WORDS) for _ in range(rng.choice([0, 1, 1, 2, 3, 5])))


def value(rng, depth=0):
    kind = rng.random()
    if kind < 0.3 or depth > 3:
        return rng.choice([text(rng), rng.choice(NUMBERS), True, False, None])
    if kind < 0.5:
        return rng.choice(NUMBERS)
    if kind < 0.75:
        return [value(rng, depth + 1) for _ in range(rng.randint(0, 3))]
    return {rng.choice(["b", "a", "z", "é", "key with \"quote\"", ""]) + str(rng.randint(0, 9)): value(rng, depth + 1)
            for _ in range(rng.randint(0, 4))}


def tool(rng):
    return {"type": "function", "function": {
        "name": rng.choice(["get_weather", "加", "f\"x"]), "description": text(rng),
        "parameters": {"type": "object", "properties": {"x": value(rng), "a": {"type": "string", "enum": ["é", "b"]}},
                       "required": ["x"]}}}


def tool_call(rng):
    arguments = rng.choice([lambda: {"x": value(rng)}, lambda: value(rng), lambda: json.dumps({"x": 1}), lambda: text(rng)])()
    call = {"name": rng.choice(["get_weather", "加"]), "arguments": arguments}
    return {"type": "function", "function": call} if rng.random() < 0.7 else call


def message(rng, role):
    content = text(rng)
    if role == "assistant":
        out = {"role": role, "content": content}
        if rng.random() < 0.3:
            out["content"] = "\n" * rng.randint(0, 2) + "<think>" + text(rng) + "</think>" + text(rng)
        if rng.random() < 0.25:
            out["reasoning_content"] = rng.choice([None, "", text(rng), "\nbecause\n"])
        if rng.random() < 0.35:
            out["tool_calls"] = [tool_call(rng) for _ in range(rng.randint(0, 3))]
        return out
    if role == "user" and rng.random() < 0.15:
        content = "<tool_response>" + content + "</tool_response>"
    return {"role": role, "content": content}


def conversation(rng):
    roles = ["system"] if rng.random() < 0.5 else []
    for _ in range(rng.randint(1, 6)):
        roles.append(rng.choices(["user", "assistant", "tool", "system", "developer"], [4, 4, 3, 0.4, 0.2])[0])
    if rng.random() < 0.4:  # an ordinary multi-step exchange
        roles += ["user", "assistant", "tool", "tool", "assistant"][:rng.randint(1, 5)]
    return {"messages": [message(rng, role) for role in roles],
            "tools": [tool(rng) for _ in range(rng.randint(0, 3))] if rng.random() < 0.35 else None,
            "add_generation_prompt": rng.random() < 0.7, "enable_thinking": rng.choice([None, True, False])}


def plain(rng):
    """Turns of system, user and assistant alone, ending with the user; no thinking in the history."""
    messages = [{"role": "system", "content": text(rng)}] if rng.random() < 0.5 else []
    for _ in range(rng.randint(0, 3)):
        messages += [{"role": "user", "content": "Q" + text(rng)},
                     {"role": "assistant", "content": text(rng).replace("</think>", "")}]
    messages.append({"role": "user", "content": "Q" + text(rng)})
    return {"messages": messages, "tools": None, "add_generation_prompt": rng.random() < 0.8, "enable_thinking": None}


def object_call(rng):
    call = {"name": rng.choice(["get_weather", "加"]), "arguments": {k: value(rng) for k in rng.sample(["x", "a", "é", "n"], rng.randint(0, 3))}}
    return {"type": "function", "function": call}


def turns(rng, calls):
    """A user turn behind an optional system's, then anything, calls by `calls` among it."""
    messages = [{"role": "system", "content": text(rng)}] if rng.random() < 0.5 else []
    messages.append({"role": "user", "content": text(rng)})
    for _ in range(rng.randint(0, 5)):
        role = rng.choice(["user", "assistant", "assistant", "tool"])
        messages.append({"role": role, "content": text(rng)})
        if role == "assistant" and rng.random() < 0.5:
            messages[-1]["tool_calls"] = calls(rng)
    tools = [tool(rng) for _ in range(rng.randint(1, 3))] if rng.random() < 0.6 else None
    return {"messages": messages, "tools": tools, "add_generation_prompt": rng.random() < 0.8, "enable_thinking": None}


def llama(rng):
    """One call a turn: the template refuses more."""
    case = turns(rng, lambda rng: [object_call(rng)])
    return {**case, "date_string": rng.choice(["26 Jul 2024", "28 Nov 2026"])}


def coder_schema(rng):
    schema = {"type": rng.choice(["string", "integer", ["string", "null"], {"odd": 1}])}
    for key in rng.sample(["description", "enum", "default", "minimum", "items", "name"], rng.randint(0, 3)):
        schema[key] = rng.choice([text(rng), "it's \"x\"\n", ["a'b", None, True, 1.0], {"k": [1e16, "é"]}, True, None, 3, 1.5])
    return schema


def coder_tool(rng):
    function = {"name": rng.choice(["read_file", "加", "f x"])}
    if rng.random() < 0.8:
        function["description"] = text(rng) + rng.choice(["", " \n", "\t x "])
    if rng.random() < 0.9:
        function["parameters"] = {"type": "object", "properties": {k: coder_schema(rng) for k in rng.sample(["path", "n", "é"], rng.randint(0, 3))}}
        if rng.random() < 0.6:
            function["parameters"]["required"] = ["path"]
        if rng.random() < 0.3:
            function["parameters"]["additionalProperties"] = False
    if rng.random() < 0.3:
        function["strict"] = True
    return {"type": "function", "function": function} if rng.random() < 0.7 else function


def coder(rng):
    case = turns(rng, lambda rng: [object_call(rng) for _ in range(rng.randint(1, 3))])
    if case["tools"]:
        case["tools"] = [coder_tool(rng) for _ in case["tools"]]
    return case


def environment():
    env = ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True, extensions=["jinja2.ext.loopcontrols"])
    env.filters["tojson"] = lambda x, indent=None: json.dumps(x, ensure_ascii=False, indent=indent)
    return env


def render(template, case):
    arguments = {"messages": case["messages"], "add_generation_prompt": case["add_generation_prompt"],
                 "tools": case["tools"], "documents": None, "bos_token": "<|begin_of_text|>"}
    if "date_string" in case:
        arguments["date_string"] = case["date_string"]
    if case["enable_thinking"] is not None:
        arguments["enable_thinking"] = case["enable_thinking"]
    return template.render(**arguments)


def main():
    root = pathlib.Path(__file__).resolve().parents[2]
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--qwen3", type=pathlib.Path, required=True)
    parser.add_argument("--tiny", type=pathlib.Path, required=True)
    parser.add_argument("--llama3", type=pathlib.Path)
    parser.add_argument("--llama32", type=pathlib.Path)
    parser.add_argument("--coder", type=pathlib.Path)
    parser.add_argument("--thinking", type=pathlib.Path)
    parser.add_argument("--count", type=int, default=300)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--out", type=pathlib.Path, default=root / "tests/golden/text/chat_cases.jsonl")
    options = parser.parse_args()
    rng = random.Random(options.seed)
    env = environment()
    plan = [("qwen3", options.qwen3, conversation, options.count), ("tiny", options.tiny, plain, options.count // 6)]
    if options.llama3:
        plan.append(("llama3", options.llama3, plain, options.count // 6))
    more = [("llama3.1", options.llama3, llama), ("llama3.1", options.llama32, llama), ("qwen3-coder", options.coder, coder),
            ("qwen3-thinking", options.thinking, conversation)]
    plan += [(family, path, make, options.count // 4) for family, path, make in more if path]
    with options.out.open("w", encoding="ascii") as out:
        for family, path, make, count in plan:
            template = env.from_string(path.read_text())
            for _ in range(count):
                case = make(rng)
                out.write(json.dumps({"family": family, **case, "expected": render(template, case)}) + "\n")


if __name__ == "__main__":
    main()
