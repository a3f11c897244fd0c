"""What a session may and is told, by hand: logins, topics, persistent sessions, windows, wills, presence, takeover."""
import json
import struct
import time

import pytest

from cluster import wait_until
from raw import (ALIAS, ALIAS_MAX, ASSIGNED_ID, CONTENT_TYPE, DISCONNECT, PACKET_MAX, PINGREQ, PINGRESP, PUBACK, PUBCOMP, PUBLISH, PUBREC, PUBREL, REASON, RECEIVE_MAX,
                 SESSION_EXPIRY, SUBACK, SUBSCRIBE, SUBSCRIPTION_ID, UNSUBACK, UNSUBSCRIBE, USER, WILL_DELAY, packet, props, text)

PASSWORD = "correct horse battery"
KEEP = [(SESSION_EXPIRY, 600)]


def texts_of(client, conv):
    """What is stored, whatever was told of it how often."""
    return [m["body"]["text"] for m in client.history(conv)]


# ---- logins ----

@pytest.mark.parametrize("version", [4, 5])
def test_a_password_or_a_token(node, people, version):
    user = people.prefix + "-new"
    status, _ = node.rest("POST", "/v1/register", {"user": user, "password": PASSWORD, "name": "New"})
    assert status in (200, 201)
    c = people.raw(version)
    assert c.connect(user, PASSWORD, client_id="phone").reason == 0
    assert c.published(f"u/{user}", "a note") == 0
    bad_login, unauthorized = (0x86, 0x87) if version == 5 else (4, 5)
    for name, word in ((user, "wrong password"), ("nobody-here", PASSWORD), (user, "")):
        c = people.raw(version)
        assert c.connect(name, word, client_id="phone").reason in (bad_login, unauthorized)
        assert c.ended() is None
    (bob,) = people.add("bob")
    c = people.raw(version)
    assert c.connect(user, people.tokens[bob], client_id="phone").reason in (bad_login, unauthorized)  # someone else's token
    c = people.raw(version)
    assert c.connect(None, None, client_id="phone").reason in (bad_login, unauthorized)


@pytest.mark.parametrize("version", [4, 5])
def test_a_session_of_someone_with_a_password(node, people, version):
    """Each CONNECT with a password is a new login of the device; the session is the device's, and goes on."""
    user, alice = people.prefix + "-new", people.native("alice")
    node.rest("POST", "/v1/register", {"user": user, "password": PASSWORD, "name": "New"})
    more = {"client_id": "phone", "clean": False, **({"properties": KEEP} if version == 5 else {})}
    first = people.raw(version)
    assert (first.connect(user, PASSWORD, **more).present, first.subscribe("inbox/#")) == (0, [1])
    alice.send(user, "live")
    first.message("live")
    first.disconnect()
    alice.send(user, "missed")
    second = people.raw(version)
    assert second.connect(user, PASSWORD, **more).present == 1
    second.message("missed")
    third = people.raw(version)
    assert third.connect(user, PASSWORD, **more).present == 1
    assert second.ended() == (0x8e if version == 5 else None)
    alice.send(user, "last")
    while third.message().payload != "last":
        pass
    second = people.raw(version)
    assert second.connect(user, PASSWORD, client_id="a client id with blanks, and longer than a device's name").reason == 0
    assert second.published(f"u/{alice.user}", "two devices") == 0
    assert third.published(f"u/{alice.user}", "both at once") == 0


def test_an_empty_client_id(people):
    (bob,) = people.add("bob")
    c = people.raw(5)
    hello = c.connect(bob, people.tokens[bob], client_id="")
    assert hello.reason == 0 and hello.props[ASSIGNED_ID]
    c = people.raw(4)
    assert c.connect(bob, people.tokens[bob], client_id="", clean=False).reason == 2
    assert c.ended() is None


@pytest.mark.parametrize("version", [4, 5])
def test_takeover(people, version):
    (bob,) = people.add("bob")
    first = people.mqtt(bob, version)
    second = people.mqtt(bob, version)
    assert first.ended() == (0x8e if version == 5 else None)
    second.send(packet(PINGREQ << 4))
    second.expect(PINGRESP)


def test_keep_alive(people):
    (bob,) = people.add("bob")
    c = people.mqtt(bob, keep_alive=1)
    begun = time.monotonic()
    assert c.ended() == 0x8d
    assert 1.0 <= time.monotonic() - begun < 6


