"""What a load generator does to a server: the same verbs for each, whatever it speaks.

A contender is a server seen through one protocol. Each verb runs one load on the generator's core and gives a dict of figures with
`void` set when a message was lost or came twice, or not everybody could log in: such a run counts for nothing.
"""
import json
import os
import select
import subprocess
import time

import machine
import servers
import wire

IMLOAD_LIMIT = 420


class Load:
    """One running generator. Its first line says that all are logged in; the last one is the result."""
    running = set()

    def __init__(self, command, env, log):
        self.log = log
        with open(log, "ab") as err:
            self.process = subprocess.Popen(machine.on_core(machine.LOAD_CORE, command), env=env, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=err,
                                            start_new_session=True, text=True)
        Load.running.add(self)

    def line(self, seconds):
        """The next line, or None when it ended."""
        ready, _, _ = select.select([self.process.stdout], [], [], seconds)
        if not ready:
            self.end()
            raise RuntimeError(f"the load generator said nothing for {seconds} s")
        text = self.process.stdout.readline()
        return json.loads(text) if text.strip() else None

    def finish(self, seconds):
        result = None
        while True:
            got = self.line(seconds)
            if got is None:
                break
            result = got
        code = self.process.wait(30)
        self.end()
        if result is None or (code and "verdict" not in result):
            raise RuntimeError(f"the load generator ended with {code}: {self.said()}")
        return result

    def said(self):
        with open(self.log, encoding="utf-8", errors="replace") as f:
            return f.read()[-300:].strip().replace("\n", "; ")

    def end(self):
        Load.running.discard(self)
        machine.end(self.process, 1)
        self.process.stdout.close()

    @staticmethod
    def end_all():
        """What an interruption has left."""
        for load in list(Load.running):
            load.end()


class Contender:
    name = server_name = protocol = ""
    env = {}
    max_users = 8000  # of the memory run
    fanout_rates = ()

    def __init__(self, server, log):
        self.server, self.log = server, log

    # ---- imload ----

    def settings(self):
        return self.env

    def imload(self, *args, **env):
        program = os.path.join(servers.Pigeon.build, "imload")
        merged = {**{k: v for k, v in os.environ.items() if not k.startswith("IMLOAD_")}, "IMLOAD_DIALING": "128", **self.settings(), **env}
        return Load([program, self.protocol, "127.0.0.1", str(self.port()), *map(str, args)], merged, self.log)

    def port(self):
        return self.server.port

    def measured(self, load, limit=IMLOAD_LIMIT):
        """Waits until all are in, then for the end; CPU of the server in between."""
        first = load.line(limit)
        if first is None:
            load.finish(1)
        pids = self.server.pids()
        cpu = machine.cpu_us(pids)
        result = load.finish(limit)
        result["server_cpu_us"] = machine.cpu_us(self.server.pids()) - cpu
        return self.judged(result)

    @staticmethod
    def judged(r):
        why = []
        if r.get("failed"):
            why.append(f"{r['failed']} users failed")
        why += [f"{r[k]} {word}" for k, word in (("lost", "lost"), ("doubled", "doubled")) if r.get(k)]
        if r.get("delivered"):
            r["cpu_us_per_delivery"] = round(r["server_cpu_us"] / r["delivered"], 2)
        r["void"] = ", ".join(why) or None
        return r

    # ---- verbs ----

    def idle(self, users, first, secs):
        """Starts it and waits until all are in: gives the running load, to be ended by the caller."""
        load = self.imload("idle", users, secs, IMLOAD_FIRST=str(first), IMLOAD_HEARTBEAT="30")
        got = load.line(300)
        if not got or got.get("failed") or got.get("users") != users:
            load.end()
            raise RuntimeError(f"not all silent users are in: {got} {load.said()}")
        return load

    def storm(self, users):
        cpu = machine.cpu_us(self.server.pids())
        result = self.imload("idle", users, 0).finish(300)
        cpu = machine.cpu_us(self.server.pids()) - cpu
        return {"users": result["users"], "logins_per_s": result["logins_per_s"], "cpu_us_per_login": round(cpu / users, 2),
                "void": f"{result['failed']} users failed" if result["failed"] else None}

    def pairs(self, users, secs, rate=0):
        return self.measured(self.imload("pairs", users, 1, secs, IMLOAD_RATE=str(rate)))

    def fanout(self, users, rate, secs):
        return self.measured(self.imload("fanout", users, rate, secs, **self.group(users)))

    def group(self, _users):
        return {}

    def resync(self, users, missed, limit):
        """All come back at once, each with so many messages waiting."""
        return self.cut(self.measured(self.imload("resync", users, missed, limit), limit + IMLOAD_LIMIT), limit)

    @staticmethod
    def cut(r, limit):
        """Not done in time is not lost: the rate until then counts."""
        if r["lost"] and r["drain_s"] > limit * 0.9 and not r["failed"] and not r["doubled"]:
            r["cut"], r["void"] = True, None
        return r


