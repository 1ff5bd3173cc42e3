"""What is measured: groups of cases that share two running programs, and the rows of the table."""
import dataclasses
import statistics

LONG, SHORT = 16384, 64
SHORT_CONTEXT, LONG_CONTEXT = 1024, LONG + 512
OURS = "e8-q10"  # our channel that most wanted values speak of; bf16 stands beside it
BEST = "best"  # the faster of the peer's f16 settings


@dataclasses.dataclass(frozen=True)
class Peer:
    kv: str
    flash: bool

    @property
    def label(self):
        return f"{self.kv}, FA {'on' if self.flash else 'off'}"


@dataclasses.dataclass(frozen=True)
class Case:
    name: str
    request: dict
    depth: int


F16, F16_PLAIN, Q8, Q4 = Peer("f16", True), Peer("f16", False), Peer("q8_0", True), Peer("q4_0", True)
SHORT_CASES = [
    Case(f"decode-{SHORT}", {"op": "step", "rows": 1, "depth": SHORT, "logits": "all"}, SHORT),
    Case(f"rows8-{SHORT}", {"op": "step", "rows": 8, "depth": SHORT, "logits": "all"}, SHORT),
    Case(f"rows16-{SHORT}", {"op": "step", "rows": 16, "depth": SHORT, "logits": "all"}, SHORT),
    Case("prompt-512", {"op": "prompt", "tokens": 512, "depth": 0}, 0),
]
LONG_CASES = [
    Case(f"decode-{LONG}", {"op": "step", "rows": 1, "depth": LONG, "logits": "all"}, LONG),
    Case(f"rows16-{LONG}", {"op": "step", "rows": 16, "depth": LONG, "logits": "all"}, LONG),
]


@dataclasses.dataclass(frozen=True)
class Group:
    """Cases taken with one process of each side. `peer` is started anew only where it changes."""
    ours: str  # KV channel
    peer: Peer
    context: int
    cases: tuple
    memory_depth: int


def groups(names=None):
    """All groups, or those with the named cases (a name before the depth will do: 'decode' is both decodes)."""
    out = [Group("e8-q10", F16, SHORT_CONTEXT, tuple(SHORT_CASES), SHORT)]
    for peer in (F16, F16_PLAIN, Q8, Q4):
        for ours in ("e8-q10", "bf16") if peer.kv == "f16" else ("e8-q10",):
            out.append(Group(ours, peer, LONG_CONTEXT, tuple(LONG_CASES), LONG))
    if not names:
        return out
    known = {c.name for c in SHORT_CASES + LONG_CASES} | {f"memory-{SHORT}", f"memory-{LONG}"}
    stems = {name.split("-")[0] for name in known}
    for name in names:
        if name not in known | stems:
            raise ValueError(f"case {name!r}, expected one of {', '.join(sorted(known | stems))}")
    chosen = lambda name: name in names or name.split("-")[0] in names
    kept = [dataclasses.replace(g, cases=tuple(c for c in g.cases if chosen(c.name))) for g in out]
    return [g for g in kept if g.cases or chosen(f"memory-{g.memory_depth}")]


@dataclasses.dataclass
class Row:
    """A line of the table. `ours` and `peer` are values in `unit`; `ratio` above 1 is in our favour."""
    case: str
    key: str  # of the file of wanted values
    ours_kv: str
    peer: str
    unit: str
    ours: float
    peer_value: float
    ratio: float
    ci95: tuple | None = None
    fastest: float | None = None  # ratio of the fastest steps
    disturbed: bool = False


def timed_rows(results):
    """results: {(ours, Peer, case name): summary}. Decodes and prompts in tokens per second, others in ms."""
    rows = []
    for (ours, peer, name), s in results.items():
        key, tokens = name if ours == OURS else "", {"decode": 1, "prompt": 512}.get(name.split("-")[0])
        if name.endswith(f"-{LONG}"):
            key = f"{key} {peer.kv}" if key and peer.kv != "f16" else ""
        value = lambda ms: 1e3 * tokens / ms if tokens else ms
        rows.append(Row(name, key, ours, peer.label, "tok/s" if tokens else "ms", value(s["ours_ms"]),
                        value(s["peer_ms"]), s["ratio"], s["ci95"], s["ratio_of_fastest"], s["disturbed"]))
    return rows


