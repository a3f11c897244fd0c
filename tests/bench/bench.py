#!/usr/bin/env python3
"""make bench: Pigeon and its peers in one run, interleaved, and the report.

    ROUNDS=3 SECS=3 ONLY=P1,P3 PEERS=mosquitto,pigeon-native FULL=1 tests/bench/bench.py

Raw lines go to docs/bench/<time>.jsonl while it runs, so that what was measured before an interruption is kept; at the end
docs/BENCHMARKS.md and its plots are written anew from them (NOREPORT=1: not). `bench.py --report FILE...` only writes the report.
Ends and removes whatever it has started, however it ends.
"""
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import contenders  # noqa: E402
import machine  # noqa: E402
import once  # noqa: E402
import report  # noqa: E402
import servers  # noqa: E402
import workloads  # noqa: E402
from servers import say  # noqa: E402

RAW = os.path.join(machine.ROOT, "docs", "bench")


class Options:
    def __init__(self, env=os.environ):
        self.rounds = int(env.get("ROUNDS", "3"))
        self.secs = int(env.get("SECS", "3"))
        self.full = env.get("FULL", "") == "1"
        self.only = set(filter(None, env.get("ONLY", "").split(",")))
        self.peers = list(filter(None, env.get("PEERS", "").split(",")))
        self.silent = int(env.get("SILENT", "0"))
        self.resync_users, self.missed = int(env.get("RESYNC_USERS", "4000")), int(env.get("MISSED", "500"))
        self.resync_limit = int(env.get("RESYNC_LIMIT", "90"))  # ejabberd's; it would take many minutes
        self.fanout_rates = [int(n) for n in env.get("FANOUT", "5,10,40" if self.full else "10,40").split(",")]

    def wants(self, goal):
        return not self.only or goal in self.only or (goal == "P1" and "P8" in self.only)

    def latency(self, contender):
        return contender.server_name in ("mosquitto", "pigeon")

    def due(self, goal, contender, number):
        """Rates are noisy: all rounds. Memory of the slow ones and the long drain are measured once."""
        if not self.wants(goal):
            return False
        if goal == "P6" and not self.only:
            return number == 1
        return goal != "P1" or number == 1 or contender.server_name in ("mosquitto", "pigeon")