# ---- topics ----

def test_topics_that_are_not_there(people):
    (bob,) = people.add("bob")
    c = people.mqtt(bob)
    for topic in ("free/space", "u/", "u/Bad Name", "inbox/u/" + bob, "$SYS/x", "u/a/b", "u"):
        assert c.published(topic, "x", 1) in (0x90, 0x87), topic
        assert c.published(topic, "x", 2) in (0x90, 0x87), topic
    assert c.published("u/nobody-here", "x") >= 0x80
    assert c.published("c/c234567abcdefghij", "x") >= 0x80
    refused = c.subscribe("#", "+/u/x", "u/" + bob, "c/#", "$SYS/#", "$share/g/inbox/#", "presence/#", "inbox2/#", "/inbox/#")
    assert all(code >= 0x80 for code in refused), refused
    assert c.subscribe("inbox/#", "inbox/u/+", "inbox/c/+", "inbox/u/" + bob, options=2) == [1] * 4
    assert c.unsubscribe("inbox/u/+", "never/was") == [0, 0x11]
    c.publish("free/space", "x", 0)
    assert c.ended() == 0x90  # QoS 0 has no other place for the reason


def test_version_3_is_refused_too(people):
    (bob,) = people.add("bob")
    c = people.mqtt(bob, 4)
    assert c.subscribe("inbox/#", "#", "u/x", options=2) == [1, 0x80, 0x80]
    c.publish("free/space", "x", 1)
    assert c.ended() is None  # it cannot be said; and it is not acknowledged
    c = people.mqtt(bob, 4)
    c.publish("u/nobody-here", "x", 2)
    assert c.ended() is None


def test_groups_json_and_properties(node, people):
    alice = people.native("alice")
    (bob,) = people.add("bob")
    conv = alice.call("create", kind="group", title="Group", members=[bob])["conv"]
    c = people.mqtt(bob)
    assert c.subscribe("inbox/#") == [1]
    alice.send(conv, "hello all")
    got = c.message("hello all")
    assert got.topic == f"inbox/c/{conv}" and got.qos == 1 and not got.dup and not got.retain
    told = got.props[USER]
    assert (told["from"], told["conv"], told["kind"]) == (alice.user, conv, "text") and int(told["seq"]) and told["message_id"] and told["sent_at"]
    assert c.published(f"c/{conv}", "hello alice") == 0
    assert alice.wait_message("hello alice")["from"] == bob
    body = json.dumps({"text": "in json"})
    assert c.published(f"c/{conv}", body, properties=[(CONTENT_TYPE, "application/json")]) == 0
    alice.wait_message("in json")
    assert c.published(f"c/{conv}", "{nonsense", properties=[(CONTENT_TYPE, "application/json")]) == 0x99
    assert c.published(f"c/{conv}", b"\xff\xfe") == 0x99
    for _ in range(2):
        assert c.published(f"u/{alice.user}", "once", properties=[(USER, ("client_id", "mine-1"))]) == 0
    direct = alice.wait_message("once")["conv"]
    assert texts_of(alice, direct) == ["once"]


@pytest.mark.parametrize("version, more", [(5, {}), (5, {"clean": False, "properties": KEEP}), (4, {})], ids=["clean start", "persistent", "3.1.1"])
@pytest.mark.parametrize("qos", [0, 1])
def test_put_into_a_group_while_online(people, version, more, qos):
    """The message that tells of it was published before the gateway could follow the group: it comes from storage. Then live ones, each once."""
    alice = people.native("alice")
    (bob,) = people.add("bob")
    c = people.mqtt(bob, version, **more)
    assert c.subscribe("inbox/#", options=qos) == [qos]
    for _ in range(2):
        conv = alice.call("create", kind="group", title="Group", members=[bob])["conv"]
        first = c.message()
        assert first.topic == f"inbox/c/{conv}" and first.qos == qos and "created" in first.payload
        alice.send(conv, "welcome")
        c.message("welcome")
        alice.send(conv, "again")
        c.message("again")
    assert [p for p in c.quiet() if p.kind == PUBLISH] == []


