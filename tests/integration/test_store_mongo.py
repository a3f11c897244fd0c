"""Storage services on one MongoDB-compatible database (FerretDB): several of them, killed and paused under load; the server away.

FerretDB is no replica set: elections, and what they may roll back, are not covered here.
"""
import os
import random
import signal
import subprocess
import sys

import pytest

from client import Client, Refused
from cluster import BUILD, ROOT, Cluster, free_block, http_get, wait_until
from load import Load

sys.path.insert(0, os.path.join(ROOT, "tests", "mongo"))
import ferretdb  # noqa: E402 - found by the line before

SEED = int(os.environ.get("PIGEON_SEED", random.randrange(1 << 30)))
NAMES = ("storage", "storage2", "storage3")


class OnMongo(Cluster):
    """A cluster whose storage services share a database; `storage2`, `storage3` are further ones."""

    def __init__(self, folder, uri, count=2, settings=None):
        super().__init__(folder, {"PIGEON_STORAGE_ENGINE": "mongodb", "PIGEON_STORAGE_MONGO_URI": uri, **(settings or {})})
        self.more = NAMES[1:count]

    def command(self, name):
        return [os.path.join(BUILD, "pigeon-storage"), "--config", os.path.join(self.data, "pigeon.yaml")] if name in NAMES else super().command(name)

    def admin(self, name):
        return self.base + (7 if name == "storage" else 8 + NAMES.index(name) + 1)

    def ready(self, name):
        return http_get(self.admin(name), "/readyz")[0] == 200 if name in NAMES else super().ready(name)

    def start(self, *names, wait=True, env=None):
        for name in names:
            more = {"PIGEON_STORAGE_ADMIN_PORT": str(self.admin(name))} if name in NAMES else {}
            super().start(name, wait=wait, env={**more, **(env or {})})
        return self

    def up(self):
        super().up()
        self.start(*self.more)
        self.services += self.more
        wait_until(self.writer, 15, "a writer")
        return self

    def writer(self):
        """The storage service that takes commits, or None."""
        for name in NAMES[:1] + tuple(self.more):
            if name in self.processes:
                status, text = http_get(self.admin(name), "/metrics")[:2]
                if status == 200 and any(line.split()[-1] == "1" for line in text.splitlines() if "storage_writer" in line and not line.startswith("#")):
                    return name
        return None


@pytest.fixture
def ferret(tmp_path):
    server = ferretdb.Ferret(tmp_path / "ferretdb")
    yield server
    server.stop()


@pytest.fixture
def several(tmp_path, ferret):
    made = []

    def start(count=2, settings=None):
        made.append(OnMongo(tmp_path / "node", ferret.uri, count, settings))
        return made[-1].up()
    yield start
    for cluster in made:
        cluster.down()


def test_kill_9_of_the_writer_loses_nothing(several):
    print("seed", SEED)
    cluster = several(3)
    with Load(cluster, 6, SEED) as load:
        load.wait_acks(60)
        first = cluster.writer()
        cluster.kill(first)
        second = wait_until(lambda: cluster.writer() not in (None, first) and cluster.writer(), 15, "another writer")
        load.wait_acks(60)
        cluster.start(first)
        cluster.kill(second, signal.SIGTERM)  # gives the lease back
        wait_until(lambda: cluster.writer() not in (None, second), 15, "a third writer")
        load.wait_acks(60)
        verdict = load.verdict()
        cluster.start(second)
    assert verdict == []


def test_a_writer_that_wakes_up_is_one_no_longer(several):
    print("seed", SEED)
    cluster = several(2)
    with Load(cluster, 6, SEED) as load:
        load.wait_acks(60)
        first = cluster.writer()
        cluster.pause(first)
        other = NAMES[1 - NAMES.index(first)]
        wait_until(lambda: http_get(cluster.admin(other), "/readyz")[0] == 200 and "takes over" in cluster.log(other), 15, "the takeover")
        cluster.resume(first)
        wait_until(lambda: "another storage service took over" in cluster.log(first), 15, "the first to notice")
        load.wait_acks(100)
        assert load.verdict() == []
    assert cluster.writer() == other


def test_what_a_commit_in_doubt_changed_is_told_before_the_next_one(several):
    """The answer to the entry that holds the kick is lost; found stored, it is published as it would have been, in order."""
    cluster = several(1, {"PIGEON_FAULT": "uncertain-at=3"})  # 1: the empty store's own rows, 2: the group
    tokens = cluster.add_users("alice", "bob", "carol")
    with Client(cluster.ws_url, tokens["alice"]) as alice, Client(cluster.ws_url, tokens["bob"]) as bob, Client(cluster.ws_url, tokens["carol"]) as carol:
        conv = alice.call("create", kind="group", title="g", members=["bob", "carol"])["conv"]
        with pytest.raises(Refused) as refused:
            alice.call("kick", conv=conv, user="bob", timeout=30)
        assert refused.value.code == "uncertain"
        wait_until(lambda: "can be written again" in cluster.log("storage"), 20, "storage to recover")
        carol.send(conv, "after")
        alice.wait_message("after")
        told = [m for m in carol.messages(conv) + alice.messages(conv) if m.get("body", {}).get("operation", {}).get("op") == "kicked"]
        assert told and all(m["seq"] == 2 for m in told), "the kick itself, not only by a sync"
        texts = [m["seq"] for m in alice.messages(conv)]
        assert texts == sorted(texts) and texts[-1] == 3
        assert not bob.messages(conv) or bob.messages(conv)[-1]["seq"] < 3


