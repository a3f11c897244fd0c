"""Several devices of one user, replacement, presence, typing, revocation."""
from client import Client


def test_my_other_devices_see_what_i_write(shared, people):
    (alice,) = people.join("alice")
    (bob,) = people.join("bob")
    phone = Client(shared.ws_url, shared.add_users(alice.user, device="phone")[alice.user])
    assert phone.device == "phone"
    alice.send(bob.user, "from the desk")
    got = phone.wait_message("from the desk")
    assert got["from"] == alice.user and got["device"] == "test"
    alice.call("ping")
    assert not alice.messages(), "the sending device has its answer, not the message"
    bob.send(alice.user, "to both")
    alice.wait_message("to both")
    phone.wait_message("to both")
    phone.call("mark", conv=got["conv"], read=2)
    alice.wait_event("mark", lambda m: m["user"] == alice.user and m["read"] == 2)
    phone.close()


def test_the_same_device_twice_takes_its_place(shared, people):
    (alice,) = people.join("alice")
    with Client(shared.ws_url, alice.token) as newer:
        assert alice.wait_event("bye")["code"] == "replaced"
        assert alice.wait_closed()[0] == 4409
        newer.call("ping")


def test_presence_comes_and_goes(people):
    alice, bob = people.join("alice", "bob")
    (listed,) = alice.call("watch", users=[bob.user])["presence"]
    assert listed["user"] == bob.user
    if listed["state"] != "online":  # he has only just come: then it is told
        alice.wait_event("presence", lambda p: p["user"] == bob.user and p["state"] == "online")
    bob.call("status", state="busy", text="in class")
    alice.wait_event("presence", lambda p: p["state"] == "busy" and p["text"] == "in class")
    bob.close()
    gone = alice.wait_event("presence", lambda p: p["state"] == "offline")
    assert gone["last_seen"] > 0


def test_invisible_looks_offline(people):
    alice, bob = people.join("alice", "bob")
    bob.call("status", state="invisible", text="")
    assert alice.call("watch", users=[bob.user])["presence"][0]["state"] == "offline"


def test_a_short_absence_is_no_news(shared, people):
    alice, bob = people.join("alice", "bob")
    (carol,) = people.join("carol")
    alice.call("watch", users=[bob.user, carol.user])
    bob.close()
    with Client(shared.ws_url, bob.token):
        carol.close()
        alice.wait_event("presence", lambda p: p["user"] == carol.user and p["state"] == "offline")
        assert not [e for e in alice.events if e.get("presence", {}).get("user") == bob.user and e["presence"]["state"] == "offline"]


def test_unwatched_is_quiet(people):
    alice, bob, carol = people.join("alice", "bob", "carol")
    alice.call("watch", users=[bob.user, carol.user])
    alice.call("unwatch", users=[bob.user])
    alice.events.clear()  # that bob has come may have been told before it
    bob.call("status", state="away", text="")
    carol.call("status", state="away", text="")
    alice.wait_event("presence", lambda p: p["user"] == carol.user)
    assert not [e for e in alice.events if e.get("presence", {}).get("user") == bob.user]


def test_presence_heals_when_redis_is_wiped_and_away(fresh):
    cluster = fresh()
    tokens = cluster.add_users("alice", "bob")
    with Client(cluster.ws_url, tokens["alice"]) as alice, Client(cluster.ws_url, tokens["bob"]) as bob:
        cluster.kill("redis")
        alice.send("bob", "chat goes on")
        bob.wait_message("chat goes on")
        cluster.restart("presence", wait=False)
        cluster.start("redis")
        cluster.wait_ready("presence")

        def sees_bob():
            return alice.call("watch", users=["bob"]).get("presence", [{}])[0].get("state") == "online"
        from cluster import wait_until
        wait_until(sees_bob, 10, "bob to be seen online again")


def test_revoking_a_session_closes_its_socket(shared, people):
    (alice,) = people.join("alice")
    other = shared.add_users(alice.user, device="phone")[alice.user]
    assert shared.rest("DELETE", "/v1/me/sessions/test", token=other)[0] == 204
    alice.wait_closed(5)
    assert shared.rest("GET", "/v1/me", token=alice.token)[0] == 401


def test_a_gateway_that_stops_says_goodbye(fresh):
    import signal
    cluster = fresh()
    tokens = cluster.add_users("alice")
    alice = Client(cluster.ws_url, tokens["alice"])
    cluster.kill("gateway", signal.SIGTERM)
    assert alice.wait_event("bye")["code"] == "restarting"
    alice.wait_closed()
    cluster.start("gateway")
    with Client(cluster.ws_url, tokens["alice"]) as again:
        again.call("ping")
