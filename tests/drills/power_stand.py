"""What drills 3 and 4 share: a cluster whose store is on powerfs, a load on messages, marks and the directory, and the reading back.

Observers live in this process, outside the blast radius: only storage has its data on powerfs. An answer that came is an acknowledgement, whatever happened meanwhile.
"""
import bisect
import http.client
import json
import os
import re
import sys
import threading
import time

HERE = os.path.dirname(os.path.abspath(__file__))
for folder in (HERE, os.path.join(os.path.dirname(HERE), "integration")):
    if folder not in sys.path:
        sys.path.insert(0, folder)

import checker  # noqa: E402
from client import Client, Refused  # noqa: E402
from cluster import BUILD, Cluster, wait_until  # noqa: E402
from load import Load  # noqa: E402
from powerfs import PowerFs  # noqa: E402

BULK_TEXT = os.urandom(5500).hex()
PASSWORD = "correct horse battery"
SETTINGS = {"PIGEON_LOG_LEVEL": "info", "PIGEON_STORAGE_MEMTABLE_BYTES": str(1 << 20),
            "PIGEON_GATEWAY_SEND_TIMEOUT_MS": "5000"}


def rest(cluster, method, path, body=None, token=None):
    """(status, answer); (0, {}) when there was none."""
    connection = http.client.HTTPConnection("127.0.0.1", cluster.base + 3, timeout=10)
    try:
        headers = {"Content-Type": "application/json", **({"Authorization": "Bearer " + token} if token else {})}
        connection.request(method, path, body=json.dumps(body) if body is not None else None, headers=headers)
        answer = connection.getresponse()
        raw = answer.read()
        return answer.status, json.loads(raw) if raw and raw[:1] in b"{[" else {}
    except (OSError, http.client.HTTPException):
        return 0, {}
    finally:
        connection.close()


class Timed(list):
    """Remembers when (Unix time) each item came."""

    def __init__(self):
        super().__init__()
        self.times = []

    def append(self, item):
        self.times.append(time.time())
        super().append(item)


class LongLoad(Load):
    """Goes on as long as the drill does."""

    def __init__(self, cluster, users, seed):
        super().__init__(cluster, users, seed)
        for w in self.writers:
            w.acked = Timed()

    hopeless = False  # something was lost: nobody need wait for answers any more

    def given_up(self):
        return self.stopping and (self.hopeless or time.monotonic() - self.stopped > 60)

    def stop(self):
        self.stopped = time.monotonic()
        super().stop()


class People(threading.Thread):
    """Registers users one after the other, gives each a line about themselves, logs some in on a second device; writes down what was answered."""

    def __init__(self, cluster, prefix):
        super().__init__(daemon=True)
        self.cluster, self.prefix, self.stopping, self.count = cluster, prefix, False, 0
        self.acked = []  # (user, token, about or None)
        self.refused = []  # statuses

    def run(self):
        while not self.stopping:
            self.count += 1
            user = f"{self.prefix}{self.count}"
            status, answer = rest(self.cluster, "POST", "/v1/register", {"user": user, "password": PASSWORD, "name": user, "device": "one"})
            if status != 201:
                self.refused.append(status)
                time.sleep(0.02)
                continue
            about = f"I am {user}"
            told, _ = rest(self.cluster, "PATCH", "/v1/me", {"about": about}, answer["token"])
            self.acked.append((user, answer["token"], about if told == 200 else None))
            if self.count % 3 == 0:
                status, second = rest(self.cluster, "POST", "/v1/login", {"user": user, "password": PASSWORD, "device": "two"})
                if status == 200:
                    self.acked.append((user, second["token"], None))


