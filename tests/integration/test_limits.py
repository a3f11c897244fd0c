"""Limits are refused aloud: rates, sizes, slow readers."""
import socket
import time

from client import Client, Refused
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


def test_one_devices_flood_does_not_slow_another_user(fresh):
    cluster = fresh({"PIGEON_LIMITS_USER_MESSAGES_S": "20", "PIGEON_LIMITS_USER_MESSAGES_BURST": "20"})
    tokens = cluster.add_users("flood", "alice", "bob")
    with Client(cluster.ws_url, tokens["flood"]) as flood, Client(cluster.ws_url, tokens["alice"]) as alice:
        for i in range(1000):
            flood.post_text("bob", f"f{i}")
        started = time.monotonic()
        alice.send("bob", "excuse me")
        assert time.monotonic() - started < 2


def test_sockets_of_one_address_before_hello(fresh):
    cluster = fresh({"PIGEON_LIMITS_ADDRESS_UNAUTHENTICATED": "5"})
    sockets = [socket.create_connection(("127.0.0.1", cluster.gateway_port)) for _ in range(20)]
    closed = 0
    for s in sockets:
        s.settimeout(1)
        try:
            closed += s.recv(1000) == b"" or 1
        except TimeoutError:
            pass
        except ConnectionResetError:
            closed += 1
        finally:
            s.close()
    assert closed >= 14


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
