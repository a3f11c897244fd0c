"""Bare sockets that behave badly: a WebSocket that never reads, an upgrade that never ends."""
import base64
import json
import os
import socket
import struct


def upgrade(port):
    return (f"GET /v1/ws HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
            f"Sec-WebSocket-Protocol: pigeon.v1.json\r\nSec-WebSocket-Key: {base64.b64encode(os.urandom(16)).decode()}\r\n\r\n").encode()


def frame(value):
    """One masked text frame (mask of zeros: the payload stands as it is)."""
    data = json.dumps(value).encode()
    head = bytes([0x81, 0x80 | len(data)]) if len(data) < 126 else bytes([0x81, 0xFE]) + struct.pack(">H", len(data))
    return head + bytes(4) + data


def never_reads(port, token):
    """Says hello, takes the answer, and never reads again."""
    s = socket.socket()
    s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    s.settimeout(15)
    s.connect(("127.0.0.1", port))
    s.sendall(upgrade(port))
    got = b""
    while b"\r\n\r\n" not in got:
        got += s.recv(1024)
    s.sendall(frame({"id": 1, "hello": {"token": token}}))
    while b'"id":1' not in got:
        piece = s.recv(1024)
        assert piece, got
        got += piece
    return s


def slowloris(port):
    """An upgrade of which half is sent."""
    s = socket.create_connection(("127.0.0.1", port), 15)
    s.sendall(upgrade(port)[:60])
    s.setblocking(False)
    return s


def closed(s):
    try:
        while s.recv(4096):  # a 408 may stand before the end
            pass
        return True
    except BlockingIOError:
        return False
    except OSError:
        return True