class Bulk(threading.Thread):
    """Sends large messages, so that memtables are written out and tables merged while the faults happen."""

    def __init__(self, cluster, token, peer, user):
        super().__init__(daemon=True)
        self.cluster, self.token, self.peer, self.user, self.stopping, self.count = cluster, token, peer, user, False, 0
        self.acked = Timed()

    def run(self):
        while not self.stopping:
            self.count += 1
            body = {"client_id": f"b{self.count}", "kind": "text", "body": {"text": f"{self.count} " + BULK_TEXT}}
            status, answer = 0, {}
            while status != 201 and not self.stopping:
                status, answer = rest(self.cluster, "POST", f"/v1/users/{self.peer}/messages", body, self.token)
                if status != 201:
                    time.sleep(0.05)
            if status == 201:
                self.acked.append(((self.user, "test", body["client_id"]), answer["conv"], answer["seq"], answer["message_id"]))


class Marker(threading.Thread):
    """One reader's mark in one conversation, moved up as fast as it is answered."""

    def __init__(self, cluster, token, conv):
        super().__init__(daemon=True)
        self.cluster, self.token, self.conv, self.acked, self.stopping = cluster, token, conv, 0, False

    def run(self):
        while not self.stopping:
            status, page = rest(self.cluster, "GET", f"/v1/convs/{self.conv}/messages?limit=1", token=self.token)
            seq = page["messages"][-1]["seq"] if status == 200 and page.get("messages") else 0
            if seq > self.acked and rest(self.cluster, "POST", f"/v1/convs/{self.conv}/mark", {"read": seq}, self.token)[0] == 204:
                self.acked = max(self.acked, seq)
            time.sleep(0.02)


