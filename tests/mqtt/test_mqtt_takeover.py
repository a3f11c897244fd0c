"""One session a client identifier in the whole cluster: who comes to another gateway takes it along, and the older connection harms nothing."""
import time

from cluster import wait_until
from raw import SESSION_EXPIRY, WILL_DELAY

KEEP = {"clean": False, "properties": [(SESSION_EXPIRY, 600)]}


def come(people, gateway, user, **more):
    people.cluster.mqtt_port = people.cluster.port_of(gateway)
    return people.mqtt(user, **KEEP, **more)


def test_a_session_goes_along_to_another_gateway(two):
    (bob,), alice = two.add("bob"), two.native("alice")
    first = come(two, "gateway", bob)
    assert (first.hello.present, first.subscribe("inbox/#")) == (0, [1])
    alice.send(bob, "one")
    first.message("one")
    time.sleep(0.5)
    second = come(two, "gateway2", bob)
    assert second.hello.present == 1
    assert first.ended() == 0x8e
    alice.send(bob, "two")
    if second.message().payload == "one":  # acknowledged in the last 10 s: it may come again
        second.message("two")


def test_an_older_connection_that_was_not_told_does_not_undo_the_session(two):
    """Its gateway stands still while the client comes to another one, subscribes anew and leaves; then the older connection ends."""
    (bob, carol), alice = two.add("bob", "carol"), two.native("alice")
    first = come(two, "gateway2", bob)
    assert first.subscribe(f"inbox/u/{carol}") == [1]
    saved = two.cluster.metrics("gateway2")["pigeon_gateway_mqtt_saved_total"]
    two.cluster.pause("gateway2")
    first.cut()
    second = come(two, "gateway", bob)
    assert second.hello.present == 1
    assert second.unsubscribe(f"inbox/u/{carol}") == [0] and second.subscribe("inbox/#") == [1]
    second.disconnect()
    time.sleep(0.3)  # what it leaves is stored before the older one says what it would leave
    two.cluster.resume("gateway2")
    wait_until(lambda: two.cluster.metrics("gateway2")["pigeon_gateway_sessions"] == 0, 10, "the older connection to end")
    wait_until(lambda: two.cluster.metrics("gateway2")["pigeon_gateway_mqtt_saved_total"] > saved, 10, "what it says at its end")
    alice.send(bob, "while away")
    third = come(two, "gateway", bob)
    assert third.hello.present == 1
    third.message("while away")


def test_a_delayed_will_is_not_sent_when_the_session_goes_on_at_another_gateway(two):
    """The connection ends before its gateway hears that the device is elsewhere (3.1.3-9)."""
    (bob,), alice = two.add("bob"), two.native("alice")
    first = come(two, "gateway", bob, will=(f"u/{alice.user}", "gone", 1, [(WILL_DELAY, 3)]))
    time.sleep(0.5)
    first.cut()
    begun = time.monotonic()
    wait_until(lambda: two.cluster.metrics("gateway")["pigeon_gateway_sessions"] == 1, 10, "the connection's end")  # alice's is left
    second = come(two, "gateway2", bob)
    assert second.hello.present == 1
    wait_until(lambda: time.monotonic() - begun > 4, what="the delay to pass")
    assert second.published(f"u/{alice.user}", "fence") == 0
    alice.wait_message("fence")
    assert [m["body"]["text"] for m in alice.messages()] == ["fence"]
