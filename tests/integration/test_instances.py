"""Several message instances side by side, and many who change one group at once: nobody sees two truths."""
import os
import threading

import pytest

from client import Client, Refused
from cluster import BUILD, Cluster, http_get
from load import Load


class Twins(Cluster):
    """A cluster with a second message instance, `message2`."""

    def command(self, name):
        if name != "message2":
            return super().command(name)
        return [os.path.join(BUILD, "pigeon-message"), "--config", os.path.join(self.data, "pigeon.yaml")]

    def ready(self, name):
        return super().ready(name) if name != "message2" else http_get(self.base + 9, "/readyz")[0] == 200

    def up(self):
        super().up()
        self.start("message2", env={"PIGEON_MESSAGE_ADMIN_PORT": str(self.base + 9)})
        self.services.append("message2")
        return self


@pytest.fixture
def twins(tmp_path):
    cluster = Twins(tmp_path / "twins")
    try:
        yield cluster.up()
    finally:
        cluster.down()


def group_work(cluster, tokens, names):
    """Everybody invites, kicks, joins and leaves at once; gives the problems that are none of the protocol's errors."""
    problems = []
    owner = Client(cluster.ws_url, tokens[names[0]])
    conv = owner.call("create", kind="group", title="busy", members=names[1:4], settings={"open": True})["conv"]
    owner.call("role", conv=conv, user=names[1], role="admin")

    def work(me, index):
        try:
            with Client(cluster.ws_url, tokens[me]) as client:
                for n in range(8):
                    other = names[4 + (index + n) % (len(names) - 4)]
                    for op, fields in (("join", {"conv": conv}), ("invite", {"conv": conv, "users": [other]}), ("send", {"to": {"conv": conv}, "client_id": f"{n}", "kind": "text", "body": {"text": f"{me} {n}"}}),
                                       ("leave", {"conv": conv})):
                        try:
                            client.call(op, **fields)
                        except Refused as refused:
                            if refused.code not in ("forbidden", "conflict", "not_found"):
                                problems.append((me, op, str(refused)))
        except Exception as problem:  # noqa: BLE001 - told to the test
            problems.append((me, repr(problem)))

    threads = [threading.Thread(target=work, args=(n, i)) for i, n in enumerate(names[1:])]
    for t in threads:
        t.start()
    for t in threads:
        t.join(60)
    return owner, conv, problems


def replay(history):
    """Who is in the group according to the operations in its history."""
    members = set()
    for m in history:
        operation = m.get("body", {}).get("operation")
        if not operation:
            assert m["from"] in members, f"{m['from']} wrote {m['seq']} while not a member"
            continue
        users = set(operation.get("users", []))
        if operation["op"] == "created":
            members |= users | {m["from"]}
        elif operation["op"] in ("invited", "joined"):
            members |= users
        elif operation["op"] in ("left", "kicked"):
            members -= users
    return members


def check_one_truth(owner, conv):
    """The history, replayed, gives the member list: no message of a non-member, no change on an old state."""
    expected = replay(owner.history(conv))
    listed = {m["user"] for m in owner.call("members", conv=conv, limit=1000)["members"]}
    assert listed == expected
    assert owner.call("info", conv=conv)["members"] == len(expected)


def test_many_change_one_group_at_once(shared, people):
    names = people.names(*[f"g{i}" for i in range(10)])
    owner, conv, problems = group_work(shared, shared.add_users(*names), names)
    with owner:
        assert problems == []
        check_one_truth(owner, conv)


def test_two_message_instances_agree(twins):
    names = [f"g{i}" for i in range(10)]
    owner, conv, problems = group_work(twins, twins.add_users(*names), names)
    with owner:
        assert problems == []
        check_one_truth(owner, conv)


def test_one_of_two_message_instances_is_killed_under_load(twins):
    with Load(twins, 8, 7) as load:
        load.wait_acks(200)
        twins.kill("message")
        load.wait_acks(200)
        twins.start("message")
        load.wait_acks(200)
        assert load.verdict() == []