class Stand:
    """with Stand(folder, seed) as stand: all of Pigeon runs, its storage on stand.disk, under load."""

    def __init__(self, folder, seed, settings=None, users=12, sync_delay_us=500):
        os.makedirs(folder, exist_ok=True)
        self.cluster = Cluster(folder, {**SETTINGS, **(settings or {})})
        self.disk = PowerFs(BUILD, folder, sync_delay_us)
        self.storage_env = {"PIGEON_NODE_DATA": self.disk.path, "PIGEON_NODE_SECRETS": os.path.join(self.cluster.data, "secrets")}
        self.checked_log, self.checked_people = 0, [0, 0, 0]
        self.boots, self.problems = [], []
        try:
            self.cluster.start("nats", "redis")
            self.start_storage()
            self.cluster.start("message", "presence", "gateway", "api")
            self.load = LongLoad(self.cluster, users, seed)
            self.people = [People(self.cluster, f"p{letter}") for letter in "abc"]
            reader = self.load.writers[0]
            self.marker = Marker(self.cluster, reader.token, "d:" + ":".join(sorted((reader.user, reader.peer))))
            tokens = self.cluster.add_users("bulk0", "bulk1", "sink")
            self.bulk = [Bulk(self.cluster, tokens[u], "sink", u) for u in ("bulk0", "bulk1")]
            self.sources = [*self.load.writers, *self.bulk]
            self.checked = [0] * len(self.sources)
            for thread in (*self.sources, *self.people, self.marker):
                thread.start()
        except BaseException:
            self.close()
            raise

    # ---- storage ----

    def start_storage(self, timeout=60):
        begin = time.monotonic()
        self.cluster.start("storage", wait=False, env=self.storage_env)
        self.cluster.wait_ready("storage", timeout)
        self.boots.append(time.monotonic() - begin)
        return self.boots[-1]

    def cut(self, mode, seed):
        """The power goes and comes back; what the disk says of the cut."""
        figures = self.disk.cut(mode, seed)
        self.cluster.kill("storage")
        self.disk.on()
        return figures

    # ---- reading back ----

    def ask(self, question, what, timeout=30):
        """Asked until it is answered: after a start the others find storage within a second."""
        def answered():
            try:
                return question()
            except (Refused, ConnectionError, AssertionError, OSError):
                return None
        return wait_until(answered, timeout, what)

    def find_lost(self):
        """What was acknowledged since the last look and is not there: a list of lines."""
        lost = self._lost_messages() + self._lost_people() + self._lost_marks() + self._bad_audit()
        self.problems += lost
        return lost

    def _lost_messages(self):
        lost, due = [], {}
        for i, writer in enumerate(self.sources):
            acked = writer.acked[self.checked[i]:]
            self.checked[i] += len(acked)
            for key, conv, seq, message_id in acked:
                due.setdefault((conv, writer.token), []).append((key, seq, message_id))
        for (conv, token), items in due.items():
            low, high = min(s for _, s, _ in items), max(s for _, s, _ in items)
            found, before = {}, high + 1
            while before > low:
                def page(before=before):
                    status, got = rest(self.cluster, "GET", f"/v1/convs/{conv}/messages?before={before}&limit=200", token=token)
                    return got if status == 200 else {"status": status} if status in (401, 403, 404) else None
                messages = self.ask(page, f"a page of {conv}").get("messages", [])
                found.update((m["seq"], m["message_id"]) for m in messages)
                before = messages[0]["seq"] if messages else low
            lost += [f"message {key} as {conv}/{seq}" for key, seq, message_id in items if found.get(seq) != message_id]
        return lost

    def _lost_people(self):
        acked, lost = [], []
        for i, people in enumerate(self.people):
            fresh = people.acked[self.checked_people[i]:]
            self.checked_people[i] += len(fresh)
            acked += fresh
        for user, token, about in acked:
            def me(token=token):
                status, answer = rest(self.cluster, "GET", "/v1/me", token=token)
                return (status, answer) if status in (200, 401, 403, 404) else None
            status, answer = self.ask(me, f"{user}'s session")
            if status != 200 or answer.get("user") != user:
                lost.append(f"user or session {user}: {status}")
            elif about is not None and answer.get("about") != about:
                lost.append(f"what {user} said: {answer.get('about')}")
        return lost

    def _lost_marks(self):
        acked = self.marker.acked

        def receipts():
            status, answer = rest(self.cluster, "GET", "/v1/convs?limit=200", token=self.marker.token)
            return answer if status == 200 else {"status": status} if status in (401, 403, 404) else None
        if not acked:
            return []
        state = next((c for c in self.ask(receipts, "the list of conversations").get("convs", []) if c["conv"] == self.marker.conv), {})
        return [] if state.get("read_seq", 0) >= acked else [f"mark {acked}, found {state.get('read_seq')}"]

    def _bad_audit(self):
        text = self.cluster.log("storage")[self.checked_log:]
        self.checked_log += len(text)
        return re.findall(r"the audit log was tampered.*|the audit log cannot.*", text) + re.findall(r".*was damaged \(.*|.*nothing of it could be read.*", text)

    def open_to_others(self):
        """Files and directories of the store that others than its owner may read."""
        found = [os.path.join(where, name) for where, folders, files in os.walk(self.disk.path) for name in (*folders, *files)]
        return [f"{p} has mode {os.stat(p).st_mode & 0o777:o}" for p in found if os.stat(p).st_mode & 0o077]

    def set_aside(self):
        return self.cluster.log("storage").count("were set aside in")

    def verdict(self):
        """Everything once more, by the checker."""
        others = [*self.people, *self.bulk, self.marker]
        for thread in others:
            thread.stopping = True
        for thread in others:
            thread.join(30)
        self.checked_people, self.checked[-len(self.bulk):] = [0] * len(self.people), [0] * len(self.bulk)
        found = [f"{what}: {detail}" for what, detail in self.load.verdict()]
        return found + self._lost_messages() + self._lost_people() + self._lost_marks()

    def acks(self):
        return sum(len(s.acked) for s in self.sources)

    def acked_between(self, begin, end):
        """How many acknowledgements came then (Unix times); none when the end comes first: an outage shorter than what was under way."""
        if end <= begin:
            return 0
        return sum(bisect.bisect_left(t, end) - bisect.bisect_right(t, begin) for t in (s.acked.times for s in self.sources))

    def people_acked(self):
        return sum(len(p.acked) for p in self.people)

    def close(self):
        for part in (getattr(self, "load", None), getattr(self, "marker", None), *getattr(self, "people", ()), *getattr(self, "bulk", ())):
            if part:
                part.stopping = True
        if hasattr(self, "load"):
            self.load.hopeless = True
            self.load.stop()
        try:
            self.cluster.down()
        finally:
            self.disk.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


__all__ = ["BUILD", "Client", "Stand", "checker", "wait_until"]
