"""Attacks that need no special rights: what they cost the servers, and what they must not reach."""
import http.client
import json
import os
import signal
import socket
import time
import uuid

import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

from client import Client, Refused
from cluster import http_get, wait_until


def memory_peak(process):
    """The most memory that it has had, in bytes."""
    with open(f"/proc/{process.pid}/status", encoding="ascii") as f:
        return next(int(line.split()[1]) * 1024 for line in f if line.startswith("VmHWM"))


# ---- protobuf: parts that come twice ----

def field(number, data):
    size, n = b"", len(data)
    while n > 127:
        size, n = size + bytes([n & 127 | 128]), n >> 7
    return bytes([number << 3 | 2]) + size + bytes([n]) + data


def test_a_repeated_part_costs_no_memory(shared, people):
    """protobuf-c merges a message that comes twice, copying its lists each time: 10,000 in one frame would be 400 MB."""
    (alice,) = people.join("alice")
    command = field(4, field(6, field(2, b"")))  # Send.body.command.args[0]
    send = field(3, command * (60000 // len(command)))
    before = memory_peak(shared.processes["gateway"])
    with connect(shared.ws_url, subprotocols=["pigeon.v1.proto"], compression=None) as socket_:
        socket_.send(field(2, field(1, alice.token.encode())) + b"\x08\x01")
        assert alice.user.encode() in socket_.recv(timeout=10)
        socket_.send(b"\x08\x02" + send)
        assert b"invalid" in socket_.recv(timeout=10)
    assert memory_peak(shared.processes["gateway"]) - before < 32 << 20


# ---- sessions ----

def test_a_revocation_during_hello_is_not_missed(fresh):
    """Revoked between storage's answer and the gateway's subscription, where no event reaches it."""
    cluster = fresh()
    token = cluster.add_users("alice")["alice"]
    cluster.pause("storage")
    with Client(cluster.ws_url, hello=False) as alice:
        alice.post("hello", token=token)
        wait_until(lambda: cluster.metrics("gateway")["pigeon_gateway_frames_in_total"], 5, "the hello to be read")
        assert http_get(cluster.gateway_port, "/")[0] == 404  # a later turn of its loop: the hello's turn has written its request
        cluster.pause("gateway")
        cluster.resume("storage")
        status, _ = cluster.rest("POST", "/v1/logout", token=token)
        assert status == 204
        cluster.resume("gateway")
        alice.wait_closed(5)


# ---- the way in ----

def test_slow_uploads_of_strangers_hold_nobody_up(fresh):
    """They are refused by their head: nobody waits for their bodies."""
    cluster = fresh({"PIGEON_API_THREADS": "8"})
    cluster.start("nginx")
    port, slow = cluster.base + 15, []
    try:
        for _ in range(24):
            s = socket.create_connection(("127.0.0.1", port))
            s.sendall(b"POST /v1/files?name=a HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\n0")
            slow.append(s)
        time.sleep(0.5)
        started = time.monotonic()
        assert http_get(port, "/v1/info")[0] == 200
        assert time.monotonic() - started < 1.5
    finally:
        for s in slow:
            s.close()


def through_nginx(cluster, method, path, body=None, **headers):
    connection = http.client.HTTPConnection("127.0.0.1", cluster.base + 15, timeout=20)
    try:
        connection.request(method, path, body=json.dumps(body) if body else None, headers=headers)
        answer = connection.getresponse()
        return answer.status, {k.lower(): v for k, v in answer.getheaders()}, answer.read()
    finally:
        connection.close()


def test_what_nginx_says_and_hides(fresh):
    """The browser's protections on every path; nothing of the node's own; a client's word on its address counts nothing."""
    cluster = fresh()
    cluster.start("nginx")
    for path in ("/", "/assets/x.js", "/v1/info", "/v1/ws", "/v1/none", "/healthz", "/internal/files/aa/x", "/v1/files/" + "a" * 32, "/v1/%2e%2e/metrics"):
        _, headers, _ = through_nginx(cluster, "GET", path)
        for name in ("x-content-type-options", "x-frame-options", "referrer-policy", "content-security-policy"):
            assert name in headers, (path, name)
        assert "unsafe" not in headers["content-security-policy"] and headers["server"] == "nginx", path
    for path in ("/metrics", "/internal/files/tmp/", "/..%2fpigeon.yaml", "/%2e%2e/secrets/nats-api", "/assets/../../secrets/nats-api", "/assets../pigeon.yaml"):
        status, _, raw = through_nginx(cluster, "GET", path)
        assert status != 200 and b"pigeon_" not in raw, path
    login = {"user": "alice", "password": "correct horse battery"}
    assert through_nginx(cluster, "POST", "/v1/register", login, **{"X-Forwarded-For": "192.0.2.7", "X-Real-IP": "192.0.2.8"})[0] == 201
    _, _, raw = through_nginx(cluster, "POST", "/v1/login", login, **{"X-Forwarded-For": "192.0.2.7, 192.0.2.9"})
    _, _, raw = through_nginx(cluster, "GET", "/v1/me/sessions", Authorization="Bearer " + json.loads(raw)["token"])
    assert {s["address"] for s in json.loads(raw)["sessions"]} == {"127.0.0.1"}


def test_a_page_is_asked_for_again_and_its_parts_are_kept(fresh):
    """What keeps its name is never taken from a browser's cache unasked, or an old page would ask for parts that are gone."""
    cluster = fresh(services=())
    os.mkdir(os.path.join(cluster.env["PIGEON_WEB"], "assets"))
    for name in ("index.html", "sw.js", "assets/index-1a2b.js"):
        with open(os.path.join(cluster.env["PIGEON_WEB"], name), "w", encoding="utf-8") as f:
            f.write(name)
    cluster.start("nginx", wait=False)
    wait_until(lambda: http_get(cluster.base + 15, "/sw.js")[0] == 200, 10, "nginx")
    for path, content in (("/", b"index.html"), ("/index.html", b"index.html"), ("/c/none", b"index.html"), ("/sw.js", b"sw.js")):
        status, headers, raw = through_nginx(cluster, "GET", path)
        assert (status, raw, headers["cache-control"]) == (200, content, "no-cache"), path
        assert "content-security-policy" in headers and "etag" in headers, path
    assert "max-age=31536000" in through_nginx(cluster, "GET", "/assets/index-1a2b.js")[1]["cache-control"]


# ---- limits ----

def test_devices_of_one_user_are_bounded(shared):
    """Each login without a device makes a new one; the 101st logs out the one that was used least recently."""
    user = "manydevices"
    first = shared.rest("POST", "/v1/register", {"user": user, "password": "correct horse battery"})[1]["token"]
    with Client(shared.ws_url, first) as oldest:
        for _ in range(100):
            status, login = shared.rest("POST", "/v1/login", {"user": user, "password": "correct horse battery"})
            assert status == 200
        assert oldest.wait_event("bye")["code"] == "expired"
        assert oldest.wait_closed()[0] == 4401
    assert len(shared.rest("GET", "/v1/me/sessions", token=login["token"])[1]["sessions"]) == 100


def test_at_most_1000_users_at_once(people):
    (alice,) = people.join("alice")
    conv = alice.call("create", kind="group", title="few")["conv"]
    many = [f"n{i}" for i in range(1001)]
    for op, fields in (("create", {"kind": "group", "title": "many", "members": many}), ("invite", {"conv": conv, "users": many})):
        with pytest.raises(Refused) as refused:
            alice.call(op, **fields)
        assert refused.value.code == "too_large", refused.value


@pytest.mark.parametrize("op, fields", [("ping", {}), ("fetch", {"conv": "not one"})], ids=["well-formed", "wrong"])
def test_who_ignores_the_rate_is_sent_away(fresh, op, fields):
    """Also with frames that are refused for their form: they cost as much to read."""
    cluster = fresh({"PIGEON_LIMITS_USER_OPS_S": "5", "PIGEON_LIMITS_USER_OPS_BURST": "10"})
    with Client(cluster.ws_url, cluster.add_users("flood")["flood"]) as flood:
        try:
            for _ in range(5000):
                flood.post(op, **fields)
        except ConnectionClosed:
            pass
        assert flood.wait_event("bye")["code"] == "overloaded"
        assert flood.wait_closed()[0] == 4429
        codes = {f["error"]["code"] for f in flood.answers.values() if "error" in f}
        assert "rate_limited" in codes


# ---- secrets ----

def test_nothing_secret_in_the_logs(fresh):
    """Tokens, passwords, invitations and bodies, at the most talkative level, also of requests that fail."""
    cluster = fresh()
    cluster.start("nginx")
    words = {w: w + uuid.uuid4().hex for w in ("password", "wrong", "body", "new", "code")}
    status, login = cluster.rest("POST", "/v1/register", {"user": "alice", "password": words["password"]})
    assert status == 201
    assert cluster.rest("POST", "/v1/login", {"user": "alice", "password": words["wrong"]})[0] == 401
    assert cluster.rest("POST", "/v1/register", {"user": "bob", "password": words["password"], "invite": words["code"]})[0] == 403
    with Client(cluster.ws_url, login["token"]) as alice:
        conv = alice.send("alice", words["body"])["conv"]
        for body in ({"text": ""}, {"text": words["body"], "nonsense": 1}, {"text": words["body"] * 1000}):
            alice.post("edit", conv=conv, seq=1, body=body)
        alice.call("ping")
    with Client(f"ws://127.0.0.1:{cluster.base + 15}/v1/ws", hello=False) as nobody:
        with pytest.raises((Refused, ConnectionError)):
            nobody.hello(login["token"] + "x")
    assert cluster.rest("POST", "/v1/me/password", {"old": words["password"], "new": words["new"]}, token=login["token"])[0] == 204
    for folder, _, files in os.walk(os.path.join(cluster.data, "log")):
        for name in files:
            with open(os.path.join(folder, name), encoding="utf-8", errors="replace") as f:
                text = f.read()
            for word, value in {**words, "token": login["token"]}.items():
                assert value not in text, f"{word} in {name}"


def test_a_secret_that_others_may_read_stops_the_service(fresh):
    cluster = fresh()
    secret = os.path.join(cluster.data, "secrets", "nats-message")
    cluster.kill("message", signal.SIGTERM)
    os.chmod(secret, 0o644)
    cluster.start("message", wait=False)
    process = cluster.processes.pop("message")
    assert process.wait(10) != 0
    assert "may be read by others" in cluster.log("message")


# ---- the backplane ----

REFUSED = {
    "gateway": ["PUB user.alice", "PUB conv.c0", "PUB pgn.sto.dir", "PUB pgn.sto.session", "PUB pgn.sto.seen", "PUB pgn.sto.commit", "PUB pgn.sto.admin", "PUB pgn.prs.query",
                "PUB _INBOX.api.x", "PUB _INBOX.gateway.x", "SUB >", "SUB pgn.>", "SUB _INBOX.>"],
    "message": ["PUB pgn.sto.mqtt", "PUB pgn.api.login", "PUB pgn.sto.dir", "PUB pgn.sto.session", "PUB pgn.sto.check", "PUB pgn.sto.admin", "PUB pgn.up.store", "PUB _INBOX.storage.x", "PUB _INBOX.presence.x",
                "SUB user.*", "SUB _INBOX.gateway.>", "SUB _INBOX.>"],
    "presence": ["PUB user.alice", "PUB pgn.sto.commit", "PUB pgn.sto.conv", "PUB pgn.sto.session", "PUB pgn.sto.check", "PUB pgn.sto.dir", "PUB _INBOX.gateway.x", "PUB _INBOX.api.x",
                 "SUB user.*", "SUB _INBOX.>"],
    "storage": ["PUB pgn.msg.op", "PUB pgn.gw.all", "PUB presence.alice", "PUB _INBOX.storage.x", "SUB _INBOX.api.>", "SUB _INBOX.>"],
    "api": ["PUB user.alice", "PUB pgn.sto.commit", "PUB pgn.sto.conv", "PUB pgn.sto.mqtt", "PUB _INBOX.message.x", "PUB _INBOX.cli.x", "PUB $SYS.REQ.SERVER.PING", "SUB user.*", "SUB $SYS.>", "SUB _INBOX.>"],
    "cli": ["PUB pgn.sto.mqtt", "PUB pgn.api.login", "PUB user.alice", "PUB pgn.sto.commit", "PUB pgn.sto.conv", "PUB _INBOX.api.x", "SUB >", "SUB _INBOX.api.>"],
}


def converse(port, lines, until):
    """What the server says up to `until`."""
    with socket.create_connection(("127.0.0.1", port), timeout=5) as s:
        s.sendall(lines.encode())
        said = b""
        while until not in said:
            piece = s.recv(4096)
            if not piece:
                break
            said += piece
        return said.decode()


@pytest.mark.parametrize("user", REFUSED)
def test_what_a_service_may_not_on_the_bus(shared, user):
    with open(os.path.join(shared.data, "secrets", "nats-" + user), encoding="ascii") as f:
        login = json.dumps({"verbose": False, "user": user, "pass": f.read().strip()})
    for line in REFUSED[user]:
        asked = f"{line} 0\r\n\r\n" if line.startswith("PUB") else f"{line} 1\r\n"
        assert "Permissions Violation" in converse(shared.base, f"CONNECT {login}\r\n{asked}PING\r\n", b"PONG"), line


def test_strangers_on_the_backplane(shared):
    assert "Authorization Violation" in converse(shared.base, 'CONNECT {"verbose":false}\r\nPING\r\n', b"PONG")
    assert "NOAUTH" in converse(shared.base + 1, "GET prs:x\r\n", b"\n")
    for user, theirs in (("presence", "api:x"), ("api", "prs:x")):
        with open(os.path.join(shared.data, "secrets", "redis-" + user), encoding="ascii") as f:
            login = f"AUTH {user} {f.read().strip()}\r\n"
        for line in ("FLUSHALL", "CONFIG GET *", 'EVAL "return 1" 0', "KEYS *", "SCRIPT FLUSH", "ACL LIST", "GET " + theirs):
            assert "NOPERM" in converse(shared.base + 1, f"{login}{line}\r\nPING\r\n", b"PONG"), line
