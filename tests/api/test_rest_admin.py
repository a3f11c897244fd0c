"""Administration, and who may not."""
import pytest
from client import Client
from rest import PASSWORD, Person, call

ADMIN_CALLS = [
    ("GET", "/admin/users", None), ("POST", "/admin/users", {"user": "sneaky"}), ("PATCH", "/admin/users/root", {"name": "x"}), ("GET", "/admin/invites", None),
    ("POST", "/admin/invites", {}), ("DELETE", "/admin/invites/" + "a" * 20, None), ("GET", "/admin/status", None), ("GET", "/admin/audit", None),
]


@pytest.mark.parametrize("method, path, body", ADMIN_CALLS)
def test_others_may_not(node, join, method, path, body):
    alice, = join("alice")
    alice.refused("forbidden", method, path, body)
    assert call(node, method, "/v1" + path, body).code == "unauthenticated"


def test_a_user_with_a_one_time_password(node, root):
    made = root.ok("POST", "/admin/users", {"user": "newuser", "name": "New User"}, 201)
    assert made["must_change_password"] and not made["admin"]
    login = call(node, "POST", "/v1/login", {"user": "newuser", "password": made["password"], "device": "d"})
    assert login.status == 200 and login.json["must_change_password"] is True
    user = Person(node, login.json)
    for method, path in [("GET", "/me"), ("GET", "/convs"), ("GET", "/users"), ("GET", "/me/sessions")]:
        user.refused("forbidden", method, path)
    assert user.call("POST", "/me/password", {"old": made["password"], "new": PASSWORD}).status == 204
    assert user.ok("GET", "/me")["name"] == "New User"
    assert Person.log_in(node, "newuser", device="e").ok("GET", "/me")["user"] == "newuser"
    root.refused("conflict", "POST", "/admin/users", {"user": "newuser"})


def test_a_user_with_a_given_password(node, root):
    made = root.ok("POST", "/admin/users", {"user": "given", "password": PASSWORD, "admin": True}, 201)
    assert "password" not in made and made["admin"]
    assert root.refused("invalid", "POST", "/admin/users", {"user": "given2", "password": "short"}).text.startswith("password:")
    assert root.refused("invalid", "POST", "/admin/users", {"user": "Given"}).text.startswith("user:")
    assert root.refused("invalid", "POST", "/admin/users", {"user": "given3", "admin": "yes"}).text.startswith("admin:")


def test_disabling_closes_everything(node, root, join):
    alice, = join("alice")
    with Client(node.ws_url, alice.token) as socket:
        assert root.ok("PATCH", f"/admin/users/{alice.user}", {"disabled": True})["disabled"]
        socket.wait_closed(5.0)
    assert alice.call("GET", "/me").status == 401
    answer = call(node, "POST", "/v1/login", {"user": alice.user, "password": PASSWORD})
    assert (answer.status, answer.code) == (403, "forbidden")
    assert alice.user not in [u["user"] for u in root.ok("GET", f"/users?q={alice.user}").get("users", [])]
    assert not root.ok("PATCH", f"/admin/users/{alice.user}", {"disabled": False})["disabled"]
    Person.log_in(node, alice.user)


def test_a_new_password_by_an_administrator_logs_out(node, root, join):
    alice, = join("alice")
    changed = root.ok("PATCH", f"/admin/users/{alice.user}", {"password": "temporary password", "name": "Renamed"})
    assert changed["must_change_password"] and changed["name"] == "Renamed"
    assert alice.call("GET", "/me").status == 401
    again = Person.log_in(node, alice.user, "temporary password")
    again.refused("forbidden", "GET", "/me")


def test_rights_come_and_go_at_once(root, join):
    alice, = join("alice")
    root.ok("PATCH", f"/admin/users/{alice.user}", {"admin": True})
    alice.ok("GET", "/admin/users")
    root.ok("PATCH", f"/admin/users/{alice.user}", {"admin": False})
    alice.refused("forbidden", "GET", "/admin/users")


def test_not_to_oneself(root):
    root.refused("conflict", "PATCH", "/admin/users/root", {"disabled": True})
    root.refused("conflict", "PATCH", "/admin/users/root", {"admin": False})
    root.refused("not_found", "PATCH", "/admin/users/nobody-here", {"disabled": True})


def test_invitations(node, root):
    made = root.ok("POST", "/admin/invites", {"uses": 3, "expires_in_s": 600}, 201)
    assert made["uses_left"] == 3 and made["created_by"] == "root" and 0 < made["expires_at"] - made["created_at"] <= 600000
    Person.register(node, "invited", invite=made["code"])
    listed = {i["code"]: i for i in root.ok("GET", "/admin/invites")["invites"]}
    assert listed[made["code"]]["uses_left"] == 2
    assert root.call("DELETE", "/admin/invites/" + made["code"]).status == 204
    root.refused("not_found", "DELETE", "/admin/invites/" + made["code"])
    answer = call(node, "POST", "/v1/register", {"user": "invited2", "password": PASSWORD, "invite": made["code"]})
    assert answer.code == "forbidden"
    for body in ({"uses": 0}, {"uses": 100001}, {"expires_in_s": 1}, {"uses": "x"}):
        assert root.refused("invalid", "POST", "/admin/invites", body).text.startswith(next(iter(body)) + ":")


def test_status_names_all_services(node, root):
    from cluster import wait_until
    wait_until(lambda: {s["service"] for s in root.ok("GET", "/admin/status").get("services", [])} == set(node.services), 10, "all services' load")
    store = root.ok("GET", "/admin/status")["store"]
    assert store["users"] >= 1 and store["disk_free"] > 0


def test_the_audit_log_says_who_did_what(root):
    root.ok("POST", "/admin/users", {"user": "audited"}, 201)
    root.ok("PATCH", "/admin/users/audited", {"disabled": True, "password": "very secret password"})
    page = root.ok("GET", "/admin/audit?limit=20")
    about = [(e["actor"], e["action"]) for e in page["entries"] if e.get("object") == "audited"]
    assert ("root", "user.create") in about and ("root", "user.patch") in about
    numbers = [e["number"] for e in page["entries"]]
    assert numbers == sorted(numbers, reverse=True)
    assert "very secret password" not in str(page) and "argon2" not in str(page)
    older = root.ok("GET", f"/admin/audit?limit=2&after={numbers[0]}")["entries"]
    assert [e["number"] for e in older] == numbers[1:3]


def test_all_users_in_pages(root, join):
    join(*["adminpage"] * 3)
    page = root.ok("GET", "/admin/users?q=adminpage&limit=2")
    assert len(page["users"]) == 2 and page["more"] and page["total"] >= 3
    rest = root.ok("GET", f"/admin/users?q=adminpage&limit=2&after={page['next']}")
    assert len(rest["users"]) == 1 and not rest["more"]
    assert all("password" not in u for u in page["users"])
