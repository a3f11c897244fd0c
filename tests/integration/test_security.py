"""Attacks that need no special rights: what they cost the servers, and what they must not reach."""
import json
import os
import signal
import socket
import time
import uuid

import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

from client import Client, Refused
from cluster import http_get, wait_until


def memory_peak(process):
    """The most memory that it has had, in bytes."""
    with open(f"/proc/{process.pid}/status", encoding="ascii") as f:
        return next(int(line.split()[1]) * 1024 for line in f if line.startswith("VmHWM"))


# ---- protobuf: parts that come twice ----

def field(number, data):
    size, n = b"", len(data)
    while n > 127:
        size, n = size + bytes([n & 127 | 128]), n >> 7
    return bytes([number << 3 | 2]) + size + bytes([n]) + data


def test_a_repeated_part_costs_no_memory(shared, people):
    """protobuf-c merges a message that comes twice, copying its lists each time: 10,000 in one frame would be 400 MB."""
    (alice,) = people.join("alice")
    command = field(4, field(6, field(2, b"")))  # Send.body.command.args[0]
    send = field(3, command * (60000 // len(command)))
    before = memory_peak(shared.processes["gateway"])
    with connect(shared.ws_url, subprotocols=["pigeon.v1.proto"], compression=None) as socket_:
        socket_.send(field(2, field(1, alice.token.encode())) + b"\x08\x01")
        assert alice.user.encode() in socket_.recv(timeout=10)
        socket_.send(b"\x08\x02" + send)
        assert b"invalid" in socket_.recv(timeout=10)
    assert memory_peak(shared.processes["gateway"]) - before < 32 << 20


# ---- sessions ----

def test_a_revocation_during_hello_is_not_missed(fresh):
    """Revoked between storage's answer and the gateway's subscription, where no event reaches it."""
    cluster = fresh()
    token = cluster.add_users("alice")["alice"]
    cluster.pause("storage")
    with Client(cluster.ws_url, hello=False) as alice:
        alice.post("hello", token=token)
        wait_until(lambda: cluster.metrics("gateway")["pigeon_gateway_frames_in_total"], 5, "the hello to be read")
        assert http_get(cluster.gateway_port, "/")[0] == 404  # a later turn of its loop: the hello's turn has written its request
        cluster.pause("gateway")
        cluster.resume("storage")
        status, _ = cluster.rest("POST", "/v1/logout", token=token)
        assert status == 204
        cluster.resume("gateway")
        alice.wait_closed(5)


# ---- the way in ----

def test_slow_uploads_of_strangers_hold_nobody_up(fresh):
    """They are refused by their head: nobody waits for their bodies."""
    cluster = fresh({"PIGEON_API_THREADS": "8"})
    cluster.start("nginx")
    port, slow = cluster.base + 15, []
    try:
        for _ in range(24):
            s = socket.create_connection(("127.0.0.1", port))
            s.sendall(b"POST /v1/files?name=a HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\n0")
            slow.append(s)
        time.sleep(0.5)
        started = time.monotonic()
        assert http_get(port, "/v1/info")[0] == 200
        assert time.monotonic() - started < 1.5
    finally:
        for s in slow:
            s.close()
