"""What a session missed comes from storage: many conversations, a window of one, a reader that is slow, losses on the bus, a killed gateway."""
import collections
import struct
import threading
import time

from raw import DISCONNECT, PUBACK, PUBLISH, PUBREC

KEEP = [(0x11, 3600)]  # session expiry


def window(n):
    return [(0x21, n)]


def payloads(c, count):
    """So many deliveries, each acknowledged: the payloads by topic."""
    got = collections.defaultdict(list)
    for _ in range(count):
        m = c.message()
        got[m.topic].append(m.payload)
    return got


def post_all(people, senders, to, count):
    """Each sends `count` numbered texts; all are stored."""
    for s in senders:
        for i in range(count):
            s.post_text(to, f"{s.user} {i}")
    for s in senders:
        s.send(to, f"{s.user} {count}")


def test_a_thousand_missed_in_many_conversations(people):
    writers = [people.native(f"w{i}") for i in range(5)]
    (bob,) = people.add("bob")
    groups = [w.call("create", kind="group", title="G", members=[bob])["conv"] for w in writers[:3]]
    c = people.mqtt(bob, clean=False, properties=KEEP)
    c.subscribe("inbox/#")
    c.quiet()
    c.disconnect()
    post_all(people, writers, bob, 149)
    for w, g in zip(writers, groups):
        post_all(people, [w], g, 99)
    c = people.mqtt(bob, clean=False, properties=KEEP)
    assert c.hello.present == 1
    got = payloads(c, 5 * 150 + 3 * 100)
    for w in writers:
        assert got[f"inbox/u/{w.user}"] == [f"{w.user} {i}" for i in range(150)]
    for w, g in zip(writers, groups):
        assert got[f"inbox/c/{g}"] == [f"{w.user} {i}" for i in range(100)]
    writers[0].send(bob, "live again")
    c.message("live again")


def test_a_window_of_one(people):
    alice = people.native("alice")
    (bob,) = people.add("bob")
    c = people.mqtt(bob, clean=False, properties=KEEP + window(1))
    c.subscribe("inbox/#")
    post_all(people, [alice], bob, 59)
    for i in range(60):
        got = c.message(f"{alice.user} {i}", ack=False)
        if i % 10 == 0:
            assert not [p for p in c.quiet() if p.kind == PUBLISH]  # nothing more before the acknowledgement
        c.ack(PUBACK, got.id)
    alice.send(bob, "live again")
    c.message("live again")


def test_a_slow_reader_gets_all_of_it(fresh, crew):
    """It reads nothing while far more comes than its window and its queue hold; the gateway keeps none of it, and closes nobody."""
    node = fresh({"PIGEON_LIMITS_QUEUE_BYTES": "16384"})
    people = crew(node)
    alice = people.native("alice")
    (bob,) = people.add("bob")
    c = people.mqtt(bob, properties=())
    c.subscribe("inbox/#")
    body = "x" * 4000
    for i in range(400):
        alice.post_text(bob, f"{i} {body}")
    alice.send(bob, "the end")
    got = []
    while not got or got[-1] != "the end":
        got.append(c.message().payload)
    assert got == [f"{i} {body}" for i in range(400)] + ["the end"]
    assert node.metrics("gateway")["pigeon_gateway_mqtt_behind_total"] > 0
    alice.send(bob, "live again")
    c.message("live again")


def test_behind_and_live_in_turns(people):
    """Messages keep coming while it catches up: between the last answer of storage and the first live message none is lost."""
    alice = people.native("alice")
    (bob,) = people.add("bob")
    c = people.mqtt(bob, properties=window(1))
    c.subscribe("inbox/#")
    count = 600
    bursts = lambda: [(alice.send if i % 5 == 4 else alice.post_text)(bob, str(i)) for i in range(count)]  # noqa: E731
    writer = threading.Thread(target=bursts)
    writer.start()
    got = [c.message().payload for _ in range(count)]
    writer.join()
    assert got == [str(i) for i in range(count)]


