"""LangChain for Python, unchanged."""
from importlib.metadata import version

from langchain_core.tools import tool
from langchain_openai import ChatOpenAI, OpenAIEmbeddings
from pydantic import BaseModel
from report import BASE, MODEL, QUESTION, Report

report = Report("LangChain Python, ChatOpenAI", version("langchain-openai"))


class Result(BaseModel):
    answer: int
    ok: bool


@tool
def get_weather(city: str, celsius: bool) -> str:
    """The weather of a city"""
    return "sunny"


def make(**more):
    return ChatOpenAI(**{"model": MODEL, "base_url": BASE, "api_key": "x", "max_retries": 0, "temperature": 0, "max_tokens": 60, **more})


@report.check("chat")
def _():
    answer = make().invoke(QUESTION)
    assert answer.content and answer.usage_metadata["total_tokens"] > 0


@report.check("stream")
def _():
    assert "".join(chunk.content for chunk in make().stream(QUESTION))


@report.check("tools")
def _():
    answer = make(max_tokens=150).bind_tools([get_weather], tool_choice="any", parallel_tool_calls=False).invoke(QUESTION)
    assert answer.tool_calls[0]["name"] == "get_weather" and isinstance(answer.tool_calls[0]["args"]["celsius"], bool), answer


for method in ("json_schema", "function_calling"):
    @report.check("structured output, " + method)
    def _():
        assert isinstance(make(max_tokens=120).with_structured_output(Result, method=method).invoke(QUESTION), Result)


@report.check("embeddings")
def _():
    embed = OpenAIEmbeddings(model=MODEL, base_url=BASE, api_key="x", check_embedding_ctx_length=False)
    assert len(embed.embed_documents(["apples", "pears"])[1]) > 8