def test_what_other_devices_send(node, people):
    """An own message from another device comes on the conversation's topic."""
    alice, bob = people.native("alice"), people.native("bob")
    people.add("bob")
    c = people.mqtt(bob.user)
    assert c.subscribe("inbox/#") == [1]
    conv = bob.send(alice.user, "from the web")["conv"]
    assert c.message("from the web").topic == f"inbox/c/{conv}"
    alice.send(bob.user, "answer")
    assert c.message("answer").topic == f"inbox/u/{alice.user}"


def test_filters_choose(people):
    alice, carol = people.native("alice"), people.native("carol")
    (bob,) = people.add("bob")
    c = people.mqtt(bob)
    assert c.subscribe(f"inbox/u/{alice.user}", options=0) == [0]
    carol.send(bob, "not this")
    alice.send(bob, "this")
    got = c.message("this")
    assert got.qos == 0
    assert [p.payload for p in c.quiet() if p.kind == PUBLISH] == []


def test_replacing_a_filter_at_the_bound(people):
    """It takes no further place (3.8.4-3)."""
    alice = people.native("alice")
    (bob,) = people.add("bob")
    c = people.mqtt(bob)
    assert c.subscribe(f"inbox/u/{alice.user}", *(f"inbox/u/friend{n}" for n in range(63))) == [1] * 64
    assert c.subscribe("inbox/u/one-more") == [0x97]
    assert c.subscribe(f"inbox/u/{alice.user}", options=0) == [0]
    alice.send(bob, "hello")
    assert c.message("hello").qos == 0


def test_overlapping_filters_give_it_once(people):
    alice = people.native("alice")
    (bob,) = people.add("bob")
    c = people.mqtt(bob)
    c.subscribe("inbox/#", "inbox/u/+", f"inbox/u/{alice.user}")
    alice.send(bob, "once")
    c.message("once")
    alice.send(bob, "next")
    c.message("next")


def test_subscription_identifiers(people):
    alice = people.native("alice")
    (bob,) = people.add("bob")
    c = people.mqtt(bob)
    assert c.subscribe("inbox/#", properties=[(SUBSCRIPTION_ID, 300)]) == [1]
    alice.send(bob, "numbered")
    assert c.message("numbered").props[SUBSCRIPTION_ID] == 300
    assert c.subscribe("inbox/#") == [1]  # the same filter again: without one
    alice.send(bob, "plain")
    assert SUBSCRIPTION_ID not in c.message("plain").props


def subscribe_packet(number, *filters):
    return packet(SUBSCRIBE << 4 | 2, struct.pack(">H", number), props([]), *(text(f) + b"\1" for f in filters))


def test_many_subscribes_in_one_piece(people):
    """Each waits for storage; none for its predecessor's answer."""
    (bob,) = people.add("bob")
    c = people.mqtt(bob, clean=False, properties=KEEP)
    c.send(*(subscribe_packet(n, f"inbox/u/friend{n}") for n in range(1, 61)))
    answers = [c.expect(SUBACK) for _ in range(60)]
    assert sorted(a.id for a in answers) == list(range(1, 61)) and all(a.codes == [1] for a in answers)


def test_an_identifier_that_is_still_in_use(people):
    (bob,) = people.add("bob")
    c = people.mqtt(bob, clean=False, properties=KEEP)
    c.send(subscribe_packet(7, "inbox/c/+"), subscribe_packet(7, "inbox/u/+"), packet(UNSUBSCRIBE << 4 | 2, struct.pack(">H", 7), props([]), text("inbox/c/+")))
    assert sorted(c.expect(SUBACK).codes for _ in range(2)) == [[1], [0x91]]
    assert c.expect(UNSUBACK).codes == [0x91]
    assert c.unsubscribe("inbox/c/+", "inbox/u/+") == [0, 0x11]


# ---- aliases, sizes, windows ----

def test_topic_alias(people):
    alice = people.native("alice")
    (bob,) = people.add("bob")
    c = people.mqtt(bob)
    most = c.hello.props[ALIAS_MAX]
    assert c.published(f"u/{alice.user}", "first", properties=[(ALIAS, most)]) == 0
    assert c.published("", "second", properties=[(ALIAS, most)]) == 0
    alice.wait_message("second")
    c.publish("", "x", 1, properties=[(ALIAS, 1)])  # never said
    assert c.ended() in (0x82, 0x94)
    c = people.mqtt(bob)
    c.publish(f"u/{alice.user}", "x", 1, properties=[(ALIAS, most + 1)])
    assert c.ended() == 0x94


