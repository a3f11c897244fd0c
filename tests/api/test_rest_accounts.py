"""Registration, login, sessions, passwords, lockout."""

import pytest
from client import Client
from cluster import wait_until
from rest import PASSWORD, Person, call


def login(node, user, password, **more):
    return call(node, "POST", "/v1/login", {"user": user, "password": password, **more})


def test_info_needs_no_login(node):
    answer = call(node, "GET", "/v1/info")
    assert answer.status == 200
    assert answer.json["registration"] == "open"
    assert answer.json["max_file_bytes"] == 300000
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert answer.headers["Cache-Control"] == "no-store"


def test_register_log_in_and_out(node, join):
    alice, = join("alice")
    assert alice.ok("GET", "/me")["name"] == alice.user.title()
    again = Person.log_in(node, alice.user, device="second")
    assert again.ok("GET", "/me")["user"] == alice.user
    assert again.call("POST", "/logout").status == 204
    assert again.call("GET", "/me").code == "unauthenticated"
    assert alice.call("GET", "/me").status == 200


def test_a_login_without_device_gets_one(node, join):
    alice, = join("alice")
    answer = login(node, alice.user, PASSWORD)
    assert answer.status == 200 and answer.json["device"].startswith("rest-")
    assert len(alice.ok("GET", "/me/sessions")["sessions"]) == 2


def test_the_same_device_replaces_its_token(node, join):
    alice, = join("alice")
    newer = Person.log_in(node, alice.user, device=alice.device)
    assert alice.call("GET", "/me").code == "unauthenticated"
    assert newer.call("GET", "/me").status == 200
    assert len(newer.ok("GET", "/me/sessions")["sessions"]) == 1


@pytest.mark.parametrize("body, field", [
    ({"user": "Al", "password": PASSWORD}, "user"), ({"user": "", "password": PASSWORD}, "user"), ({"password": PASSWORD}, "user"),
    ({"user": "a*", "password": PASSWORD}, "user"), ({"user": "x" * 33, "password": PASSWORD}, "user"), ({"user": 5, "password": PASSWORD}, "user"),
    ({"user": "newcomer", "password": "short"}, "password"), ({"user": "newcomer"}, "password"), ({"user": "newcomer", "password": 12345678}, "password"),
    ({"user": "newcomer", "password": "newcomer"}, "password"), ({"user": "newcomer", "password": "x" * 1025}, "password"),
    ({"user": "newcomer", "password": PASSWORD, "device": "a b"}, "device"), ({"user": "newcomer", "password": PASSWORD, "device": "x" * 33}, "device"),
    ({"user": "newcomer", "password": PASSWORD, "name": "x" * 65}, "name"), ({"user": "newcomer", "password": PASSWORD, "name": "a\nb"}, "name"),
])
def test_register_refuses_and_names_the_field(node, body, field):
    answer = call(node, "POST", "/v1/register", body)
    assert (answer.status, answer.code) == (400, "invalid")
    assert answer.text.startswith(field + ":"), answer


def test_a_user_id_is_given_once(node, join):
    alice, = join("alice")
    answer = call(node, "POST", "/v1/register", {"user": alice.user, "password": PASSWORD})
    assert (answer.status, answer.code) == (409, "conflict")


def test_wrong_password_and_unknown_user_look_the_same(node, join):
    alice, = join("alice")
    wrong, unknown = login(node, alice.user, "wrong password"), login(node, "nobody-here", "wrong password")
    assert (wrong.status, wrong.code) == (unknown.status, unknown.code) == (401, "unauthenticated")
    assert wrong.raw == unknown.raw


@pytest.mark.parametrize("header", ["", "Bearer", "Bearer x", "Basic YTpi", "Bearer " + "A" * 43, "Bearer " + "A" * 5000, "Token abc"])
def test_bad_tokens(node, header):
    answer = call(node, "GET", "/v1/me", headers={"Authorization": header})
    assert (answer.status, answer.code) == (401, "unauthenticated")
    assert answer.headers["WWW-Authenticate"] == "Bearer"


