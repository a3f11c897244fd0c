"""One observer process on PyPI's websockets: correct clients that write, read, reconnect, and log what they did and saw.

    observer.py CONFIG.json     commands on standard input: stop, end; one progress line a tenth of a second on standard output:
                                acks pending, and once, after `stop`: stopped

The log has one line an event, times in microseconds of CLOCK_MONOTONIC, which all processes of the machine share:
  S t user device cid target   sent for the first time      R t user cid          sent again
  A t user cid conv seq id     acknowledged                  E t user cid code     an error answer
  V t user conv seq id from cid way   shown (w: over the wire, f: fetched, o: its own, by the answer)
  X t user conv seq id         came again over the wire, not shown
  G t user conv from           a gap that did not close by itself: fetched
  F t0 t1 user conv last       a read of the end of a conversation that began at t0: its last number
  C t user / D t user why      connected, disconnected       N t user cid         given up after a refusal: never sent again
"""
import asyncio
import json
import random
import sys
import time
import collections

from websockets.asyncio.client import connect

GAP_S, PING_S, HALF_DEAD_S, RESEND_MAX_S = 0.5, 1.0, 20, 1.0
DEFINITE = ("unavailable", "overloaded", "rate_limited")


def now():
    return time.monotonic_ns() // 1000


class View:
    """What a user has been shown of one conversation: all up to last; held: what came early."""

    def __init__(self):
        self.last, self.held, self.gap_since, self.fetching = 0, {}, None, False


