#include "acceptance/sandbox_harness.h"

namespace kakeya::acceptance {
namespace {

// Values that cross between the processes. Anything else arrives as an object that equals nothing but keeps
// its truth value, so an object with an __eq__ of its own gains nothing.
constexpr const char* kCodec = R"py(
import json, os, sys

class Opaque:
    def __init__(self, name, truth):
        self.name, self.truth = name, truth
    def __bool__(self):
        return self.truth
    def __repr__(self):
        return "<" + self.name + ">"

def encode(v):
    if v is None or isinstance(v, (bool, str)):
        return v if v is None or isinstance(v, bool) else str.__str__(v)
    if isinstance(v, int):
        n = int.__index__(v)
        return n if -2**63 <= n < 2**63 else ["i", hex(n)]
    if isinstance(v, float):
        return float.__float__(v)
    for kind, tag in ((list, "l"), (tuple, "t"), (set, "s"), (frozenset, "f")):
        if isinstance(v, kind):
            return [tag, [encode(x) for x in kind.__iter__(v)]]
    if isinstance(v, dict):
        return ["d", [[encode(k), encode(x)] for k, x in dict.items(v)]]
    if isinstance(v, bytes):
        return ["b", bytes(v).hex()]
    if isinstance(v, complex):
        return ["c", v.real, v.imag]
    if isinstance(v, range):
        return ["r", v.start, v.stop, v.step]
    name = type(v).__module__ + "." + type(v).__name__
    if name in ("decimal.Decimal", "fractions.Fraction"):
        return ["n", name, str(v)]
    return ["o", name, bool(v)]

def decode(v):
    if not isinstance(v, list):
        return v
    tag = v[0]
    if tag == "i":
        return int(v[1], 16)
    if tag in ("l", "t", "s", "f"):
        return {"l": list, "t": tuple, "s": set, "f": frozenset}[tag](decode(x) for x in v[1])
    if tag == "d":
        return {decode(k): decode(x) for k, x in v[1]}
    if tag == "b":
        return bytes.fromhex(v[1])
    if tag == "c":
        return complex(v[1], v[2])
    if tag == "r":
        return range(v[1], v[2], v[3])
    if tag == "n":
        import decimal, fractions
        return {"decimal.Decimal": decimal.Decimal, "fractions.Fraction": fractions.Fraction}[v[1]](v[2])
    if tag == "o":
        return Opaque(str(v[1]), bool(v[2]))
    raise ValueError("unknown tag")

def describe(e):
    try:
        return [type(e).__name__, str(e)[:200]]
    except BaseException:
        return [type(e).__name__, ""]
)py";

constexpr const char* kProgram = R"py(
import resource
program = sys.stdin.buffer.read()
null = os.open("/dev/null", os.O_RDWR)
for fd in (0, 1, 2):
    os.dup2(null, fd)
try:
    resource.setrlimit(resource.RLIMIT_NPROC, (0, 0))
except (ValueError, OSError):
    pass
calls, answers = os.fdopen(3, "rb"), os.fdopen(4, "wb")

def send(value):
    answers.write(json.dumps(value).encode() + b"\n")
    answers.flush()

def main():
    send({"ready": True})
    space, failure = {"__name__": "solution"}, None
    try:
        exec(compile(program.decode(), "<program>", "exec"), space)
    except BaseException as e:
        failure = describe(e)
    for line in calls:
        call = json.loads(line)
        try:
            if failure is not None:
                answer = {"error": failure}
            else:
                args, named = decode(call["args"]), decode(call["named"])
                answer = {"value": encode(space[call["name"]](*args, **named))}
        except BaseException as e:
            answer = {"error": describe(e)}
        answer["id"] = call["id"]
        send(answer)

main()
)py";

constexpr const char* kTests = R"py(
import builtins, traceback
job = json.loads(sys.stdin.buffer.read())
answers, calls, verdict_fd = os.fdopen(3, "rb"), os.fdopen(4, "wb"), 5
LONGEST = 16 << 20
count = 0

class Ended(BaseException):
    pass

def verdict(passed, detail, started=True, broken=False):
    text = json.dumps({"started": started, "passed": passed, "detail": detail[:400], "broken": broken})
    os.write(verdict_fd, text.encode() + b"\n")
    os._exit(0)

def receive():
    line = answers.readline(LONGEST)
    if not line.endswith(b"\n"):
        raise Ended("an answer of more than 16 MiB" if len(line) == LONGEST else "the program ended before its tests did")
    try:
        answer = json.loads(line)
        if not isinstance(answer, dict):
            raise ValueError
        return answer
    except (ValueError, RecursionError):
        raise Ended("the program wrote something of its own instead of an answer") from None

def candidate(*args, **named):
    global count
    count += 1
    call = {"id": count, "name": job["entry_point"], "args": encode(list(args)), "named": encode(named)}
    try:
        calls.write(json.dumps(call).encode() + b"\n")
        calls.flush()
    except OSError:
        raise Ended("the program ended before its tests did") from None
    answer = receive()
    if answer.get("id") != count:
        raise Ended("the program wrote something of its own instead of an answer")
    if "error" in answer:
        name, message = map(str, answer["error"])
        kind = getattr(builtins, name, None)
        known = isinstance(kind, type) and issubclass(kind, Exception) and not issubclass(kind, UnicodeError)
        raise kind(message) if known else Ended((name + ": " + message).rstrip(": "))
    try:
        return decode(answer["value"])
    except Exception:
        raise Ended("the program wrote something of its own instead of an answer") from None

def main():
    space, place = {"__name__": "tests"}, ""
    try:
        try:
            setup = compile(job["setup"] + "\n    pass\n", "<prompt>", "exec")
        except SyntaxError:
            setup = compile(job["setup"][:job["setup"].rfind("def " + job["entry_point"])], "<prompt>", "exec")
        exec(setup, space)
        exec(compile(job["test"], "<test>", "exec"), space)
        candidate.__name__ = job["entry_point"]
        space[job["entry_point"]] = candidate
        check = space["check"]
    except BaseException as e:
        verdict(False, ": ".join(describe(e)), broken=True)
    try:
        first = receive()
    except Ended as e:
        verdict(False, str(e), started=False)
    if first.get("ready") is not True:
        verdict(False, "no greeting", started=False)
    os.write(verdict_fd, b"begun\n")
    try:
        check(candidate)
    except BaseException as e:
        lines = [f.lineno for f in traceback.extract_tb(e.__traceback__) if f.filename == "<test>"]
        if lines:
            place = job["test"].splitlines()[lines[-1] - 1].strip()
        what = str(e) if isinstance(e, Ended) else ": ".join(filter(None, describe(e)))
        verdict(False, what + (" at " + place if place else ""))
    verdict(True, "all tests passed")

main()
)py";

}  // namespace

std::string program_harness() { return std::string(kCodec) + kProgram; }
std::string tests_harness() { return std::string(kCodec) + kTests; }

}  // namespace kakeya::acceptance
