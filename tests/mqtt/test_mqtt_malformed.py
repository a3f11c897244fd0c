"""Malformed and forbidden packets: answered as the standards say, and the gateway goes on."""
import socket
import struct

import pytest

from raw import AUTH, CONNACK, CONNECT, PUBACK, PUBLISH, PUBREL, SUBSCRIBE, UNSUBSCRIBE, packet, props, text

CONNECT_5 = text("MQTT") + b"\x05\x02\0\0"
CONNECT_3 = text("MQTT") + b"\x04\x02\0\0"


@pytest.mark.parametrize("sent, answer", [
    (packet(0x10, text("MQTT"), b"\x04\x03\0\0", text("x")), None),                      # reserved flag; 3.1.1 has no code for it
    (packet(0x10, text("MQTT"), b"\x05\x03\0\0", props([]), text("x")), 0x81),
    (packet(0x10, CONNECT_5, b"\x7f", text("x")), 0x81),                                # properties past the end
    (packet(0x10, CONNECT_5, props([(33, 0)]), text("x")), 0x82),
    (packet(0x10, CONNECT_5, props([(33, 1), (33, 1)]), text("x")), 0x82),
    (packet(0x10, CONNECT_5, props([(21, "SCRAM")]), text("x")), 0x8c),
    (packet(0x10, CONNECT_5, props([]), b"\0\2\xc3\x28"), 0x81),                        # not UTF-8
    (packet(0x10, CONNECT_5, props([]), text("x"), b"rest"), 0x81),
    (packet(0x10, text("MQTT"), b"\x05\x06\0\0", props([]), text("x"), props([]), text("u/#"), text("x")), 0x90),
    (packet(0x10, text("MQIsdp"), b"\x03\x02\0\0", text("x")), 1),
    (packet(0x10, text("MQTT"), b"\x03\x02\0\0", text("x")), 1),
    (packet(0x10, text("MQTT"), b"\x06\x02\0\0", props([]), text("x")), 0x84),
    (packet(0x10, text("HTTP"), b"\x05\x02\0\0", props([]), text("x")), None),
    (packet(0x10, text("MQTT"), b"\x04\x00\0\0", text("")), 2),                          # no client id for a session to be kept
    (b"GET / HTTP/1.1\r\n\r\n", None),
    (b"\x10\xff\xff\xff\xff\x01", None),                                                # a length of five bytes
    (b"\x10\xff\xff\xff\x7f", None),                                                    # 256 MB before a login
    (packet(0xc0), None),                                                               # anything but CONNECT
    (packet(0x30, text("u/x"), b"hello"), None),
    (packet(AUTH << 4), None),
])
def test_before_a_session(people, sent, answer):
    c = people.raw(5)
    c.send(sent)
    c.version = 4 if answer is not None and answer < 0x80 else 5
    first = c.read()
    if answer is None:
        assert first is None or first.reason >= 0x80, first
    else:
        assert (first.kind, first.reason, first.present) == (CONNACK, answer, 0)
    assert c.ended() is None


SUB, PUB = SUBSCRIBE << 4 | 2, PUBLISH << 4
ID = struct.pack(">H", 1)


