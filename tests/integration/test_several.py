"""Several instances of a service side by side, killed and started at any time: nobody is taken for offline, nothing that was said is forgotten."""
import time

import pytest

from client import Client
from cluster import wait_until
from load import Load
from several import Several


@pytest.fixture
def several(tmp_path):
    cluster = Several(tmp_path / "several", {"PIGEON_PRESENCE_LINGER_MS": "3000", "PIGEON_PRESENCE_GATEWAY_TIMEOUT_MS": "2000"})
    try:
        yield cluster.up().start(*Several.EXTRA)
    finally:
        cluster.down()


def state_of(client, user):
    (listed,) = client.call("watch", users=[user])["presence"]
    return listed["state"], listed.get("text", "")


def offline_news(client, user):
    return [e for e in client.events if e.get("presence", {}).get("user") == user and e["presence"]["state"] == "offline"]


def test_a_status_is_known_by_all_instances_and_outlives_the_one_it_was_given_to(several):
    tokens = several.add_users("alice", "bob")
    with Client(several.ws_url, tokens["alice"]) as alice, Client(several.ws_url_of("gateway2"), tokens["bob"]) as bob:
        wait_until(lambda: state_of(alice, "bob")[0] == "online", 10, "bob to be online")
        bob.call("status", state="busy", text="in class")
        for _ in range(20):  # answered by either instance
            assert state_of(alice, "bob") == ("busy", "in class")
        for victim in ("presence", "presence2"):  # whichever it was given to: before it can have been saved
            several.kill(victim)
            assert state_of(alice, "bob") == ("busy", "in class")
            several.start(victim)
            for _ in range(10):
                assert state_of(alice, "bob") == ("busy", "in class")


def test_the_later_of_two_statuses_wins_at_all_instances(several):
    tokens = several.add_users("alice", "bob")
    with Client(several.ws_url, tokens["alice"]) as alice, Client(several.ws_url_of("gateway2"), tokens["bob"]) as bob:
        for n in range(30):
            bob.call("status", state=("busy", "away")[n % 2], text=f"{n}")
        wait_until(lambda: all(state_of(alice, "bob") == ("away", "29") for _ in range(6)), 5, "the last status at all instances")


@pytest.mark.parametrize("victim", ["presence", "gateway", "nats"])
def test_nobody_is_taken_for_offline(several, victim):
    tokens = several.add_users("alice", "bob", "carol")
    with Client(several.ws_url_of("gateway2"), tokens["alice"]) as alice, Client(several.ws_url_of("gateway2"), tokens["carol"]) as carol:
        bob = Client(several.ws_url_of("gateway"), tokens["bob"])
        wait_until(lambda: state_of(alice, "bob")[0] == "online" and state_of(alice, "carol")[0] == "online", 10, "all to be online")
        several.kill(victim)
        if victim == "gateway":
            bob.close()
            time.sleep(1)  # a client that takes its time to come back to another gateway
            bob = Client(several.ws_url_of("gateway2"), tokens["bob"])
        several.start(victim)
        time.sleep(6)  # longer than all waits for a silent gateway together: what is tested is that nothing comes of it
        assert offline_news(alice, "bob") == [] and offline_news(alice, "carol") == []
        wait_until(lambda: state_of(alice, "bob")[0] == "online", 5, "bob to be online still")
        bob.close()
        alice.wait_event("presence", lambda p: p["user"] == "bob" and p["state"] == "offline", 15)
        carol.call("ping")


def test_gateways_and_messages_come_and_go_under_load(several):
    with Load(several, 8, 11) as load:
        load.wait_acks(100)
        for victim in ("message", "message2", "gateway", "presence2", "message"):
            several.kill(victim)
            load.wait_acks(60) if victim != "gateway" else None
            several.start(victim)
            load.wait_acks(60)
        assert load.verdict() == []


def test_a_file_sent_at_one_api_is_read_at_another(several):
    tokens = several.add_users("alice")
    status, answer = several.rest("POST", "/v1/files", b"ABC" * 1000, tokens["alice"], {"Content-Type": "text/plain", "X-File-Name": "a.txt"})
    assert status in (200, 201), (status, answer)
    first, several.base = several.base, several.base + 11  # api2's port is base + 14
    try:
        status, body = several.rest("GET", f"/v1/files/{answer['file_id']}", token=tokens["alice"])
    finally:
        several.base = first
    assert status == 200 and body == b"ABC" * 1000


def test_a_block_ends_the_watch(shared, people):
    alice, bob, carol = people.join("alice", "bob", "carol")
    wait_until(lambda: state_of(alice, bob.user)[0] == "online", 10, "bob to be online")
    wait_until(lambda: state_of(alice, carol.user)[0] == "online", 10, "carol to be online")
    assert shared.rest("POST", f"/v1/contacts/{alice.user}/block", {}, bob.token)[0] in (200, 204), "see docs/openapi.yaml"
    alice.wait_event("presence", lambda p: p["user"] == bob.user and p["state"] == "offline")
    seen = len(alice.events)
    bob.call("status", state="busy", text="secret")
    carol.call("status", state="away", text="")
    alice.wait_event("presence", lambda p: p["user"] == carol.user and p["state"] == "away")
    assert not [e for e in alice.events[seen:] if e.get("presence", {}).get("user") == bob.user]


def test_a_device_has_one_session_in_all_gateways(several):
    tokens = several.add_users("alice", "bob")
    with Client(several.ws_url_of("gateway2"), tokens["bob"]) as bob:
        with Client(several.ws_url, tokens["alice"]) as first:
            bob.send("alice", "one")
            first.wait_message("one")
            time.sleep(0.5)  # a younger one may be as new as the newer: it stays until its heartbeats end
            with Client(several.ws_url_of("gateway2"), tokens["alice"]) as second:
                assert first.wait_event("bye")["code"] == "replaced"
                bob.send("alice", "two")
                second.wait_message("two")
                time.sleep(0.5)
                with Client(several.ws_url, tokens["alice"]) as third:
                    assert second.wait_event("bye")["code"] == "replaced"
                    bob.send("alice", "three")
                    third.wait_message("three")
                    wait_until(lambda: state_of(bob, "alice")[0] == "online", 5, "alice to be online")
                    assert not offline_news(bob, "alice")