class Run:
    def __init__(self, options):
        self.o, self.server = options, None
        self.work = tempfile.mkdtemp(prefix="pigeon-bench-", dir="/var/tmp")  # a real disk: what is compared is durable
        os.chmod(self.work, 0o755)
        os.makedirs(RAW, exist_ok=True)
        self.path = os.path.join(RAW, time.strftime("%Y%m%d-%H%M") + ".jsonl")
        self.raw = open(self.path, "a", encoding="utf-8")
        self.head()

    def head(self):
        found = list(servers.ALL.values())
        self.put(kind="run", machine=machine.description(), at=time.strftime("%Y-%m-%d %H:%M"), rounds=self.o.rounds, secs=self.o.secs, load_before=machine.load_average(),
                 versions={s.name: s.version(s.__new__(s)) for s in found if not s.missing()}, keeps={s.name: s.keeps for s in found},
                 missing={s.name: s.missing() for s in found if s.missing()})

    def put(self, **fields):
        self.raw.write(json.dumps(fields) + "\n")
        self.raw.flush()

    def result(self, number, goal, contender, name, figures, took):
        self.put(kind="result", round=number, goal=goal, contender=contender, run=name, took_s=round(took, 1), load=round(machine.load_average(), 2), figures=figures)
        shown = {k: v for k, v in figures.items() if k in ("bytes_per_user", "cpu_us_per_user_s", "logins_per_s", "delivered_per_s", "p50_us", "p99_us", "last_p99_us",
                                                           "cpu_us_per_delivery", "drain_s", "void") and v is not None}
        say(f"round {number} {goal} {contender:14} {name:22} {shown}")

    def start(self, kind):
        self.server = kind(self.work)
        self.server.start()

    def stop(self):
        server, self.server = self.server, None
        if server is not None:
            server.stop()

    def fresh(self, kind):
        self.stop()
        self.start(kind)

    def one_server(self, number, kind, mine):
        """All workloads of one server in one round."""
        spoiled = False  # full of the last drain; memory too needs a new one, for what was used once is not given back
        try:
            self.start(kind)
            for contender_type in mine:
                contender = contender_type(self.server, os.path.join(self.work, "load.log"))
                if contender.name == "pigeon-mqtt" and not self.server.speaks_mqtt:
                    say("pigeon-mqtt: this build has no MQTT listener")
                    continue
                for goal, work in workloads.ALL.items():
                    if not self.o.due(goal, contender, number):
                        continue
                    begun = time.monotonic()
                    try:
                        if spoiled or (goal in ("P2", "P3") and kind.leaves_slowly) or (goal == "P1" and contender_type is not mine[0]):
                            self.fresh(kind)
                            contender.server, spoiled = self.server, False
                        if goal == "P6":
                            self.prepare_resync(kind, contender)
                            spoiled = True
                        for name, figures in work(contender, self.o):
                            self.result(number, goal, contender.name, name, figures, time.monotonic() - begun)
                            begun = time.monotonic()
                    except Exception as why:
                        say(f"round {number} {goal} {contender.name}: {why}")
                        self.put(kind="failed", round=number, goal=goal, contender=contender.name, why=str(why)[:400])
                        self.fresh(kind)
                        contender.server = self.server
                    contenders.quiet(self.server)
        except Exception as why:
            say(f"round {number} {kind.name}: {why}")
            self.put(kind="failed", round=number, goal="start", contender=kind.name, why=str(why)[:400])
        finally:
            contenders.Load.end_all()
            self.stop()

    def prepare_resync(self, kind, contender):
        """An empty server; ejabberd with accounts, for messages wait only for those who have one."""
        self.stop()
        servers.Ejabberd.accounts = self.o.resync_users if kind is servers.Ejabberd else 0
        try:
            self.start(kind)
        finally:
            servers.Ejabberd.accounts = 0
        contender.server = self.server

    def rounds(self):
        chosen = [c for c in contenders.ALL if not self.o.peers or c.name in self.o.peers]
        kinds = list(dict.fromkeys(c.server_name for c in chosen))
        for number in range(1, self.o.rounds + 1):
            turned = kinds[(number - 1) % len(kinds):] + kinds[:(number - 1) % len(kinds)]
            for name in turned:
                kind = servers.ALL[name]
                why = kind.missing()
                mine = [c for c in chosen if c.server_name == name]
                if why:
                    say(f"{name} is left out: {why}")
                elif any(self.o.due(goal, c, number) for goal in workloads.ALL for c in mine):
                    self.one_server(number, kind, mine)

    def close(self):
        contenders.Load.end_all()
        self.stop()
        shutil.rmtree(self.work, ignore_errors=True)
        self.raw.close()


def prepare():
    subprocess.run([os.path.join(machine.ROOT, "deploy/install.sh"), "build", "run", "bench", "mongo"], check=True)
    if "PIGEON_BUILD" not in os.environ:
        subprocess.run(["make", "-s", "-C", machine.ROOT, "PROFILE=release", f"-j{os.cpu_count()}", "services", "build/release/imload", "build/release/bench-store"], check=True)
    subprocess.run([sys.executable, os.path.join(machine.ROOT, "tests/bench/build_peers.py")], check=False)


def interrupted(number, _frame):
    raise SystemExit(128 + number)


def main():
    if sys.argv[1:2] == ["--report"]:
        report.write(sys.argv[2:])
        return 0
    if (os.cpu_count() or 1) < 2:
        raise SystemExit("bench: one core for the server and one for the load are needed; this machine has one")
    for s in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
        signal.signal(s, interrupted)
    prepare()
    os.sched_setaffinity(0, {int(machine.LOAD_CORE)})
    run, begun = Run(Options()), time.monotonic()
    say(f"raw lines: {os.path.relpath(run.path, machine.ROOT)}; load of the machine before: {machine.load_average():.2f}")
    try:
        run.rounds()
        once.all_of(run)
    finally:
        run.close()
    say(f"took {(time.monotonic() - begun) / 60:.1f} min")
    report.table([run.path])
    if os.environ.get("NOREPORT") != "1":
        report.write([run.path])
    return 0


if __name__ == "__main__":
    sys.exit(main())