@pytest.mark.parametrize("sent, reason", [
    (packet(0x10, CONNECT_5, props([]), text("x")), 0x82),  # a second CONNECT
    (b"\x00\x00", 0x81),
    (b"\xc1\x00", 0x81),
    (b"\xc0\x80\x00", 0x81),                                # a length that is not in its shortest form
    (b"\x30\xff\xff\xff\xff\x01", 0x81),
    (packet(0x20, b"\0\0\0"), 0x82),                        # a server's packet
    (packet(PUB | 6, text("u/x"), ID, props([]), b"x"), 0x81),
    (packet(PUB | 8, text("u/x"), props([]), b"x"), 0x81),
    (packet(PUB, b"\xff\xff", b"u/x"), 0x81),
    (packet(PUB, text(b"u/\xed\xa0\x80"), props([]), b"x"), 0x81),
    (packet(PUB, text("u/\0"), props([]), b"x"), 0x81),
    (packet(PUB | 2, text("u/x"), b"\0\0", props([]), b"x"), 0x82),
    (packet(PUB, text("u/+"), props([]), b"x"), 0x90),
    (packet(PUB, text(""), props([]), b"x"), 0x82),
    (packet(PUB, text("u/x"), props([(35, 0)]), b"x"), 0x94),
    (packet(PUB, text("u/x"), props([(11, 1)]), b"x"), 0x82),
    (packet(PUB, text("u/x"), props([(31, "no")]), b"x"), 0x81),
    (packet(PUB, text("u/x"), props([(38, ("a", "b"))] * 65), b"x"), 0x97),
    (packet(SUB, ID, props([])), 0x82),
    (packet(SUB, b"\0\0", props([]), text("inbox/#"), b"\1"), 0x82),
    (packet(SUB, ID, props([]), text("inbox/#"), b"\3"), 0x82),
    (packet(SUB, ID, props([]), text("inbox/#"), b"\x41"), 0x81),
    (packet(SUB, ID, props([]), text("inbox/#/x"), b"\1"), 0x8f),
    (packet(SUB & 0xf0, ID, props([]), text("inbox/#"), b"\1"), 0x81),
    (packet(UNSUBSCRIBE << 4 | 2, ID, props([])), 0x82),
    (packet(PUBACK << 4, ID, b"\x05"), 0x82),
    (packet(PUBREL << 4, ID), 0x81),
    (packet(0xe0, b"\x8e"), 0x82),
    (packet(AUTH << 4, b"\x18", props([(21, "m")])), 0x82),
])
def test_in_a_session(people, sent, reason):
    (bob,) = people.add("bob")
    five = people.mqtt(bob)
    five.send(sent)
    assert five.ended() == reason


@pytest.mark.parametrize("sent", [b"\x00\x00", packet(0x10, CONNECT_3, text("x")), packet(PUB | 6, text("u/x"), ID, b"x"), packet(SUB, ID, text("inbox/#"), b"\4"),
                                  packet(AUTH << 4), packet(0xc0, b"x"), packet(PUB, text("u/#"), b"x")])
def test_in_a_session_of_3(people, sent):
    (bob,) = people.add("bob")
    three = people.mqtt(bob, 4)
    three.send(sent)
    assert three.ended() is None


def test_a_packet_in_pieces_and_packets_in_a_row(people):
    (bob,) = people.add("bob")
    c = people.raw(5)
    whole = packet(0x10, text("MQTT"), b"\x05\xc2\0\0", props([(38, ("a", "b"))]), text("mqtt"), text(bob), text(people.tokens[bob]))
    behind = packet(SUB, ID, props([]), text("inbox/#"), b"\1") + packet(0xc0)
    c.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    for i in range(len(whole)):
        c.send(whole[i:i + 1])
    c.send(behind)
    assert c.expect(CONNACK).reason == 0
    assert c.expect(9).codes == [1]
    c.expect(13)


def test_nothing_but_a_connection(node, people):
    """Who does not log in is sent away in time."""
    silent, begun = people.raw(5), people.raw(5)
    begun.send(b"\x10\x20")
    assert silent.ended() is None and begun.ended() is None


def test_a_websocket_needs_the_subprotocol(node):
    from websockets.exceptions import InvalidStatus
    from websockets.sync.client import connect

    url = node.mqtt_url("ws").replace("localhost", "127.0.0.1")
    for offered in (None, ["pigeon.v1.json"]):
        with pytest.raises(InvalidStatus):
            connect(url, subprotocols=offered).close()
    with connect(url, subprotocols=["mqtt"], compression=None) as s:
        assert s.subprotocol == "mqtt"
        s.send("text")  # 6.0-1: only binary frames
        with pytest.raises(Exception, match="1003|1002|1007"):
            s.recv(timeout=10)
