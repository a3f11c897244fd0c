"""Every operation x owner, member, ex-member, stranger, anonymous. The table says who may; everyone else must be refused."""
import pytest

from client import Client, Refused

ROLES = ["owner", "member", "former", "stranger"]
# operation: (fields, who may). CONV, SEQ, OTHER stand for the group, a message of the owner's, another member.
TABLE = {
    "send": ({"to": {"conv": "CONV"}, "client_id": "p-ROLE", "kind": "text", "body": {"text": "x"}}, {"owner", "member"}),
    "fetch": ({"conv": "CONV", "limit": 10}, {"owner", "member"}),
    "mark": ({"conv": "CONV", "read": 1}, {"owner", "member"}),
    "info": ({"conv": "CONV"}, {"owner", "member"}),
    "members": ({"conv": "CONV"}, {"owner", "member"}),
    "receipts": ({"conv": "CONV", "seq": "SEQ"}, {"owner", "member"}),
    "react": ({"conv": "CONV", "seq": "SEQ", "emoji": "👍", "on": True}, {"owner", "member"}),
    "edit": ({"conv": "CONV", "seq": "SEQ", "body": {"text": "changed"}}, {"owner"}),
    "recall": ({"conv": "CONV", "seq": "SEQ"}, {"owner"}),
    "invite": ({"conv": "CONV", "users": ["NEWCOMER"]}, {"owner"}),
    "join": ({"conv": "CONV"}, set()),
    "update": ({"conv": "CONV", "title": "mine now"}, {"owner"}),
    "mute": ({"conv": "CONV", "user": "OTHER", "seconds": 1}, {"owner"}),
    "role": ({"conv": "CONV", "user": "OTHER", "role": "admin"}, {"owner"}),
    "kick": ({"conv": "CONV", "user": "OTHER"}, {"owner"}),
}


def filled(value, words):
    if isinstance(value, dict):
        return {k: filled(v, words) for k, v in value.items()}
    if isinstance(value, list):
        return [filled(v, words) for v in value]
    if isinstance(value, str):
        value = words.get(value, value)
        return value.replace("ROLE", words["role"]) if isinstance(value, str) else value
    return value


@pytest.fixture
def scene(people):
    """A group with an owner, a member, a former member, another member; and a stranger."""
    owner, member, former, other, stranger = people.join("owner", "member", "former", "other", "stranger")
    (newcomer,) = people.join("newcomer")
    conv = owner.call("create", kind="group", title="g", members=[member.user, former.user, other.user])["conv"]
    seq = owner.send(conv, "the owner's words")["seq"]
    owner.call("kick", conv=conv, user=former.user)
    return {"owner": owner, "member": member, "former": former, "stranger": stranger,
            "words": {"CONV": conv, "SEQ": seq, "OTHER": other.user, "NEWCOMER": newcomer.user}}


@pytest.mark.parametrize("operation", TABLE)
def test_who_may(scene, operation):
    fields, allowed = TABLE[operation]
    for role in reversed(ROLES):  # the owner last: what he does changes the scene
        asked = filled(fields, {**scene["words"], "role": role})
        if role in allowed:
            scene[role].call(operation, **asked)
        elif operation == "join" and role in ("owner", "member"):
            continue  # they are in: any answer will do
        else:
            with pytest.raises(Refused) as refused:
                scene[role].call(operation, **asked)
            assert refused.value.code in ("forbidden", "not_found"), (role, refused.value)


def test_typing_of_strangers_reaches_nobody(scene):
    conv = scene["words"]["CONV"]
    for who in ("stranger", "former"):
        scene[who].post("typing", conv=conv)
    scene["member"].post("typing", conv=conv)
    scene["owner"].wait_event("typing", lambda t: t["user"] == scene["member"].user)
    assert {e["typing"]["user"] for e in scene["owner"].events if "typing" in e} == {scene["member"].user}


