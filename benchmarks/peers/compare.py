#!/usr/bin/env python3
"""kakeya-llm against llama.cpp on the same GGUF file, step by step in turns; see README.md beside this file.

Usually called by benchmarks/peers/run, which fetches and builds the peer and writes the model.
"""
import argparse
import datetime
import json
import os
import pathlib
import platform
import shlex
import sys

import cases
from measure import BandwidthProbe, Plan, alternate, raw, summarise
from programs import Program, ProgramError, check_idle

HERE = pathlib.Path(__file__).resolve().parent


def say(*words):
    print(*words, file=sys.stderr, flush=True)


class Bench:
    """Runs groups and keeps what they gave."""

    def __init__(self, args):
        self.args, self.results, self.raw, self.memory, self.ready, self.draft = args, {}, [], {}, {}, {}
        self.load = os.getloadavg()[0]
        self.plan = Plan(pairs=args.pairs, cap_s=args.cap_seconds, attempts=args.attempts)
        self.probe = BandwidthProbe(args.threads) if args.probe else None

    def start_ours(self, group):
        flags = ["-m", self.args.model, "--kv", group.ours, "-t", self.args.threads]
        if self.args.draft:
            flags += ["--draft", self.args.draft]
        program = Program(f"ours ({group.ours})", shlex.split(self.args.ours) + flags, realtime=self.args.realtime)
        self.ready["ours"] = program.ready
        return program

    def start_peer(self, group):
        flags = ["--model", self.args.model, "--kv", group.peer.kv, "--fa", int(group.peer.flash), "--threads",
                 self.args.threads, "--ctx", group.context]
        pages = {"GLIBC_TUNABLES": "glibc.malloc.hugetlb=1"} if self.args.peer_huge_pages else None
        program = Program(f"peer ({group.peer.label})", shlex.split(self.args.peer) + flags, spins=True,
                          environment=pages, realtime=self.args.realtime)
        self.ready["peer"] = program.ready
        return program

    def run(self, groups):
        """Groups with the same peer setting share its process; ours is started per group."""
        peer, setting = None, None
        try:
            for group in groups:
                if setting != (group.peer, group.context):
                    if peer:
                        peer.close()
                    peer, setting = self.start_peer(group), (group.peer, group.context)
                with self.start_ours(group) as ours:
                    self.run_group(group, ours, peer)
        finally:
            if peer:
                peer.close()

    def run_group(self, group, ours, peer):
        check_idle([ours, peer])
        for together in cases.in_rounds(group.cases):
            pairs, probes = alternate(ours, peer, [case.request for case in together], self.plan, self.probe)
            for case, taken, probed in zip(together, pairs, probes):
                self.keep(group, case, taken, probed)
        self.take_memory(group, ours, peer)
        if self.args.draft and group.context == cases.SHORT_CONTEXT:
            self.take_draft(ours)

    def keep(self, group, case, pairs, probes):
        summary = summarise(pairs, self.args.pairs)
        self.results[group.ours, group.peer, case.name] = summary
        self.raw.append({"case": case.name, "ours_kv": group.ours, "peer_kv": group.peer.kv,
                         "peer_flash_attention": group.peer.flash, "context": group.context, **summary,
                         "bandwidth_gbs": probes, "load": os.getloadavg(), "pairs": raw(pairs)})
        say(f"{case.name:14} {group.ours:7} {group.peer.label:12} ours {summary['ours_ms']:9.2f} ms, "
            f"peer {summary['peer_ms']:9.2f} ms, ratio {summary['ratio']:.2f}, "
            f"{summary['pairs_clean']} of {summary['pairs_taken']} pairs undisturbed")

    def take_memory(self, group, ours, peer):
        depth = group.memory_depth
        for program in (ours, peer):
            program.ask(op="step", rows=16, depth=depth, logits="all")
        both = [p.ask(op="memory") for p in (ours, peer)]
        self.memory[group.ours, group.peer, depth] = [(m["rss_bytes"], m["peak_rss_bytes"]) for m in both]

    def take_draft(self, ours):
        for name, request in (("draft", {"op": "draft", "block": 16, "depth": cases.SHORT}),
                              ("observe", {"op": "observe", "rows": 16, "depth": cases.SHORT})):
            values = sorted(ours.ask(**request)["wall_ms"] for _ in range(self.args.pairs + 1))
            self.draft[name] = values[len(values) // 2]

    def limits(self):
        """What our program measures of the machine, where it can."""
        group = cases.Group("e8-q10", cases.F16, cases.SHORT_CONTEXT, (), cases.SHORT)
        try:
            with self.start_ours(group) as ours:
                return ours.ask(op="limits")
        except ProgramError as error:
            return {"error": str(error)}


def report(bench, wanted):
    is_long = lambda key: key[2].endswith(f"-{cases.LONG}")
    short = {k: v for k, v in bench.results.items() if not is_long(k)}
    rows = (cases.timed_rows(short) + cases.cost_rows(bench.results) +
            cases.long_rows({k: v for k, v in bench.results.items() if is_long(k)}) + cases.memory_rows(bench.memory))
    text = f"# {pathlib.Path(bench.args.model).name}: kakeya-llm and llama.cpp\n\n"
    text += f"{bench.args.threads} threads, {bench.args.pairs} pairs asked for, load average at the start "
    text += f"{bench.load:.1f}. Ratio: peer / ours in time or bytes; 'fastest': of the fastest steps.\n\n"
    text += cases.markdown(rows, wanted)
    for name, ms in bench.draft.items():
        text += f"\n{name} of our draft, 16 rows at depth {cases.SHORT}: {ms:.2f} ms\n"
    return rows, text


def parse(argv):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", required=True, help="GGUF file that both load")
    parser.add_argument("--draft", help="our DFlash draft: adds its cost")
    parser.add_argument("--ours", required=True, help="command of our program, up to its flags")
    parser.add_argument("--peer", required=True, help="command of the peer's program, up to its flags")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--pairs", type=int, default=7, help="undisturbed pairs of a case")
    parser.add_argument("--attempts", type=int, default=4, help="pairs tried at most, as a multiple of --pairs")
    parser.add_argument("--cap-seconds", type=float, default=180, help="time for a case")
    parser.add_argument("--cases", help="comma-separated: decode, rows8, rows16, prompt, memory, decode-64, ...")
    parser.add_argument("--quick", action="store_true", help="3 pairs, 40 seconds a case, no long contexts")
    parser.add_argument("--wanted", type=pathlib.Path, help="JSON of declared aims (wanted/8b.json)")
    parser.add_argument("--out", type=pathlib.Path, help="directory for NAME.json and NAME.md")
    parser.add_argument("--peer-huge-pages", action="store_true", help="2 MiB pages for the peer's heap")
    parser.add_argument("--realtime", action="store_true",
                        help="both programs before all others on a machine that is not idle (needs root)")
    parser.add_argument("--no-probe", dest="probe", action="store_false", help="without the bandwidth probe")
    args = parser.parse_args(argv)
    if args.pairs < 1 or args.threads < 1 or args.attempts < 1:
        parser.error("--pairs, --threads and --attempts must be at least 1")
    if args.quick:
        args.pairs, args.cap_seconds = min(args.pairs, 3), min(args.cap_seconds, 40)
    return args


def write_atomic(path, text):
    temporary = path.with_name(f"{path.name}.tmp{os.getpid()}")
    temporary.write_text(text, encoding="utf-8")
    os.replace(temporary, path)


def main(argv=None):
    args = parse(argv)
    try:
        chosen = cases.groups(args.cases.split(",") if args.cases else None)
    except ValueError as error:
        say(f"compare: {error}")
        return 2
    if args.quick:
        chosen = [g for g in chosen if g.context == cases.SHORT_CONTEXT]
    wanted = json.loads(args.wanted.read_text(encoding="utf-8")) if args.wanted else {}
    bench = Bench(args)
    limits, failure = {}, None
    try:
        limits = bench.limits()
        bench.run(chosen)
    except ProgramError as error:
        failure = str(error)
        say(f"compare: {failure}")
    rows, text = report(bench, wanted)
    print(text)
    if args.out:
        args.out.mkdir(parents=True, exist_ok=True)
        name = pathlib.Path(args.model).stem
        write_atomic(args.out / f"{name}.md", text)
        write_atomic(args.out / f"{name}.json", json.dumps({
            "created_at": datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds"),
            "model": args.model, "threads": args.threads, "realtime": args.realtime,
            "load_average_at_start": bench.load,
            "machine": platform.uname()._asdict(), "limits": limits,
            "ready": bench.ready, "draft_ms": bench.draft, "failure": failure,
            "rows": [vars(r) | dict(zip(("wanted", "reached"), cases.verdict(r, wanted))) for r in rows],
            "measurements": bench.raw}, indent=1))
    return 1 if failure else 0


if __name__ == "__main__":
    sys.exit(main())
