"""Malformed frames of every kind over a raw socket: a clear end or error for that peer, nothing for the others."""
import base64
import hashlib
import json
import os
import socket
import struct

import pytest

from client import Client

KEY = base64.b64encode(b"0123456789abcdef").decode()


class Raw:
    """A socket that says exactly what it is told."""

    def __init__(self, port):
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=10)
        self.data = b""

    def upgrade(self, **headers):
        lines = {"Host": "localhost", "Upgrade": "websocket", "Connection": "Upgrade", "Sec-WebSocket-Key": KEY, "Sec-WebSocket-Version": "13",
                 "Sec-WebSocket-Protocol": "pigeon.v1.json", **{k.replace("_", "-"): v for k, v in headers.items()}}
        self.write("GET /v1/ws HTTP/1.1\r\n" + "".join(f"{k}: {v}\r\n" for k, v in lines.items() if v is not None) + "\r\n")
        return self.head()

    def write(self, data):
        self.socket.sendall(data.encode() if isinstance(data, str) else data)

    def head(self):
        while b"\r\n\r\n" not in self.data:
            more = self.socket.recv(65536)
            if not more:
                return self.data.decode("latin-1")
            self.data += more
        head, self.data = self.data.split(b"\r\n\r\n", 1)
        return head.decode("latin-1")

    def frame(self, opcode, payload=b"", fin=True, rsv=0, mask=True, length=None):
        payload = payload.encode() if isinstance(payload, str) else payload
        size = len(payload)
        head = bytes([(0x80 if fin else 0) | rsv << 4 | opcode])
        bit = 0x80 if mask else 0
        if length:
            head += length
        elif size < 126:
            head += bytes([bit | size])
        elif size < 65536:
            head += bytes([bit | 126]) + struct.pack(">H", size)
        else:
            head += bytes([bit | 127]) + struct.pack(">Q", size)
        key = os.urandom(4)
        body = bytes(b ^ key[i % 4] for i, b in enumerate(payload)) if mask else payload
        self.write(head + (key if mask else b"") + body)

    def read_frame(self):
        """(opcode, payload), or None at the end."""
        def need(n):
            while len(self.data) < n:
                try:
                    more = self.socket.recv(65536)
                except ConnectionResetError:
                    more = b""
                if not more:
                    return False
                self.data += more
            return True
        if not need(2):
            return None
        size, at = self.data[1] & 127, 2
        if size == 126:
            if not need(4):
                return None
            size, at = struct.unpack(">H", self.data[2:4])[0], 4
        elif size == 127:
            if not need(10):
                return None
            size, at = struct.unpack(">Q", self.data[2:10])[0], 10
        if not need(at + size):
            return None
        opcode, payload = self.data[0] & 15, self.data[at:at + size]
        self.data = self.data[at + size:]
        return opcode, payload

    def close_code(self):
        """The code of the close frame that ends it, or None when it just ends."""
        while True:
            frame = self.read_frame()
            if frame is None:
                return None
            if frame[0] == 8:
                return struct.unpack(">H", frame[1][:2])[0]

    def hello(self, token):
        self.frame(1, json.dumps({"id": 1, "hello": {"token": token}}))
        return json.loads(self.read_frame()[1])


@pytest.fixture
def raw(shared):
    made = []

    def new():
        made.append(Raw(shared.gateway_port))
        return made[-1]
    yield new
    for r in made:
        r.socket.close()


@pytest.fixture
def logged_in(people, shared, raw):
    (alice,) = people.join("alice")
    alice.close()
    socket_ = raw()
    socket_.upgrade()
    assert "ok" in socket_.hello(alice.token)
    return socket_


