"""A program that speaks the protocol of `bench speed --interactive` and answers with numbers given on its command line.
usage: fake_stepper.py '{"threads": 1, "step": {"1": 10.0, "16": 40.0}, "prompt": 50.0, "rss": 1e9, ...}'
Other keys: "busy" runs without being asked, "error_on" answers an op with an error, "exit_on" ends at it, "log" appends
requests to a file, "drift" multiplies each following time, "cpu_share" of threads x wall."""
import json
import sys
import threading

spec = json.loads(sys.argv[1])
threads = spec.get("threads", 1)


def spin():
    while True:
        pass


if spec.get("busy"):
    threading.Thread(target=spin, daemon=True).start()


def send(**answer):
    print(json.dumps(answer), flush=True)


send(op="ready", threads=threads, arguments=sys.argv[2:])
factor = 1.0
for line in sys.stdin:
    request = json.loads(line)
    op = request["op"]
    if "log" in spec:
        with open(spec["log"], "a", encoding="utf-8") as f:
            f.write(json.dumps([spec.get("name", ""), request]) + "\n")
    if op == "quit":
        break
    if spec.get("exit_on") == op:
        print("out of luck", file=sys.stderr)
        sys.exit(7)
    if spec.get("error_on") == op:
        send(error="no such thing")
    elif op == "memory":
        send(op=op, rss_bytes=spec["rss"], peak_rss_bytes=2 * spec["rss"])
    elif op == "limits":
        send(op=op, dram_gbs=50.0, int8_gops=2000.0)
    else:
        rows = str(request.get("rows", request.get("block")))
        wall = spec["prompt"] if op == "prompt" else spec["step"].get(rows, 5.0)
        wall *= factor
        factor *= spec.get("drift", 1.0)
        send(op=op, wall_ms=wall, cpu_ms=wall * threads * spec.get("cpu_share", 1.0))
