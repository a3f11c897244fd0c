"""Users and contacts."""
import pytest


def test_users_are_found_by_id_and_name(join):
    alice, bob = join("findalice", "findbob")
    found = {u["user"]: u for u in alice.ok("GET", "/users?q=find&limit=200")["users"]}
    assert {alice.user, bob.user} <= set(found)
    assert found[bob.user]["name"] == bob.user.title()
    assert set(found[bob.user]) <= {"user", "name", "about", "avatar"}
    assert alice.ok("GET", f"/users/{bob.user}")["user"] == bob.user
    alice.refused("not_found", "GET", "/users/nobody-here")


def test_users_come_in_pages(join):
    people = join(*["paged"] * 5)
    names, after = [], ""
    while True:
        page = people[0].ok("GET", f"/users?q=paged&limit=2{'&after=' + after if after else ''}")
        names += [u["user"] for u in page.get("users", [])]
        if not page["more"]:
            break
        after = page["next"]
    assert set(names) == {p.user for p in people} and len(names) == 5


@pytest.mark.parametrize("query", ["limit=0", "limit=201", "limit=-1", "limit=x", "limit=", "limit=1e2", "limit=99999999999999999999", "after=Bad", "q=" + "x" * 65, "q=%ff"])
def test_bad_queries_name_the_parameter(join, query):
    alice, = join("alice")
    answer = alice.call("GET", "/users?" + query)
    if query == "q=%ff":
        assert answer.status in (200, 400)
        return
    assert answer.code == "invalid" and answer.text.startswith(query.split("=")[0] + ":"), answer


def states(person):
    return {c["user"]: c["state"] for c in person.ok("GET", "/contacts").get("contacts", [])}


def test_contacts_are_asked_and_accepted(join):
    alice, bob = join("alice", "bob")
    assert alice.ok("GET", "/contacts") == {}
    assert alice.call("POST", "/contacts", {"user": bob.user, "note": "it's me"}).status == 201
    assert states(alice) == {bob.user: "requested"} and states(bob) == {alice.user: "pending"}
    assert bob.ok("GET", "/contacts")["contacts"][0]["note"] == "it's me"
    alice.refused("not_found", "POST", f"/contacts/{bob.user}/accept")  # not hers to accept
    assert bob.call("POST", f"/contacts/{alice.user}/accept").status == 204
    assert states(alice) == {bob.user: "accepted"} and states(bob) == {alice.user: "accepted"}
    assert alice.call("DELETE", f"/contacts/{bob.user}").status == 204
    assert states(alice) == states(bob) == {}
    alice.refused("not_found", "DELETE", f"/contacts/{bob.user}")


def test_contacts_are_declined(join):
    alice, bob = join("alice", "bob")
    alice.call("POST", "/contacts", {"user": bob.user})
    assert bob.call("POST", f"/contacts/{alice.user}/decline").status == 204
    assert states(alice) == states(bob) == {}


def test_who_is_blocked_cannot_write(join):
    alice, bob = join("alice", "bob")
    alice.send(bob, "hello")
    assert bob.call("POST", f"/contacts/{alice.user}/block").status == 204
    assert states(bob) == {alice.user: "blocked"}
    alice.refused("forbidden", "POST", f"/users/{bob.user}/messages", {"client_id": "b1", "body": {"text": "x"}})
    alice.refused("forbidden", "POST", "/contacts", {"user": bob.user})
    assert bob.call("POST", f"/contacts/{alice.user}/unblock").status == 204
    alice.send(bob, "again")
    assert bob.texts(alice.direct(bob)) == ["hello", "again"]


def test_bad_contacts(join):
    alice, = join("alice")
    alice.refused("not_found", "POST", "/contacts", {"user": "nobody-here"})
    assert alice.refused("invalid", "POST", "/contacts", {"user": alice.user}).text.startswith("user:")
    assert alice.refused("invalid", "POST", "/contacts", {}).text.startswith("user:")
    assert alice.refused("invalid", "POST", "/contacts", {"user": "a.b"}).text.startswith("user:")
    assert alice.refused("invalid", "POST", "/contacts", {"user": "bob", "note": "x" * 257}).text.startswith("note:")
    alice.refused("not_found", "POST", "/contacts/nobody-here/block")
