"""Conversations, members and messages over REST; the rules themselves are tested with the gateway."""
import pytest
from client import Client


def test_direct_messages(join):
    alice, bob = join("alice", "bob")
    first = alice.send(bob, "hello")
    assert first["conv"] == alice.direct(bob) and first["seq"] == 1
    second = bob.send(first["conv"], "hi")
    assert second["seq"] == 2
    page = alice.ok("GET", f"/convs/{first['conv']}/messages")
    assert [(m["seq"], m["from"], m["body"]["text"]) for m in page["messages"]] == [(1, alice.user, "hello"), (2, bob.user, "hi")]
    assert page["more"] is False
    assert [m["seq"] for m in alice.ok("GET", f"/convs/{first['conv']}/messages?after=1")["messages"]] == [2]
    assert [m["seq"] for m in alice.ok("GET", f"/convs/{first['conv']}/messages?before=2")["messages"]] == [1]
    assert [m["seq"] for m in alice.ok("GET", f"/convs/{first['conv']}/messages?limit=1")["messages"]] == [2]
    assert alice.refused("invalid", "GET", f"/convs/{first['conv']}/messages?after=1&before=2").text.startswith("after:")
    cursor = alice.ok("GET", "/convs")["cursor"]
    alice.ok("POST", f"/convs/{first['conv']}/messages", {"client_id": "since", "body": {"text": "later"}})
    assert [m["seq"] for m in alice.ok("GET", f"/convs/{first['conv']}/messages?since={cursor}")["messages"]] == [3]
    assert [m["seq"] for m in alice.ok("GET", f"/convs/{first['conv']}/messages?since=0&limit=2")["messages"]] == [1, 2]
    assert alice.refused("invalid", "GET", f"/convs/{first['conv']}/messages?since=1&before=2").text.startswith("since:")
    assert alice.refused("invalid", "GET", f"/convs/{first['conv']}/messages?since=x").text.startswith("since:")


def test_a_retry_gets_the_first_answer(join):
    alice, bob = join("alice", "bob")
    body = {"client_id": "once", "body": {"text": "only once"}}
    first = alice.ok("POST", f"/users/{bob.user}/messages", body, 201)
    again = alice.ok("POST", f"/convs/{first['conv']}/messages", body, 201)
    assert (again["seq"], again["message_id"]) == (first["seq"], first["message_id"])
    assert bob.texts(first["conv"]) == ["only once"]


def test_messages_reach_sockets(node, join):
    alice, bob = join("alice", "bob")
    with Client(node.ws_url, bob.token) as socket:
        alice.send(bob, "over both worlds")
        message = socket.wait_message("over both worlds")
        assert message["from"] == alice.user and message["device"] == "test"


def test_conversations_are_listed_with_a_cursor(join):
    alice, bob = join("alice", "bob")
    alice.send(bob, "one")
    page = bob.ok("GET", "/convs")
    state, = page["convs"]
    assert (state["conv"], state["kind"], state["peer"], state["last_seq"], state["unread"]) == (alice.direct(bob), "direct", alice.user, 1, 1)
    assert bob.ok("GET", f"/convs?cursor={page['cursor']}").get("convs", []) == []
    alice.send(bob, "two")
    assert bob.ok("GET", f"/convs?cursor={page['cursor']}")["convs"][0]["last_seq"] == 2
    assert bob.refused("invalid", "GET", "/convs?cursor=abc").text.startswith("cursor:")


def test_marks_and_receipts(join):
    alice, bob = join("alice", "bob")
    conv = alice.send(bob, "one")["conv"]
    assert bob.call("POST", f"/convs/{conv}/mark", {"read": 1}).status == 204
    receipts = alice.ok("GET", f"/convs/{conv}/receipts?seq=1")
    assert bob.user in receipts["read"]
    assert bob.ok("GET", "/convs")["convs"][0]["unread"] == 0
    assert alice.refused("invalid", "GET", f"/convs/{conv}/receipts").text.startswith("seq:")
    assert alice.refused("invalid", "GET", f"/convs/{conv}/receipts?seq=0").text.startswith("seq:")