def test_a_token_in_the_url_is_not_looked_at(node, join):
    alice, = join("alice")
    assert call(node, "GET", f"/v1/me?token={alice.token}&access_token={alice.token}").status == 401


def test_sessions_are_listed_and_revoked(node, join):
    alice, = join("alice", device="one")
    other = Person.log_in(node, alice.user, device="two")
    sessions = alice.ok("GET", "/me/sessions")["sessions"]
    assert {s["device"]: s["current"] for s in sessions} == {"one": True, "two": False}
    assert all(s["expires_at"] > s["created_at"] > 1.6e12 and s["address"] == "127.0.0.1" for s in sessions)
    assert alice.call("DELETE", "/me/sessions/two").status == 204
    assert other.call("GET", "/me").code == "unauthenticated"
    assert alice.call("DELETE", "/me/sessions/two").code == "not_found"


def test_revoking_closes_the_socket_within_five_seconds(node, join):
    alice, = join("alice", device="one")
    other = Person.log_in(node, alice.user, device="two")
    with Client(node.ws_url, other.token) as socket:
        assert alice.call("DELETE", "/me/sessions/two").status == 204
        socket.wait_closed(5.0)
        assert socket.closed[0] == 4401


def test_logout_closes_the_socket(node, join):
    alice, = join("alice")
    with Client(node.ws_url, alice.token) as socket:
        assert alice.call("POST", "/logout").status == 204
        socket.wait_closed(5.0)


def test_a_new_password_logs_the_others_out(node, join):
    alice, = join("alice", device="one")
    other = Person.log_in(node, alice.user, device="two")
    assert alice.call("POST", "/me/password", {"old": "wrong", "new": "another password"}).code == "forbidden"
    assert alice.call("POST", "/me/password", {"old": PASSWORD, "new": "short"}).code == "invalid"
    assert alice.call("POST", "/me/password", {"old": PASSWORD, "new": "another password"}).status == 204
    assert alice.call("GET", "/me").status == 200
    assert other.call("GET", "/me").status == 401
    assert login(node, alice.user, PASSWORD).status == 401
    assert login(node, alice.user, "another password").status == 200


def test_the_profile_is_changed_field_by_field(node, join):
    alice, = join("alice")
    me = alice.ok("PATCH", "/me", {"about": "hello\nthere", "lang": "zh-CN", "unknown": {"ignored": True}})
    assert (me["about"], me["lang"], me["name"]) == ("hello\nthere", "zh-CN", alice.user.title())
    me = alice.ok("PATCH", "/me", {"name": "Älice 文", "about": ""})
    assert me["name"] == "Älice 文" and "about" not in me and me["lang"] == "zh-CN"
    assert alice.refused("invalid", "PATCH", "/me", {"name": 5}).text.startswith("name:")
    assert alice.refused("invalid", "PATCH", "/me", {"lang": "x"}).text.startswith("lang:")
    assert alice.refused("invalid", "PATCH", "/me", {"about": "x" * 513}).text.startswith("about:")
    assert alice.refused("invalid", "PATCH", "/me", {"avatar": "../../x"}).text.startswith("avatar:")
    alice.refused("not_found", "PATCH", "/me", {"avatar": "0" * 32})
    assert alice.ok("PATCH", "/me", {})["name"] == "Älice 文"


@pytest.mark.parametrize("registration, invite, code", [("closed", "x" * 20, "forbidden"), ("invite", None, "forbidden"), ("invite", "x" * 20, "forbidden")])
def test_registration_follows_the_settings(fresh, registration, invite, code):
    cluster = fresh({"PIGEON_API_REGISTRATION": registration})
    answer = call(cluster, "POST", "/v1/register", {"user": "alice", "password": PASSWORD, "invite": invite})
    assert answer.code == code
    if registration == "invite" and invite:
        cluster.pigeon("user", "add", "root", "--admin", "--password-stdin", text=PASSWORD + "\n")
        root = Person.log_in(cluster, "root")
        made = root.ok("POST", "/admin/invites", {"uses": 2, "expires_in_s": 3600}, 201)
        Person.register(cluster, "alice", invite=made["code"])
        Person.register(cluster, "bob", invite=made["code"])
        again = call(cluster, "POST", "/v1/register", {"user": "carol", "password": PASSWORD, "invite": made["code"]})
        assert again.code == "forbidden"


