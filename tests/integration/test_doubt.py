"""News that the bus did not take: nobody can see a gap when nothing follows, so everybody is told to sync."""
from client import Client
from cluster import wait_until


def test_an_event_that_the_bus_did_not_take_is_fetched_by_a_sync(fresh):
    cluster = fresh({"PIGEON_FAULT": "publish-refused"})  # each tenth event
    tokens = cluster.add_users("alice", "bob")
    with Client(cluster.ws_url, tokens["alice"]) as alice, Client(cluster.ws_url, tokens["bob"]) as bob:
        _, cursor = bob.sync()
        sent = [alice.send("bob", f"m{n}") for n in range(5)]  # two subjects a message: bob's fifth is the tenth event, or his own
        assert sent[-1]["seq"] == 5
        wait_until(lambda: cluster.metrics("storage")["pigeon_storage_publish_failed_total"] > 0, 5, "the refused event")
        wait_until(lambda: bob.call("ping").get("cursor", "") not in ("", cursor), 5, "a newer cursor in the answer to bob's ping")
        convs, _ = bob.sync(cursor)
        assert [c["last_seq"] for c in convs.values()] == [5]
        assert [m["body"]["text"] for m in bob.history(sent[0]["conv"])] == [f"m{n}" for n in range(5)]
