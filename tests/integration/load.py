"""A small load of correct clients for the crash tests: pairs that write to each other, reconnect, resend, and write down what happened."""
import os
import random
import sys
import threading
import time

from client import Client, Refused

sys.path.insert(0, os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "drills"))
import checker  # noqa: E402


class Writer(threading.Thread):
    """One user on one device: sends in a closed loop; a send is repeated under its client_id until it is answered for good."""

    def __init__(self, load, user, token, peer, seed):
        super().__init__(daemon=True)
        self.load, self.user, self.token, self.peer = load, user, token, peer
        self.random, self.client, self.count = random.Random(seed), None, 0
        self.sent, self.acked, self.seen, self.failed = {}, [], [], None

    def connected(self):
        while self.client is None or self.client.closed:
            self.drop()
            try:
                self.client = Client(self.load.cluster.ws_url, self.token, open_timeout=3)
            except (OSError, Refused, AssertionError, Exception) as problem:  # whatever a dying server does to a socket
                self.load.problems.append(f"{self.user}: {type(problem).__name__}: {problem}"[:200])
                self.client = None
                if self.load.given_up():
                    raise
                time.sleep(0.05 + 0.1 * self.random.random())
        return self.client

    def drop(self):
        if self.client:
            self.note_seen()
            try:
                self.client.close()
            except Exception:  # noqa: BLE001 - it is gone, that is all we want
                pass
            self.client = None

    def note_seen(self):
        self.seen += [(m["conv"], m["seq"], m["message_id"]) for m in self.client.messages()]

    def once(self, key, text):
        """One attempt; true when it is answered for good."""
        try:
            ok = self.connected().send(self.peer, text, client_id=key[2], )
            self.acked.append((key, ok["conv"], ok["seq"], ok["message_id"]))
            return True
        except Refused as refused:
            if not refused.error.get("retry"):
                raise
            time.sleep(min(refused.error.get("retry_after_ms", 50), 500) / 1000)
        except (ConnectionError, AssertionError, Exception) as broken:  # noqa: BLE001
            if self.load.given_up():
                raise
            self.load.problems.append(f"{self.user}: {type(broken).__name__}: {broken}"[:200])
            self.drop()
        return False

    def run(self):
        try:
            while not self.load.stopping:
                self.count += 1
                key = (self.user, "test", f"m{self.count}")
                self.sent[key] = (self.peer, f"{self.user} {self.count}", self.count)
                while not self.once(key, f"{self.user} {self.count}"):
                    pass
                if self.random.random() < 0.1:  # as if the answer had been lost
                    while not self.once(key, f"{self.user} {self.count}"):
                        pass
            if self.client:
                self.note_seen()
        except Exception as problem:  # noqa: BLE001 - told to the test
            self.failed = problem


class Load:
    """with Load(cluster, 12, seed) as load: load.wait_acks(200); ...kill...; then load.verdict()"""

    def __init__(self, cluster, users, seed):
        names = [f"w{i}" for i in range(users)]
        tokens = cluster.add_users(*names)
        self.cluster, self.stopping, self.started, self.problems = cluster, False, time.monotonic(), []
        self.writers = [Writer(self, n, tokens[n], names[i ^ 1], seed + i) for i, n in enumerate(names)]

    def __enter__(self):
        for w in self.writers:
            w.start()
        return self

    def __exit__(self, *_):
        self.stop()

    def given_up(self):
        return time.monotonic() - self.started > 90

    def acks(self):
        return sum(len(w.acked) for w in self.writers)

    def wait_acks(self, more, timeout=30):
        goal, deadline = self.acks() + more, time.monotonic() + timeout
        while self.acks() < goal:
            failed = [w.failed for w in self.writers if w.failed]
            assert not failed, failed
            assert time.monotonic() < deadline, f"{self.acks()} of {goal} acknowledged after {timeout} s; last problems: {self.problems[-5:]}"
            time.sleep(0.01)

    def stop(self):
        self.stopping = True
        for w in self.writers:
            w.join(60)

    def verdict(self):
        """What the checker finds, after reading everything back."""
        self.stop()
        assert not [w.failed for w in self.writers if w.failed], [w.failed for w in self.writers]
        final, sent, acked, seen = {}, {}, [], {}
        for w in self.writers:
            sent.update(w.sent)
            acked += w.acked
            seen[w.user] = w.seen
            conv = "d:" + ":".join(sorted((w.user, w.peer)))
            if conv not in final:
                w.drop()
                with Client(self.cluster.ws_url, w.token) as reader:
                    final[conv] = reader.history(conv)
            w.drop()
        return checker.check(sent, acked, seen, final)
