#!/usr/bin/env python3
"""Makes data/gsm-mini.jsonl and data/py-mini.jsonl, the two data sets that come with the project.

    python3 tools/data/make_mini_sets.py [--train DIR] [--check]

--train DIR   folder with the training text (*.jsonl.gz, field "prompt"); no record's prompt may occur there
--check       write nothing; fail unless the files in the repository are what this script makes

What "held out" means here is written in data/README.md.
"""
import argparse
import glob
import gzip
import hashlib
import itertools
import json
import os
import re
import sys
from fractions import Fraction

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import math_templates
import python_templates

SEED = 20260217           # never used for training text
PER_TEMPLATE = 8          # word problems a template, each with a wording of its own
DRAWS = 20000             # tries a template; one with few wordings may have none that is held out
FUNCTIONS = 128
MOST_BYTES = 150_000
# Starts of the sha1 of drawn questions that the training files hold too (kept from training there by held_out, yet
# left out here so that no prompt of a set occurs in any training file). --train names any that is missing.
SKIP = ("048b4c11", "841cbb4d", "19d9dc16", "c29eb668", "f208350d", "cc7829ac")


def sha1(text):
    return hashlib.sha1(text.encode()).hexdigest()


def held_out(key):
    """The rule of the training recipe: these 2% of wordings (maths) and prompts (Python) are kept from training."""
    return int(sha1(key), 16) % 50 == 0


def wording(question):
    return re.sub(r"\d[\d,.]*", "#", question)


def check_steps(steps, answer):
    """Every equation holds, and the last one ends in the answer."""
    value = None
    for step in steps:
        equations = re.findall(r"((?:\$?\d+(?: [-+*/] |/))+\$?\d+) = \$?(\d+)", step)
        assert equations, step
        for left, right in equations:
            terms = re.sub(r"\d+", r"Fraction(\g<0>)", left.replace("$", ""))
            assert eval(terms, {"Fraction": Fraction}) == int(right), step
            value = int(right)
    assert value == answer, (steps, answer)


def word_problems():
    records, left_out = [], []
    for number, template in enumerate(math_templates.TEMPLATES):
        d, seen = math_templates.Draw(SEED + number), set()
        for _ in range(DRAWS):
            question, steps, answer = template(d)
            key = wording(question)
            if key in seen or not held_out(key) or re.search(r"(?<![\d.])1 (?!batch)[a-z]+s\b", question):
                continue
            if sha1(question)[:8] in SKIP:
                continue
            check_steps(steps, answer)
            seen.add(key)
            records.append((len(seen), number, {"question": question, "answer": "\n".join(steps) + f"\n#### {answer}"}))
            if len(seen) == PER_TEMPLATE:
                break
        if not seen:
            left_out.append(template.__name__)
    records.sort(key=lambda r: r[:2])     # round robin: neighbours come from different templates
    return [r[2] for r in records], left_out


def indented(text):
    return "".join(f"    {line}\n" for line in text.split("\n"))


def run(function, body, call):
    space = {}
    exec(f"def {function.name}({function.args}):\n{indented(body)}", space)
    return eval(f"{function.name}({call})", space)


def as_record(function, number):
    """The HumanEval record, or None when the inputs do not suit the function."""
    try:
        values = [run(function, function.bodies[0], call) for call in function.inputs]
    except (IndexError, ValueError, ZeroDivisionError):
        return None
    for body in function.bodies[1:]:
        assert [run(function, body, call) for call in function.inputs] == values, (function, body)
    if len({repr(v) for v in values}) < 2:
        return None                       # a constant would pass
    shown = "".join(f"    >>> {function.name}({call})\n    {value!r}\n"
                    for call, value in list(zip(function.inputs, values))[:2])
    prompt = f'def {function.name}({function.args}):\n    """{function.doc}\n\n{shown}    """\n'
    asserts = "".join(f"    assert candidate({call}) == {value!r}\n" for call, value in zip(function.inputs, values))
    return {"task_id": f"py-mini/{number}", "prompt": prompt, "entry_point": function.name,
            "canonical_solution": indented(function.bodies[0]), "test": f"def check(candidate):\n{asserts}"}


def passes(record, solution):
    space = {}
    try:
        exec(record["prompt"] + solution + "\n" + record["test"], space)
        space["check"](space[record["entry_point"]])
        return True
    except Exception:
        return False


def small_functions():
    records, names = [], set()
    for function in python_templates.functions(SEED):
        record = as_record(function, len(records))
        if record is None or not held_out(record["prompt"]) or function.name in names:
            continue
        assert passes(record, record["canonical_solution"]), record
        for wrong in ("    pass\n", "    return 0\n", "    return []\n", "    return True\n"):
            assert not passes(record, wrong), (record, wrong)
        names.add(function.name)
        records.append(record)
        if len(records) == FUNCTIONS:
            return records


def prompts_of_training(folder):
    prompts = set()
    for path in sorted(glob.glob(os.path.join(folder, "*.jsonl.gz"))):
        with gzip.open(path, "rt", encoding="utf-8") as lines:
            prompts.update(json.loads(line)["prompt"] for line in lines)
    return prompts


def compare_with_training(problems, codes, folder):
    prompts = prompts_of_training(folder)
    if not prompts:
        sys.exit(f"no training prompts found in {folder}: expected *.jsonl.gz with a field prompt")
    taken = [sha1(r["question"])[:8] for r in problems if r["question"] in prompts]
    if taken:
        sys.exit(f"these questions occur in the training files, add them to SKIP: {taken}")
    names = {m.group(1) for m in (re.search(r"def (\w+)", p) for p in prompts) if m}
    for record in codes:
        assert record["prompt"] not in prompts, record["prompt"]
    known = sum(r["entry_point"] in names for r in codes)
    print(f"{len(prompts)} training prompts: none in the sets; "
          f"{known} of {len(codes)} function names occur in training")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--train")
    parser.add_argument("--out", default=os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "data"))
    parser.add_argument("--check", action="store_true")
    options = parser.parse_args()
    problems, left_out = word_problems()
    codes = small_functions()
    print(f"{len(problems)} word problems; templates without a held-out wording: {', '.join(left_out) or 'none'}; "
          f"{len(codes)} functions")
    if options.train:
        compare_with_training(problems, codes, options.train)
    for name, records in (("gsm-mini", problems), ("py-mini", codes)):
        text = "".join(json.dumps(r) + "\n" for r in records)
        assert len(records) >= 96 and len(text) <= MOST_BYTES, (name, len(records), len(text))
        path = os.path.join(options.out, f"{name}.jsonl")
        if options.check:
            with open(path, encoding="utf-8") as file:
                if file.read() != text:
                    sys.exit(f"{path} is not what this script makes: run it without --check")
        else:
            with open(path, "w", encoding="utf-8") as file:
                file.write(text)
        print(f"{os.path.normpath(path)}: {len(records)} records, {len(text)} bytes, sha256 "
              f"{hashlib.sha256(text.encode()).hexdigest()}")


if __name__ == "__main__":
    main()
