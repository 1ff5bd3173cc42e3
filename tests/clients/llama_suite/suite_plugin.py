"""A pytest plug-in for llama.cpp's suite, whose files stay as they are: it fetches no models, since the server under test
brings its own, and gives that server the model's name that a test asks for. llama-server answers to any name; ours does not."""
import os
import sys

# Tests with OpenAI's or Anthropic's API: parts of their names, and the model they name.
NAMES = {
    "test_chat_completion.py": ("openai_library|logprobs|logit_bias", "gpt-3.5-turbo-instruct"),
    "test_completion.py": ("openai_library", "davinci-002"),
    "test_embedding.py": ("openai_library", "text-embedding-3-small"),
    "test_security.py": ("openai_library_correct", "gpt-3.5-turbo"),
    "test_compat_oai_responses.py": ("openai_library", "gpt-4.1"),
    "test_compat_anthropic.py": ("", "test"),
}


def pytest_configure(config):
    sys.path.insert(0, os.getcwd())
    import utils  # llama.cpp's
    utils.ServerPreset.load_all = staticmethod(lambda: None)


def pytest_runtest_setup(item):
    parts, name = NAMES.get(item.path.name, ("", ""))
    os.environ.pop("LLAMA_SUITE_MODEL_NAME", None)
    if name and any(part in item.name for part in parts.split("|")):
        os.environ["LLAMA_SUITE_MODEL_NAME"] = name