class User:
    def __init__(self, config, options, log, rng):
        self.name, self.token, self.device, self.targets = config["user"], config["token"], config["device"], config["targets"]
        self.weights = [t.get("weight", 1) for t in self.targets]
        self.options, self.log, self.rng = options, log, rng
        self.pending = collections.OrderedDict()  # cid -> [target, number, attempts, sent at]
        self.waiting = collections.deque()        # cids whose retry is due: (at, cid)
        self.views, self.cursor, self.count, self.acks = collections.defaultdict(View), "", 0, 0
        self.socket, self.asked, self.ids, self.syncing = None, {}, 0, False
        self.stopping = self.ending = False
        self.wake = asyncio.Event()

    # ---- out ----

    async def ask(self, what, op, fields):
        self.ids += 1
        self.asked[self.ids] = what
        await self.socket.send(json.dumps({"id": self.ids, op: fields}))

    async def put(self, cid):
        target, number, attempts, _ = entry = self.pending[cid]
        entry[2], entry[3] = attempts + 1, now()
        if attempts:
            self.log(f"R {entry[3]} {self.name} {cid}")
        to = {k: target[k] for k in ("user", "conv") if k in target}
        await self.ask(("send", cid), "send", {"to": to, "client_id": cid, "kind": "text", "body": {"text": f"{self.name} {number} {'x' * self.options['body']}"}})

    async def put_new(self):
        self.count += 1
        cid, target = f"m{self.count}", self.rng.choices(self.targets, self.weights)[0]
        self.pending[cid] = [target, self.count, 0, 0]
        self.log(f"S {now()} {self.name} {self.device} {cid} {target.get('user') or target['conv']}")
        await self.put(cid)

    async def write(self):
        """Fills the window at the pace that was asked for; what was refused goes first."""
        pace, due = (1 / self.options["rate"] if self.options["rate"] else 0), time.monotonic()
        while True:
            while self.waiting and self.waiting[0][0] <= time.monotonic():
                _, cid = self.waiting.popleft()
                if cid in self.pending:
                    await self.put(cid)
            at = time.monotonic()
            if not self.stopping and len(self.pending) < self.options["window"] and at >= due:
                await self.put_new()
                due = max(due + pace, at - pace * 4)
                continue
            self.wake.clear()
            try:
                await asyncio.wait_for(self.wake.wait(), min(0.05, max(0.001, due - at)) if len(self.pending) < self.options["window"] else 0.05)
            except asyncio.TimeoutError:
                pass

    # ---- in ----

    def show(self, conv, message, way):
        view, seq = self.views[conv], message["seq"]
        if seq <= view.last or seq in view.held:
            if way == "w":
                self.log(f"X {now()} {self.name} {conv} {seq} {message['message_id']}")
            return
        view.held[seq] = (message, way)
        while view.last + 1 in view.held:
            view.last += 1
            m, how = view.held.pop(view.last)
            self.log(f"V {now()} {self.name} {conv} {view.last} {m['message_id']} {m.get('from', '-')} {m.get('client_id') or '-'} {how}")
        view.gap_since = (view.gap_since or time.monotonic()) if view.held else None

    def acked(self, cid, sent):
        self.log(f"A {now()} {self.name} {cid} {sent['conv']} {sent['seq']} {sent['message_id']}")
        if self.pending.pop(cid, None) is not None:
            self.acks += 1
        self.show(sent["conv"], {**sent, "from": self.name, "client_id": cid}, "o")
        self.wake.set()

    def refused(self, cid, error):
        if cid not in self.pending:
            return
        self.log(f"E {now()} {self.name} {cid} {error['code']}")
        if not error.get("retry"):
            del self.pending[cid]
        elif error["code"] in DEFINITE and self.pending[cid][2] == 1 and self.rng.random() < 0.1:
            self.log(f"N {now()} {self.name} {cid}")
            del self.pending[cid]
        else:
            self.waiting.append((time.monotonic() + min(RESEND_MAX_S, error.get("retry_after_ms", 50) / 1000), cid))
        self.wake.set()

    async def answered(self, what, frame):
        kind, error = what[0], frame.get("error")
        ok = frame.get("ok") or {}
        if kind == "send":
            self.refused(what[1], error) if error else self.acked(what[1], ok["send"])
            if not error and self.rng.random() < self.options["again"] and self.socket:
                await self.again(what[1], ok["send"])
        elif kind == "again" and not error:
            self.log(f"A {now()} {self.name} {what[1]} {ok['send']['conv']} {ok['send']['seq']} {ok['send']['message_id']}")
        elif kind == "ping" and not error and (ok.get("ping") or {}).get("cursor", "") != self.cursor and not self.syncing:
            self.syncing = True
            await self.ask(("sync",), "sync", {"cursor": self.cursor})
        elif kind == "sync":
            await self.synced(ok.get("sync"))
        elif kind == "fetch":
            await self.fetched(what, ok.get("fetch"))

    async def again(self, cid, sent):
        """As if the answer had been lost: the same answer must come."""
        target = {"conv": sent["conv"]}
        self.log(f"R {now()} {self.name} {cid}")
        await self.ask(("again", cid), "send", {"to": target, "client_id": cid, "kind": "text", "body": {"text": "again"}})

    async def synced(self, page):
        self.syncing = False
        if page is None:
            return
        for c in page.get("convs", []):
            view = self.views[c["conv"]]
            if c["last_seq"] > view.last and not view.fetching:
                await self.fetch(c["conv"], view)
        self.cursor = page.get("cursor", "")
        if page["more"]:
            self.syncing = True
            await self.ask(("sync",), "sync", {"cursor": self.cursor})

    async def fetch(self, conv, view):
        view.fetching, view.gap_since = True, None
        await self.ask(("fetch", conv, view.last, now()), "fetch", {"conv": conv, "after": view.last, "limit": 200})

    async def fetched(self, what, page):
        _, conv, after, began = what
        view = self.views[conv]
        if after is not None:
            view.fetching = False
        if page is None:  # refused: asked again by the gap or the next sync
            if after is not None:
                view.gap_since, self.cursor = time.monotonic(), ""
            return
        messages = page.get("messages", [])
        if after is None or not page["more"]:
            self.log(f"F {began} {now()} {self.name} {conv} {messages[-1]['seq'] if messages else after or 0}")
        for m in messages if after is not None else ():
            self.show(conv, m, "f")
        if after is not None and page["more"]:
            await self.fetch(conv, view)

    async def look_after(self):
        """Heartbeat, gaps, reads of the newest message, connections that swallow, cuts."""
        pinged = 0
        while True:
            await asyncio.sleep(0.1)
            at = time.monotonic()
            if at - pinged >= PING_S:
                pinged = at
                await self.ask(("ping",), "ping", {})
                if self.views and not self.ending:
                    conv = self.rng.choice(list(self.views))
                    await self.ask(("fetch", conv, None, now()), "fetch", {"conv": conv, "limit": 1})
            for conv, view in list(self.views.items()):
                if view.gap_since and not view.fetching and not self.syncing and at - view.gap_since > GAP_S:  # what a sync brings is no gap
                    self.log(f"G {now()} {self.name} {conv} {view.last}")
                    await self.fetch(conv, view)
            oldest = next(iter(self.pending.values()), None)
            if oldest and oldest[3] and now() - oldest[3] > HALF_DEAD_S * 1000000:
                raise ConnectionError("half-dead")
            if self.options["cut_s"] and not self.stopping and self.pending and self.rng.random() < 0.1 / self.options["cut_s"]:
                raise ConnectionError("cut")

    # ---- a connection ----

    async def read(self):
        async for text in self.socket:
            frame = json.loads(text)
            if frame.get("id"):
                what = self.asked.pop(frame["id"], None)
                if what:
                    await self.answered(what, frame)
            elif "message" in frame:
                self.show(frame["message"]["conv"], frame["message"], "w")
            elif "bye" in frame:
                raise ConnectionError("bye")
        raise ConnectionError("closed")

    async def session(self, url):
        async with connect(url, subprotocols=["pigeon.v1.json"], compression=None, max_size=None, open_timeout=5, ping_interval=None, close_timeout=1) as socket:
            self.socket, self.asked, self.syncing = socket, {}, False
            await socket.send(json.dumps({"id": 2**40, "hello": {"token": self.token, "cursor": self.cursor}}))
            answer = json.loads(await asyncio.wait_for(socket.recv(), 10))
            if "ok" not in answer:
                raise ConnectionError("hello refused: " + answer.get("error", {}).get("code", "?"))
            self.log(f"C {now()} {self.name}")
            for view in self.views.values():
                view.fetching = False
            self.waiting.clear()
            for cid in list(self.pending):  # in the order of sending
                await self.put(cid)
            await self.ask(("sync",), "sync", {"cursor": self.cursor})
            self.syncing = True
            tasks = [asyncio.ensure_future(t) for t in (self.read(), self.write(), self.look_after())]
            try:
                done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_EXCEPTION)
                for t in done:
                    t.result()
            finally:
                for t in tasks:
                    t.cancel()
                await asyncio.gather(*tasks, return_exceptions=True)
                socket.transport.abort()

    async def run(self):
        while not self.ending:
            try:
                await self.session(self.rng.choice(self.options["urls"]))
            except asyncio.CancelledError:
                raise
            except Exception as problem:  # noqa: BLE001 - whatever a dying server does to a socket
                self.log(f"D {now()} {self.name} {type(problem).__name__}:{str(problem)[:80].replace(' ', '_')}")
            self.socket = None
            await asyncio.sleep(0.05 + 0.2 * self.rng.random())


async def main():
    with open(sys.argv[1], encoding="utf-8") as f:
        options = json.load(f)
    with open(options["log"], "w", encoding="utf-8", buffering=1 << 16) as out:
        users = [User(c, options, lambda line: out.write(line + "\n"), random.Random(f"{options['seed']}/{c['user']}")) for c in options["users"]]
        tasks = [asyncio.ensure_future(u.run()) for u in users]
        reader = asyncio.StreamReader()
        await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
        command = asyncio.ensure_future(reader.readline())
        while True:
            done, _ = await asyncio.wait([command], timeout=0.1)
            if done:
                word = command.result().strip()
                if word == b"stop":
                    for u in users:
                        u.stopping = True
                else:
                    break
                command = asyncio.ensure_future(reader.readline())
            print(sum(u.acks for u in users), sum(len(u.pending) for u in users), sum(u.stopping for u in users), flush=True)
            out.flush()
        for u in users:
            u.ending = True
        for t in tasks:
            t.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


if __name__ == "__main__":
    asyncio.run(main())