class MosquittoMqtt(Contender):
    name, server_name, protocol, max_users = "mosquitto", "mosquitto", "mqtt", 18000


class EjabberdXmpp(Contender):
    name, server_name, protocol = "ejabberd-xmpp", "ejabberd", "xmpp"

    def port(self):
        return self.server.xmpp_port

    def fanout(self, users, rate, secs):
        return None  # imload knows no multi-user chat

    def resync(self, users, missed, limit):
        senders = (users + 49) // 50
        self.server.fill_offline(senders, users, missed)
        return self.cut(self.measured(self.imload("resync", users, missed, limit, IMLOAD_FILLED="1"), limit + IMLOAD_LIMIT), limit)


class EjabberdMqtt(Contender):
    name, server_name, protocol, env = "ejabberd-mqtt", "ejabberd", "mqtt", {"IMLOAD_LOGIN": "u%d@localhost"}

    def resync(self, users, missed, limit):
        return None


class ProsodyXmpp(Contender):
    name, server_name, protocol = "prosody", "prosody", "xmpp"

    def fanout(self, users, rate, secs):
        return None

    def resync(self, users, missed, limit):
        return None


class CentrifugoWs(Contender):
    name, server_name, protocol = "centrifugo", "centrifugo", "centrifugo"

    def resync(self, users, missed, limit):
        return None


class TinodeWs(Contender):
    name, server_name, protocol = "tinode", "tinode", "tinode"

    def settings(self):
        return {"IMLOAD_KEY": self.server.api_key, "IMLOAD_PASSWORDS": self.server.tokens}

    def group(self, users):
        return {"IMLOAD_POST": self.server.make_group(users)}

    def pairs(self, users, secs, rate=0):
        """Each pair has talked once before: making its topic is not a message's cost."""
        if self.server.talked < users:
            self.imload("pairs", users, 1, 0).finish(IMLOAD_LIMIT)
            self.server.talked = users
        self.let_go()
        return super().pairs(users, secs, rate)

    def storm(self, users):
        self.let_go()
        return super().storm(users)

    def let_go(self):
        """It unloads a topic 4 s after its last user has left; who joins just then may get no answer."""
        time.sleep(6)
        quiet(self.server)

    def resync(self, users, missed, limit):
        return None


class PigeonMqtt(Contender):
    name, server_name, protocol, max_users = "pigeon-mqtt", "pigeon", "mqtt", 18000

    def settings(self):
        return {"IMLOAD_INBOX": "inbox/#", "IMLOAD_OUTBOX": "u/u%d", "IMLOAD_PASSWORDS": self.server.passwords}

    def group(self, users):
        conv = wire.make_group(self.server.ws_port, self.server.tokens["u0"], [f"u{i}" for i in range(1, users)])
        return {"IMLOAD_POST": f"c/{conv}", "IMLOAD_READ": "inbox/#"}


