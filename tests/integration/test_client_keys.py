"""Every operation under the client's own key, repeated after its answer was lost: done once, whatever has changed since (G2)."""
import os
import signal

import pytest

from client import Client, Refused
from cluster import BUILD, Cluster, http_get, wait_until


class TwoGateways(Cluster):
    def command(self, name):
        if name != "gateway2":
            return super().command(name)
        return [os.path.join(BUILD, "pigeon-gateway"), "--config", os.path.join(self.data, "pigeon.yaml")]

    def ready(self, name):
        return super().ready(name) if name != "gateway2" else http_get(self.base + 10, "/readyz")[0] == 200

    def up(self):
        super().up()
        self.start("gateway2", env={"PIGEON_GATEWAY_PORT": str(self.base + 9), "PIGEON_GATEWAY_ADMIN_PORT": str(self.base + 10)})
        self.services.append("gateway2")
        return self

    @property
    def other_url(self):
        return f"ws://127.0.0.1:{self.base + 9}/v1/ws"


@pytest.fixture
def two(tmp_path):
    cluster = TwoGateways(tmp_path / "two")
    try:
        yield cluster.up()
    finally:
        cluster.down()


def call(clients, who, op, fields, number):
    return clients[who].call(op, **fields, client_id=f"key-{number}")


def steps(conv):
    """Who does what, in an order in which each is allowed the first time; the last ones take away what the others need."""
    yield from [
        ("alice", "edit", {"conv": conv, "seq": 2, "body": {"text": "better"}}),
        ("bob", "react", {"conv": conv, "seq": 2, "emoji": "+1", "on": True}),
        ("alice", "recall", {"conv": conv, "seq": 3}),
        ("alice", "kick", {"conv": conv, "user": "carol"}),
        ("alice", "invite", {"conv": conv, "users": ["carol"]}),
        ("alice", "mute", {"conv": conv, "user": "bob", "seconds": 60}),
        ("alice", "mute", {"conv": conv, "user": "bob", "seconds": 0}),
        ("alice", "update", {"conv": conv, "title": "new title"}),
        ("dave", "join", {"conv": conv}),
        ("dave", "send", {"to": {"conv": conv}, "kind": "text", "body": {"text": "hello and good-bye"}}),
        ("dave", "leave", {"conv": conv}),
        ("alice", "role", {"conv": conv, "user": "bob", "role": "owner"}),
        ("alice", "leave", {"conv": conv}),
    ]


GROUP = {"kind": "group", "title": "keys", "members": ["bob", "carol"], "settings": {"open": True, "history": True}}


def connect(url, tokens):
    return {name: Client(url, token) for name, token in tokens.items()}


def test_every_operation_repeated_through_another_gateway_is_done_once(two):
    tokens = two.add_users("alice", "bob", "carol", "dave")
    clients = connect(two.ws_url, tokens)
    created = call(clients, "alice", "create", GROUP, 0)
    conv = created["conv"]
    for text in ("first", "second"):
        clients["alice"].send(conv, text)
    first = [call(clients, who, op, fields, n) for n, (who, op, fields) in enumerate(steps(conv), 1)]
    before = clients["bob"].history(conv)
    members = clients["bob"].call("members", conv=conv)["members"]
    # The answers were lost: the gateway dies, and storage has to read the keys from its disk.
    two.kill("gateway", signal.SIGKILL)
    two.restart("storage", signal.SIGKILL)
    again = connect(two.other_url, tokens)
    assert call(again, "alice", "create", GROUP, 0)["conv"] == conv
    for n, (who, op, fields) in enumerate(steps(conv), 1):
        answer = call(again, who, op, fields, n)
        assert answer["conv"] == conv, (op, answer)
        if "seq" in answer:
            assert answer == first[n - 1], op
    assert again["bob"].history(conv) == before, "a repetition added an operation"
    assert again["bob"].call("members", conv=conv)["members"] == members
    assert [c for c in again["alice"].sync()[0] if c != conv] == [], "a second group was made"
    # The same under new keys is something new, or refused: keys are all that makes the difference.
    with pytest.raises(Refused) as refused:
        again["alice"].call("leave", conv=conv, client_id="another")
    assert refused.value.code == "forbidden"
    again["bob"].call("react", conv=conv, seq=2, emoji="+1", on=True, client_id="another")
    assert len(again["bob"].history(conv)) == len(before) + 1
    two.start("gateway")
    for client in [*clients.values(), *again.values()]:
        client.close()


