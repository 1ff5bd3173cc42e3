#!/usr/bin/env python3
"""Reads pytest's JUnit file of llama.cpp's suite and writes docs/integrations/llama-server-tests.md.

Exit code 1: a test did not pass for a reason that no rule in rules.py names."""
import argparse
import os
import re
import sys
import xml.etree.ElementTree as ElementTree

import rules

SOURCE = os.path.dirname(os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))))
TABLE = os.path.join(SOURCE, "docs", "integrations", "llama-server-tests.md")
KINDS = [rules.ABSENT, rules.MODEL, rules.DESIGN, rules.FETCH, "unexplained"]

HEAD = """# llama.cpp's server tests

Written by `tests/clients/llama-suite`: the tests that llama.cpp publishes for its server (`tools/server/tests`, unchanged, slow
ones left out), run against `kakeya-llm serve` on the embedded pair. A starter translates llama-server's flags
and names the model as the test at hand does. Much of the suite is about
llama-server's own model, templates and extras, so this is a map of differences rather than a score.

`not offered`: a route, flag or field that we do not have. `their model`: asks for words or token counts of its test model.
`by design`: we answer as OpenAI's API does, or stricter. `needs a download`: of a model, in the test itself.

| file | tests | pass | """ + " | ".join(KINDS) + """ |
|---|---|---|""" + "---|" * len(KINDS) + "\n"


def judged(name, text):
    """(kind, reason)"""
    for test, pattern, kind, reason in rules.RULES:
        found = re.search(pattern, text)
        if re.search(test, name) and found:
            return kind, reason.format(found.group(1) if found.groups() else "")
    lines = [line[1:].strip() for line in text.splitlines() if line.startswith("E ")]
    return "unexplained", f"{name.split('::')[-1]}: {lines[0] if lines else 'no message'}"[:160]


def read(path):
    """{file: {"pass": n, kind: {reason: n}}}"""
    files = {}
    for case in ElementTree.parse(path).iter("testcase"):
        file = case.get("classname").split(".")[-1]
        row = files.setdefault(file, {"pass": 0, "skipped": 0})
        bad = [part for part in case if part.tag in ("failure", "error")]
        if any(part.tag == "skipped" for part in case):
            row["skipped"] += 1
        elif not bad:
            row["pass"] += 1
        else:
            text = "\n".join(part.text or "" for part in case)
            kind, reason = judged(f"{file}::{case.get('name')}", text)
            reasons = row.setdefault(kind, {})
            reasons[reason] = reasons.get(reason, 0) + 1
    return files


def cell(reasons):
    return "; ".join(f"{count} × {reason}" if count > 1 else reason for reason, count in
                     sorted(reasons.items(), key=lambda item: -item[1])).replace("|", "\\|")


def write(files, tests):
    lines, total, passed = [], 0, 0
    for file in rules.RUN:
        row = files.get(file)
        if row is None:
            continue
        count = row["pass"] + sum(sum(row.get(kind, {}).values()) for kind in KINDS)
        total, passed = total + count, passed + row["pass"]
        lines.append(f"| {file} | {count} | {row['pass']} | " + " | ".join(cell(row.get(kind, {})) for kind in KINDS) + " |")
    text = HEAD + "\n".join(lines) + f"\n\n{passed} of {total} pass.\n\n## Files not run\n\n| file | tests | what they are about |\n|---|---|---|\n"
    for file, why in rules.NOT_RUN.items():
        with open(os.path.join(tests, "unit", file + ".py"), encoding="utf-8") as f:
            count = len(re.findall(r"^def test_", f.read(), re.M))
        text += f"| {file} | {count} | {why} |\n"
    with open(TABLE, "w", encoding="utf-8") as f:
        f.write(text)
    return passed, total


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("results", nargs="?")
    parser.add_argument("--tests", help="folder of the suite")
    parser.add_argument("--files", action="store_true", help="print the files to run")
    options = parser.parse_args()
    if options.files:
        print(" ".join(f"unit/{name}.py" for name in rules.RUN))
        return 0
    files = read(options.results)
    passed, total = write(files, options.tests)
    unexplained = [reason for row in files.values() for reason in row.get("unexplained", {})]
    print(f"{passed} of {total} pass; {len(unexplained)} for no known reason; {os.path.relpath(TABLE)}")
    for reason in unexplained:
        print("  " + reason)
    return 1 if unexplained else 0


if __name__ == "__main__":
    sys.exit(main())