def test_lockout_with_redis_and_without(fresh):
    cluster = fresh({"PIGEON_LIMITS_LOGIN_FAILURES": "3"})
    for name in ("alice", "bob", "carol"):
        Person.register(cluster, name)

    def fail(user, times):
        for _ in range(times):
            assert login(cluster, user, "wrong password").status == 401

    fail("alice", 3)
    locked = login(cluster, "alice", PASSWORD)
    assert (locked.status, locked.code) == (429, "rate_limited")
    assert 0 < locked.json["error"]["retry_after_ms"] <= 300000
    assert 0 < int(locked.headers["Retry-After"]) <= 300
    fail("nobody-here", 3)  # an unknown account locks just the same
    assert login(cluster, "nobody-here", PASSWORD).status == 429
    fail("bob", 2)
    assert login(cluster, "bob", PASSWORD).status == 200  # which forgives
    fail("bob", 2)
    assert login(cluster, "bob", PASSWORD).status == 200

    cluster.restart("api")  # Redis remembers
    assert login(cluster, "alice", PASSWORD).status == 429
    cluster.kill("redis")  # and without it memory counts
    fail("carol", 3)
    assert login(cluster, "carol", PASSWORD).status == 429
    assert login(cluster, "bob", PASSWORD).status == 200
    assert cluster.metrics("api")["pigeon_api_logins_locked_total"] >= 2


def test_one_address_is_locked_over_many_accounts(fresh):
    cluster = fresh({"PIGEON_LIMITS_LOGIN_FAILURES": "2"})
    Person.register(cluster, "alice")

    def attempt(user, password, address):
        return call(cluster, "POST", "/v1/login", {"user": user, "password": password}, headers={"X-Forwarded-For": address}).status
    for i in range(20):
        assert attempt(f"user{i}", "wrong password", "10.1.1.1") == 401
    assert attempt("alice", PASSWORD, "10.1.1.1") == 429
    assert attempt("alice", PASSWORD, "10.1.1.2, 10.1.1.1") == 429  # the proxy's own word counts, not the client's
    assert attempt("alice", PASSWORD, "10.1.1.2") == 200


def test_rates_of_a_user_are_limited(fresh):
    cluster = fresh({"PIGEON_LIMITS_USER_OPS_S": "5", "PIGEON_LIMITS_USER_OPS_BURST": "10", "PIGEON_LIMITS_USER_MESSAGES_S": "1", "PIGEON_LIMITS_USER_MESSAGES_BURST": "2"})
    alice, bob = (Person.register(cluster, n) for n in ("alice", "bob"))
    answers = [alice.call("GET", "/me") for _ in range(30)]
    refused = [a for a in answers if a.status == 429]
    assert refused and all(a.code == "rate_limited" and a.json["error"]["retry"] for a in refused)
    assert bob.call("GET", "/me").status == 200
    wait_until(lambda: alice.call("GET", "/me").status == 200, 5, "the bucket to fill")
    statuses = [bob.call("POST", "/users/alice/messages", {"client_id": f"m{i}", "body": {"text": "x"}}).status for i in range(6)]
    assert statuses[:2] == [201, 201] and 429 in statuses


def test_no_secret_is_logged(node, join):
    alice, = join("alice")
    bob, = join("bob")
    bob.send(alice, "a very private sentence")
    login(node, alice.user, "a wrong secret")
    log = node.log("api")
    for secret in (PASSWORD, alice.token, bob.token, "a wrong secret", "a very private sentence"):
        assert secret not in log


