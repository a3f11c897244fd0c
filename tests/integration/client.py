"""A client of the protocol on PyPI's websockets: a foreign RFC 6455 implementation, JSON encoding, one reader thread."""
import itertools
import json
import threading
import time
import uuid

from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect


class Refused(Exception):
    """An error answer."""

    def __init__(self, error):
        super().__init__(f"{error['code']}: {error.get('text')}")
        self.code, self.error = error["code"], error


class Client:
    """One socket. `events` holds everything that came unasked, in order."""

    def __init__(self, url, token=None, cursor="", device="", hello=True, subprotocol="pigeon.v1.json", **options):
        self.socket = connect(url, subprotocols=[subprotocol] if subprotocol else None, max_size=None, compression=None, **options)
        self.ids = itertools.count(1)
        self.answers, self.events = {}, []
        self.changed = threading.Condition()
        self.closed = None  # (code, reason) after the end
        self.reader = threading.Thread(target=self._read, daemon=True)
        self.reader.start()
        self.user = self.device = None
        if hello:
            self.hello(token, cursor, device)

    def hello(self, token, cursor="", device=""):
        answer = self.call("hello", token=token, cursor=cursor, device=device)
        self.user, self.device = answer["user"], answer["device"]
        return answer

    def _read(self):
        try:
            for text in self.socket:
                frame = json.loads(text)
                with self.changed:
                    if frame.get("id"):
                        self.answers[frame["id"]] = frame
                    else:
                        self.events.append(frame)
                    self.changed.notify_all()
        except ConnectionClosed:
            pass
        with self.changed:
            self.closed = (self.socket.protocol.close_code, self.socket.protocol.close_reason)
            self.changed.notify_all()

    def wait(self, found, timeout=10.0, what="a frame"):
        """The first true value of found(), looked at after every frame."""
        deadline = time.monotonic() + timeout
        with self.changed:
            while True:
                value = found()
                if value:
                    return value
                left = deadline - time.monotonic()
                if left <= 0:
                    raise AssertionError(f"{self.user}: waited {timeout} s for {what}; events: {self.events[-5:]}, closed: {self.closed}")
                self.changed.wait(left)

    def post(self, op, **fields):
        """Sends one operation and gives its id."""
        number = next(self.ids)
        self.socket.send(json.dumps({"id": number, op: fields}))
        return number

    def answer(self, number, timeout=15.0):
        frame = self.wait(lambda: self.answers.get(number) or (self.closed and {"closed": self.closed}), timeout, f"the answer to {number}")
        if "closed" in frame:
            raise ConnectionError(f"closed with {self.closed} before the answer to {number}")
        if "error" in frame:
            raise Refused(frame["error"])
        return frame["ok"]

    def call(self, op, timeout=15.0, **fields):
        """One operation and its answer: what stands below `ok`, or Refused."""
        ok = self.answer(self.post(op, **fields), timeout)
        return next(iter(ok.values())) if ok else {}

    def send(self, to, text, client_id=None, **fields):
        """to: a user's name or a conversation's id."""
        return self.answer(self.post_text(to, text, client_id, **fields))["send"]

    def post_text(self, to, text, client_id=None, **fields):
        target = {"conv": to} if to.startswith("d:") or (to.startswith("c") and len(to) == 17) else {"user": to}
        return self.post("send", to=target, client_id=client_id or uuid.uuid4().hex, kind="text", body={"text": text}, **fields)

    def messages(self, conv=None):
        return [e["message"] for e in self.events if "message" in e and (conv is None or e["message"]["conv"] == conv)]

    def wait_message(self, text, timeout=10.0):
        return self.wait(lambda: next((m for m in self.messages() if m.get("body", {}).get("text") == text), None), timeout, f"the message {text!r}")

    def wait_event(self, kind, check=lambda e: True, timeout=10.0):
        return self.wait(lambda: next((e[kind] for e in self.events if kind in e and check(e[kind])), None), timeout, f"a {kind}")

    def wait_closed(self, timeout=10.0):
        return self.wait(lambda: self.closed, timeout, "the end of the connection")

    def history(self, conv):
        """All messages of a conversation: pages from the newest down."""
        found, page = [], self.call("fetch", conv=conv, limit=200)
        while True:
            found = page.get("messages", []) + found
            if not page["more"]:
                return found
            page = self.call("fetch", conv=conv, before=found[0]["seq"], limit=200)

    def sync(self, cursor=""):
        """({conv: state}, cursor) of everything since the cursor."""
        convs = {}
        while True:
            page = self.call("sync", cursor=cursor)
            convs.update((c["conv"], c) for c in page.get("convs", []))
            cursor = page.get("cursor", "")  # an empty store has none
            if not page["more"]:
                return convs, cursor

    def close(self):
        self.socket.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()
