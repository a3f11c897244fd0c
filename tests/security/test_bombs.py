"""Point 5: small frames that want to be large inside. Each costs its sender an error, and the gateway no memory and no time."""
import json
import time
import zlib

import pytest
from client import Client
from test_malformed import Raw
from test_security import field, memory_peak
from websockets.sync.client import connect


def nested(depth):
    """An unknown field may hold anything, to the depth that the limit names."""
    return '{"id":2,"ping":{"x":' + "[" * (depth - 2) + "]" * (depth - 2) + "}}"


def frames(shared, alice, texts):
    peer = Raw(shared.gateway_port)
    try:
        peer.upgrade()
        assert "ok" in peer.hello(alice.token)
        for text in texts:
            peer.frame(1, text)
            yield json.loads(peer.read_frame()[1])
    finally:
        peer.socket.close()


def test_json_is_at_most_32_deep(shared, join):
    alice, = join("alice")
    deep, fits = frames(shared, alice, [nested(33), nested(32)])
    assert deep["error"]["code"] == "invalid"
    assert fits["id"] == 2 and "ok" in fits
    assert alice.call("POST", "/contacts", raw=("[" * 100000).encode(), headers={"Content-Type": "application/json"}).code == "invalid"


JSON = {
    "a thousand keys of one name": lambda: '{"id":2,"ping":{' + ",".join('"a":1' for _ in range(10000)) + "}}",
    "one list of 30,000": lambda: '{"id":2,"watch":{"users":[' + ",".join("1" for _ in range(30000)) + "]}}",
    "a number of 60,000 digits": lambda: '{"id":' + "9" * 60000 + ',"ping":{}}',
    "lone surrogates": lambda: '{"id":2,"send":{"to":{"user":"bob"},"client_id":"x","kind":"text","body":{"text":"\\ud800"}}}',
    "a zero inside": lambda: '{"id":2,"send":{"to":{"user":"bob\\u0000x"},"client_id":"x","kind":"text","body":{"text":"x"}}}',
}


@pytest.mark.parametrize("what", JSON)
def test_json_bombs(shared, join, what):
    alice, = join("alice")
    before, started = memory_peak(shared.processes["gateway"]), time.monotonic()
    (answer,) = frames(shared, alice, [JSON[what]()])
    assert time.monotonic() - started < 2
    assert "error" in answer or what == "a thousand keys of one name", answer
    assert memory_peak(shared.processes["gateway"]) - before < 16 << 20


def deep(levels):
    """Send.body.operation.body.operation... : a message inside itself."""
    data = b""
    for i in range(levels):
        data = field(7 if i % 2 else 5, data)
    return data


PROTOBUF = {
    "nested 20,000 times": lambda: field(3, b"\x0b" * 30000),
    "messages in messages": lambda: field(3, deep(8000)),
    "30,000 empty names": lambda: field(3, field(4, field(2, b"") * 20000)),
    "a length of 2^63": lambda: b"\x1a" + b"\xff" * 8 + b"\x7f",
    "a varint that never ends": lambda: b"\x08" + b"\x80" * 60000,
    "not UTF-8": lambda: field(3, field(2, b"\xff\xfe")),
}


@pytest.mark.parametrize("what", PROTOBUF)
def test_protobuf_bombs(shared, join, what):
    alice, = join("alice")
    before, started = memory_peak(shared.processes["gateway"]), time.monotonic()
    with connect(shared.ws_url, subprotocols=["pigeon.v1.proto"], compression=None) as socket:
        socket.send(field(2, field(1, alice.token.encode())) + b"\x08\x01")
        assert alice.user.encode() in socket.recv(timeout=10)
        socket.send(b"\x08\x02" + PROTOBUF[what]())
        assert b"invalid" in socket.recv(timeout=10)
    assert time.monotonic() - started < 2
    assert memory_peak(shared.processes["gateway"]) - before < 16 << 20


def test_a_message_of_countless_pieces_ends(shared, join):
    """One byte a fragment, and empty ones: the limit counts what is gathered, and nobody waits for ever."""
    alice, = join("alice")
    peer = Raw(shared.gateway_port)
    peer.upgrade()
    assert "ok" in peer.hello(alice.token)
    before = memory_peak(shared.processes["gateway"])
    try:
        peer.frame(1, "{", fin=False)
        for _ in range(300):
            peer.write(b"\x00\x80\x00\x00\x00\x00" * 500)  # empty continuations
        peer.frame(0, "x" * 70000, fin=False)
    except OSError:
        pass
    assert peer.close_code() in (1009, 1002, 1008)
    peer.socket.close()
    assert memory_peak(shared.processes["gateway"]) - before < 8 << 20


def test_deflate_is_not_offered(shared, join):
    """Neither for WebSocket frames nor for bodies: nothing that comes in is ever inflated."""
    alice, = join("alice")
    peer = Raw(shared.gateway_port)
    head = peer.upgrade(**{"Sec-WebSocket-Extensions": "permessage-deflate; client_max_window_bits"})
    peer.socket.close()
    assert "101" in head and "extensions" not in head.lower()
    bomb = zlib.compress(b'{"user":"' + b"a" * 10_000_000 + b'"}', 9)
    answer = alice.call("POST", "/contacts", raw=bomb, headers={"Content-Type": "application/json", "Content-Encoding": "deflate"})
    assert answer.code in ("invalid", "too_large"), answer
    with Client(shared.ws_url, alice.token) as socket:
        socket.call("ping")
