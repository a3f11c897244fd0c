"""The least of a WebSocket client (RFC 6455) that makes a group in Pigeon before a run. Standard library only."""
import json
import os
import socket
import struct


class Wire:
    def __init__(self, port, token):
        self.socket, self.buffer, self.next_id = socket.create_connection(("127.0.0.1", port), 30), b"", 0
        self.socket.sendall(b"GET /v1/ws HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
                            b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Protocol: pigeon.v1.json\r\n\r\n")
        while b"\r\n\r\n" not in self.buffer:
            self._more()
        head, self.buffer = self.buffer.split(b"\r\n\r\n", 1)
        if b" 101 " not in head.split(b"\r\n")[0]:
            raise RuntimeError(f"no upgrade: {head[:200]}")
        self.call("hello", token=token, cursor="", device="")

    def _more(self):
        got = self.socket.recv(65536)
        if not got:
            raise RuntimeError("the gateway has closed")
        self.buffer += got

    def _take(self, n):
        while len(self.buffer) < n:
            self._more()
        part, self.buffer = self.buffer[:n], self.buffer[n:]
        return part

    def _frame(self):
        head = self._take(2)
        size = head[1] & 127
        if size == 126:
            size = struct.unpack(">H", self._take(2))[0]
        elif size == 127:
            size = struct.unpack(">Q", self._take(8))[0]
        return head[0] & 15, self._take(size)

    def call(self, op, **fields):
        self.next_id += 1
        text = json.dumps({"id": self.next_id, op: fields}).encode()
        head = struct.pack(">BB", 0x81, 0x80 | len(text)) if len(text) < 126 else struct.pack(">BBH", 0x81, 0xFE, len(text)) if len(text) < 65536 \
            else struct.pack(">BBQ", 0x81, 0xFF, len(text))
        mask = os.urandom(4)
        self.socket.sendall(head + mask + bytes(b ^ mask[i % 4] for i, b in enumerate(text)))
        while True:
            kind, payload = self._frame()
            if kind != 1:
                continue
            answer = json.loads(payload)
            if answer.get("id") != self.next_id:
                continue
            if "error" in answer:
                raise RuntimeError(f"{op}: {answer['error']}")
            return next(iter(answer["ok"].values()), {}) if answer.get("ok") else {}

    def close(self):
        self.socket.close()


def make_group(port, token, members):
    """A group of its own for the token's user and these: its id."""
    wire = Wire(port, token)
    conv = wire.call("create", kind="group", title="bench", members=members[:1000])["conv"]
    for at in range(1000, len(members), 1000):
        wire.call("invite", conv=conv, users=members[at:at + 1000])
    wire.close()
    return conv
