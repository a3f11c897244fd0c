"""A cluster of three nodes: a node that dies under load, one that joins, one that leaves, files across nodes, and that nothing is left behind."""
import http.client
import json
import os
import re
import socket
import ssl
import subprocess
import time

import pytest

from client import Client
from cluster import wait_until
from three import NODES, Three, why_not

USERS = 300
RATE = os.environ.get("PIGEON_CLUSTER_RATE", "300")  # messages/s; FerretDB carries some 40


def load(three, secs, tokens="tokens.csv"):
    """pigeon-load through Nginx, running."""
    program = os.path.join(three.build, "pigeon-load")
    return subprocess.Popen([program, "pairs", "--url", three.ws_url, "--tokens", os.path.join(three.data, tokens), "--rate", RATE, "--secs", str(secs), "--json"],
                            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def verdict(running):
    out, err = running.communicate(timeout=150)
    assert running.returncode == 0, f"{out[-3000:]}\n{err[-6000:]}"
    result = json.loads([line for line in out.splitlines() if line.startswith("{")][-1])
    assert result["lost"] == result["doubled"] == result["disordered"] == result["forked"] == result["undelivered"] == 0, result
    rows = re.findall(r"(\d+) s +(\d+) online.*?(\d+) acked/s.*?p99 ([\d.]+) ms", err)
    return result, [(int(s), int(online), int(acked), float(p99)) for s, online, acked, p99 in rows]


def tell(text):
    """Figures for people: shown with pytest -s, and kept beside the log of the suite."""
    print(text)


@pytest.fixture(scope="session")
def people(three):
    looker = three.add_users("looker")
    return {**three.add_users(*[f"u{i}" for i in range(USERS)]), **looker}  # tokens.csv: those who write


def test_every_node_has_its_services_and_again_is_harmless(three):
    before = three.script("status").stdout
    for node in NODES:
        (line,) = [row for row in before.splitlines() if row.startswith(node)]
        assert line.count(":run") == len(line.split()) - 2 and "nats:run" in line and "gateway:run" in line, before
    pids = re.findall(r"^(?:gateway|message|presence|api|storage) +(\d+)", before, re.M)
    assert len(pids) >= 13
    three.script("up")
    after = re.findall(r"^(?:gateway|message|presence|api|storage) +(\d+)", three.script("status").stdout, re.M)
    assert sorted(pids) == sorted(after), "a second `make cluster` leaves all as it is"


def test_routes_between_nats_servers_need_our_certificate(three):
    """TLS, and a certificate of this cluster's authority; the client's port is TLS only, too."""
    context = ssl.create_default_context(cafile=os.path.join(three.data, "ca/ca.pem"))

    def answer(plain):
        try:
            with context.wrap_socket(plain, server_hostname="nats.pigeon") as s:
                s.sendall(b'CONNECT {"verbose":true,"user":"route","pass":"x"}\r\nPING\r\n')
                return s.recv(4096)
        except (ssl.SSLError, ConnectionError):
            return b""

    with socket.create_connection((three.address("n1"), 4200), 5) as plain:
        info = plain.recv(65536).decode()
        assert '"tls_required":true' in info, info
        said = answer(plain)
        assert said and b"PONG" not in said, said
    with socket.create_connection((three.address("n1"), 4209), 1) as plain:  # routes begin with TLS: a server without it would speak first
        with pytest.raises(TimeoutError):
            plain.recv(65536)
    with socket.create_connection((three.address("n1"), 4209), 5) as plain:
        assert answer(plain) == b"", "a route without a certificate was heard"


def test_people_on_different_nodes_talk(three, people):
    one, two, three_ = (Client(three.gateway_url(n), people[u]) for n, u in zip(NODES, ("u0", "u1", "u2")))
    with one, two, three_:
        for n in range(20):
            one.send("u1", f"to you {n}")
            two.wait_message(f"to you {n}")
        conv = one.call("create", kind="group", title="g", members=["u1", "u2"])["conv"]
        for n in range(20):
            (one, two, three_)[n % 3].send(conv, f"all {n}")
        three_.wait_message("all 19")
        assert [m["body"]["text"] for m in two.history(conv) if m["kind"] == "text"] == [f"all {n}" for n in range(20)]


def test_a_file_sent_at_one_node_is_read_at_another(three, people):
    def ask(node, method, path, body=None):
        connection = http.client.HTTPConnection(three.address(node), 4210, timeout=10)
        connection.request(method, path, body=body, headers={"Authorization": "Bearer " + people["u0"], "Content-Type": "text/plain", "X-File-Name": "a.txt"})
        answer = connection.getresponse()
        return answer.status, answer.read()
    status, answer = ask("n1", "POST", "/v1/files", b"pigeon" * 5000)
    assert status in (200, 201), answer
    for node in NODES:
        assert ask(node, "GET", "/v1/files/" + json.loads(answer)["file_id"]) == (200, b"pigeon" * 5000)


def test_a_node_without_power_loses_nothing_and_nobody_is_taken_for_offline(three, people):
    running = load(three, 40)
    time.sleep(8)  # into the run: the load generator is the clock here
    with Client(three.gateway_url("n1"), people["looker"]) as watcher:
        watched = [f"u{i}" for i in range(0, USERS, 3)]
        shown = watcher.call("watch", users=watched)["presence"]
        online = {p["user"] for p in shown if p["state"] == "online"}
        assert len(online) > len(watched) * 0.9
        three.script("kill", "n3")
        died = time.monotonic()
        assert not three.answers("n3")
        time.sleep(max(0, 18 - (time.monotonic() - died)))
        gone = {e["presence"]["user"] for e in watcher.events if e.get("presence", {}).get("state") == "offline"}
        three.script("start", "n3")
        result, rows = verdict(running)
    away = result["latency_ms"]["ack"]["max"] / 1000
    before = [p for s, _, _, p in rows if 2 <= s <= 7]
    stalled = [s for s, _, acked, _ in rows if 8 <= s and acked < 150]
    after = [p for s, _, _, p in rows if s >= 34]
    tell(f"a node died: {result['acked']} acknowledged, lost 0, doubled 0, {result['disconnects']} reconnected; longest wait for an acknowledgement {away:.1f} s; "
         f"seconds below half the rate: {len(stalled)}; p99 before {max(before, default=0):.0f} ms, after {max(after, default=0):.0f} ms")
    assert gone == set(), f"taken for offline: {sorted(gone)[:10]}"
    assert result["disconnects"] > 0 and away < 30


def test_a_node_joins_and_another_leaves_under_load(three, people):
    running = load(three, 24)
    time.sleep(4)
    three.script("add")
    assert "n4" in three.chosen("node")
    wait_until(lambda: three.answers("n4"), 10, "the new node")
    three.script("drain", "n2")
    assert not three.answers("n2")
    time.sleep(3)
    three.script("start", "n2")
    result, _ = verdict(running)
    assert result["byes"] > 0, "the clients of a drained node are sent away politely"
    tell(f"a node joined, one left: longest wait for an acknowledgement {result['latency_ms']['ack']['max'] / 1000:.1f} s")
    three.script("drain", "n4")


def test_half_a_start_is_taken_away_and_nothing_else(tmp_path):
    reason = why_not()
    if reason:
        pytest.skip(reason)

    def links():
        return set(re.findall(r"^\d+: ([^:@]+)", subprocess.run(["ip", "-o", "link"], capture_output=True, text=True, check=True).stdout, re.M)) | set(os.listdir("/run/netns"))
    before = links()
    half = Three(tmp_path, {"PIGEON_BUILD": str(tmp_path / "no-such-build"), "PIGEON_CLUSTER_STORE": "embedded"})
    starting = subprocess.Popen([os.path.join(os.path.dirname(__file__), "../../deploy/cluster.sh"), "up"], env=half.node_env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True)
    wait_until(lambda: len(links() - before) >= 4, 20, "half of it to be there")
    os.killpg(starting.pid, 9)
    starting.wait()
    half.script("down")
    assert links() == before
    assert "No cluster" in half.script("down").stdout
