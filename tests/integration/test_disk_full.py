"""A full disk: acknowledgements stop at once, reads go on, and writes come back by themselves when there is room (G10)."""
import os
import subprocess
import time

import pytest

from client import Client, Refused
from cluster import wait_until

ROOM = "64m"
BODY = "x" * 12000


@pytest.fixture
def small_disk(fresh):
    """A cluster whose store is on a small file system of its own."""
    cluster = fresh({"PIGEON_LIMITS_USER_MESSAGES_S": "100000", "PIGEON_LIMITS_USER_MESSAGES_BURST": "100000",
                     "PIGEON_GATEWAY_SEND_TIMEOUT_MS": "2000"})
    store = os.path.join(cluster.data, "store")
    cluster.kill("storage", 15)
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=" + ROOM, "tmpfs", store], capture_output=True, check=False).returncode != 0:
        pytest.skip("needs the right to mount")
    cluster.start("storage")
    try:
        yield cluster, store
    finally:
        if "storage" in cluster.processes:
            cluster.kill("storage", 15)
        subprocess.run(["umount", store], check=False)


def fill(path):
    with open(path, "wb", buffering=0) as f:
        piece = b"\0" * 65536
        while piece:
            try:
                f.write(piece)
            except OSError:
                piece = piece[: len(piece) // 2]


def test_nothing_is_acknowledged_on_a_full_disk(small_disk):
    cluster, store = small_disk
    tokens = cluster.add_users("alice", "bob")
    with Client(cluster.ws_url, tokens["alice"]) as alice:
        conv = alice.send("bob", "hello")["conv"]
        filler = os.path.join(store, "filler")
        fill(filler)
        acked, refused, number = {}, {}, 0
        while len(refused) < 5:
            number += 1
            assert number < 6000, "the disk was never full"
            try:
                acked[f"m{number}"] = alice.send("bob", BODY, client_id=f"m{number}")["seq"]
                assert not refused, "acknowledged after the first error"
            except Refused as e:
                assert e.error["code"] in ("unavailable", "uncertain", "overloaded"), e.error
                refused[f"m{number}"] = e.error["code"]
        assert alice.call("fetch", conv=conv, limit=10)["messages"], "reads go on"
        os.unlink(filler)

        def stored():
            try:
                alice.send("bob", "there is room", client_id="room")
                return True
            except Refused:
                return False
        begin = time.monotonic()
        wait_until(stored, 60, "writes to come back")
        print(f"{len(acked)} acknowledged before, {refused} refused, writes back after {time.monotonic() - begin:.1f} s")
        again = {key: alice.send("bob", BODY, client_id=key)["seq"] for key in refused}
        seqs = [m["seq"] for m in alice.history(conv)]
        assert seqs == list(range(1, len(seqs) + 1))
        assert len(seqs) == 2 + len(acked) + len(again), "lost or doubled"
        keys = [m["client_id"] for m in alice.history(conv)]
        assert len(set(keys)) == len(keys)


def test_storage_starts_on_a_full_disk_and_can_be_read(small_disk):
    cluster, store = small_disk
    tokens = cluster.add_users("alice", "bob")
    with Client(cluster.ws_url, tokens["alice"]) as alice:
        conv = alice.send("bob", "hello")["conv"]
        filler = os.path.join(store, "filler")
        fill(filler)
        cluster.restart("storage")

        def answered(*question, **fields):
            try:
                return alice.call(*question, **fields)
            except Refused:
                return None
        assert [m["body"]["text"] for m in wait_until(lambda: answered("fetch", conv=conv, limit=10), 20, "reads")["messages"]] == ["hello"]
        with pytest.raises(Refused):
            alice.send("bob", "no room", client_id="later")
        os.unlink(filler)

        def stored():
            try:
                return alice.send("bob", "no room", client_id="later")["seq"]
            except Refused:
                return None
        assert wait_until(stored, 60, "writes to come back") == 2
