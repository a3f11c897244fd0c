"""Limits of groups, blocks between people who make them, and what large groups are spared."""
import pytest

from client import Client, Refused


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    """A cluster where groups are small and people are in few."""
    from cluster import Cluster
    cluster = Cluster(tmp_path_factory.mktemp("small"), {"PIGEON_LIMITS_GROUP_MEMBERS": "4", "PIGEON_LIMITS_USER_GROUPS": "2"})
    try:
        yield cluster.up()
    finally:
        cluster.down()


@pytest.fixture
def room(small, request):
    """room("a", "b"): connected clients of fresh users."""
    prefix, clients = "r" + format(abs(hash(request.node.nodeid)) % 16**6, "x"), []

    def join(*names):
        full = [f"{prefix}-{n}" for n in names]
        tokens = small.add_users(*full)
        clients.extend(Client(small.ws_url, tokens[n]) for n in full)
        return clients[-len(names):]
    yield join
    for c in clients:
        c.close()


def refused(code, call, *args, **kw):
    with pytest.raises(Refused) as problem:
        call(*args, **kw)
    assert problem.value.code == code, problem.value
    return problem.value.error["text"]


def test_members_of_a_group(room):
    a, b, c, d, e = room("a", "b", "c", "d", "e")
    refused("too_large", a.call, "create", kind="group", title="five", members=[b.user, c.user, d.user, e.user])
    conv = a.call("create", kind="group", title="three", members=[b.user, c.user, b.user, a.user], settings={"open": True})["conv"]
    assert a.call("info", conv=conv)["members"] == 3, "the same one twice, and oneself, count once"
    refused("too_large", a.call, "invite", conv=conv, users=[d.user, e.user])
    d.call("join", conv=conv)
    assert "full" in refused("forbidden", e.call, "join", conv=conv)


def test_groups_of_a_user(room):
    a, b = room("a", "b")
    made = [a.call("create", kind="group", title=f"g{i}")["conv"] for i in range(2)]
    refused("forbidden", a.call, "create", kind="group", title="g3")
    other = b.call("create", kind="group", title="open", settings={"open": True})["conv"]
    refused("forbidden", a.call, "join", conv=other)
    assert "as many groups" in refused("forbidden", b.call, "invite", conv=other, users=[a.user]), "nor can others put him into more"
    a.call("leave", conv=made[0])
    a.call("join", conv=other)


def test_who_blocks_is_not_put_into_groups(small, room):
    a, b, c = room("a", "b", "c")
    token = small.add_users(b.user, device="web")[b.user]
    assert small.rest("POST", f"/v1/contacts/{a.user}/block", token=token)[0] == 204
    assert refused("forbidden", a.call, "create", kind="group", title="g", members=[c.user, b.user]) == f"{b.user} has blocked you"
    conv = a.call("create", kind="group", title="g", members=[c.user])["conv"]
    refused("forbidden", a.call, "invite", conv=conv, users=[b.user])
    assert refused("not_found", a.call, "invite", conv=conv, users=["nobody-at-all"]) == "no user nobody-at-all"
    assert a.call("watch", users=[b.user, c.user])["presence"][0]["user"] == c.user, "nor watched"


@pytest.mark.parametrize("fields", [
    {"kind": "direct", "title": "x", "members": []}, {"kind": "group", "title": "", "members": []}, {"kind": "group", "title": "x" * 300},
    {"kind": "group", "title": "x", "members": ["Not A User"]}, {"kind": "group", "title": "x", "members": ["a.*"]},
    {"kind": "group", "title": "a\nb"}, {"kind": "group", "title": "x", "settings": {"about": "y" * 3000}},
])
def test_groups_that_are_none(room, fields):
    (a,) = room("a")
    refused("invalid", a.call, "create", **fields)


def test_group_operations_on_direct_conversations(room):
    a, b = room("a", "b")
    conv = a.send(b.user, "hi")["conv"]
    for op, fields in {"invite": {"users": [b.user]}, "join": {}, "leave": {}, "kick": {"user": b.user}, "role": {"user": b.user, "role": "admin"},
                       "mute": {"seconds": 5}, "update": {"title": "x"}}.items():
        refused("invalid", a.call, op, conv=conv, **fields)


def test_doing_it_twice_changes_nothing(room):
    a, b = room("a", "b")
    conv = a.call("create", kind="group", title="g", members=[b.user], settings={"open": True})["conv"]
    version = a.call("invite", conv=conv, users=[b.user])["version"]
    assert b.call("join", conv=conv)["version"] == version
    assert a.call("role", conv=conv, user=b.user, role="member")["version"] == version
    assert len(a.history(conv)) == 1


def test_typing_and_marks_in_large_groups_stay_quiet(shared, people):
    (owner, bob) = people.join("owner", "bob")
    others = people.names(*[f"x{i}" for i in range(220)])
    shared.add_users(*others)
    conv = owner.call("create", kind="group", title="large", members=[bob.user, *others])["conv"]
    phone = Client(shared.ws_url, shared.add_users(bob.user, device="phone")[bob.user])
    bob.wait_event("changed")
    seq = owner.send(conv, "hello all")["seq"]
    bob.wait_message("hello all")
    bob.post("typing", conv=conv)
    bob.call("mark", conv=conv, read=seq)
    phone.wait_event("mark", lambda m: m["read"] == seq)
    bob.send(conv, "I have read it")
    owner.wait_message("I have read it")
    assert not [e for e in owner.events if "typing" in e or "mark" in e]
    assert owner.call("receipts", conv=conv, seq=seq)["read_count"] == 1
    phone.close()