class PigeonNative(Contender):
    """Pigeon's own protocol (WebSocket, JSON), by pigeon-load, which also reads every history afterwards."""
    name, server_name, protocol, max_users = "pigeon-native", "pigeon", "native", 18000

    def load(self, mode, users, *args, first=0):
        program = os.path.join(self.server.build, "pigeon-load")
        command = [program, mode, "--url", self.server.url, "--tokens", self.server.tokens_from(first), "--users", str(users), "--data", self.server.data, "--json", *map(str, args)]
        return Load(command, self.server.env, self.log)

    def idle(self, users, first, secs):
        at = os.path.getsize(self.log) if os.path.exists(self.log) else 0
        load = self.load("idle", users, "--secs", secs, first=first)

        def running():
            if load.process.poll() is not None:
                raise RuntimeError(f"pigeon-load ended: {load.said()}")
            with open(self.log, encoding="utf-8", errors="replace") as f:
                f.seek(at)
                return any(line.startswith("running") for line in f)
        try:
            machine.wait_for(running, 300, "silent users")
        except RuntimeError:
            load.end()
            raise
        return load

    def storm(self, users):
        cpu = machine.cpu_us(self.server.pids())
        r = self.load("storm", users).finish(300)
        cpu = machine.cpu_us(self.server.pids()) - cpu
        return {"users": r["logins"], "logins_per_s": round(r["logins_per_s"]), "cpu_us_per_login": round(cpu / users, 2), "void": None if r["logins"] == users else f"only {r['logins']} of {users} logged in"}

    @staticmethod
    def figures(r):
        latency = r["latency_ms"]
        faults = {k: r[k] for k in ("lost", "undelivered", "doubled", "disordered", "forked", "unanswered", "unverified", "malformed", "refused") if r[k]}
        out = {k: r[k] for k in ("users", "secs", "sent", "acked", "delivered", "lost", "doubled", "resent", "rate_limited", "overloaded", "uncertain", "recovered")}
        out["delivered_per_s"] = round(r["delivered_in_run_per_s"] or r["delivered_per_s"])
        for kind, name in (("delivery", ""), ("last_reader", "last_")):
            if kind in latency:
                out.update({f"{name}{q}_us": round(latency[kind][k] * 1000) for q, k in (("p50", "p50"), ("p99", "p99"), ("p999", "p99_9"))})
        if "node" in r and r["delivered"]:
            out["server_cpu_us"] = round(r["node"]["cores"] * r["secs"] * 1e6)
            out["cpu_us_per_delivery"] = round(out["server_cpu_us"] / r["delivered"], 2)
        out["void"] = ", ".join(f"{n} {k}" for k, n in faults.items()) or None
        return out

    def pairs(self, users, secs, rate=0):
        how = ["--rate", rate] if rate else ["--window", 1]
        return self.figures(self.load("pairs", users, "--one-way", "--secs", secs, *how).finish(IMLOAD_LIMIT))

    def fanout(self, users, rate, secs):
        return self.figures(self.load("group", users, "--members", users, "--rate", rate, "--senders", 10, "--secs", secs).finish(IMLOAD_LIMIT))

    def resync(self, users, missed, limit):
        r = self.load("resync", users, "--missed", missed, "--drain", limit, "--no-verify").finish(limit + IMLOAD_LIMIT)
        out, readers = self.figures(r), users - (users + 49) // 50
        complete = r["latency_ms"].get("catch_up", {}).get("count", 0)
        out.pop("cpu_us_per_delivery", None)  # of the filling, not of the drain
        out.update(drain_s=r["catch_up_s"], complete=complete, delivered_per_s=round(complete * missed / max(r["catch_up_s"], 0.001)))
        if complete != readers:
            out["void"] = f"only {complete} of {readers} have everything after {limit} s"
        return out


ALL = [MosquittoMqtt, PigeonNative, PigeonMqtt, EjabberdXmpp, EjabberdMqtt, CentrifugoWs, ProsodyXmpp, TinodeWs]


def quiet(server, seconds=20):
    """Waits until the server has nothing to do: those who left are gone."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        before = machine.cpu_us(server.pids())
        time.sleep(0.5)
        if machine.cpu_us(server.pids()) - before <= 30000:
            return
