"""Limits are refused aloud: rates, sizes, slow readers."""
import json
import select
import socket
import struct
import threading
import time

from client import Client, Refused
from cluster import wait_until
from test_malformed import Raw


def test_messages_a_second(fresh):
    cluster = fresh({"PIGEON_LIMITS_USER_MESSAGES_S": "5", "PIGEON_LIMITS_USER_MESSAGES_BURST": "10"})
    tokens = cluster.add_users("alice", "bob")
    with Client(cluster.ws_url, tokens["alice"]) as alice:
        numbers = [alice.post_text("bob", f"m{i}") for i in range(30)]
        refused = []
        for n in numbers:
            try:
                alice.answer(n)
            except Refused as r:
                refused.append(r.error)
        assert 15 <= len(refused) <= 20
        assert {r["code"] for r in refused} == {"rate_limited"} and all(r["retry"] and r["retry_after_ms"] > 0 for r in refused)
        time.sleep(max(r["retry_after_ms"] for r in refused) / 1000)
        alice.send("bob", "and on")


def test_connecting_again_gives_no_new_messages(fresh):
    """At one a second some few may go out after ten were used up, whoever connects again."""
    cluster = fresh({"PIGEON_LIMITS_USER_MESSAGES_S": "1", "PIGEON_LIMITS_USER_MESSAGES_BURST": "10"})
    tokens = cluster.add_users("alice", "bob")
    refused = []
    for session in range(2):
        with Client(cluster.ws_url, tokens["alice"]) as alice:
            numbers = [alice.post_text("bob", f"{session} {i}") for i in range(10)]
            refused.append(0)
            for n in numbers:
                try:
                    alice.answer(n)
                except Refused as r:
                    assert r.code == "rate_limited"
                    refused[-1] += 1
    assert refused[0] == 0 and refused[1] >= 5


def test_one_devices_flood_does_not_slow_another_user(fresh):
    cluster = fresh({"PIGEON_LIMITS_USER_MESSAGES_S": "20", "PIGEON_LIMITS_USER_MESSAGES_BURST": "20"})
    tokens = cluster.add_users("flood", "alice", "bob")
    with Client(cluster.ws_url, tokens["flood"]) as flood, Client(cluster.ws_url, tokens["alice"]) as alice:
        for i in range(1000):
            flood.post_text("bob", f"f{i}")
        started = time.monotonic()
        alice.send("bob", "excuse me")
        assert time.monotonic() - started < 2


def test_much_behind_a_refused_hello_resets_nothing(fresh):
    """More than is held behind a hello: whoever is refused still reads why, and an orderly end."""
    cluster = fresh()
    peer = Raw(cluster.gateway_port)
    peer.upgrade()
    cluster.pause("storage")
    before = cluster.metrics("gateway")["pigeon_gateway_bytes_in_total"]
    peer.frame(1, json.dumps({"id": 1, "hello": {"token": "nobody's"}}))
    behind = (b"\x81\xfe" + struct.pack(">H", 1000) + bytes(4) + b"x" * 1000) * 400
    failed = []

    def send():
        try:
            peer.socket.sendall(behind)
        except OSError as e:
            failed.append(e)
    sender = threading.Thread(target=send)
    sender.start()
    wait_until(lambda: cluster.metrics("gateway")["pigeon_gateway_bytes_in_total"] > before + 65536, what="as much as is held")
    cluster.resume("storage")
    said = peer.data
    while True:
        more = peer.socket.recv(65536)  # a reset would raise
        if not more:
            break
        said += more
    sender.join(10)
    assert not failed and not sender.is_alive()
    assert b"unauthenticated" in said
    peer.socket.close()


def test_sockets_of_one_address_before_hello(fresh):
    """Of twenty silent ones fifteen are sent away at once, long before the time for the hello is over."""
    cluster = fresh({"PIGEON_LIMITS_ADDRESS_UNAUTHENTICATED": "5", "PIGEON_GATEWAY_TRUSTED_PROXIES": "", "PIGEON_GATEWAY_HELLO_TIMEOUT_MS": "60000"})
    sockets = [socket.create_connection(("127.0.0.1", cluster.gateway_port)) for _ in range(20)]
    wait_until(lambda: len(select.select(sockets, [], [], 0)[0]) >= 15, 10, "15 refusals")
    readable = select.select(sockets, [], [], 0.3)[0]
    assert len(readable) == 15
    assert all(b" 429 " in s.recv(100) for s in readable[:3])
    for s in sockets:
        s.close()


def test_sockets_of_one_address_behind_nginx(fresh):
    """The same for the address that the trusted proxy names; another address is not concerned."""
    cluster = fresh({"PIGEON_LIMITS_ADDRESS_UNAUTHENTICATED": "5", "PIGEON_GATEWAY_HELLO_TIMEOUT_MS": "60000"})

    def upgrade(address):
        peer = Raw(cluster.gateway_port)
        peers.append(peer)
        return peer.upgrade(X_Forwarded_For=address).split(" ")[1]
    peers = []
    assert [upgrade("192.0.2.1") for _ in range(8)] == ["101"] * 5 + ["429"] * 3
    assert upgrade("192.0.2.1, 192.0.2.2") == "101"  # the last one is the proxy's own word
    assert upgrade("192.0.2.2, 192.0.2.1") == "429"
    for peer in peers:
        peer.socket.close()


def test_a_client_that_never_reads_costs_bounded_memory_and_can_sync(fresh):
    cluster = fresh({"PIGEON_LIMITS_QUEUE_BYTES": "65536"})
    tokens = cluster.add_users("slow", "alice")
    slow = socket.create_connection(("127.0.0.1", cluster.gateway_port))
    peer = Raw.__new__(Raw)  # says hello, then never reads again
    peer.socket, peer.data = slow, b""
    slow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    peer.upgrade()
    assert "ok" in peer.hello(tokens["slow"])
    body = "x" * 8000
    with Client(cluster.ws_url, tokens["alice"]) as alice:
        numbers = [alice.post_text("slow", f"{i} {body}") for i in range(1500)]
        for n in numbers:
            alice.answer(n, 30)
        with open(f"/proc/{cluster.processes['gateway'].pid}/status", encoding="utf-8") as f:
            resident = next(int(line.split()[1]) for line in f if line.startswith("VmRSS"))
        assert resident < (60 if "asan" not in cluster.command("gateway")[0] else 400) * 1024
    with Client(cluster.ws_url, tokens["slow"]) as again:
        convs, _ = again.sync()
        (conv,) = convs
        assert len(again.history(conv)) == 1500


def test_devices_of_one_user(fresh):
    cluster = fresh({"PIGEON_LIMITS_USER_SOCKETS": "4"})
    clients = []
    refused = 0
    for i in range(6):
        token = cluster.add_users("alice", device=f"d{i}")["alice"]
        try:
            clients.append(Client(cluster.ws_url, token))
        except (Refused, ConnectionError):
            refused += 1
    assert refused == 2 and len(clients) == 4
    for c in clients:
        c.close()