def test_a_former_member_hears_nothing_more(scene):
    conv, former = scene["words"]["CONV"], scene["former"]
    scene["owner"].send(conv, "without the former")
    scene["member"].wait_message("without the former")
    former.call("ping")
    assert "without the former" not in [m["body"].get("text") for m in former.messages()]


def test_direct_conversations_of_others_are_closed(people):
    alice, bob, eve = people.join("alice", "bob", "eve")
    conv = alice.send(bob.user, "between us")["conv"]
    for operation, fields in {"fetch": {"conv": conv, "limit": 5}, "mark": {"conv": conv, "read": 1}, "receipts": {"conv": conv, "seq": 1}, "members": {"conv": conv}, "info": {"conv": conv},
                              "react": {"conv": conv, "seq": 1, "emoji": "x", "on": True}, "recall": {"conv": conv, "seq": 1}, "edit": {"conv": conv, "seq": 1, "body": {"text": "x"}},
                              "send": {"to": {"conv": conv}, "client_id": "e", "kind": "text", "body": {"text": "x"}}}.items():
        with pytest.raises(Refused) as refused:
            eve.call(operation, **fields)
        assert refused.value.code in ("forbidden", "not_found"), operation


def test_the_sender_is_the_session(people):
    alice, bob = people.join("alice", "bob")
    alice.call("send", to={"user": bob.user}, client_id="x", kind="text", body={"text": "who am I"}, **{"from": bob.user, "user": bob.user, "device": "other"})
    got = bob.wait_message("who am I")
    assert got["from"] == alice.user and got["device"] == "test"


@pytest.mark.parametrize("operation", [*TABLE, "sync", "watch", "status", "create", "leave", "typing", "ping"])
def test_anonymous_may_nothing(shared, operation):
    client = Client(shared.ws_url, hello=False)
    with pytest.raises((Refused, ConnectionError)) as refused:
        client.call(operation, conv="c234567abcdefghij")
    if refused.type is Refused:
        assert refused.value.code == "unauthenticated"
    assert client.wait_closed()[0] in (4401, 4400)


@pytest.mark.parametrize("token", ["", "x", "A" * 43, "A" * 10000, "../../etc", "\u0000"])
def test_wrong_tokens(shared, token):
    with pytest.raises((Refused, ConnectionError)) as refused:
        Client(shared.ws_url, token)
    if refused.type is Refused:
        assert refused.value.code in ("unauthenticated", "invalid")


def test_blocked_people_cannot_write(shared, people):
    alice, bob = people.join("alice", "bob")
    conv = bob.send(alice.user, "first")["conv"]
    assert shared.rest("POST", f"/v1/contacts/{bob.user}/block", token=alice.token)[0] == 204
    with pytest.raises(Refused) as refused:
        bob.send(conv, "second")
    assert refused.value.code == "forbidden"
    assert shared.rest("POST", f"/v1/contacts/{bob.user}/unblock", token=alice.token)[0] == 204
    bob.send(conv, "third")
    alice.wait_message("third")


def test_disabled_people_are_out_within_five_seconds(shared, people):
    alice, bob = people.join("alice", "bob")
    shared.pigeon("user", "disable", bob.user)
    bob.wait_closed(5)
    with pytest.raises((Refused, ConnectionError)):
        Client(shared.ws_url, bob.token)
    with pytest.raises(Refused):
        alice.send(bob.user, "anyone there?")


def test_who_is_enabled_again_writes_to_his_groups_at_once(shared, people):
    alice, bob = people.join("alice", "bob")
    conv = alice.call("create", kind="group", title="g", members=[bob.user])["conv"]
    shared.pigeon("user", "disable", bob.user)
    bob.wait_closed(5)
    alice.call("update", conv=conv, title="while he is out")  # the message service loads a policy that says so
    alice.send(conv, "is he out?")
    shared.pigeon("user", "enable", bob.user)
    (again,) = people.join("bob")
    again.send(conv, "back")
    alice.wait_message("back")