def test_the_upgrade_is_right(raw):
    head = raw().upgrade()
    accept = base64.b64encode(hashlib.sha1((KEY + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11").encode()).digest()).decode()
    assert head.startswith("HTTP/1.1 101 ")
    assert f"sec-websocket-accept: {accept}".lower() in head.lower() and "pigeon.v1.json" in head


@pytest.mark.parametrize("headers, status", [
    ({"Sec_WebSocket_Version": "12"}, 426), ({"Sec_WebSocket_Key": None}, 400), ({"Sec_WebSocket_Key": "short"}, 400),
    ({"Upgrade": None}, 400), ({"Upgrade": "h2c"}, 400), ({"Connection": "close"}, 400), ({"Host": None}, 400),
    ({"Origin": "https://evil.example"}, 403), ({"Origin": "null"}, 403),
])
def test_wrong_upgrades(raw, headers, status):
    assert raw().upgrade(**headers).startswith(f"HTTP/1.1 {status} ")


def test_own_origin_is_welcome(raw):
    assert raw().upgrade(Origin="http://localhost").startswith("HTTP/1.1 101 ")


@pytest.mark.parametrize("request_", ["GET /\r\n\r\n", "\x00\x01\x02\x03\r\n\r\n", "POST /v1/ws HTTP/1.1\r\nHost: x\r\n\r\n", "GET /other HTTP/1.1\r\nHost: x\r\n\r\n",
                                      "GET /v1/ws HTTP/1.1\r\nHost : x\r\n\r\n", "GET /v1/ws HTTP/1.1\r\n folded\r\n\r\n", "GET " + "/" * 20000 + " HTTP/1.1\r\n\r\n",
                                      "GET /v1/ws HTTP/1.1\r\nA: " + "x" * 20000 + "\r\n\r\n", "\x16\x03\x01\x02\x00\x01\x00"])
def test_requests_that_are_none(raw, request_):
    peer = raw()
    peer.write(request_.encode("latin-1"))
    head = peer.head() if "\x16" not in request_ else "HTTP/1.1 400 "
    assert head == "" or head.split(" ")[1] in ("400", "404", "405", "413", "414", "426", "431")


BROKEN = {
    "unmasked": (lambda p: p.frame(1, "{}", mask=False), 1002),
    "rsv1": (lambda p: p.frame(1, "{}", rsv=4), 1002),
    "rsv3": (lambda p: p.frame(1, "{}", rsv=1), 1002),
    "opcode 3": (lambda p: p.frame(3, "{}"), 1002),
    "opcode 11": (lambda p: p.frame(11, ""), 1002),
    "long ping": (lambda p: p.frame(9, "x" * 126), 1002),
    "fragmented ping": (lambda p: p.frame(9, "x", fin=False), 1002),
    "continuation of nothing": (lambda p: p.frame(0, "x"), 1002),
    "text inside a fragmented text": (lambda p: (p.frame(1, '{"id"', fin=False), p.frame(1, "{}")), 1002),
    "not UTF-8": (lambda p: p.frame(1, b'{"a":"\xff"}'), 1007),
    "surrogate": (lambda p: p.frame(1, b'{"a":"\xed\xa0\x80"}'), 1007),
    "huge length": (lambda p: p.frame(1, "", length=bytes([0xFF]) + struct.pack(">Q", 1 << 62)), 1009),
    "length with the top bit": (lambda p: p.frame(1, "", length=bytes([0xFF]) + struct.pack(">Q", 1 << 63)), 1002),
    "length not minimal": (lambda p: p.frame(1, "{}", length=bytes([0xFE, 0, 2])), 1002),
    "over the limit": (lambda p: p.frame(1, "x" * 70000), 1009),
    "over the limit in pieces": (lambda p: [p.frame(1 if i == 0 else 0, "x" * 30000, fin=False) for i in range(3)], 1009),
    "close of one byte": (lambda p: p.frame(8, b"\x03"), 1002),
    "close with a code that is none": (lambda p: p.frame(8, struct.pack(">H", 1005)), 1002),
    "close with broken text": (lambda p: p.frame(8, struct.pack(">H", 1000) + b"\xff"), 1007),
}


@pytest.mark.parametrize("what", BROKEN)
def test_frames_against_rfc_6455(logged_in, what):
    action, code = BROKEN[what]
    try:
        action(logged_in)
    except (BrokenPipeError, ConnectionResetError):
        pass
    assert logged_in.close_code() == code


def test_binary_on_a_json_socket_closes_it(logged_in):
    logged_in.frame(2, b"\x00")
    assert logged_in.close_code() == 1003


def test_a_polite_close_is_echoed(logged_in):
    logged_in.frame(8, struct.pack(">H", 1000) + b"bye")
    assert logged_in.close_code() == 1000


def test_ping_is_answered_even_between_fragments(logged_in):
    logged_in.frame(1, '{"id":5,', fin=False)
    logged_in.frame(9, "are you there")
    assert logged_in.read_frame() == (10, b"are you there")
    logged_in.frame(0, '"ping":{}}')
    assert json.loads(logged_in.read_frame()[1])["id"] == 5


def test_a_frame_that_comes_byte_by_byte(logged_in):
    logged_in.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    whole, write = [], logged_in.write
    logged_in.write = whole.append
    logged_in.frame(1, '{"id":9,"ping":{}}')
    for byte in b"".join(whole):
        write(bytes([byte]))
    assert json.loads(logged_in.read_frame()[1])["id"] == 9


@pytest.mark.parametrize("text", ["", "{", "[]", "null", "1", '"x"', "{}", '{"id":2}', '{"id":2,"nonsense":{}}', '{"id":2,"ping":[]}', '{"id":"x","ping":{}}', '{"id":2,"send":{"to":5}}',
                                  '{"id":2,"ping":{},"sync":{}}', '{"id":2,"fetch":{"conv":{"a":1}}}', "[" * 1000, '{"a":' * 40 + "1" + "}" * 40, '{"id":2,"mark":{"read":-1}}', '{"id":2,"mark":{"read":1e99}}'])
def test_json_that_is_no_operation(logged_in, text):
    logged_in.frame(1, text)
    opcode, payload = logged_in.read_frame()
    assert opcode == 1 and json.loads(payload)["error"]["code"] == "invalid", payload
    logged_in.frame(1, '{"id":77,"ping":{}}')
    assert json.loads(logged_in.read_frame()[1])["id"] == 77


def test_the_tenth_malformed_frame_ends_it(logged_in):
    for _ in range(10):
        logged_in.frame(1, "{")
    assert logged_in.close_code() == 4400


def test_silence_before_hello_ends(raw):
    peer = raw()
    peer.upgrade()
    assert peer.close_code() == 4401


def test_a_hello_that_is_too_large(raw):
    peer = raw()
    peer.upgrade()
    try:
        peer.frame(1, json.dumps({"id": 1, "hello": {"token": "x" * 17000}}))
    except (BrokenPipeError, ConnectionResetError):
        pass
    assert peer.close_code() in (1009, 4401, 4413, None)


def test_the_others_noticed_nothing(shared, people):
    alice, bob = people.join("alice", "bob")
    alice.send(bob.user, "all quiet?")
    bob.wait_message("all quiet?")
    with Client(shared.ws_url, alice.token, subprotocol=None) as plain:
        plain.call("ping")