def test_receive_maximum(people):
    """Not more than the client's window is under way; each PUBACK lets the next through; nothing is lost."""
    alice = people.native("alice")
    (bob,) = people.add("bob")
    c = people.mqtt(bob, properties=[(RECEIVE_MAX, 3)])
    c.subscribe("inbox/#")
    for i in range(20):
        alice.send(bob, f"m{i}")
    held = [c.message(ack=False) for _ in range(3)]
    assert [p for p in c.quiet() if p.kind == PUBLISH] == []
    texts = [p.payload for p in held]
    for p in held:
        c.ack(PUBACK, p.id)
    while len(set(texts)) < 20:
        texts.append(c.message().payload)
    assert [t for i, t in enumerate(texts) if t not in texts[:i]] == [f"m{i}" for i in range(20)]


def test_packet_identifiers_begin_again(people):
    """After 65535 comes 1, also when PUBACKs come in another order than the deliveries."""
    alice = people.native("alice")
    (bob,) = people.add("bob")
    c = people.mqtt(bob, properties=[(RECEIVE_MAX, 6)])
    c.subscribe("inbox/#")
    got = []
    for i in range(60):
        alice.send(bob, f"m{i}")
    while len(got) < 60:
        held = [c.message(ack=False) for _ in range(min(6, 60 - len(got)))]
        got += held
        for p in held[3:] + held[:3]:
            c.ack(PUBACK, p.id)
    assert [p.payload for p in got] == [f"m{i}" for i in range(60)]
    turn = [p.id for p in got].index(65535)
    assert [p.id for p in got] == [*range(65535 - turn, 65536), *range(1, 60 - turn)]


def test_the_clients_largest_packet(people):
    """What is too large for the client is not sent to it (3.1.2-24), and nothing else is held up."""
    alice = people.native("alice")
    (bob,) = people.add("bob")
    c = people.mqtt(bob, properties=[(PACKET_MAX, 400)])
    c.subscribe("inbox/#")
    alice.send(bob, "x" * 1000)
    alice.send(bob, "small")
    c.message("small")


def test_answers_are_no_larger_either(people):
    """Without their reason strings, then; an answer that has nothing to leave out ends the connection."""
    (bob,) = people.add("bob")
    c = people.mqtt(bob)
    c.publish("free/space", "x", 1)
    assert c.expect(PUBACK).props[REASON]
    c = people.mqtt(bob, properties=[(PACKET_MAX, 30)])
    c.publish("free/space", "x", 1)
    said = c.expect(PUBACK)
    assert (said.reason, said.props) == (0x90, {})
    c.publish("free/space", "x", 0)
    said = c.expect(DISCONNECT)
    assert (said.reason, said.props) == (0x90, {})
    c = people.mqtt(bob, properties=[(PACKET_MAX, 30)])
    c.send(subscribe_packet(7, *(f"inbox/u/friend{n}" for n in range(40))))
    assert c.ended() == 0x95
    c = people.raw(5)
    said = c.connect(None, None, client_id="mqtt", properties=[(PACKET_MAX, 30)])
    assert (said.reason, said.props) == (0x86, {})
    c = people.raw(5)
    said = c.connect(bob, people.tokens[bob], client_id="mqtt", properties=[(PACKET_MAX, 10)])  # a CONNACK does not fit
    assert (said.reason, said.props) == (0x83, {}) and c.ended() is None


def test_the_servers_largest_packet(people):
    (bob,) = people.add("bob")
    c = people.mqtt(bob)
    most = c.hello.props[PACKET_MAX]
    c.send(bytes([0x30, 0xff, 0xff, 0xff, 0x7f]))
    assert most < 268435455 and c.ended() == 0x95


# ---- persistent sessions ----

@pytest.mark.parametrize("version", [4, 5])
def test_missed_messages(people, version):
    alice = people.native("alice")
    (bob,) = people.add("bob")
    more = {"clean": False, **({"properties": KEEP} if version == 5 else {})}
    c = people.mqtt(bob, version, **more)
    assert c.hello.present == 0
    assert c.subscribe("inbox/#") == [1]
    alice.send(bob, "live")
    c.message("live")
    c.quiet()
    c.disconnect()
    for i in range(250):
        alice.post_text(bob, f"missed {i}")
    alice.send(bob, "the end")
    c = people.mqtt(bob, version, **more)
    assert c.hello.present == 1
    got = []
    while not got or got[-1] != "the end":
        got.append(c.message().payload)
    assert got == [f"missed {i}" for i in range(250)] + ["the end"]
    c.quiet()
    c.disconnect()
    alice.send(bob, "right behind it")
    c = people.mqtt(bob, version, **more)
    assert c.hello.present == 1
    c.message("right behind it")  # and nothing of what was acknowledged
    alice.send(bob, "new")
    c.message("new")


