#!/usr/bin/env python3
"""Records docs/tour.svg: a real shell runs the commands of the README's tour, a terminal emulator keeps what they
print, and the screen becomes an SVG. Needs python3-pyte and a release build.

usage: tools/tour/record.py [--bin build/release/bin/kakeya-llm] [--out docs/tour.svg]
"""
import argparse
import fcntl
import html
import os
import pathlib
import pty
import select
import struct
import subprocess
import sys
import termios
import time

import pyte

ROOT = pathlib.Path(__file__).resolve().parents[2]
COLUMNS, ROWS = 104, 400
PROMPT = "\x1b[1;32m$\x1b[0m "
QUESTION = "Tom has 3 bags of 4 apples. He eats 2. How many apples does he have?"
STEPS = [
    f'kakeya-llm run tiny "{QUESTION}" --speculation fixed --show-acceptance --stats',
    f'kakeya-llm run tiny "{QUESTION}" --kv e8-q10 --speculation fixed --stats',
    "kakeya-llm inspect tiny --draft tiny --tokens 1024 | sed -n '/^KV/,/e8-q4/p'",
    "kakeya-llm serve --draft tiny --kv e8-q10 --port 8017 > server.log 2>&1 &",
    "until curl -sf localhost:8017/ready > /dev/null; do sleep 0.1; done",
    "curl -s localhost:8017/v1/chat/completions -H 'content-type: application/json' -d '{\"messages\":"
    "[{\"role\":\"user\",\"content\":\"" + QUESTION + "\"}]}' | python3 -m json.tool | "
    "grep -E '\"(content|kv_channel|finish_reason|completion_tokens)\"'",
]
COLOURS = {"default": "#d8dee9", "black": "#4c566a", "red": "#e06c75", "green": "#98c379", "brown": "#e5c07b",
           "blue": "#61afef", "magenta": "#c678dd", "cyan": "#56b6c2", "white": "#eceff4"}


def read_until(fd, stream, marker, seconds):
    """Feeds the terminal until `marker` is printed."""
    seen, end = b"", time.monotonic() + seconds
    while marker not in seen:
        if time.monotonic() > end:
            sys.exit(f"record: no answer within {seconds} s; last output: {seen[-500:]!r}")
        if select.select([fd], [], [], 0.1)[0]:
            piece = os.read(fd, 65536)
            seen += piece
            stream.feed(piece.replace(marker, b""))


def record(binary):
    screen = pyte.Screen(COLUMNS, ROWS)
    stream = pyte.ByteStream(screen)
    master, slave = pty.openpty()
    env = {"PATH": f"{binary.parent}:/usr/bin:/bin", "TERM": "xterm-256color", "HOME": "/nonexistent", "PS1": "",
           "COLUMNS": str(COLUMNS), "LINES": "40", "LANG": "C.UTF-8"}
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 40, COLUMNS, 0, 0))
    work = ROOT / "build"
    shell = subprocess.Popen(["bash", "--norc", "--noprofile", "--noediting"], stdin=slave, stdout=slave, stderr=slave, env=env, cwd=work,
                             preexec_fn=os.setsid)
    os.close(slave)
    os.write(master, b"stty -echo; set +m; echo re''ady\n")
    read_until(master, pyte.ByteStream(pyte.Screen(COLUMNS, 10)), b"ready\r\n", 10)
    for number, step in enumerate(STEPS):
        stream.feed((PROMPT + step + "\r\n").encode())
        os.write(master, f"{step}\necho do''ne{number}\n".encode())
        read_until(master, stream, f"done{number}\r\n".encode(), 120)
    os.write(master, b"kill %1; wait; exit\n")
    shell.wait(timeout=20)
    return screen


def to_svg(screen):
    rows = screen.cursor.y
    height, advance, size = 19, 8.43, 14
    out = [f'<svg xmlns="http://www.w3.org/2000/svg" width="{COLUMNS * advance + 32:.0f}" height="{rows * height + 52}" '
           f'font-family="ui-monospace, SFMono-Regular, Menlo, Consolas, DejaVu Sans Mono, monospace" font-size="{size}">',
           '<rect width="100%" height="100%" rx="10" fill="#20242c"/>',
           *(f'<circle cx="{20 + 18 * i}" cy="18" r="6" fill="{c}"/>' for i, c in
             enumerate(("#ff5f56", "#ffbd2e", "#27c93f")))]
    for y in range(rows):
        line, x = screen.buffer[y], 0
        while x < COLUMNS:
            cell = line[x]
            end = x
            while end < COLUMNS and line[end][1:] == cell[1:]:
                end += 1
            text = "".join(line[i].data for i in range(x, end))
            if text.strip():
                colour = cell.fg if cell.fg.startswith("#") else COLOURS.get(cell.fg.replace("bright", ""), None)
                colour = colour or ("#" + cell.fg if len(cell.fg) == 6 else COLOURS["default"])
                weight = ' font-weight="bold"' if cell.bold else ""
                out.append(f'<text x="{16 + x * advance:.1f}" y="{48 + y * height}" fill="{colour}"{weight} '
                           f'xml:space="preserve">{html.escape(text)}</text>')
            x = end
    out.append("</svg>\n")
    return "\n".join(out)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--bin", type=pathlib.Path, default=ROOT / "build/release/bin/kakeya-llm")
    parser.add_argument("--out", type=pathlib.Path, default=ROOT / "docs/tour.svg")
    args = parser.parse_args()
    args.out.write_text(to_svg(record(args.bin.resolve())))
    print(f"wrote {args.out}")


if __name__ == "__main__":
    main()
