"""LiteLLM, unchanged."""
import os

os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"
from importlib.metadata import version

import litellm
from report import ASK, BASE, MODEL, ROOT, WEATHER, Report

report = Report("LiteLLM", version("litellm"))


def ask(name="openai/", **more):
    base = ROOT if name.startswith("ollama") else BASE
    return litellm.completion(**{"model": name + MODEL, "api_base": base, "api_key": "x", "messages": ASK, "max_tokens": 40, "temperature": 0, "num_retries": 0, "max_retries": 0, "timeout": 60, **more})


@report.check("chat")
def _():
    assert ask().choices[0].message.content and ask("hosted_vllm/").choices[0].message.content


@report.check("stream")
def _():
    assert "".join(chunk.choices[0].delta.content or "" for chunk in ask(stream=True)) == ask().choices[0].message.content


@report.check("tools")
def _():
    assert ask(tools=[WEATHER], tool_choice="required", parallel_tool_calls=False, max_tokens=120).choices[0].message.tool_calls[0].function.name == "get_weather"


@report.check("completions")
def _():
    answer = litellm.text_completion(model="text-completion-openai/" + MODEL, api_base=BASE, api_key="x", prompt="def f():", max_tokens=8)
    assert isinstance(answer.choices[0].text, str)


@report.check("embeddings")
def _():
    answer = litellm.embedding(model="openai/" + MODEL, api_base=BASE, api_key="x", input=["apples"], encoding_format="float")
    assert len(answer.data[0]["embedding"]) > 8


@report.check("Ollama routes")
def _():
    assert ask("ollama_chat/").choices[0].message.content
    assert "".join(chunk.choices[0].delta.content or "" for chunk in ask("ollama_chat/", stream=True))


@report.check("errors")
def _():
    for more, kind in (({"model": "openai/no-such-model"}, litellm.NotFoundError),
                       ({"messages": [{"role": "user", "content": "many words " * 60000}]}, litellm.ContextWindowExceededError)):
        try:
            ask(**more)
        except kind:
            continue
        raise AssertionError(f"no {kind.__name__}")