def test_what_was_before_the_first_subscription_is_not_missed(people):
    """A session that was kept without a filter of the inbox begins with its first one, not with its own beginning."""
    alice = people.native("alice")
    (bob,) = people.add("bob")
    more = {"clean": False, "properties": KEEP}
    people.mqtt(bob, **more).disconnect()
    alice.send(bob, "before")
    for _ in range(2):
        c = people.mqtt(bob, **more)
        assert c.hello.present == 1 and c.subscribe("inbox/#") == [1]
        c.disconnect()
    alice.send(bob, "behind it")
    c = people.mqtt(bob, **more)
    c.message("behind it")


def test_what_was_not_acknowledged_comes_again(people):
    alice = people.native("alice")
    (bob,) = people.add("bob")
    c = people.mqtt(bob, clean=False, properties=KEEP)
    c.subscribe("inbox/#")
    alice.send(bob, "one")
    alice.send(bob, "two")
    c.message("one", ack=False)
    c.cut()
    c = people.mqtt(bob, clean=False, properties=KEEP)
    assert c.hello.present == 1
    c.message("one")
    c.message("two")


def test_a_clean_start_forgets(people):
    alice = people.native("alice")
    (bob,) = people.add("bob")
    c = people.mqtt(bob, clean=False, properties=KEEP)
    c.subscribe("inbox/#")
    c.disconnect()
    alice.send(bob, "missed")
    c = people.mqtt(bob, clean=True, properties=KEEP)
    assert c.hello.present == 0
    c.subscribe("inbox/#")
    alice.send(bob, "live")
    c.message("live")


def test_expiry_zero_at_the_end_forgets(people):
    (bob,) = people.add("bob")
    c = people.mqtt(bob, clean=False, properties=KEEP)
    c.subscribe("inbox/#")
    c.disconnect(0, [(SESSION_EXPIRY, 0)])
    assert people.mqtt(bob, clean=False, properties=KEEP).hello.present == 0


def test_a_session_expires(people):
    (bob,) = people.add("bob")
    c = people.mqtt(bob, clean=False, properties=[(SESSION_EXPIRY, 1)])
    c.subscribe("inbox/#")
    c.disconnect()
    ended = time.monotonic()
    wait_until(lambda: time.monotonic() - ended > 2.2, what="the session's second to pass")
    assert people.mqtt(bob, clean=False, properties=[(SESSION_EXPIRY, 1)]).hello.present == 0


def test_no_expiry_no_session(people):
    (bob,) = people.add("bob")
    c = people.mqtt(bob, clean=False)
    c.subscribe("inbox/#")
    c.disconnect()
    assert people.mqtt(bob, clean=False).hello.present == 0


# ---- wills ----

def will_of(people, how, **more):
    alice = people.native("alice")
    (bob,) = people.add("bob")
    c = people.mqtt(bob, will=(f"u/{alice.user}", "gone", 1, more.get("properties", ())), keep_alive=more.get("keep_alive", 0))
    c.quiet()
    how(c)
    return alice, bob


@pytest.mark.parametrize("how", [lambda c: c.cut(), lambda c: c.close(), lambda c: c.disconnect(4), lambda c: c.send(b"\xff\xff\xff\xff\xff\xff")],
                         ids=["cut", "closed", "disconnect with will", "malformed"])
def test_a_will_is_sent(people, how):
    alice, bob = will_of(people, how)
    assert alice.wait_message("gone")["from"] == bob


def test_no_will_after_goodbye(people):
    alice, bob = will_of(people, lambda c: c.disconnect())
    c = people.mqtt(bob)
    assert c.published(f"u/{alice.user}", "fence") == 0
    alice.wait_message("fence")
    assert [m["body"]["text"] for m in alice.messages()] == ["fence"]


