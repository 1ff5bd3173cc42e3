#!/usr/bin/env python3
"""Fails when a folder includes one that LAYERS does not allow, or when LAYERS itself is not an order."""
import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
INCLUDE = re.compile(r'^\s*#\s*include\s+(?:"([^"]+)"|<(kakeya/[^>]+)>)')


def read_layers(text):
    """LAYERS text -> {folder: allowed folders}."""
    layers = {}
    for line in text.splitlines():
        line = line.split("#", 1)[0].strip()
        if line:
            name, _, allowed = line.partition(":")
            layers[name.strip()] = set(allowed.split())
    return layers


def folder_of(header, layers):
    """The layer an include names, or None for a file outside every layer."""
    if header.startswith("kakeya/"):
        return "sdk"
    first = header.split("/", 1)[0]
    for candidate in ("src/" + first, "bench/" + first, "apps/" + first):
        if candidate in layers:
            return candidate
    return None


def main():
    layers = read_layers((ROOT / "LAYERS").read_text())
    problems = []
    order = list(layers)
    for layer, allowed in layers.items():
        for other in allowed:
            if other not in layers or order.index(other) >= order.index(layer):
                problems.append(f"LAYERS: {layer} may not name {other}: it must stand above")
        folder = ROOT / ("include/kakeya" if layer == "sdk" else layer)
        for path in sorted(folder.rglob("*")):
            if path.suffix not in (".h", ".cc"):
                continue
            for number, line in enumerate(path.read_text().splitlines(), 1):
                match = INCLUDE.match(line)
                if not match:
                    continue
                target = folder_of(match.group(1) or match.group(2), layers)
                if target is not None and target != layer and target not in allowed:
                    problems.append(f"{path.relative_to(ROOT)}:{number}: {layer} may not include {target}")
    for folder in (ROOT / "src").iterdir():
        if folder.is_dir() and f"src/{folder.name}" not in layers:
            problems.append(f"LAYERS: src/{folder.name} is not listed")
    print("\n".join(problems) if problems else f"layers: {len(layers)} folders, no include against the order")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