def test_a_bus_that_was_away(fresh, crew):
    """NATS restarts while messages are on their way: a client without a heartbeat of its own misses nothing."""
    node = fresh()
    people = crew(node)
    alice = people.native("alice")
    (bob,) = people.add("bob")
    c = people.mqtt(bob)
    c.subscribe("inbox/#")
    alice.send(bob, "before")
    c.message("before")
    node.restart("nats")
    for i in range(20):
        alice.send(bob, f"after {i}")
    seen = []
    while not seen or seen[-1] != "after 19":
        seen.append(c.message().payload)
    assert list(dict.fromkeys(seen)) == [f"after {i}" for i in range(20)]  # at least once, in order


def test_the_gateway_dies_between_deliveries_and_acknowledgements(fresh, crew):
    """kill -9 with deliveries under way, some acknowledged: nothing is missed, and what was acknowledged before the last save is not repeated."""
    node = fresh()
    people = crew(node)
    alice = people.native("alice")
    (bob,) = people.add("bob")
    c = people.mqtt(bob, clean=False, properties=KEEP)
    c.subscribe("inbox/#")
    seen = set()
    for round_ in range(3):
        for i in range(50):
            alice.post_text(bob, f"{round_} {i}")
        for _ in range(30):
            seen.add(c.message().payload)
        node.restart("gateway")
        alice = people.native("alice")
        c = people.mqtt(bob, clean=False, properties=KEEP)
        assert c.hello.present == 1
        for i in range(50, 60):
            alice.send(bob, f"{round_} {i}")
        while f"{round_} 59" not in seen:
            seen.add(c.message().payload)
    (conv,) = alice.sync()[0]
    stored = {m["body"]["text"] for m in alice.history(conv)}
    assert seen >= stored  # what the killed gateway had not passed on was never acknowledged to alice


def test_qos_2_in_flight_when_the_gateway_dies(fresh, crew):
    """Twenty publishes of QoS 2 at every stage when it dies; the client repeats what the standard has it repeat. Each is stored once, in order."""
    node = fresh()
    people = crew(node)
    alice, (bob,) = people.native("alice"), people.add("bob")
    c = people.mqtt(bob, clean=False, properties=KEEP)
    for number in range(1, 21):
        c.publish(f"u/{alice.user}", f"m {number}", 2, number)
    released = set()
    for _ in range(10):
        got = c.expect(PUBREC)
        if got.id <= 5:
            c.ack(6, got.id)
            released.add(got.id)
    node.restart("gateway")
    c = people.mqtt(bob, clean=False, properties=KEEP)
    for number in range(1, 21):
        if number in released:
            c.ack(6, number)
        else:
            c.publish(f"u/{alice.user}", f"m {number}", 2, number, dup=True)
    left = set(range(1, 21))
    deadline = time.monotonic() + 20
    while left and time.monotonic() < deadline:
        got = c.read()
        assert got and got.kind != DISCONNECT, got
        if got.kind == PUBREC:
            c.ack(6, got.id)
        elif got.kind == 7:
            left.discard(got.id)
    assert not left
    reader = people.native("alice")
    (conv,) = reader.sync()[0]
    texts = [m["body"]["text"] for m in reader.history(conv)]
    assert sorted(texts, key=lambda t: int(t[2:])) == [f"m {n}" for n in range(1, 21)]


def test_expiry_may_be_changed_at_the_end(people):
    alice = people.native("alice")
    (bob,) = people.add("bob")
    c = people.mqtt(bob, clean=False, properties=[(0x11, 1)])
    c.subscribe("inbox/#")
    c.disconnect(0, [(0x11, 3600)])
    alice.send(bob, "missed")
    time.sleep(1.2)  # longer than the first expiry: it is the time itself that is tested
    c = people.mqtt(bob, clean=False, properties=KEEP)
    assert c.hello.present == 1
    c.message("missed")
    c = people.mqtt(bob, clean=True)
    assert c.hello.present == 0
    c.send(bytes([DISCONNECT << 4, 7, 0, 5, 0x11]) + struct.pack(">I", 9))  # from none to some: not allowed (3.14.2.2.2)
    assert c.ended() == 0x82