def test_a_delayed_will(people):
    alice, bob = will_of(people, lambda c: c.cut(), properties=[(WILL_DELAY, 1)])
    # A session expiry of 0 ends the session, and the will goes out at once (3.1.3.2.2).
    alice.wait_message("gone", timeout=3)


def test_a_delayed_will_is_not_sent_when_the_session_goes_on(people):
    alice = people.native("alice")
    (bob,) = people.add("bob")
    c = people.mqtt(bob, will=(f"u/{alice.user}", "gone", 1, [(WILL_DELAY, 2)]), clean=False, properties=KEEP)
    c.subscribe("inbox/#")
    c.cut()
    begun = time.monotonic()
    c = people.mqtt(bob, clean=False, properties=KEEP)
    wait_until(lambda: time.monotonic() - begun > 2.5, what="the delay to pass")
    assert c.published(f"u/{alice.user}", "fence") == 0
    alice.wait_message("fence")
    assert [m["body"]["text"] for m in alice.messages()] == ["fence"]


# ---- presence ----

def test_presence_is_retained(people):
    alice = people.native("alice")
    (bob,) = people.add("bob")
    alice.send(bob, "we know each other")
    c = people.mqtt(bob)
    assert c.subscribe(f"presence/{alice.user}")[0] <= 1
    first = c.message()
    assert (first.topic, first.retain) == (f"presence/{alice.user}", True)
    while first.payload != "online":  # she has only just come
        first = c.message()
        assert not first.retain
    again = people.mqtt(bob)
    assert again.subscribe(f"presence/{alice.user}")[0] <= 1
    first = again.message("online")
    assert (first.topic, first.retain) == (f"presence/{alice.user}", True)
    alice.close()
    later = again.message("offline")
    assert (later.topic, later.retain) == (f"presence/{alice.user}", False)


def test_presence_has_its_subscription_identifier(people):
    """The retained state, and those that come later (3.3.4-3)."""
    alice = people.native("alice")
    (bob,) = people.add("bob")
    alice.send(bob, "we know each other")
    c = people.mqtt(bob)
    assert c.subscribe(f"presence/{alice.user}", properties=[(SUBSCRIPTION_ID, 300)]) == [0]
    got = [c.message()]
    assert got[0].retain
    while got[-1].payload != "online":  # she has only just come
        got.append(c.message())
    alice.close()
    while got[-1].payload != "offline":
        got.append(c.message())
    assert [p.props.get(SUBSCRIPTION_ID) for p in got] == [300] * len(got)


def test_a_resumed_session_while_presence_is_away(fresh, crew):
    """Its client does not subscribe again: the gateway asks until there is an answer."""
    node = fresh()
    people = crew(node)
    failed = lambda: node.metrics("gateway")["pigeon_gateway_ops_failed_total"]  # noqa: E731
    alice = people.native("alice")
    (bob,) = people.add("bob")
    alice.send(bob, "we know each other")
    c = people.mqtt(bob, clean=False, properties=KEEP)
    assert c.subscribe(f"presence/{alice.user}") == [0]
    c.disconnect()
    before = failed()
    node.kill("presence")
    c = people.mqtt(bob, clean=False, properties=KEEP)
    assert c.hello.present == 1
    wait_until(lambda: failed() > before, 20, "the watches to fail")
    node.start("presence")
    while c.expect(PUBLISH, 20).payload != "online":
        pass


@pytest.mark.parametrize("more", [{}, {"clean": False, "properties": KEEP}], ids=["clean start", "persistent"])
def test_presence_is_unsubscribed_before_it_is_granted(people, more):
    """UNSUBSCRIBE right behind its SUBSCRIBE, which waits for an answer from presence: in the end it is not subscribed."""
    alice = people.native("alice")
    (bob,) = people.add("bob")
    alice.send(bob, "we know each other")
    c = people.mqtt(bob, **more)
    topic = f"presence/{alice.user}"
    c.send(subscribe_packet(501, topic), packet(UNSUBSCRIBE << 4 | 2, struct.pack(">H", 502), props([]), text(topic)))
    gone, granted = c.expect(UNSUBACK), c.expect(SUBACK)
    assert (gone.id, gone.codes, granted.id, granted.codes) == (502, [0], 501, [0])
    assert c.unsubscribe(topic) == [0x11]
    assert [p for p in c.quiet() if p.kind == PUBLISH] == []
    assert c.subscribe(topic) == [0]
    while c.message().payload != "online":
        pass
    alice.close()
    while c.message().payload != "offline":
        pass


