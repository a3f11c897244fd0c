"""Points 3 and 7: the login. Memory and time of argon2id, guesses side by side, the login phase, revocations."""
import json
import os
import socket
import statistics
import time
from concurrent.futures import ThreadPoolExecutor

from client import Client
from cluster import wait_until
from rest import PASSWORD, Person, call
from test_malformed import Raw


def log_in(cluster, user, password):
    return call(cluster, "POST", "/v1/login", {"user": user, "password": password, "device": "d"})


def test_guesses_side_by_side_do_not_slip_through(fresh):
    """Without an atomic check all of them would see a counter below the limit."""
    cluster = fresh({"PIGEON_LIMITS_LOGIN_FAILURES": "3", "PIGEON_API_THREADS": "24", "PIGEON_API_ARGON2_MEMORY_KIB": "8192", "PIGEON_API_ARGON2_PASSES": "2"})
    Person.register(cluster, "alice")
    with ThreadPoolExecutor(12) as pool:
        answers = list(pool.map(lambda i: log_in(cluster, "alice", f"wrong password {i}").status, range(12)))
    assert answers.count(401) == 3, answers
    assert answers.count(429) == 9, answers
    assert log_in(cluster, "alice", PASSWORD).status == 429


def memory(cluster, what):
    with open(f"/proc/{cluster.processes['api'].pid}/status", encoding="ascii") as f:
        return next(int(line.split()[1]) for line in f if line.startswith(what)) // 1024


def test_at_most_two_passwords_are_computed_at_once(fresh):
    """Each takes 64 MiB here: eight at once would take half a gigabyte. On a busy machine some are sent away, after 8 s."""
    cluster = fresh({"PIGEON_API_ARGON2_MEMORY_KIB": str(64 * 1024), "PIGEON_API_ARGON2_PASSES": "1", "PIGEON_API_THREADS": "32", "PIGEON_LIMITS_LOGIN_FAILURES": "1000"})
    before = memory(cluster, "VmRSS")
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda i: log_in(cluster, f"nobody{i}", "wrong password").status, range(8)))
    assert set(answers) <= {401, 503} and 401 in answers, answers
    peak = memory(cluster, "VmHWM") - before
    assert 60 < peak < 3 * 64, f"{peak} MiB more than before"


def computed_ns(cluster):
    """What all threads of the api have computed: no other process' load is in it."""
    folder, total = f"/proc/{cluster.processes['api'].pid}/task", 0
    for thread in os.listdir(folder):
        with open(os.path.join(folder, thread, "schedstat"), encoding="ascii") as f:
            total += int(f.read().split()[0])
    return total


def test_a_failed_login_takes_the_same_time_for_everybody(fresh):
    """Somebody's wrong password, nobody's, a disabled one's: medians of alternating tries, of the time that the api computes."""
    cluster = fresh({"PIGEON_API_ARGON2_MEMORY_KIB": "16384", "PIGEON_API_ARGON2_PASSES": "2", "PIGEON_LIMITS_LOGIN_FAILURES": "1000"})
    Person.register(cluster, "alice")
    Person.register(cluster, "gone")
    cluster.pigeon("user", "disable", "gone")
    times = {"alice": [], "nobody-here": [], "gone": []}
    for _ in range(9):
        for user, took in times.items():
            before = computed_ns(cluster)
            assert log_in(cluster, user, "wrong password").status == 401
            took.append((computed_ns(cluster) - before) / 1e6)
    middle = {user: statistics.median(took) for user, took in times.items()}
    assert max(middle.values()) < 1.4 * min(middle.values()), middle


def drip_header(peer):
    peer.write("GET /v1/ws HTTP/1.1\r\nHost: x\r\n")
    return lambda: peer.write("A: b\r\n")


def drip_pings(peer):
    peer.upgrade()
    return lambda: peer.frame(9, "x")


