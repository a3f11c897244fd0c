"""Takeover and subscribe, again and again: several connections log in with the same device while they join and leave groups, watch, write, and die anywhere.

    tests/churn/churn.py SECONDS [SEED]      CHURN_GATEWAY=build/tsan: the gateway's build; PIGEON_BUILD: that of all others

Checked: no sanitizer's report and no leak (the gateway ends politely at the end), nothing after `bye` on a socket that was taken over, no message of a group to
somebody who was not in it at that number, every session gone when its socket is. Prints one line with the counts.
"""
import asyncio
import collections
import contextlib
import os
import random
import sys
import tempfile
import time

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path[:0] = [os.path.join(ROOT, "tests/integration"), os.path.join(ROOT, "tests/churn")]
from client import Client  # noqa: E402
from cluster import BUILD, Cluster, wait_until  # noqa: E402
from wire import Gone, Wire  # noqa: E402

USERS, DEVICES, RIVALS, GROUPS = 6, 2, 3, 3
GATEWAY = os.path.join(ROOT, os.environ.get("CHURN_GATEWAY", BUILD))


class ChurnCluster(Cluster):
    def command(self, name):
        command = super().command(name)
        return [os.path.join(GATEWAY, "pigeon-gateway"), *command[1:]] if name == "gateway" else command