# ---- QoS 2 ----

@pytest.mark.parametrize("version", [4, 5])
def test_qos_2_repeated_on_the_same_connection(people, version):
    alice = people.native("alice")
    (bob,) = people.add("bob")
    c = people.mqtt(bob, version)
    for dup in (False, True, True):
        c.publish(f"u/{alice.user}", "once", 2, 7, dup=dup)
        assert c.expect(PUBREC).id == 7
    for _ in range(2):
        c.ack(PUBREL, 7)
        assert c.expect(PUBCOMP).id == 7
    assert c.published(f"u/{alice.user}", "again", 2, id_=7) == 0  # the id is free
    assert texts_of(alice, alice.wait_message("again")["conv"]) == ["once", "again"]


@pytest.mark.parametrize("version", [4, 5])
@pytest.mark.parametrize("before", ["clean", "persistent"])
def test_a_new_session_uses_packet_ids_anew(people, version, before):
    """What an earlier session left under a packet id, never released, does not swallow a new message of that id."""
    alice = people.native("alice")
    (bob,) = people.add("bob")
    c = people.mqtt(bob, version, clean=before == "clean", **({"properties": KEEP} if version == 5 and before != "clean" else {}))
    c.publish(f"u/{alice.user}", "left behind", 2, 7)
    assert c.expect(PUBREC).id == 7
    c.cut()
    c = people.mqtt(bob, version, clean=True)
    assert c.published(f"u/{alice.user}", "new", 2, id_=7) == 0
    assert texts_of(alice, alice.wait_message("new")["conv"]) == ["left behind", "new"]


def test_qos_2_repeated_above_the_rate_ends_the_connection(fresh, crew):
    """PUBREC with an error would free the id, whose key storage has: the next message of that id would be swallowed."""
    people = crew(fresh({"PIGEON_LIMITS_USER_MESSAGES_S": "1", "PIGEON_LIMITS_USER_MESSAGES_BURST": "3"}))
    alice, (bob,) = people.native("alice"), people.add("bob")
    c = people.mqtt(bob, clean=False, properties=KEEP)
    c.publish(f"u/{alice.user}", "once", 2, 7)
    assert c.expect(PUBREC).reason == 0
    c.cut()
    c = people.mqtt(bob, clean=False, properties=KEEP)
    for _ in range(20):
        c.publish(f"u/{alice.user}", "excess", 0)
    c.publish(f"u/{alice.user}", "once", 2, 7, dup=True)
    assert c.ended() == 0x89
    c = people.mqtt(bob, clean=False, properties=KEEP)
    for _ in range(20):
        c.publish(f"u/{alice.user}", "excess", 0)
    c.publish(f"u/{alice.user}", "new", 2, 8)  # sent once only: a refusal says that it is not stored
    assert c.expect(PUBREC).reason == 0x97


@pytest.mark.parametrize("version", [4, 5])
@pytest.mark.parametrize("kill_at", ["publish", "pubrec", "pubrel"])
def test_qos_2_and_a_killed_gateway(mortal, crew, version, kill_at):
    """kill -9 behind each step; the client goes on as the standard has it. Stored exactly once."""
    node, people = mortal, crew(mortal)
    alice, (bob,) = people.native("alice"), people.add("bob")
    more = {"clean": False, **({"properties": KEEP} if version == 5 else {})}
    c = people.mqtt(bob, version, **more)
    c.publish(f"u/{alice.user}", "once", 2, 7)
    if kill_at == "publish":
        alice.wait_message("once")  # it is stored; whether PUBREC was read, nobody knows
    else:
        assert c.expect(PUBREC).reason == 0
    if kill_at == "pubrel":
        c.ack(PUBREL, 7)
    node.restart("gateway")
    c = people.mqtt(bob, version, **more)
    if kill_at == "publish":
        c.publish(f"u/{alice.user}", "once", 2, 7, dup=True)
        assert c.expect(PUBREC).id == 7
    c.ack(PUBREL, 7)
    assert c.expect(PUBCOMP).id == 7
    assert c.published(f"u/{alice.user}", "another", 2, id_=7) == 0
    reader = people.native("alice")
    (conv,) = reader.sync()[0]
    assert texts_of(reader, conv) == ["once", "another"]
