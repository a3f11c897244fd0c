"""The load of a drill: users in pairs and small groups on three implementations, each in processes of its own.

PyPI's websockets (observer.py), npm's ws (observer.mjs) and `pigeon tail` on a group. Pairs and groups are mixed over the
implementations, so that each conversation is written and read by more than one.
"""
import json
import os
import shutil
import subprocess
import sys
import threading
import time

from client import Client
from cluster import BUILD, wait_until
from drill import HERE
import judge as judging

GROUP = 4
SETTLE_S, CAUGHT_UP_S = 60, 30


class Observer:
    """One process; its last progress line is read by a thread."""

    def __init__(self, command, config, folder, name):
        self.log, self.errors = config["log"], os.path.join(folder, name + ".err")
        path = os.path.join(folder, name + ".json")
        with open(path, "w", encoding="utf-8") as f:
            json.dump(config, f)
        with open(self.errors, "wb") as errors:
            self.process = subprocess.Popen([*command, path], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors, text=True)
        self.acks = self.pending = self.stopped = 0
        self.reader = threading.Thread(target=self.read, daemon=True)
        self.reader.start()

    def read(self):
        for line in self.process.stdout:
            self.acks, self.pending, self.stopped = map(int, line.split())

    def say(self, word):
        try:
            self.process.stdin.write(word + "\n")
            self.process.stdin.flush()
        except (BrokenPipeError, ValueError):
            pass

    def check(self):
        if self.process.poll() is not None:
            with open(self.errors, encoding="utf-8", errors="replace") as f:
                raise AssertionError(f"an observer ended with {self.process.returncode}: {f.read()[-2000:]}")


