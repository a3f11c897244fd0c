"""MQTT by clients that nobody here wrote (mosquitto's, paho for Python and C, mqtt.js) and by hand, against the real services."""
import os
import shutil
import subprocess
import sys

import pytest

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.join(os.path.dirname(HERE), "integration")]

from client import Client  # noqa: E402
from cluster import Cluster  # noqa: E402
from raw import Raw  # noqa: E402
from several import Several  # noqa: E402

MQTT_PORT, MQTT_TLS_PORT, TLS_PORT = 12, 13, 14  # from the cluster's first port
CLIENTS = os.path.join(HERE, "clients")


class Node(Cluster):
    """A cluster whose gateway listens for MQTT too."""

    def __init__(self, folder, certificate, settings=None):
        super().__init__(folder, settings)
        port, (self.ca, key) = (lambda n: str(self.base + n)), certificate
        self.env.update({"PIGEON_GATEWAY_MQTT_PORT": port(MQTT_PORT), "PIGEON_GATEWAY_MQTT_TLS_PORT": port(MQTT_TLS_PORT), "PIGEON_GATEWAY_TLS_PORT": port(TLS_PORT),
                         "PIGEON_GATEWAY_TLS_CERTIFICATE": self.ca, "PIGEON_GATEWAY_TLS_KEY": key, **(settings or {})})

    @property
    def mqtt_port(self):
        return self.base + MQTT_PORT

    def mqtt_url(self, transport):
        port = {"tcp": MQTT_PORT, "tls": MQTT_TLS_PORT, "ws": 2, "wss": TLS_PORT}[transport]
        scheme = {"tcp": "mqtt", "tls": "mqtts", "ws": "ws", "wss": "wss"}[transport]
        return f"{scheme}://localhost:{self.base + port}" + ("/mqtt" if "ws" in transport else "")

    def talk(self, client, *args, tls=False):
        """Starts one of clients/talk.*; see talk.py for its arguments."""
        return subprocess.Popen([*client, *map(str, args), *([self.ca] if tls else [])], cwd=CLIENTS, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


class Two(Several):
    """Two gateways that listen for MQTT."""

    mqtt_port = None  # of the gateway that is asked next

    def start(self, *names, wait=True, env=None):
        for name in names:
            super().start(name, wait=wait, env={"PIGEON_GATEWAY_MQTT_PORT": str(self.port_of(name)), **(env or {})})
        return self

    def port_of(self, gateway):
        return self.base + (14 if gateway == "gateway2" else MQTT_PORT)


@pytest.fixture(scope="session")
def certificate(tmp_path_factory):
    """(certificate, key) of localhost, signed by itself."""
    folder = tmp_path_factory.mktemp("tls")
    pem, key = folder / "localhost.pem", folder / "localhost.key"
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2", "-subj", "/CN=localhost",
                    "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1", "-keyout", str(key), "-out", str(pem)], check=True, capture_output=True)
    key.chmod(0o600)
    return str(pem), str(key)


@pytest.fixture(scope="session")
def node(tmp_path_factory, certificate):
    """One for all tests that harm nothing."""
    cluster = Node(tmp_path_factory.mktemp("mqtt"), certificate, {"PIGEON_FAULT": "mqtt-ids-end"})  # packet identifiers begin shortly before their end
    try:
        cluster.up()
        yield cluster
    finally:
        cluster.down()


@pytest.fixture(scope="session")
def mortal(tmp_path_factory, certificate):
    """One for all tests that kill its gateway, and start it again."""
    cluster = Node(tmp_path_factory.mktemp("mortal"), certificate, {"PIGEON_LOG_LEVEL": "info"})
    try:
        cluster.up()
        yield cluster
    finally:
        cluster.down()


@pytest.fixture
def fresh(tmp_path, certificate):
    """A cluster of the test's own: fresh(settings); tests may kill its parts."""
    made = []

    def start(settings=None):
        made.append(Node(tmp_path / f"c{len(made)}", certificate, settings))
        return made[-1].up()
    yield start
    for cluster in made:
        cluster.down()


@pytest.fixture(scope="session")
def talkers(tmp_path_factory):
    """{library: command} of clients/talk.*, built and installed."""
    program = tmp_path_factory.mktemp("talk") / "talk"
    subprocess.run(["cc", "-std=gnu11", "-Wall", "-Wextra", "-Werror", "-o", str(program), os.path.join(CLIENTS, "talk.c"), "-lpaho-mqtt3cs"], check=True)
    return {"paho-python": [sys.executable, "talk.py"], "paho-c": [str(program)], "mqtt.js": [shutil.which("node"), "talk.mjs"]}


class People:
    """Users of one node and their connections, closed when the test is over."""

    def __init__(self, cluster, prefix):
        self.cluster, self.prefix, self.open, self.tokens = cluster, prefix, [], {}

    def add(self, *short, device="mqtt"):
        """Makes users named after the test; their names. self.tokens has a token of each."""
        names = [f"{self.prefix}-{s}" for s in short]
        self.tokens.update(self.cluster.add_users(*names, device=device))
        return names

    def native(self, short):
        """Such a user on a WebSocket, as the web client is."""
        (name,) = self.add(short, device="web")
        self.open.append(Client(self.cluster.ws_url, self.tokens[name]))
        return self.open[-1]

    def raw(self, version=5):
        self.open.append(Raw(self.cluster.mqtt_port, version))
        return self.open[-1]

    def mqtt(self, user, version=5, **options):
        """A connection that has its CONNACK (at .hello); as the user's device `mqtt`."""
        c = self.raw(version)
        options.setdefault("client_id", "mqtt")
        c.hello = c.connect(user, self.tokens[user], **options)
        assert c.hello.reason == 0, c.hello
        return c

    def close(self):
        for c in self.open:
            c.close()


def people_of(cluster, request):
    return People(cluster, "t" + format(abs(hash(request.node.nodeid)) % 16**6, "x"))


@pytest.fixture
def people(node, request):
    group = people_of(node, request)
    yield group
    group.close()


@pytest.fixture
def crew(request):
    """crew(cluster): people of a cluster of the test's own."""
    made = []

    def of(cluster):
        made.append(people_of(cluster, request))
        return made[-1]
    yield of
    for group in made:
        group.close()


@pytest.fixture
def two(tmp_path):
    cluster = Two(tmp_path / "two")
    group = People(cluster, "two")
    try:
        cluster.up().start("gateway2")
        yield group
    finally:
        group.close()
        cluster.down()