def seconds_until_ended(port, kind):
    peer = Raw(port)
    started, again = time.monotonic(), kind(peer)
    peer.socket.settimeout(0.2)
    try:
        while time.monotonic() - started < 6:
            try:
                again()
                if peer.socket.recv(4096) == b"":
                    break
            except TimeoutError:
                pass
    except OSError:
        pass
    peer.socket.close()
    return time.monotonic() - started


def test_dripping_does_not_prolong_the_login_phase(shared):
    """Neither header bytes nor pings: the time runs from the first byte to the hello (3 s here, 10 s by default)."""
    with ThreadPoolExecutor(2) as pool:
        took = list(pool.map(lambda kind: seconds_until_ended(shared.gateway_port, kind), (drip_header, drip_pings)))
    assert all(2 < t < 5.9 for t in took), took


def test_the_defaults_of_the_login_phase(shared):
    text = shared.pigeon("config", "doc").stdout
    for key, value in {"hello_timeout_ms": "10000", "hello_bytes": "16384", "address_unauthenticated": "512", "login_failures": "10", "trusted_proxies": "127.0.0.1"}.items():
        row = next(line for line in text.splitlines() if f"`{key}`" in line or f"| {key} " in line or f".{key}`" in line)
        assert value in row, row


def test_revocation_reaches_live_sockets_and_the_audit_log(shared, root, join):
    """By an administrator, by the command line, by the user himself; only what others do to him is audited."""
    def audited(user):
        return [(e["actor"], e.get("detail")) for e in root.ok("GET", "/admin/audit?limit=200")["entries"] if e["action"] == "session.revoke" and e["object"] == user]

    alice, bob, carol = join("alice", "bob", "carol")
    with Client(shared.ws_url, alice.token) as a, Client(shared.ws_url, bob.token) as b, Client(shared.ws_url, carol.token) as c:
        assert root.call("PATCH", f"/admin/users/{alice.user}", {"password": "another password"}).status == 200
        a.wait_closed(5)
        shared.pigeon("user", "logout", bob.user)
        b.wait_closed(5)
        assert carol.call("POST", "/logout").status == 204
        c.wait_closed(5)
    for person in (alice, bob, carol):
        assert person.call("GET", "/me").status == 401
    assert audited(alice.user) == [("root", "all")]
    assert audited(bob.user) == [("command line", "all")]
    assert audited(carol.user) == []


def test_tokens_are_stored_hashed(shared, join):
    alice, = join("alice")
    assert len(alice.token) == 43
    wait_until(lambda: alice.call("GET", "/me").status == 200)
    for folder, _, files in os.walk(os.path.join(shared.data, "store")):
        for name in files:
            with open(os.path.join(folder, name), "rb") as f:
                data = f.read()
            assert alice.token[:20].encode() not in data and alice.token[-20:].encode() not in data, name


def test_a_hello_is_small(shared, join):
    """16 KiB at most, also when it would be right otherwise; after it a frame may be 64 KiB."""
    alice, = join("alice")
    for size, fits in ((16000, True), (16500, False)):
        peer = Raw(shared.gateway_port)
        peer.upgrade()
        text = json.dumps({"id": 1, "hello": {"token": alice.token}})
        peer.frame(1, text + " " * (size - len(text)))
        answer = json.loads(peer.read_frame()[1])
        assert ("ok" in answer) == fits, (size, answer)
        if fits:
            peer.frame(1, '{"id":2,"ping":{}}' + " " * 60000)
            assert json.loads(peer.read_frame()[1])["id"] == 2
        else:
            assert peer.close_code() == 4401
        peer.socket.close()


def test_an_anonymous_body_is_small(shared):
    """16 KiB before anybody is known; a user's may be larger."""
    with socket.create_connection(("127.0.0.1", shared.base + 3), timeout=5) as s:
        s.sendall(b"POST /v1/login HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 16385\r\n\r\n" + b" " * 16385)
        assert b" 413 " in s.recv(200)