def test_cut_between_the_commit_and_the_answer(two):
    """The gateway is killed while it holds operations whose commit others have seen already; the client repeats what was not answered."""
    tokens = two.add_users("alice", "bob")
    with Client(two.other_url, tokens["bob"]) as bob, Client(two.ws_url, tokens["alice"]) as alice:
        conv = alice.call("create", kind="group", title="g", members=["bob"])["conv"]
        alice.send(conv, "text")
        bob.wait_message("text")
        frames = [("react", {"conv": conv, "seq": 2, "emoji": f"e{i}", "on": True, "client_id": f"r{i}"}) for i in range(20)]
        frames += [("update", {"conv": conv, "title": f"title {i}", "client_id": f"u{i}"}) for i in range(20)]
        for op, fields in frames:
            alice.post(op, **fields)
        wait_until(lambda: len(bob.messages(conv)) > 5, 10, "the first commits")
        two.kill("gateway", signal.SIGKILL)
    with Client(two.other_url, tokens["alice"]) as alice, Client(two.other_url, tokens["bob"]) as bob:
        for op, fields in frames:
            alice.call(op, **fields)
        keys = [m["client_id"] for m in bob.history(conv) if m["kind"] == "operation" and m["client_id"][0] in "ru" and len(m["client_id"]) < 4]
        assert sorted(keys) == sorted(f["client_id"] for _, f in frames), "each once"
        assert len([r for m in bob.history(conv) for r in m.get("reactions", [])]) == 20
    two.start("gateway")


@pytest.mark.parametrize("op, fields", [("recall", {"seq": 1}), ("edit", {"seq": 1, "body": {"text": "x"}}), ("react", {"seq": 1, "emoji": "x", "on": True}), ("invite", {"users": ["bob"]}),
                                        ("join", {}), ("leave", {}), ("kick", {"user": "bob"}), ("role", {"user": "bob", "role": "admin"}), ("mute", {"seconds": 1}), ("update", {"title": "t"})])
def test_a_key_that_is_none_is_refused(people, op, fields):
    (alice,) = people.join("alice")
    for key in ("with space", "x" * 65, "\u00e9"):
        with pytest.raises(Refused) as refused:
            alice.call(op, conv="cabcdefghijklmnop", client_id=key, **fields)
        assert refused.value.code == "invalid" and "client_id" in refused.value.error["text"]


def test_rest_repeats_under_a_header(shared, people):
    alice, bob = people.join("alice", "bob")
    key = {"Idempotency-Key": "once-1"}
    group = {"title": "by REST", "members": [bob.user]}
    status, first = shared.rest("POST", "/v1/convs", group, alice.token, key)
    assert status == 201
    assert shared.rest("POST", "/v1/convs", group, alice.token, key)[1]["conv"] == first["conv"]
    assert shared.rest("POST", "/v1/convs", group, alice.token)[1]["conv"] != first["conv"]
    path = f"/v1/convs/{first['conv']}/members/{bob.user}"
    for _ in range(2):
        assert shared.rest("DELETE", path, None, alice.token, {"Idempotency-Key": "kick-1"})[0] == 200
    assert shared.rest("DELETE", path, None, alice.token, {"Idempotency-Key": "kick-2"})[0] == 404
    assert shared.rest("POST", "/v1/convs", group, alice.token, {"Idempotency-Key": "a b"})[0] == 400
    assert [m["body"]["operation"]["op"] for m in alice.history(first["conv"])] == ["created", "kicked"]
