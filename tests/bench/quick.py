#!/usr/bin/env python3
"""make bench-quick: has Pigeon become slower? At most three minutes; mosquitto beside it in the same run.

Machines differ and are noisy, so that only ratios to mosquitto count, each from two runs that follow on one another. They are compared
with tests/bench/recorded.json; one that has lost more than a fifth is measured again before it counts. Both servers are up all the
time on the server's core; the one that is not loaded sleeps.

    tests/bench/quick.py             exit code 1 when a ratio has lost a fifth
    tests/bench/quick.py --record    takes the ratios of five runs each as the ones to hold
"""
import json
import os
import shutil
import signal
import sys
import tempfile
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import contenders  # noqa: E402
import machine  # noqa: E402
import servers  # noqa: E402
import workloads  # noqa: E402
from servers import say  # noqa: E402

RECORDED = os.path.join(machine.ROOT, "tests", "bench", "recorded.json")
LOSS, FIRST, MORE, LATE_S = 0.8, 2, 3, 110  # after so long what is measured again is so once only: three minutes in all
SECS, STORM, MEMORY, GROUP, POSTS = 2, 8000, (500, 3500), 1000, 20


def memory(c):
    """Bytes a silent user, of all its processes, which are new."""
    loads = []
    c.server.restart()
    try:
        loads.append(c.idle(MEMORY[0], 0, 120))
        time.sleep(0.7)
        low = machine.pss_bytes(c.server.pids())
        loads.append(c.idle(MEMORY[1], MEMORY[0], 120))
        time.sleep(0.7)
        return (machine.pss_bytes(c.server.pids()) - low) / MEMORY[1]
    finally:
        for load in loads:
            load.end()


def right(r):
    if r.get("void"):
        raise RuntimeError(f"void: {r['void']}")
    return r


# Name, what is measured, whether more is better, how often it is measured at first.
MEASURES = [
    ("P1 bytes a silent user", memory, False, 1),
    ("P2 CPU a login", lambda c: right(c.storm(STORM))["cpu_us_per_login"], False, FIRST),
    ("P3 messages/s, 200 users", lambda c: right(c.pairs(200, SECS))["delivered_per_s"], True, FIRST),
    ("P3 messages/s, 2,000 users", lambda c: right(c.pairs(2000, SECS))["delivered_per_s"], True, FIRST),
    (f"P4 CPU a delivery, group of {GROUP}", lambda c: right(c.fanout(GROUP, POSTS, SECS))["cpu_us_per_delivery"], False, FIRST),
]


class Quick:
    def __init__(self):
        self.work = tempfile.mkdtemp(prefix="pigeon-quick-", dir="/var/tmp")
        os.chmod(self.work, 0o755)
        self.started, self.ratios, self.begun = [], {}, time.monotonic()

    def start(self):
        for kind in (servers.Mosquitto, servers.Pigeon):
            server = kind(self.work)
            self.started.append(server)
            server.start()
        log = os.path.join(self.work, "load.log")
        mosquitto, pigeon = self.started
        self.peer = contenders.MosquittoMqtt(mosquitto, log)
        self.own = [contenders.PigeonNative(pigeon, log)]
        if pigeon.speaks_mqtt:
            self.own.append(contenders.PigeonMqtt(pigeon, log))

    def stop(self):
        contenders.Load.end_all()
        for server in reversed(self.started):
            server.stop()
        shutil.rmtree(self.work, ignore_errors=True)

    def measure(self, measure, times, only=None):
        """Each of ours beside the peer, so many times; keeps the ratios."""
        name, work, more, _ = measure
        for _ in range(times):
            theirs = work(self.peer)
            contenders.quiet(self.peer.server, 3)
            for own in self.own:
                if only and own.name not in only:
                    continue
                try:
                    ours = work(own)
                except RuntimeError as why:  # something lost, doubled, or nobody let in: worth nothing
                    say(f"{name}, {own.name}: {why}")
                    self.ratios.setdefault(f"{name}, {own.name}", []).append(0.0)
                    continue
                contenders.quiet(own.server, 3)
                ratio = ours / theirs if more else theirs / ours
                self.ratios.setdefault(f"{name}, {own.name}", []).append(ratio)
                say(f"{name}, {own.name}: {ours:,.4g} beside {theirs:,.4g}: {ratio:.3f}")

    def median(self, key):
        values = sorted(self.ratios[key])
        mid = len(values) // 2
        return values[mid] if len(values) % 2 else (values[mid - 1] + values[mid]) / 2


    def best_but_one(self, key):
        """For what is measured again: others on the machine make it worse by chance, hardly better twice."""
        values = sorted(self.ratios[key])
        return values[-2] if len(values) > 2 else values[-1]


def compare(quick, recorded):
    """Measures what has lost a fifth again; the names of those that still have."""
    lost = []
    for measure in MEASURES:
        quick.measure(measure, measure[3])
        bad = [o.name for o in quick.own if quick.median(f"{measure[0]}, {o.name}") < LOSS * recorded.get(f"{measure[0]}, {o.name}", 0)]
        if bad:
            say(f"{measure[0]}: less than before by {', '.join(bad)}; again")
            quick.measure(measure, MORE if measure[1] is not memory and time.monotonic() - quick.begun < LATE_S else 1, bad)
            lost += [f"{measure[0]}, {name}" for name in bad if quick.best_but_one(f"{measure[0]}, {name}") < LOSS * recorded[f"{measure[0]}, {name}"]]
    return lost


def main():
    for s in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
        signal.signal(s, lambda number, _frame: sys.exit(128 + number))
    if (os.cpu_count() or 1) < 2 or servers.Mosquitto.missing():
        print(f"bench-quick skipped because {servers.Mosquitto.missing() or 'this machine has one core'}")
        return 0
    os.sched_setaffinity(0, {int(machine.LOAD_CORE)})
    recording, begun, quick = "--record" in sys.argv, time.monotonic(), Quick()
    recorded = {}
    if not recording:
        with open(RECORDED, encoding="utf-8") as f:
            recorded = json.load(f)["ratios"]
    try:
        quick.start()
        if recording:
            for measure in MEASURES:
                quick.measure(measure, 1 if measure[0].startswith("P1") else 5)
            lost = []
        else:
            lost = compare(quick, recorded)
    finally:
        quick.stop()
    for key in quick.ratios:
        before = recorded.get(key)
        print(f"{key:55} {quick.median(key):7.3f} of mosquitto's" + (f", recorded {before:.3f}: {quick.median(key) / before * 100:.0f} %" if before else ""))
    if recording:
        with open(RECORDED, "w", encoding="utf-8") as f:
            json.dump({"taken": time.strftime("%Y-%m-%d"), "machine": machine.description(), "ratios": {k: round(quick.median(k), 4) for k in quick.ratios}}, f, indent=2)
            f.write("\n")
    print(f"bench-quick: {time.monotonic() - begun:.0f} s; " + ("FAILED, lost more than a fifth: " + "; ".join(lost) if lost else "recorded" if recording else "nothing has lost a fifth"))
    return 1 if lost else 0


if __name__ == "__main__":
    sys.exit(main())
