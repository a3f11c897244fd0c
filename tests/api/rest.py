"""A person who speaks REST."""
import http.client
import json
import uuid

PASSWORD = "correct horse battery"


class Answer:
    def __init__(self, status, headers, raw):
        self.status, self.headers, self.raw = status, headers, raw
        self.json = json.loads(raw) if raw and headers.get("Content-Type", "").startswith("application/json") else {}

    @property
    def code(self):
        return self.json.get("error", {}).get("code")

    @property
    def text(self):
        return self.json.get("error", {}).get("text", "")

    def __repr__(self):
        return f"{self.status} {self.raw[:300]!r}"


def call(cluster, method, path, body=None, token=None, headers=None, raw=None):
    """One request to the api. body: becomes JSON; raw: bytes as they are."""
    connection = http.client.HTTPConnection("127.0.0.1", cluster.base + 3, timeout=30)
    try:
        sent = {**({"Authorization": "Bearer " + token} if token else {}), **(headers or {})}
        if raw is None and body is not None:
            raw = json.dumps(body).encode()
            sent.setdefault("Content-Type", "application/json")
        connection.request(method, path, body=raw, headers=sent)
        answer = connection.getresponse()
        return Answer(answer.status, dict(answer.getheaders()), answer.read())
    finally:
        connection.close()


class Person:
    def __init__(self, cluster, login):
        self.cluster, self.token, self.user, self.device = cluster, login["token"], login["user"]["user"], login["device"]

    @classmethod
    def register(cls, cluster, user, device="test", **more):
        answer = call(cluster, "POST", "/v1/register", {"user": user, "password": PASSWORD, "name": user.title(), "device": device, **more})
        assert answer.status == 201, answer
        return cls(cluster, answer.json)

    @classmethod
    def log_in(cls, cluster, user, password=PASSWORD, device="test"):
        answer = call(cluster, "POST", "/v1/login", {"user": user, "password": password, "device": device})
        assert answer.status == 200, answer
        return cls(cluster, answer.json)

    def call(self, method, path, body=None, **more):
        return call(self.cluster, method, "/v1" + path, body, token=self.token, **more)

    def ok(self, method, path, body=None, status=None, **more):
        """The call's JSON; it must succeed."""
        answer = self.call(method, path, body, **more)
        assert answer.status == status if status else 200 <= answer.status < 300, f"{method} {path}: {answer}"
        return answer.json

    def refused(self, code, method, path, body=None, **more):
        answer = self.call(method, path, body, **more)
        assert answer.code == code, f"{method} {path}: {answer}"
        return answer

    def direct(self, other):
        return "d:" + ":".join(sorted([self.user, other.user]))

    def group(self, title="Group", members=(), **settings):
        return self.ok("POST", "/convs", {"title": title, "members": [m.user for m in members], "settings": settings}, 201)["conv"]

    def send(self, to, text, status=201, **more):
        """to: a Person or a conversation's id."""
        path = f"/users/{to.user}/messages" if isinstance(to, Person) else f"/convs/{to}/messages"
        return self.ok("POST", path, {"client_id": uuid.uuid4().hex, "kind": "text", "body": {"text": text}, **more}, status)

    def texts(self, conv):
        page = self.ok("GET", f"/convs/{conv}/messages?limit=200")
        return [m["body"]["text"] for m in page.get("messages", []) if m["kind"] == "text"]

    def upload(self, data, name="a.bin", mime="application/octet-stream"):
        from urllib.parse import quote
        return self.call("POST", f"/files?name={quote(name)}", raw=data, headers={"Content-Type": mime})
