"""Coding agents and their command lines, unchanged, each with an empty home folder and our server as its only model.
The embedded model follows no instructions: what is checked is that each ends as it does after a good answer.
usage: agents.py continue|aider|opencode|qwen|codex"""
import json
import os
import re
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
BUILD = os.environ["KAKEYA_CLIENTS_BUILD"]
ROOT = os.environ["KAKEYA_BASE"]
BASE = ROOT + "/v1"
MODEL = os.environ["KAKEYA_MODEL"]
BIN = os.path.join(BUILD, "agents", "node_modules", ".bin")
PROMPT = "Tom has 3 apples and buys 4 more. How many apples does he have?"


class Skip(Exception):
    pass


def version_of(package):
    with open(os.path.join(BUILD, "agents", "node_modules", package, "package.json")) as file:
        return json.load(file)["version"]


def run(command, home, cwd=None, limit=240, **env):
    keep = {name: os.environ[name] for name in ("PATH", "LANG") if name in os.environ}
    done = subprocess.run(command, cwd=cwd or home, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=limit,
                          env={**keep, "HOME": home, "XDG_CONFIG_HOME": home + "/.config", "XDG_DATA_HOME": home + "/.local/share",
                               "NO_COLOR": "1", "FORCE_NO_TTY": "1", **env})
    return done.returncode, done.stdout, done.stderr


def tail(*texts):
    return " | ".join(line for text in texts for line in text.strip().splitlines()[-4:])[:400]


def report(client, version, capability, check):
    result, detail = "pass", ""
    try:
        with tempfile.TemporaryDirectory() as home:
            detail = check(home) or ""
    except Skip as why:
        result, detail = "skip", str(why)
    except Exception as error:
        result, detail = "fail", f"{type(error).__name__}: {error}"[:500]
    print(json.dumps({"client": client, "version": version, "capability": capability, "result": result, "detail": detail}), flush=True)


def continue_cli():
    version = version_of("@continuedev/cli")

    def cn(home, *more, model=MODEL):
        config = {"name": "local", "version": "1.0.0", "schema": "v1", "models": [{
            "name": "kakeya", "provider": "openai", "model": model, "apiBase": BASE, "apiKey": "sk-local", "roles": ["chat", "edit", "apply"],
            "capabilities": ["tool_use"], "defaultCompletionOptions": {"maxTokens": 60, "temperature": 0}}]}
        path = os.path.join(home, "cn.yaml")
        with open(path, "w") as file:
            json.dump(config, file)  # JSON is YAML
        return run([BIN + "/cn", "-p", PROMPT, "--config", path, *more], home, CONTINUE_TELEMETRY_ENABLED="0")

    def plain(home):
        code, out, err = cn(home, "--silent")
        assert code == 0 and out.strip(), tail(out, err)

    def tools(home):
        code, out, err = cn(home, "--auto", "--silent")
        assert code == 0 and out.strip(), tail(out, err)

    def as_json(home):
        code, out, err = cn(home, "--format", "json")
        assert code == 0 and json.loads(out)["status"] == "success", tail(out, err)

    def wrong_model(home):
        code, out, err = cn(home, "--format", "json", model="no-such-model")
        assert code == 1 and "no-such-model" in out + err, tail(out, err)

    for capability, check in (("chat", plain), ("tools, --auto", tools), ("JSON format", as_json), ("errors", wrong_model)):
        report("Continue CLI", version, capability, check)


def aider():
    python = os.path.join(BUILD, "aider", "bin", "python")
    version = subprocess.run([python, "-c", "from importlib.metadata import version as v; print(v('aider-chat'))"], capture_output=True, text=True).stdout.strip()

    def edit(*more, name="openai/" + MODEL, **env):
        def check(home):
            repo = os.path.join(home, "repo")
            os.mkdir(repo)
            for command in (["git", "init", "-q"], ["git", "config", "user.email", "a@b"], ["git", "config", "user.name", "a"]):
                subprocess.run(command, cwd=repo, check=True)
            code, out, err = run([os.path.join(BUILD, "aider", "bin", "aider"), "--model", name, "--message", PROMPT, "--yes-always", "--no-auto-commits",
                                  "--no-check-update", "--analytics-disable", "--no-show-release-notes", "--no-show-model-warnings", "--no-detect-urls",
                                  "--no-pretty", "--map-tokens", "0", "--edit-format", "ask", "--timeout", "60", *more], home, cwd=repo,
                                 OPENAI_API_BASE=BASE, OPENAI_API_KEY="sk-local", LITELLM_LOCAL_MODEL_COST_MAP="True", **env)
            assert code == 0, f"exit code {code}: {tail(out, err)}"
            assert re.search(r"Tokens: .* received", out) and not re.search(r"litellm\.\w*Error", out), tail(out, err)
        return check

    report("Aider", version, "chat", edit("--no-stream"))
    report("Aider", version, "stream", edit("--stream"))
    report("Aider", version, "Ollama routes", edit("--stream", name="ollama_chat/" + MODEL, OLLAMA_API_BASE=ROOT))


def opencode():
    def check(home):
        config = {"$schema": "https://opencode.ai/config.json", "model": "kakeya/" + MODEL, "small_model": "kakeya/" + MODEL, "autoupdate": False,
                  "provider": {"kakeya": {"npm": "@ai-sdk/openai-compatible", "name": "kakeya", "options": {"baseURL": BASE, "apiKey": "x"}, "models": {MODEL: {}}}}}
        with open(os.path.join(home, "opencode.json"), "w") as file:
            json.dump(config, file)
        binary = BIN + "/opencode"
        modules = os.path.join(BUILD, "agents", "node_modules")
        for name in sorted(os.listdir(modules)):  # the program itself is in a package of its own for each platform
            candidate = os.path.join(modules, name, "bin", "opencode")
            if name.startswith("opencode-linux") and "musl" not in name and "baseline" not in name and os.path.exists(candidate):
                binary = candidate
        code, out, err = run([binary, "run", PROMPT], home, OPENCODE_DISABLE_AUTOUPDATE="1")
        assert code == 0 and out.strip(), tail(out, err)
    report("opencode", version_of("opencode-ai"), "agent run", check)


def qwen():
    def check(home):
        # Without a limit of its own it throws an answer that ends by length away, asks again, and then up to three times for more.
        code, out, err = run([BIN + "/qwen", "-p", PROMPT, "--auth-type", "openai"], home, OPENAI_API_KEY="x", OPENAI_BASE_URL=BASE, OPENAI_MODEL=MODEL,
                             QWEN_CODE_MAX_OUTPUT_TOKENS="60")
        assert code == 0 and out.strip(), tail(out, err)
    report("qwen-code", version_of("@qwen-code/qwen-code"), "agent run", check)


def codex():
    def check(home):
        os.mkdir(home + "/.codex")
        with open(home + "/.codex/config.toml", "w") as file:
            file.write(f'model = "{MODEL}"\nmodel_provider = "kakeya"\n[model_providers.kakeya]\nname = "kakeya"\nbase_url = "{BASE}"\nwire_api = "responses"\n')
        code, out, err = run([BIN + "/codex", "exec", "--skip-git-repo-check", PROMPT], home)
        assert code == 0 and out.strip(), tail(out, err)
    report("Codex CLI", version_of("@openai/codex"), "agent run (responses)", check)


{"continue": continue_cli, "aider": aider, "opencode": opencode, "qwen": qwen, "codex": codex}[sys.argv[1]]()