def long_rows(results):
    """Long contexts: rows against the peer's faster f16 setting, then the other rows."""
    rows, used = [], set()
    for case in LONG_CASES:
        for ours in ("e8-q10", "bf16"):
            both = [(s["peer_ms"], peer) for (o, peer, n), s in results.items()
                    if o == ours and n == case.name and peer.kv == "f16"]
            if len(both) < 2:
                continue
            peer = min(both, key=lambda pair: pair[0])[1]
            row, = timed_rows({(ours, peer, case.name): results[ours, peer, case.name]})
            row.peer, row.key = f"{BEST}: {peer.label}", f"{case.name} {ours} {BEST}"
            rows.append(row)
            used.add((ours, peer, case.name))
    return rows + timed_rows({k: s for k, s in results.items() if k not in used})


def in_rounds(chosen):
    """Cases that take turns with each other: steps of one depth, whose ratios count."""
    steps = tuple(c for c in chosen if c.request["op"] == "step")
    return [together for together in (steps, *((c,) for c in chosen if c not in steps)) if together]


def in_steps(several, one):
    """[(ours, peer)]: a step of several rows in one-row steps, round by round; of the medians with fewer than three."""
    both = [(a, b) for a, b in zip(several.get("rounds", ()), one.get("rounds", ())) if a and b]
    if len(both) < 3:
        return [(several["ours_ms"] / one["ours_ms"], several["peer_ms"] / one["peer_ms"])]
    return [(a[0] / b[0], a[1] / b[1]) for a, b in both]


def cost_rows(results):
    """A step of several rows in one-row steps of the same round."""
    rows = []
    for (ours, peer, name), s in results.items():
        one = results.get((ours, peer, f"decode-{name.split('-')[1]}"))
        if not name.startswith("rows") or one is None:
            continue
        found = in_steps(s, one)
        mine, theirs = (statistics.median(side) for side in zip(*found))
        label = f"{name}/decode-{name.split('-')[1]}"
        rows.append(Row(label, label, ours, peer.label, "steps", mine, theirs,
                        statistics.median(b / a for a, b in found), disturbed=s["disturbed"] or one["disturbed"]))
    return rows


def memory_rows(memory):
    """memory: {(ours, Peer, depth): ((rss, peak), (rss, peak))}, ours then the peer's. Peaks where they differ."""
    rows = []
    for (ours, peer, depth), (mine, theirs) in memory.items():
        key = "" if ours != OURS else f"memory-{depth}" if depth == SHORT else f"memory-{depth} {peer.kv}"
        rows.append(Row(f"memory-{depth}", key, ours, peer.label, "GB", mine[0] / 1e9, theirs[0] / 1e9,
                        theirs[0] / mine[0]))
        if any(peak > 1.02 * now for now, peak in (mine, theirs)):
            rows.append(Row(f"memory-{depth} peak", "", ours, peer.label, "GB", mine[1] / 1e9, theirs[1] / 1e9,
                            theirs[1] / mine[1]))
    return rows


def verdict(row, wanted):
    """(what was wanted, whether it was reached) as text; empty where nothing is declared."""
    rule = wanted.get(row.key) or {}
    if "ratio_at_least" in rule:
        text, reached = f"ratio >= {rule['ratio_at_least']:g}", row.ratio >= rule["ratio_at_least"]
    elif "ours_at_most" in rule:
        text, reached = f"ours <= {rule['ours_at_most']:g} {row.unit}", row.ours <= rule["ours_at_most"]
    else:
        return "", ""
    return text, "not decided: disturbed" if row.disturbed else "reached" if reached else "not reached"


def markdown(rows, wanted):
    head = ("| case | our KV | peer KV | unit | ours | peer | ratio | 95 % | fastest | wanted | |\n"
            "|---|---|---|---|--:|--:|--:|---|--:|---|---|\n")
    lines = []
    for row in rows:
        spread = f"{row.ci95[0]:.2f} to {row.ci95[1]:.2f}" if row.ci95 else ""
        fastest = f"{row.fastest:.2f}" if row.fastest else ""
        digits = 2 if row.unit in ("steps", "GB") else 1
        mark = " *" if row.disturbed else ""
        lines.append(f"| {row.case} | {row.ours_kv} | {row.peer} | {row.unit} | {row.ours:.{digits}f} | "
                     f"{row.peer_value:.{digits}f} | {row.ratio:.2f}{mark} | {spread} | {fastest} | " +
                     " | ".join(verdict(row, wanted)) + " |\n")
    note = "\n\\* disturbed: fewer undisturbed pairs than asked for.\n" if any(r.disturbed for r in rows) else ""
    return head + "".join(lines) + note
