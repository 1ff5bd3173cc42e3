#!/usr/bin/env python3
"""Fails when two sources that a build without ccache compiles as one (KAKEYA_UNITY) have a private name in common.

Private: declared in an anonymous namespace, at the start of a line, as clang-format leaves it. The remedy is another name,
or APART in the folder's CMakeLists.txt (cmake/KakeyaModule.cmake says how files are dealt to units).
"""
import collections
import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
FILES_A_UNIT = 10
OPEN = re.compile(r"^(?:inline )?namespace\b\s*([\w:]*)\s*\{$")
CLOSE = re.compile(r"^\}\s*// namespace")
ALIAS = re.compile(r"^(?:using|namespace) (\w+) = (.+);")
TYPE = re.compile(r"^(?:template.*> )?(?:struct|class|enum class|enum|union) (\w+)")
TEST = re.compile(r"^TEST(?:_F|_P)?\((\w+, \w+)")
OTHER = re.compile(r"^[\w:<>,&*\s\[\]\"]*?(?<!::)\b(\w+)\s*[(=\[{;]")
NO_NAMES = re.compile(r"^(?:[\s})/#]|using\b|static_assert|INSTANTIATE_|KAKEYA_|return\b)")


def parameter_types(text):
    """Of a declaration that goes on in `text` behind its '(': functions of one name and other types are overloads."""
    parts, depth = [""], 0
    for char in text:
        depth += (char in "(<[{") - (char in ")>]}")
        if depth < 0:
            break
        if char == "," and depth == 0:
            parts.append("")
        else:
            parts[-1] += char
    plain = (" ".join(part.split("=")[0].split()) for part in parts)
    return ", ".join(re.sub(r"(?<=[\w>&*]) ?\b\w+$", "", part) if " " in part else part for part in plain)


def private_names(path):
    """{(namespace, name): what it is an alias of, or None} of one source."""
    names, scopes, raw = {}, [], False
    lines = path.read_text(encoding="utf-8").splitlines()
    for at, line in enumerate(lines):
        if raw:
            raw = ')"' not in line
            continue
        raw = 'R"(' in line and ')"' not in line.split('R"(', 1)[1]
        opened = OPEN.match(line)
        if opened:
            scopes.append(opened.group(1))
        elif CLOSE.match(line):
            scopes and scopes.pop()
        elif line and "" in scopes:
            alias = ALIAS.match(line)
            if not alias and NO_NAMES.match(line):
                continue
            found = alias or TYPE.match(line) or TEST.match(line) or OTHER.match(line)
            if not found:
                continue
            name = found.group(1)
            if found.re is OTHER and line[found.end() - 1] == "(":
                name += f"({parameter_types(line[found.end():] + ' ' + ' '.join(lines[at + 1:at + 6]))})"
            names[("::".join(scopes), name)] = alias.group(2) if alias else None
    return names


def units(files, text, folder):
    """{file: its unit}, dealt as kakeya_unity does, and the files that APART lists."""
    named = {str(f.relative_to(folder)): f for f in files}
    classes = [s.split() for part in re.findall(r'APART((?:\s+"[^"]*")+)', text) for s in re.findall(r'"([^"]*)"', part)]
    classes = [[named[n] for n in c] for c in classes if all(n in named for n in c)]
    listed = [f for c in classes for f in c]
    count = max([(len(files) + FILES_A_UNIT - 1) // FILES_A_UNIT] + [len(c) for c in classes])
    return {f: i % count for i, f in enumerate(listed + [f for f in files if f not in listed])}, set(listed)


def clashes(folder, files, text):
    unit, listed = units(files, text, folder)
    seen = collections.defaultdict(list)
    for f in files:
        for name, meaning in private_names(f).items():
            seen[name].append((f, meaning))
    for (scope, name), places in sorted(seen.items()):
        for i, (a, meaning) in enumerate(places):
            for b, other in places[i + 1:]:
                apart = a in listed and b in listed and unit[a] != unit[b]
                if not apart and (meaning is None or meaning != other):
                    yield f"{a.relative_to(ROOT)} and {b.relative_to(ROOT)} both have {name} in an anonymous namespace"


def main():
    problems, count = [], 0
    for cmake in sorted(p for part in ("src", "bench", "apps") for p in (ROOT / part).glob("*/CMakeLists.txt")):
        text = cmake.read_text()
        if "FILE_BY_FILE" in text or not re.search(r"kakeya_(module|unity)\(", text):
            continue
        count += 1
        files = sorted(cmake.parent.rglob("*.cc"))
        tests = [f for f in files if f.name.endswith("_test.cc")]
        for group in ([f for f in files if f not in tests], tests):
            problems += clashes(cmake.parent, group, text)
    problems = sorted(set(problems))
    print("\n".join(problems) if problems else f"names: {count} folders, no private name twice in a unit")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
