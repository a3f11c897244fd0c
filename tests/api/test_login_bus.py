"""Login over the bus, as a gateway asks for MQTT clients that give a password: the rules of POST /v1/login."""
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from bus import Bus, ask, schema
from rest import PASSWORD, Person, call

INVALID, UNAUTHENTICATED, FORBIDDEN, RATE_LIMITED = -1, -2, -3, -7


@pytest.fixture(scope="module")
def pb(tmp_path_factory):
    return schema(tmp_path_factory.mktemp("schema"))


def log_in(cluster, pb, user, password=PASSWORD, device="pump", address="10.0.0.7"):
    return ask(cluster, "gateway", "pgn.api.login", pb.LoginRequest(user=user, password=password, device=device, address=address), pb, 30)


def test_a_password_gives_a_token(node, join, pb):
    alice, = join("alice")
    answer = log_in(node, pb, alice.user)
    assert answer.error == 0 and call(node, "GET", "/v1/me", token=answer.login.token).json["user"] == alice.user
    first = answer.login.token
    answer = log_in(node, pb, alice.user)  # the device's older token ends
    assert answer.error == 0 and answer.login.token != first
    assert call(node, "GET", "/v1/me", token=answer.login.token).status == 200
    sessions = {s["device"]: s for s in alice.ok("GET", "/me/sessions")["sessions"]}
    assert set(sessions) == {alice.device, "pump"} and sessions["pump"]["address"] == "10.0.0.7"


def test_what_is_refused(node, join, root, pb):
    alice, = join("alice")
    wrong, nobody = log_in(node, pb, alice.user, "wrong password"), log_in(node, pb, "nobody-here", "wrong password")
    assert (wrong.error, wrong.text) == (nobody.error, nobody.text) == (UNAUTHENTICATED, "wrong user or password")
    for user, more in ((alice.user, {"device": ""}), (alice.user, {"device": "no device"}), (alice.user, {"password": ""}), (alice.user, {"address": ""}),
                       (alice.user, {"address": "1" * 46}), ("No User", {}), (alice.user, {"password": "x" * 300})):
        assert log_in(node, pb, user, **more).error == INVALID, more
    root.ok("PATCH", f"/admin/users/{alice.user}", {"disabled": True})
    assert log_in(node, pb, alice.user).error == FORBIDDEN
    assert log_in(node, pb, alice.user, "wrong password").error == UNAUTHENTICATED


def test_a_one_time_password_opens_nothing(node, root, pb):
    made = root.ok("POST", "/admin/users", {"user": "once"}, status=201)
    answer = log_in(node, pb, "once", made["password"])
    assert answer.error == FORBIDDEN and "web page" in answer.text and not answer.HasField("login")


def test_lockout_counts_both_ways_together(fresh, pb):
    cluster = fresh({"PIGEON_LIMITS_LOGIN_FAILURES": "3"})
    Person.register(cluster, "alice")
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda i: ask(cluster, "gateway", "pgn.api.login", pb.LoginRequest(user="alice", password=f"wrong {i}", device="d", address="10.0.0.7"), pb, 30).error, range(8)))
    assert answers.count(UNAUTHENTICATED) == 3 and answers.count(RATE_LIMITED) == 5, answers
    locked = log_in(cluster, pb, "alice")
    assert locked.error == RATE_LIMITED and locked.retry_after_ms > 0
    assert call(cluster, "POST", "/v1/login", {"user": "alice", "password": PASSWORD, "device": "d"}).status == 429


def test_a_storm_is_bounded(fresh, pb):
    """More than may wait are sent away, the others served one after the other; the api lives and answers."""
    cluster = fresh({"PIGEON_API_ARGON2_MEMORY_KIB": "8192", "PIGEON_API_ARGON2_PASSES": "1", "PIGEON_LIMITS_ADDRESS_CONNECTS_S": "10000", "PIGEON_LIMITS_LOGIN_FAILURES": "1000"})
    Person.register(cluster, "alice")
    errors, overloaded = storm(cluster, pb, 400), -8
    assert len(errors) == 400 and set(errors) <= {0, overloaded} and errors.count(0) >= 10 and errors.count(overloaded) >= 150, errors
    assert log_in(cluster, pb, "alice").error == 0


def storm(cluster, pb, count):
    """Errors of so many logins sent in one go over one connection."""
    answers, all_came = [], threading.Event()

    def on_answer(data, _reply):
        answers.append(pb.Reply.FromString(data).error)
        if len(answers) == count:
            all_came.set()
    bus = Bus(cluster, "gateway", {"_INBOX.gateway.storm": on_answer})
    try:
        requests = [pb.LoginRequest(user="alice", password=PASSWORD, device=f"d{i}", address="10.0.0.7").SerializeToString() for i in range(count)]
        bus.write("", b"".join(f"PUB pgn.api.login _INBOX.gateway.storm {len(r)}\r\n".encode() + r + b"\r\n" for r in requests))
        all_came.wait(60)
        return answers
    finally:
        bus.close()