class Crowd:
    """users: how many; rate: messages a second of all together (0: as fast as the window lets); window: unanswered sends each;
    cut_s: a user cuts the own connection so often, with sends in flight; again: part of sends repeated after the answer;
    urls: gateways (those of the drill's cluster); tokens, audit: {user: token} made elsewhere, audit's of another device, to read back; tail: `pigeon tail` as third reader."""

    def __init__(self, drill, users=16, rate=700, window=32, cut_s=0, again=0.02, urls=None, tokens=None, audit=None, tail=True, processes=2, body=20, prefix="w", groups=True):
        self.drill, self.cluster, self.folder = drill, drill.servers, os.path.join(drill.folder, "history" if prefix == "w" else "history-" + prefix)
        os.makedirs(self.folder)
        self.urls = urls or [self.cluster.ws_url]
        self.names = [f"{prefix}{i}" for i in range(users)] if tokens is None else sorted(tokens)
        self.tokens = tokens or self.cluster.add_users(*self.names)
        self.audit = audit or self.cluster.add_users(*self.names, device="auditor")
        self.options = {"urls": self.urls, "seed": drill.seed, "cut_s": cut_s, "again": again, "window": window, "rate": rate / len(self.names) if rate else 0, "body": body}
        self.observers, self.tails, self.processes, self.want_tail, self.ended = [], [], processes, tail, False
        self.groups = self.make_groups() if groups else {}

    def make_groups(self):
        """{conv: its members}"""
        made = {}
        for first in range(0, len(self.names) - GROUP + 1, GROUP):
            members = self.names[first:first + GROUP]
            with Client(self.urls[0], self.tokens[members[0]]) as client:
                made[client.call("create", kind="group", title=f"g{first}", members=members[1:])["conv"]] = members
        return made

    def targets(self, index):
        peer = self.names[index ^ 1] if index ^ 1 < len(self.names) else self.names[0]
        found = [{"user": peer, "weight": 4}]
        return found + [{"conv": c, "weight": 1} for c, members in self.groups.items() if self.names[index] in members]

    def start(self):
        commands = [[sys.executable, os.path.join(HERE, "observer.py")], [shutil.which("node") or "node", os.path.join(HERE, "observer.mjs")]]
        parts = [[] for _ in range(self.processes)]
        for i, name in enumerate(self.names):  # both of a pair on different implementations
            parts[(i + i // 2) % self.processes if self.processes > 2 else i % self.processes].append({"user": name, "token": self.tokens[name], "device": "test", "targets": self.targets(i)})
        for n, part in enumerate(parts):
            name = f"{'py' if n % 2 == 0 else 'ws'}{n}"
            config = {**self.options, "log": os.path.join(self.folder, name + ".log"), "users": part}
            self.observers.append(Observer(commands[n % 2], config, self.folder, name))
        if self.want_tail and self.groups and self.cluster:
            self.tail_start(next(iter(self.groups)))

    def tail_start(self, conv):
        path = os.path.join(self.folder, f"tail-{conv}.txt")
        with open(path, "wb") as out, open(path + ".err", "wb") as errors:
            process = subprocess.Popen([os.path.join(BUILD, "pigeon"), "tail", "--last", "200", conv], env=self.cluster.env, stdin=subprocess.DEVNULL, stdout=out, stderr=errors)
        self.tails.append((conv, path, process))

    def acks(self):
        for o in self.observers:
            o.check()
        return sum(o.acks for o in self.observers)

    def pending(self):
        return sum(o.pending for o in self.observers)

    def stop(self, timeout=SETTLE_S):
        """No new sends; what is unanswered is repeated until it is answered, or the time is over (then it is unknown)."""
        for o in self.observers:
            o.say("stop")
        deadline = time.monotonic() + timeout
        users = len(self.names)
        while time.monotonic() < deadline and (self.pending() or sum(o.stopped for o in self.observers) < users):
            self.acks()
            time.sleep(0.05)
        time.sleep(0.25)  # one more progress line: everything before is in the logs

    def read_back(self):
        """{conv: all its messages}, read by one who writes nothing; each conversation by another member."""
        convs, final = {}, {}
        for name in self.names:
            with Client(self.urls[-1], self.audit[name]) as reader:
                for conv in reader.sync()[0]:
                    if conv not in final:
                        final[conv] = reader.history(conv)
                    convs.setdefault(conv, []).append(name)
        return final, convs

    def wait_shown(self, final, members):
        """Until everybody has been shown all of it, in the logs; the seconds it took, None: some did not."""
        started, tails = time.monotonic(), judging.Follow([o.log for o in self.observers])

        def caught_up():
            last = tails.last()
            return all(last.get((name, conv), 0) >= len(final[conv]) for conv, names in members.items() for name in names)
        try:
            wait_until(caught_up, CAUGHT_UP_S, "all readers")
            took = time.monotonic() - started
            wait_until(lambda: all(self.tail_at(path) >= len(final[conv]) for conv, path, _ in self.tails), CAUGHT_UP_S, "pigeon tail")
            return took
        except AssertionError:
            return None

    @staticmethod
    def tail_at(path):
        """The last number that `pigeon tail` printed."""
        with open(path, "rb") as f:
            f.seek(max(0, os.path.getsize(path) - 4096))
            lines = [line for line in f.read().split(b"\n")[:-1] if line.startswith(b"#")]
        return int(lines[-1].split()[0][1:]) if lines else 0

    def judge(self):
        self.stop()
        final, members = self.read_back()
        took = self.wait_shown(final, members)
        self.close()
        history = judging.History([o.log for o in self.observers])
        verdict = judging.judge(history, final, members, self.drill.windows, {c: p for c, p, _ in self.tails})
        self.drill.figures.update(verdict.figures)
        self.drill.figure("caught_up_s", "never" if took is None else round(took, 1))
        return verdict

    def close(self):
        if self.ended:
            return
        self.ended = True
        for o in self.observers:
            o.say("end")
        for _, _, process in self.tails:
            process.terminate()
        for process in [o.process for o in self.observers] + [p for _, _, p in self.tails]:
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
