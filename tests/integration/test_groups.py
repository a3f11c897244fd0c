"""Groups: coming, going, roles, visibility, big ones."""
import pytest

from client import Refused


def group_of(owner, *others, **settings):
    made = owner.call("create", kind="group", title="Class 7b", members=[o.user for o in others], settings=settings)
    return made["conv"]


def kinds(client, conv):
    return [m["body"]["operation"]["op"] for m in client.history(conv) if m["kind"] == "operation"]


def test_a_group_from_beginning_to_end(people):
    owner, bob, carol = people.join("owner", "bob", "carol")
    conv = group_of(owner, bob)
    bob.wait_event("changed", lambda c: c["conv"] == conv)
    assert bob.send(conv, "hi all")["conv"] == conv
    owner.wait_message("hi all")
    owner.call("invite", conv=conv, users=[carol.user])
    carol.wait_event("changed", lambda c: c["conv"] == conv)
    carol.send(conv, "thanks")
    bob.wait_message("thanks")
    bob.call("leave", conv=conv)
    with pytest.raises(Refused) as refused:
        bob.send(conv, "am I still in?")
    assert refused.value.code == "forbidden"
    owner.call("kick", conv=conv, user=carol.user)
    with pytest.raises(Refused):
        carol.call("fetch", conv=conv, limit=10)
    assert kinds(owner, conv) == ["created", "invited", "left", "kicked"]


def test_new_members_see_only_what_comes_after_them(people):
    owner, bob, carol = people.join("owner", "bob", "carol")
    conv = group_of(owner, bob)
    owner.send(conv, "a secret of the two")
    owner.call("invite", conv=conv, users=[carol.user])
    owner.send(conv, "for three")
    texts = [m["body"].get("text") for m in carol.call("fetch", conv=conv, limit=50)["messages"] if m["kind"] == "text"]
    assert texts == ["for three"]


def test_history_for_new_members_when_the_group_wants_it(people):
    owner, bob, carol = people.join("owner", "bob", "carol")
    conv = group_of(owner, bob, history=True)
    owner.send(conv, "welcome, whoever comes")
    owner.call("invite", conv=conv, users=[carol.user])
    assert "welcome, whoever comes" in [m["body"].get("text") for m in carol.call("fetch", conv=conv, limit=50)["messages"]]


def test_only_open_groups_are_joined(people):
    owner, bob = people.join("owner", "bob")
    closed = group_of(owner)
    with pytest.raises(Refused) as refused:
        bob.call("join", conv=closed)
    assert refused.value.code == "forbidden"
    opened = group_of(owner, open=True)
    bob.call("join", conv=opened)
    bob.send(opened, "I found it")
    owner.wait_message("I found it")


def test_roles_and_handing_over(people):
    owner, bob, carol = people.join("owner", "bob", "carol")
    conv = group_of(owner, bob, carol)
    with pytest.raises(Refused):
        bob.call("kick", conv=conv, user=carol.user)
    owner.call("role", conv=conv, user=bob.user, role="admin")
    bob.call("update", conv=conv, title="Class 8b")
    assert carol.call("info", conv=conv)["title"] == "Class 8b"
    with pytest.raises(Refused):
        bob.call("kick", conv=conv, user=owner.user)
    with pytest.raises(Refused):
        owner.call("leave", conv=conv)
    owner.call("role", conv=conv, user=bob.user, role="owner")
    owner.call("leave", conv=conv)
    roles = {m["user"]: m["role"] for m in bob.call("members", conv=conv)["members"]}
    assert roles == {bob.user: "owner", carol.user: "member"}


def test_muted_members_and_groups(people):
    owner, bob = people.join("owner", "bob")
    conv = group_of(owner, bob)
    owner.call("mute", conv=conv, user=bob.user, seconds=3600)
    with pytest.raises(Refused) as refused:
        bob.send(conv, "let me speak")
    assert refused.value.code == "forbidden" and "muted" in refused.value.error["text"]
    owner.call("mute", conv=conv, user=bob.user, seconds=0)
    bob.send(conv, "free again")
    owner.call("mute", conv=conv, seconds=3600)
    with pytest.raises(Refused):
        bob.send(conv, "all muted")
    owner.send(conv, "administrators still write")


def test_mentions_must_be_members(people):
    owner, bob, carol = people.join("owner", "bob", "carol")
    conv = group_of(owner, bob)
    owner.send(conv, "you!", mentions=[bob.user])
    owner.send(conv, "everybody!", mentions=["all"])
    with pytest.raises(Refused):
        bob.send(conv, "everybody!", mentions=["all"])
    with pytest.raises(Refused):
        owner.send(conv, "and you", mentions=[carol.user])
    state = bob.sync()[0][conv]
    assert state["mentioned"] > 0


def test_who_has_read(people):
    owner, bob, carol = people.join("owner", "bob", "carol")
    conv = group_of(owner, bob, carol)
    seq = owner.send(conv, "read this")["seq"]
    bob.call("mark", conv=conv, read=seq)
    owner.wait_event("mark", lambda m: m["user"] == bob.user and m["read"] == seq)
    receipts = owner.call("receipts", conv=conv, seq=seq)
    assert bob.user in receipts["read"] and carol.user not in receipts.get("read", [])
    assert receipts["members"] == 2, "whom it was for: the writer is not counted"


def test_a_group_of_ten_thousand(shared, people):
    (owner,) = people.join("owner")
    names = [f"big{i}" for i in range(9999)]
    tokens = shared.add_users(*names)
    conv = owner.call("create", kind="group", title="All of us", members=names[:1000], timeout=30)["conv"]
    for i in range(1000, len(names), 1000):
        owner.call("invite", conv=conv, users=names[i:i + 1000], timeout=30)
    with pytest.raises(Refused) as refused:
        owner.call("invite", conv=conv, users=people.join("one-too-many")[0].user.split())
    assert refused.value.code == "too_large", refused.value
    from client import Client
    with Client(shared.ws_url, tokens["big9998"]) as last, Client(shared.ws_url, tokens["big0"]) as first:
        seq = owner.send(conv, "ten thousand of us")["seq"]
        assert last.wait_message("ten thousand of us")["seq"] == seq
        first.send(conv, "hello from the first")
        last.wait_message("hello from the first")
        page = last.call("members", conv=conv, limit=1000)
        assert len(page["members"]) == 1000 and page["more"] is True
        assert first.call("info", conv=conv)["members"] == 10000
