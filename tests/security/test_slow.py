"""Point 3 under load: slowhttptest (slow headers, slow bodies, slow readers) against Nginx, gateway and api, while honest people go on.

PIGEON_SLOW_CONNECTIONS (300) and PIGEON_SLOW_SECONDS (6) make it longer; the figures it prints stand in docs/SECURITY.md.
"""
import http.client
import os
import shutil
import subprocess
import threading
import time

import pytest
from client import Client
from rest import Person

CONNECTIONS = int(os.environ.get("PIGEON_SLOW_CONNECTIONS", "300"))
SECONDS = int(os.environ.get("PIGEON_SLOW_SECONDS", "6"))
CALM_S, P99_S, TIMES = 1.5, 1.5, 6  # honest people's p99: a second and a half, or on a busy machine so many times the worst of a calm phase before
KERNEL_BYTES = 512 * 1024  # of a slow peer's connection
ATTACKS = {
    "slow headers to the api": ["-H", "-i", "2", "-x", "20", "-u", "/v1/info"],
    "slow headers to the gateway": ["-H", "-i", "2", "-x", "20", "-u", "/v1/ws"],
    "slow bodies": ["-B", "-i", "2", "-s", "16000", "-x", "20", "-t", "POST", "-f", "application/json", "-u", "/v1/login"],
    "slow readers": ["-X", "-w", "256", "-y", "512", "-n", "2", "-z", "32", "-k", "3", "-u", "/assets/large.js"],
}
pytestmark = pytest.mark.skipif(not shutil.which("slowhttptest"), reason="slowhttptest is not installed (deploy/install.sh test)")


@pytest.fixture(scope="module")
def node(tmp_path_factory):
    from cluster import Cluster
    cluster = Cluster(tmp_path_factory.mktemp("slow"), {"PIGEON_API_THREADS": "8"})
    try:
        assets = os.path.join(cluster.env["PIGEON_WEB"], "assets")
        os.makedirs(assets)
        with open(os.path.join(assets, "large.js"), "wb") as f:
            f.write(b"x" * 4_000_000)
        cluster.up().start("nginx")
        yield cluster
    finally:
        cluster.down()


def tcp_memory():
    """What the kernel holds for TCP on the whole machine, in bytes."""
    with open("/proc/net/sockstat", encoding="ascii") as f:
        words = next(line for line in f if line.startswith("TCP:")).split()
    return int(words[words.index("mem") + 1]) * os.sysconf("SC_PAGE_SIZE")


def percentile(times, share):
    return sorted(times)[min(len(times) - 1, int(len(times) * share))]


class Honest:
    """People who write over the socket, and fetch over REST, through Nginx: how long each took."""

    def __init__(self, cluster, names):
        self.cluster, self.stop = cluster, threading.Event()
        self.took, self.kernel = {"message": [], "rest": []}, 0
        self.people = [Person.register(cluster, n) for n in names]
        url = f"ws://127.0.0.1:{cluster.base + 15}/v1/ws"
        self.clients = [Client(url, p.token) for p in self.people]
        self.failed = []
        self.threads = [threading.Thread(target=self.guard, args=(self.write,)), threading.Thread(target=self.guard, args=(self.ask,))]

    def guard(self, work):
        try:
            while not self.stop.is_set():
                work()
                self.stop.wait(0.02)
        except Exception as error:  # pylint: disable=broad-except
            self.failed.append(error)

    def write(self):
        started = time.perf_counter()
        self.clients[0].send(self.people[1].user, "hello")
        self.took["message"].append(time.perf_counter() - started)

    def ask(self):
        started = time.perf_counter()
        connection = http.client.HTTPConnection("127.0.0.1", self.cluster.base + 15, timeout=10)
        connection.request("GET", "/v1/me", headers={"Authorization": "Bearer " + self.people[0].token})
        answer = connection.getresponse()
        answer.read()
        connection.close()
        assert answer.status == 200, answer.status
        self.kernel = max(self.kernel, tcp_memory())
        self.took["rest"].append(time.perf_counter() - started)

    def calm(self):
        """The worst so far of each kind; what comes from now on is counted anew."""
        worst = {kind: max(took, default=10) for kind, took in self.took.items()}
        for took in self.took.values():
            took.clear()
        return worst

    def __enter__(self):
        for t in self.threads:
            t.start()
        return self

    def __exit__(self, *_):
        self.stop.set()
        for t in self.threads:
            t.join()
        for c in self.clients:
            c.close()


@pytest.mark.parametrize("what", ATTACKS)
def test_honest_people_go_on(node, what, request):
    options = list(ATTACKS[what])
    options[-1] = f"http://127.0.0.1:{node.base + 15}{options[-1]}"
    number, before = list(ATTACKS).index(what), tcp_memory()
    with Honest(node, [f"a{number}", f"b{number}"]) as honest:
        time.sleep(CALM_S)
        calm = honest.calm()
        done = subprocess.run(["slowhttptest", "-c", str(CONNECTIONS), "-r", str(CONNECTIONS), "-l", str(SECONDS), "-p", "2", *options], stdin=subprocess.DEVNULL,
                              capture_output=True, text=True, timeout=SECONDS + 60, check=False)
        opened = [line for line in done.stdout.splitlines() if "connected:" in line]
        time.sleep(0.1)
    assert not honest.failed, honest.failed
    assert opened, done.stdout[-500:] + done.stderr[-500:]
    figures = {kind: (len(t), round(percentile(t, 0.5) * 1000, 1), round(percentile(t, 0.99) * 1000, 1)) for kind, t in honest.took.items()}
    with request.config.pluginmanager.getplugin("capturemanager").global_and_fixture_disabled():
        print(f"\n{what}, {CONNECTIONS} connections for {SECONDS} s: honest " + ", ".join(f"{k}: {n}, p50 {a} ms, p99 {b} ms" for k, (n, a, b) in figures.items()) +
              f"; TCP memory {(honest.kernel - before) >> 20} MiB more")
    assert honest.kernel - before < CONNECTIONS * KERNEL_BYTES, f"the kernel held {(honest.kernel - before) >> 20} MiB for {CONNECTIONS} slow peers"
    for kind, took in honest.took.items():
        assert len(took) > SECONDS, (kind, figures)
        assert percentile(took, 0.99) < max(P99_S, TIMES * calm[kind]), (kind, figures, calm)
