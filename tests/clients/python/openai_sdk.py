"""OpenAI's library for Python, unchanged."""
import json
import threading
import time

import openai
from pydantic import BaseModel
from report import ASK, BASE, MODEL, WEATHER, Report

client = openai.OpenAI(base_url=BASE, api_key="sk-local", max_retries=0, timeout=60)
report = Report("openai (Python)", openai.__version__)


class Result(BaseModel):
    answer: int
    ok: bool


def chat(**more):
    return client.chat.completions.create(**{"model": MODEL, "messages": ASK, "max_tokens": 40, "temperature": 0, **more})


@report.check("models")
def _():
    assert MODEL in [model.id for model in client.models.list()]
    assert client.models.retrieve(MODEL).id == MODEL


@report.check("chat")
def _():
    answer = chat()
    assert answer.choices[0].message.content and answer.choices[0].finish_reason in ("stop", "length")
    assert answer.usage.total_tokens == answer.usage.prompt_tokens + answer.usage.completion_tokens


@report.check("stream")
def _():
    chunks = list(chat(stream=True, stream_options={"include_usage": True}))
    assert "".join(c.choices[0].delta.content or "" for c in chunks if c.choices) == chat().choices[0].message.content
    assert chunks[-1].usage.total_tokens > 0 and len({c.id for c in chunks}) == 1
    with client.chat.completions.stream(model=MODEL, messages=ASK, max_tokens=300, temperature=0) as stream:
        assert stream.get_final_completion().choices[0].message.content


@report.check("structured output")
def _():
    answer = client.chat.completions.parse(model=MODEL, messages=ASK, max_tokens=100, temperature=0, response_format=Result)
    assert isinstance(answer.choices[0].message.parsed, Result), answer


@report.check("tools")
def _():
    answer = chat(tools=[WEATHER], tool_choice="required", parallel_tool_calls=False, max_tokens=120)
    call = answer.choices[0].message.tool_calls[0]
    assert answer.choices[0].finish_reason == "tool_calls" and json.loads(call.function.arguments)["unit"] in ("C", "F")
    chat(tools=[WEATHER], messages=[*ASK, answer.choices[0].message, {"role": "tool", "tool_call_id": call.id, "content": "sunny"}])


@report.check("completions")
def _():
    assert "".join(c.choices[0].text for c in client.completions.create(model=MODEL, prompt="def add(a, b):", max_tokens=8, stream=True))


@report.check("completions, echo with logprobs (lm-eval)")
def _():
    answer = client.completions.create(model=MODEL, prompt="def add(a, b):", max_tokens=1, temperature=0, logprobs=1, echo=True)
    logprobs = answer.choices[0].logprobs  # the shape that lm-eval reads
    assert "".join(logprobs.tokens) == answer.choices[0].text and len(logprobs.tokens) == len(logprobs.token_logprobs) == len(logprobs.text_offset)


@report.check("embeddings")
def _():
    coded = client.embeddings.create(model=MODEL, input=["apples", "pears"]).data
    plain = client.embeddings.create(model=MODEL, input=["apples", "pears"], encoding_format="float").data
    assert len(coded) == 2 and all(abs(a - b) < 1e-6 for a, b in zip(coded[1].embedding, plain[1].embedding))


@report.check("responses")
def _():
    answer = client.responses.create(model=MODEL, input="2 + 2 =", max_output_tokens=16)
    assert answer.output_text is not None and answer.usage.total_tokens > 0
    with client.responses.stream(model=MODEL, input="2 + 2 =", max_output_tokens=16) as stream:
        kinds = [event.type for event in stream]
    assert kinds[0] == "response.created" and kinds[-1] in ("response.completed", "response.incomplete"), kinds


@report.check("errors")
def _():
    for more, kind in (({"model": "no-such-model"}, openai.NotFoundError), ({"temperature": "hot"}, openai.BadRequestError),
                       ({"messages": [{"role": "user", "content": "many words " * 60000}]}, openai.BadRequestError)):
        try:
            chat(**more)
        except kind:
            continue
        raise AssertionError(f"no {kind.__name__} for {list(more)}")


@report.check("parallel requests")
def _():
    texts = []
    threads = [threading.Thread(target=lambda: texts.append(chat().choices[0].message.content)) for _ in range(6)]
    start = time.monotonic()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(texts) == 6 and len(set(texts)) == 1, f"{set(texts)} after {time.monotonic() - start:.1f} s"