def test_a_group_and_its_members(join):
    alice, bob, carol = join("alice", "bob", "carol")
    conv = alice.group("The group", [bob], about="what for")
    info = bob.ok("GET", f"/convs/{conv}")
    assert (info["title"], info["role"], info["members"], info["settings"]["about"]) == ("The group", "member", 2, "what for")
    assert alice.ok("POST", f"/convs/{conv}/members", {"users": [carol.user]})["conv"] == conv
    members = alice.ok("GET", f"/convs/{conv}/members")["members"]
    assert {m["user"]: m["role"] for m in members} == {alice.user: "owner", bob.user: "member", carol.user: "member"}
    assert [m["user"] for m in alice.ok("GET", f"/convs/{conv}/members?limit=1&after={alice.user}")["members"]] == [bob.user]
    alice.ok("PATCH", f"/convs/{conv}/members/{bob.user}", {"role": "admin"})
    bob.ok("PATCH", f"/convs/{conv}", {"title": "New title"})
    assert carol.ok("GET", f"/convs/{conv}")["title"] == "New title"
    bob.ok("PATCH", f"/convs/{conv}/members/{carol.user}", {"mute_seconds": 60})
    carol.refused("forbidden", "POST", f"/convs/{conv}/messages", {"client_id": "m", "body": {"text": "x"}})
    bob.ok("PATCH", f"/convs/{conv}/members/{carol.user}", {"mute_seconds": 0})
    carol.send(conv, "I may")
    carol.ok("DELETE", f"/convs/{conv}/members/{carol.user}")  # leaves
    carol.refused("forbidden", "POST", f"/convs/{conv}/messages", {"client_id": "m", "body": {"text": "x"}})
    alice.ok("DELETE", f"/convs/{conv}/members/{bob.user}")  # put out
    bob.refused("forbidden", "GET", f"/convs/{conv}/messages")


def test_open_groups_are_joined(join):
    alice, bob = join("alice", "bob")
    closed, wide = alice.group("closed"), alice.group("open", open=True)
    bob.refused("forbidden", "POST", f"/convs/{closed}/join")
    assert bob.ok("POST", f"/convs/{wide}/join")["conv"] == wide
    bob.send(wide, "hello all")


@pytest.mark.parametrize("body, field", [
    ({}, "title"), ({"title": ""}, "title"), ({"title": 5}, "title"), ({"title": "x" * 129}, "title"), ({"title": "a", "members": "bob"}, "members"),
    ({"title": "a", "members": ["*"]}, "members"), ({"title": "a", "members": [5]}, "members"), ({"title": "a", "settings": []}, "settings"),
    ({"title": "a", "settings": {"open": "yes"}}, "settings.open"), ({"title": "a", "settings": {"avatar": "x/../y"}}, "settings.avatar"),
])
def test_bad_groups_name_the_field(join, body, field):
    alice, = join("alice")
    assert alice.refused("invalid", "POST", "/convs", body).text.startswith(field + ":")


@pytest.mark.parametrize("body, field", [
    ({"body": {"text": "x"}}, "client_id"), ({"client_id": "", "body": {"text": "x"}}, "client_id"), ({"client_id": "a b", "body": {"text": "x"}}, "client_id"),
    ({"client_id": "x" * 65, "body": {"text": "x"}}, "client_id"), ({"client_id": "a"}, "body"), ({"client_id": "a", "body": "x"}, "body"),
    ({"client_id": "a", "body": {"text": 5}}, "body.text"), ({"client_id": "a", "kind": "shout", "body": {"text": "x"}}, "kind"),
    ({"client_id": "a", "kind": "operation", "body": {"text": "x"}}, "kind"), ({"client_id": "a", "body": {"operation": {"op": "recall", "seq": 1}}}, "body.operation"),
    ({"client_id": "a", "body": {"text": "x"}, "reply_to": -1}, "reply_to"), ({"client_id": "a", "body": {"text": "x"}, "reply_to": 2**53}, "reply_to"),
    ({"client_id": "a", "body": {"text": "x"}, "mentions": ["*"]}, "mentions"), ({"client_id": "a", "body": {"text": "x"}, "mentions": ["b"] * 101}, "mentions"),
])
def test_bad_messages_name_the_field(join, body, field):
    alice, bob = join("alice", "bob")
    assert alice.refused("invalid", "POST", f"/users/{bob.user}/messages", body).text.startswith(field + ":")


def test_who_is_no_member_sees_nothing(join):
    alice, bob, eve = join("alice", "bob", "eve")
    direct = alice.send(bob, "secret")["conv"]
    group = alice.group("ours", [bob])
    gone = alice.group("past", [eve])
    alice.ok("DELETE", f"/convs/{gone}/members/{eve.user}")
    alice.send(gone, "after")
    for conv in (direct, group, gone):
        for method, path, body in [
            ("GET", "", None), ("GET", "/messages", None), ("GET", "/members", None), ("GET", "/receipts?seq=1", None), ("POST", "/mark", {"read": 1}),
            ("POST", "/messages", {"client_id": "x", "body": {"text": "x"}}), ("PATCH", "", {"title": "mine"}), ("POST", "/members", {"users": [eve.user]}),
            ("PATCH", f"/members/{alice.user}", {"role": "member"}), ("PATCH", f"/members/{alice.user}", {"mute_seconds": 5}),
            ("DELETE", f"/members/{alice.user}", None), ("DELETE", f"/members/{eve.user}", None), ("POST", "/join", None),
        ]:
            answer = eve.call(method, f"/convs/{conv}{path}", body)
            assert answer.code in ("forbidden", "not_found", "invalid"), (conv, method, path, answer)
            assert b"secret" not in answer.raw and b"after" not in answer.raw
    assert alice.texts(direct) == ["secret"]
    assert alice.ok("GET", f"/convs/{group}")["title"] == "ours"
