"""Why a test of llama.cpp's suite does not pass here. The first rule that fits a test's name and its error says it."""

# File: why none of it is run.
NOT_RUN = {
    "test_router": "several models in one server",
    "test_mcp_servers": "MCP servers run by the server",
    "test_tools_builtin": "tools run by the server",
    "test_vision_api": "images",
    "test_lora": "LoRA adapters",
    "test_rerank": "`/rerank`",
    "test_proxy": "a proxy for web pages",
    "test_sleep": "unloading an idle model",
    "test_compat_gcp": "Vertex AI's routes",
    "test_kv_keep_only_active": "reads llama-server's log lines",
}
RUN = ["test_basic", "test_chat_completion", "test_compat_anthropic", "test_compat_oai_responses", "test_completion", "test_ctx_shift",
       "test_embedding", "test_ignore_eos", "test_infill", "test_metrics", "test_security", "test_slot_save", "test_speculative",
       "test_stream", "test_template", "test_tokenize", "test_tool_call"]

MODEL, DESIGN, ABSENT, FETCH = "their model", "by design", "not offered", "needs a download"

# (test, error or output, kind, reason); regular expressions, {} stands for what the second one found.
RULES = [
    ("", r"starter: not offered: (\S+)", ABSENT, "flag `{}`"),
    ("", r"Unknown request URL: (\w+ /[\w/]*)", ABSENT, "route `{}`"),
    ("", r"huggingface\.co|NameResolutionError|tests/\./tmp/|urlopen error", FETCH, "fetches models"),
    ("", r"The model '[^']*' does not exist", DESIGN, "a model's name that is not ours is 404"),
    ("", r"startswith.*\('b'\)|startswith of str object", DESIGN, "`system_fingerprint` names our build"),
    ("", r"assert '' is None", DESIGN, "the first chunk's `content` is \"\", as OpenAI sends it"),
    ("context_size_exceeded", r"", DESIGN, "error named as OpenAI's: `context_length_exceeded`"),
    ("invalid_chat_completion_req", r"200 == 400", DESIGN, "two assistant messages in a row are taken"),
    ("test_incorrect_api_key", r"authentication_error", DESIGN, "error type as OpenAI's"),
    ("test_correct_api_key", r"assert 'content' in", DESIGN, "`/completions` is OpenAI's route, not the native one"),
    ("cors", r"204 == 200", DESIGN, "a preflight is answered 204"),
    ("no_ui|static_assets", r"", ABSENT, "a page at `/`"),
    ("embedding_mixed|content_text", r"400 == 200", DESIGN, "`input` as OpenAI's: not empty, one kind; no `content`"),
    ("embedding_pooling", r"", ABSENT, "embeddings of single tokens"),
    ("embedding_error_prompt_too_long", r"", DESIGN, "another wording"),
    ("embedding_usage", r"", MODEL, "numbers of tokens"),
    ("cached_tokens|return_progress", r"assert \d+ == \d+", MODEL, "numbers of tokens"),
    ("completion_stream_with_openai", r"match_regex", MODEL, "its words"),
    ("tokenize_with_bos", r"", MODEL, "a token at the beginning of every text"),
    ("server_props", r"\.gguf", MODEL, "its file"),
    ("server_slots|metrics_disabled", r"200 == 501", ABSENT, "switching `/slots` and `/metrics` off"),
    ("aliases_and_tags", r"", ABSENT, "several aliases, tags"),
    ("verbose_debug", r"", ABSENT, "`__verbose`"),
    ("test_metrics", r"Process-Start-Time-Unix", DESIGN, "metrics are named as vLLM's"),
    ("slot_save.*image", r"", ABSENT, "images"),
    ("test_stream::", r"StopIteration|404", ABSENT, "streams that can be taken up again"),
]