def test_the_server_goes_away_and_comes_back(several, ferret):
    cluster = several(1)
    with Load(cluster, 4, SEED) as load:
        load.wait_acks(30)
        ferret.kill()
        wait_until(lambda: "failed" in cluster.log("storage"), 30, "a failed commit")
        ferret.start()
        load.wait_acks(30, timeout=60)
        assert load.verdict() == []


def test_away_at_the_start_it_waits_and_says_so(tmp_path, ferret):
    ferret.stop()
    cluster = OnMongo(tmp_path / "node", ferret.uri, 1)
    try:
        cluster.start("nats", "redis")
        cluster.start("storage", wait=False)
        wait_until(lambda: "MongoDB does not answer" in cluster.log("storage") and "trying again" in cluster.log("storage"), 20, "the reason in the log")
        assert http_get(cluster.admin("storage"), "/readyz")[0] == 503
        ferret.start()
        cluster.wait_ready("storage", 30)
    finally:
        cluster.down()


def test_bad_options_are_told(tmp_path, ferret):
    for name, value, told in (("URI", "mongodb://someone:secret-password@127.0.0.1:1/", "belongs into the secret file"), ("URI", "http://x", "not a MongoDB address"), ("USER", "someone", "secret file")):
        cluster = OnMongo(tmp_path / (name + str(len(value))), ferret.uri, 1)
        cluster.start("nats", "redis")
        cluster.start("storage", wait=False, env={f"PIGEON_STORAGE_MONGO_{name}": value})
        process = cluster.processes.pop("storage")
        assert process.wait(20) == 1
        assert told in cluster.log("storage")
        cluster.down()


def start_fails(cluster, told):
    cluster.start("nats", "redis")
    cluster.start("storage", wait=False)
    wait_until(lambda: told in cluster.log("storage"), 20, told)
    cluster.kill("storage", signal.SIGKILL)
    cluster.down()


PASSWORD = "kA93-zzQw-18vv-Lp02"


def as_user(cluster, password):
    cluster.env["PIGEON_STORAGE_MONGO_USER"] = "pigeon"
    path = os.path.join(cluster.data, "secrets", "mongo-password")
    with open(os.open(path, os.O_WRONLY | os.O_CREAT, 0o600), "w", encoding="utf-8") as out:
        out.write(password + "\n")
    return cluster


def test_credentials(tmp_path, monkeypatch):
    """SCRAM, which FerretDB has as an experiment: the right password is taken, a wrong one and none are refused."""
    for name, value in (("TEST_ENABLE_NEW_AUTH", "true"), ("SETUP_USERNAME", "pigeon"), ("SETUP_PASSWORD", PASSWORD), ("SETUP_DATABASE", "admin")):
        monkeypatch.setenv("FERRETDB_" + name, value)
    server = ferretdb.Ferret(tmp_path / "ferretdb")
    try:
        right = as_user(OnMongo(tmp_path / "right", server.uri, 1), PASSWORD).up()
        tokens = right.add_users("ann", "bob")
        with Client(right.ws_url, tokens["ann"]) as ann:
            assert ann.send("bob", "hello")["seq"] == 1
        right.down()
        start_fails(as_user(OnMongo(tmp_path / "wrong", server.uri, 1), PASSWORD + "x"), "MongoDB refuses the credentials")
        start_fails(OnMongo(tmp_path / "none", server.uri, 1), "requires authentication")
    finally:
        server.stop()


def test_tls_with_the_right_authority_only(tmp_path, monkeypatch):
    key, cert, port = str(tmp_path / "key.pem"), str(tmp_path / "cert.pem"), free_block(16)
    subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", key, "-out", cert, "-days", "2", "-subj", "/CN=127.0.0.1", "-addext",
                    "subjectAltName=IP:127.0.0.1"], check=True, capture_output=True)
    for name, value in (("", f"127.0.0.1:{port + 14}"), ("_CERT_FILE", cert), ("_KEY_FILE", key)):
        monkeypatch.setenv("FERRETDB_LISTEN_TLS" + name, value)
    server = ferretdb.Ferret(tmp_path / "ferretdb")
    try:
        uri = f"mongodb://127.0.0.1:{port + 14}/"
        cluster = OnMongo(tmp_path / "right", uri, 1)
        cluster.env.update(PIGEON_STORAGE_MONGO_TLS="true", PIGEON_STORAGE_MONGO_TLS_CA=cert)
        cluster.start("nats", "redis", "storage")
        cluster.down()
        for name, settings in (("plain", {}), ("unknown", {"PIGEON_STORAGE_MONGO_TLS": "true"})):
            cluster = OnMongo(tmp_path / name, uri, 1)
            cluster.env.update(settings)
            start_fails(cluster, "MongoDB does not answer")
    finally:
        server.stop()


def test_people_and_sessions_are_the_same_on_both(several):
    cluster = several(2)
    tokens = cluster.add_users("ann", "bob")
    with Client(cluster.ws_url, tokens["ann"]) as ann, Client(cluster.ws_url, tokens["bob"]) as bob:
        for n in range(10):
            ann.send("bob", f"hello {n}")
        bob.wait_message("hello 9")
    for victim in ("storage", "storage2"):  # each one alone knows all of it
        cluster.kill(victim, signal.SIGTERM)
        wait_until(lambda: cluster.writer() not in (None, victim), 15, "the other one to write")  # noqa: B023 - runs at once
        with Client(cluster.ws_url, tokens["bob"]) as bob:
            assert [m["seq"] for m in bob.history("d:ann:bob")] == list(range(1, 11))
        cluster.start(victim)
