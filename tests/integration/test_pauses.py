"""Parts that stop for a while (SIGSTOP) or lose everything (NATS, Redis wiped): requests wait or say what is the matter, then all goes on."""
import time

import pytest

from client import Client, Refused
from load import Load


@pytest.mark.parametrize("victim", ["storage", "message", "nats"])
def test_a_pause_under_load_loses_nothing(fresh, victim):
    cluster = fresh()
    with Load(cluster, 8, 3) as load:
        load.wait_acks(100)
        cluster.pause(victim)
        time.sleep(2)  # the pause itself is what is tested
        cluster.resume(victim)
        load.wait_acks(100)
        assert load.verdict() == []


def test_while_storage_is_away_nothing_is_acknowledged_and_nothing_is_lost(fresh):
    cluster = fresh({"PIGEON_GATEWAY_SEND_TIMEOUT_MS": "2000"})
    tokens = cluster.add_users("alice", "bob")
    with Client(cluster.ws_url, tokens["alice"]) as alice, Client(cluster.ws_url, tokens["bob"]) as bob:
        alice.send("bob", "before")
        cluster.kill("storage")
        with pytest.raises(Refused) as refused:
            alice.send("bob", "meanwhile", client_id="m1")
        assert refused.value.code in ("unavailable", "uncertain") and refused.value.error["retry"] is True
        waiting = alice.post("fetch", conv="d:alice:bob", limit=5)
        cluster.start("storage")
        assert [m["body"]["text"] for m in alice.answer(waiting)["fetch"]["messages"]] == ["before"], "a read waits for a restart"
        alice.send("bob", "meanwhile", client_id="m1")
        bob.wait_message("meanwhile")
        assert [m["body"]["text"] for m in bob.history("d:alice:bob")] == ["before", "meanwhile"]


def test_group_changes_survive_a_restart_of_message_and_storage(fresh):
    cluster = fresh()
    tokens = cluster.add_users("alice", "bob", "carol")
    with Client(cluster.ws_url, tokens["alice"]) as alice:
        conv = alice.call("create", kind="group", title="g", members=["bob"])["conv"]
        cluster.kill("storage")
        waiting = alice.post("invite", conv=conv, users=["carol"])
        cluster.start("storage")
        assert alice.answer(waiting)["changed"]["version"] == 2
        cluster.restart("message")
        alice.call("kick", conv=conv, user="bob")
        assert {m["user"] for m in alice.call("members", conv=conv)["members"]} == {"alice", "carol"}
