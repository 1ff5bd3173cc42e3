#!/usr/bin/env python3
"""Stands where llama.cpp's test-suite expects llama-server: the same flags, our server on the embedded pair.

Flags that choose a model or tune llama.cpp are dropped. Flags for what we do not offer end the start, with a line
that the report looks for."""
import os
import sys

NOT_OFFERED = 90  # exit code
NAME = "LLAMA_SUITE_MODEL_NAME"  # that the test at hand asks for
TEMPLATES = "LLAMA_SUITE_TEMPLATES"  # folder of llama.cpp's chat templates
MOST_CONTEXT = 1024  # tokens, of the embedded target

VALUE_KEPT = {"--port": "--port", "--host": "--host", "--alias": "--alias", "--api-key": "--api-key", "--parallel": "--slots",
              "--slot-save-path": "--slot-save-path", "--cors-origins": "--cors-origin", "--temp": "--temp", "--seed": "--seed",
              "--n-predict": "--n-predict", "--tags": "--tags", "--chat-template": "--chat-template",
              "--chat-template-file": "--chat-template-file"}
VALUE_DROPPED = {"--model", "--hf-repo", "--hf-file", "--model-url", "--batch-size", "--ubatch-size", "--threads",
                 "--n-gpu-layers", "-ctk", "-ctv", "-fa", "--cache-ram", "--spec-draft-n-max", "--spec-draft-n-min",
                 "--spec-type", "--model-draft", "--pooling", "--reasoning-format", "--reasoning"}
DROPPED = {"--offline", "--cont-batching", "--embedding", "--metrics", "--slots", "--swa-full", "--no-jinja", "--jinja",
           "--verbose", "--no-ui", "--no-mmproj", "--no-cache-idle-slots"}
KEPT = {"--no-slots"}


def translated(arguments):
    """(flags of kakeya-llm serve, flags that it does not have)."""
    out, missing = [], []
    context, slots, shared = 0, 1, False
    at = 0
    while at < len(arguments):
        flag = arguments[at]
        at += 1
        value = None
        if at < len(arguments) and not arguments[at].startswith("--"):
            value = arguments[at]
            at += 1
        if flag == "--ctx-size":
            context = int(value)
        elif flag == "--n-predict" and int(value) < 1:
            continue  # no limit
        elif flag in KEPT:
            out.append(flag)
        elif flag == "--kv-unified":
            shared = True
        elif flag in VALUE_KEPT:
            if flag == "--parallel":
                slots = int(value)
            if flag == "--chat-template-file":
                value = os.path.join(os.environ[TEMPLATES], os.path.basename(value))
            out += [VALUE_KEPT[flag], value]
        elif flag not in VALUE_DROPPED and flag not in DROPPED:
            missing.append(flag)
    # llama-server's context is that of all slots together.
    if context:
        out += ["--ctx", str(min(context if shared else max(context // slots, 1), MOST_CONTEXT))]
    # What is on or open there unless told otherwise, and the reverse here.
    if "--metrics" not in arguments:
        out.append("--no-metrics")
    if "--cors-origins" not in arguments:
        out += ["--cors-origin", "*"]
    if NAME in os.environ and "--alias" in out:
        out[out.index("--alias") + 1] = os.environ[NAME]
    return out, missing


def main():
    flags, missing = translated(sys.argv[1:])
    if missing:
        print("starter: not offered: " + " ".join(missing), flush=True)
        return NOT_OFFERED
    program = os.environ["KAKEYA_BIN"]
    os.execv(program, [program, "serve", "--target", "tiny", "--draft", "tiny", "--grace", "1", *flags])


if __name__ == "__main__":
    sys.exit(main())