class Churn:
    def __init__(self, cluster, seed):
        self.cluster, self.random = cluster, random.Random(seed)
        self.names = [f"u{i}" for i in range(USERS)]
        self.tokens = {d: cluster.add_users(*self.names, device=d) for d in [f"dev{i}" for i in range(DEVICES)]}
        self.owner = Client(cluster.ws_url, cluster.add_users("owner", device="desk")["owner"])
        self.groups = [self.owner.call("create", kind="group", title=f"g{i}", members=[], settings={"open": True})["conv"] for i in range(GROUPS)]
        self.counts, self.problems, self.got = collections.Counter(), [], []
        self.until = 0.0

    # ---- one socket's life ----

    def step(self, wire):
        """One operation, not waited for."""
        r, conv = self.random, self.random.choice(self.groups)
        what = r.choice(["join", "join", "leave", "send", "send", "watch", "unwatch", "mark", "typing", "ping", "sync", "react", "direct"])
        users = r.sample(self.names, 2)
        fields = {
            "join": {"conv": conv}, "leave": {"conv": conv}, "watch": {"users": users}, "unwatch": {"users": users}, "mark": {"conv": conv, "read": 1},
            "typing": {"conv": conv}, "ping": {}, "sync": {"limit": 5}, "react": {"conv": conv, "seq": 1, "emoji": "x", "on": True},
        }
        key = f"k{r.getrandbits(60):x}"
        if what in ("send", "direct"):
            to = {"conv": conv} if what == "send" else {"user": users[0]}
            return wire.post("send", to=to, client_id=key, kind="text", body={"text": key})
        return wire.post(what, **fields[what])

    async def end(self, wire):
        """The ways a connection dies."""
        how = self.random.choice(["close", "reset", "half", "half", "head", "stay"])
        self.counts["ended by " + how] += 1
        if how in ("half", "head"):
            wire.cut("send", 0.5 if how == "half" else 0.05, to={"conv": self.groups[0]}, client_id="cut", kind="text", body={"text": "x" * self.random.choice([5, 500])})
            if self.random.random() < 0.5:
                await wire.output.drain()
                wire.abort()
        elif how == "reset":
            wire.abort()
        elif how == "stay":  # until another takes its place
            with contextlib.suppress(asyncio.TimeoutError):
                await asyncio.wait_for(wire.ended.wait(), 2)
        await wire.close()

    def note(self, user, wire):
        self.counts["sockets"] += 1
        self.counts["replaced"] += wire.bye == "replaced"
        if wire.late:
            self.problems.append(f"{user}: after bye came {wire.late[:3]}")
        for frame in wire.frames:
            self.counts["events"] += 1
            message = frame.get("message")
            if message and message["conv"] in self.groups:
                self.got.append((user, message["conv"], message["seq"]))

    async def life(self, user, device):
        wire = Wire(self.cluster.gateway_port)
        try:
            await wire.open()
            hello = wire.post("hello", token=self.tokens[device][user])
            if self.random.random() < 0.3:  # behind a hello that is being checked
                for _ in range(3):
                    self.step(wire)
            if self.random.random() < 0.1:
                return
            frame = await asyncio.wait_for(hello, 30)
            if "error" in frame:
                self.counts["hello " + frame["error"]["code"]] += 1
                return
            self.counts["hellos"] += 1
            for _ in range(self.random.randrange(12)):
                answer = self.step(wire)
                if self.random.random() < 0.5:
                    await asyncio.wait_for(answer, 30)
            await wire.output.drain()
            await self.end(wire)
        except (Gone, OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
            self.counts["cut off"] += 1
        except asyncio.TimeoutError:
            self.counts["no answer in 30 s"] += 1
        finally:
            if wire.task:
                await wire.close()
                self.note(user, wire)

    async def rival(self, user, device):
        while time.monotonic() < self.until:
            await self.life(user, device)
            await asyncio.sleep(self.random.random() * 0.05)

    async def run(self, seconds):
        self.until = time.monotonic() + seconds
        await asyncio.gather(*[self.rival(u, d) for u in self.names for d in self.tokens for _ in range(RIVALS)])

    # ---- afterwards ----

    def members_at(self, conv):
        """[(number, members from that number on, who just went)] from the history."""
        members, steps = set(), []
        for m in self.owner.history(conv):
            operation = m.get("body", {}).get("operation", {})
            users, gone = set(operation.get("users", [])), set()
            if operation.get("op") in ("created", "invited", "joined"):
                members |= users | {m["from"]}
            elif operation.get("op") in ("left", "kicked"):
                members, gone = members - users, users
            steps.append((set(members), gone))
        return steps

    def check(self):
        wait_until(lambda: self.cluster.metrics("gateway")["pigeon_gateway_connections"] <= 1, 30, "all sockets but the owner's to be gone")
        for conv in self.groups:
            steps = self.members_at(conv)
            for user, where, seq in self.got:
                if where != conv:
                    continue
                members, gone = steps[seq - 1]
                if user not in members | gone:
                    self.problems.append(f"{user} got {seq} of {conv} without being a member")
        self.fence()
        self.owner.close()
        for needed in ("replaced", "events", "hellos"):
            if not self.counts[needed]:
                self.problems.append(f"nothing was tested: no {needed}")

    def fence(self):
        """Who is taken over hears nothing; who took over hears everything."""
        for device, tokens in self.tokens.items():
            for user, token in tokens.items():
                with Client(self.cluster.ws_url, token) as old, Client(self.cluster.ws_url, token) as new:
                    old.wait_closed()
                    self.owner.send(user, f"fence {device}")
                    new.wait_message(f"fence {device}")
                    if old.messages():
                        self.problems.append(f"{user}: a socket that was taken over got {old.messages()[-1]}")


def churn(folder, seconds, seed):
    """(counts, problems)"""
    cluster = ChurnCluster(folder, {"PIGEON_LIMITS_ADDRESS_UNAUTHENTICATED": "1000", "PIGEON_LOG_LEVEL": "warn"})
    try:
        cluster.up()
        run = Churn(cluster, seed)
        asyncio.run(run.run(seconds))
        run.check()
    finally:
        cluster.down()
    return run.counts, run.problems


def main():
    seconds, seed = int(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else random.randrange(1 << 30)
    print(f"churn: {seconds} s, seed {seed}, gateway {os.path.relpath(GATEWAY, ROOT)}", flush=True)
    with tempfile.TemporaryDirectory(prefix="pgn-churn-") as folder:
        counts, problems = churn(folder, seconds, seed)
    print(", ".join(f"{n} {what}" for what, n in sorted(counts.items())))
    for problem in problems[:20]:
        print("PROBLEM", problem)
    print(f"{0 if problems else 1} passed, {len(problems)} failed")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
