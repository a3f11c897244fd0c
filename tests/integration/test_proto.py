"""The binary subprotocol, by Python's own protobuf code made from the schema: same model, same answers as JSON."""
import importlib
import os
import subprocess
import sys

import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

from client import Client
from cluster import ROOT


@pytest.fixture(scope="module")
def schema(tmp_path_factory):
    """The module that protoc makes of client.proto."""
    out = tmp_path_factory.mktemp("schema")
    subprocess.run(["protoc", f"--python_out={out}", "client.proto"], cwd=os.path.join(ROOT, "common/proto"), check=True)
    sys.path.insert(0, str(out))
    try:
        return importlib.import_module("client_pb2")
    finally:
        sys.path.remove(str(out))


class ProtoClient:
    def __init__(self, schema, url, token):
        self.schema, self.number, self.events = schema, 0, []
        self.socket = connect(url, subprotocols=["pigeon.v1.proto"], compression=None)
        assert self.socket.subprotocol == "pigeon.v1.proto"
        self.me = self.call("hello", schema.Hello(token=token)).hello

    def call(self, op, value):
        self.number += 1
        self.socket.send(self.schema.ClientFrame(id=self.number, **{op: value}).SerializeToString())
        while True:
            frame = self.receive()
            if frame.id == self.number:
                return frame.ok if frame.HasField("ok") else frame.error
            self.events.append(frame)

    def receive(self):
        data = self.socket.recv(timeout=10)
        assert isinstance(data, bytes), "text on a binary connection"
        return self.schema.ServerFrame.FromString(data)

    def wait(self, what):
        while True:
            for frame in self.events:
                if frame.HasField(what):
                    return getattr(frame, what)
            self.events.append(self.receive())


@pytest.fixture
def pair(schema, shared, people):
    """bob speaks protobuf, alice JSON."""
    (alice,) = people.join("alice")
    (name,) = people.names("bob")
    bob = ProtoClient(schema, shared.ws_url, shared.add_users(name)[name])
    yield alice, bob
    bob.socket.close()


def test_both_encodings_meet(schema, pair):
    alice, bob = pair
    sent = bob.call("send", schema.Send(to=schema.Target(user=alice.user), client_id="p1", kind=schema.text, body=schema.Body(text="héllo ✓"))).send
    got = alice.wait_message("héllo ✓")
    assert (got["conv"], got["seq"], got["message_id"], got["sent_at"]) == (sent.conv, sent.seq, sent.message_id, sent.sent_at)
    alice.send(sent.conv, "back", reply_to=1, mentions=[bob.me.user])
    message = bob.wait("message")
    assert (message.body.text, message.reply_to, list(message.mentions), message.kind) == ("back", 1, [bob.me.user], schema.text)
    page = bob.call("fetch", schema.Fetch(conv=sent.conv, limit=10)).fetch
    assert [m.body.text for m in page.messages] == ["héllo ✓", "back"] and not page.more


def test_all_kinds_come_through_alike(schema, pair):
    alice, bob = pair
    bodies = [(schema.location, schema.Body(location=schema.Location(latitude=52.5, longitude=-0.125, label="here"))),
              (schema.card, schema.Body(card=schema.Card(user=alice.user, title="Alice"))),
              (schema.custom, schema.Body(custom=schema.Custom(type="poll", data='{"a":1}'))),
              (schema.command, schema.Body(command=schema.Command(name="roll", args=["2", "d6"])))]
    for n, (kind, body) in enumerate(bodies):
        assert bob.call("send", schema.Send(to=schema.Target(user=alice.user), client_id=f"k{n}", kind=kind, body=body)).send.seq == n + 1
    alice.wait(lambda: len(alice.messages()) == 4)
    place, card, custom, command = (m["body"] for m in alice.messages())
    assert place["location"] == {"latitude": 52.5, "longitude": -0.125, "label": "here"}
    assert card["card"]["user"] == alice.user and custom["custom"]["data"] == '{"a":1}' and command["command"]["args"] == ["2", "d6"]


def test_errors_in_binary(schema, pair):
    _, bob = pair
    error = bob.call("fetch", schema.Fetch(conv="cabcdefghijklmnop", limit=5))
    assert (error.code, error.retry) == ("not_found", False) and error.text


@pytest.mark.parametrize("data", [b"\xff\xff\xff\xff", b"\x08", b"\x12\x7f", b"\x0a\x01", b"\x12\x03\x0a\x01\xff", b"\x13", b""])
def test_malformed_binary_frames_get_an_error_and_the_tenth_closes(schema, pair, data):
    _, bob = pair
    for _ in range(9):
        bob.socket.send(data)
        assert bob.receive().error.code == "invalid"
    assert bob.call("ping", schema.Ping()).HasField("ping")
    bob.socket.send(data)
    with pytest.raises(ConnectionClosed):
        while True:
            bob.receive()


def test_unknown_fields_are_skipped(schema, pair):
    _, bob = pair
    bob.number += 1
    frame = schema.ClientFrame(id=bob.number, ping=schema.Ping()).SerializeToString()
    bob.socket.send(frame + b"\xfa\x3f\x03abc" + b"\xa0\x3f\x01")
    assert bob.receive().ok.HasField("ping")


def test_text_frames_on_a_binary_connection_close_it(schema, pair):
    _, bob = pair
    bob.socket.send('{"id":1,"ping":{}}')
    with pytest.raises(ConnectionClosed) as ended:
        bob.receive()
    assert ended.value.rcvd.code == 1003


def test_no_subprotocol_means_json(shared, people):
    (alice,) = people.join("alice")
    with Client(shared.ws_url, alice.token, subprotocol=None) as plain:
        assert plain.user == alice.user
