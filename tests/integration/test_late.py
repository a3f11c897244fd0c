"""Who says nothing but heartbeats is read a little later (ADR 8): it changes nothing that a client can see but milliseconds."""
import socket
import time

import pytest

from cluster import wait_until


@pytest.fixture
def silent(people):
    """Two that have sent heartbeats only, and often enough to be read late."""
    a, b = people.join("a", "b")
    for client in (a, b):
        client.sync()
        for _ in range(3):
            client.call("ping")
    return a, b


def test_they_write_and_read_as_others(silent):
    a, b = silent
    for n in range(50):
        a.send(b.user, f"m{n}")
        b.wait_message(f"m{n}")
        b.call("ping")
        a.call("ping")
    assert [m["body"]["text"] for m in b.messages()] == [f"m{n}" for n in range(50)]


def test_a_heartbeat_is_answered_within_the_promised_delay(silent):
    a, _ = silent
    took = []
    for _ in range(20):
        began = time.monotonic()
        a.call("ping")
        took.append(time.monotonic() - began)
    assert sorted(took)[10] < 0.1


def test_their_end_is_noticed(silent, shared):
    a, b = silent
    sessions = lambda: shared.metrics("gateway")["pigeon_gateway_sessions"]  # noqa: E731
    before = sessions()
    a.socket.socket.shutdown(socket.SHUT_RDWR)  # without a close frame
    wait_until(lambda: sessions() == before - 1, 5, "the end of one session")
    assert b.call("ping") is not None
