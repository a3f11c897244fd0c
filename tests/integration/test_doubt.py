"""News that the bus did not take: nobody can see a gap when nothing follows, so everybody is told to sync."""
from client import Client
from cluster import wait_until


def refused(cluster):
    return cluster.metrics("storage")["pigeon_storage_publish_failed_total"] > 0


def texts(client):
    return [m["body"]["text"] for m in client.messages()]


def known(client):
    return client.call("ping").get("cursor", "")


def test_an_event_that_the_bus_did_not_take_is_fetched_by_a_sync(fresh):
    cluster = fresh({"PIGEON_FAULT": "publish-refused"})  # each tenth event
    tokens = cluster.add_users("alice", "bob")
    with Client(cluster.ws_url, tokens["alice"]) as alice, Client(cluster.ws_url, tokens["bob"]) as bob:
        sent, seen = [], ""
        while not refused(cluster):  # the refused event is then the newest one: nothing after it shows bob a gap
            assert len(sent) < 30, "each tenth event is refused, and each message has one at least"
            text, seen = f"m{len(sent)}", known(bob)
            sent.append(alice.send("bob", text))
            wait_until(lambda: text in texts(bob) or refused(cluster), 5, f"{text} at bob, or its refusal")
        assert f"m{len(sent) - 1}" not in texts(bob)
        wait_until(lambda: known(bob) != seen, 5, "a newer cursor in the answer to bob's ping")
        convs, _ = bob.sync(seen)
        assert [c["last_seq"] for c in convs.values()] == [len(sent)]
        assert [m["body"]["text"] for m in bob.history(sent[0]["conv"])] == [f"m{n}" for n in range(len(sent))]
