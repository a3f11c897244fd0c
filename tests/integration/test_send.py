"""Sending: acknowledged, numbered, delivered, repeated."""
import pytest

from client import Client, Refused


def test_two_people_write_to_each_other(people):
    alice, bob = people.join("alice", "bob")
    sent = alice.send(bob.user, "hello bob")
    assert sent["seq"] == 1 and sent["conv"] == f"d:{alice.user}:{bob.user}"
    got = bob.wait_message("hello bob")
    assert (got["from"], got["seq"], got["message_id"], got["kind"]) == (alice.user, 1, sent["message_id"], "text")
    assert bob.send(sent["conv"], "hello alice")["seq"] == 2
    assert alice.wait_message("hello alice")["seq"] == 2
    assert [m["body"]["text"] for m in alice.history(sent["conv"])] == ["hello bob", "hello alice"]


def test_a_retry_gets_the_first_answer_again(people):
    alice, bob = people.join("alice", "bob")
    first = alice.send(bob.user, "once", client_id="c-1")
    assert alice.send(bob.user, "once", client_id="c-1") == first
    assert alice.send(bob.user, "two", client_id="c-2")["seq"] == 2
    bob.wait_message("two")
    assert len(alice.history(first["conv"])) == 2


def test_a_retry_from_a_new_socket(people, shared):
    alice, bob = people.join("alice", "bob")
    first = alice.send(bob.user, "once", client_id="c-1")
    alice.close()
    with Client(shared.ws_url, alice.token) as again:
        assert again.send(bob.user, "once", client_id="c-1") == first


def test_a_senders_order_is_kept(people):
    alice, bob = people.join("alice", "bob")
    numbers = [alice.post_text(bob.user, f"m{i}") for i in range(500)]
    seqs = [alice.answer(n)["send"]["seq"] for n in numbers]
    assert seqs == list(range(1, 501))
    bob.wait_message("m499")
    assert [m["body"]["text"] for m in bob.messages()] == [f"m{i}" for i in range(500)]


def test_notes_to_oneself(people):
    (alice,) = people.join("alice")
    sent = alice.send(alice.user, "milk, bread")
    assert sent["conv"] == f"d:{alice.user}:{alice.user}"
    assert [m["body"]["text"] for m in alice.history(sent["conv"])] == ["milk, bread"]


@pytest.mark.parametrize("fields, code", [
    ({"to": {"user": "nobody-here"}, "client_id": "a", "kind": "text", "body": {"text": "x"}}, "not_found"),
    ({"to": {"user": "Bad Name"}, "client_id": "a", "kind": "text", "body": {"text": "x"}}, "invalid"),
    ({"to": {"user": "a.*.>"}, "client_id": "a", "kind": "text", "body": {"text": "x"}}, "invalid"),
    ({"to": {"conv": "c234567abcdefghij"}, "client_id": "a", "kind": "text", "body": {"text": "x"}}, ("invalid", "not_found", "forbidden")),
    ({"client_id": "a", "kind": "text", "body": {"text": "x"}}, "invalid"),
    ({"to": {"user": "@"}, "kind": "text", "body": {"text": "x"}}, "invalid"),
    ({"to": {"user": "@"}, "client_id": "x" * 65, "kind": "text", "body": {"text": "x"}}, "invalid"),
    ({"to": {"user": "@"}, "client_id": "a", "kind": "operation", "body": {"operation": {"op": "recall", "seq": 1}}}, "invalid"),
    ({"to": {"user": "@"}, "client_id": "a", "kind": "nonsense", "body": {"text": "x"}}, "invalid"),
    ({"to": {"user": "@"}, "client_id": "a", "kind": "text", "body": {"text": "x" * 20000}}, "too_large"),
    ({"to": {"user": "@"}, "client_id": "a", "kind": "text"}, "invalid"),
])
def test_what_is_wrong_is_refused_clearly(people, fields, code):
    alice, bob = people.join("alice", "bob")
    if fields.get("to", {}).get("user") == "@":
        fields = {**fields, "to": {"user": bob.user}}
    with pytest.raises(Refused) as refused:
        alice.call("send", **fields)
    assert refused.value.code in (code if isinstance(code, tuple) else (code,))
    assert len(refused.value.error["text"]) > 5
    alice.send(bob.user, "still here")


def test_reply_and_mention(people):
    alice, bob = people.join("alice", "bob")
    first = alice.send(bob.user, "who comes?")
    bob.send(first["conv"], "I do", reply_to=1, mentions=[alice.user])
    got = alice.wait_message("I do")
    assert got["reply_to"] == 1 and got["mentions"] == [alice.user]
