"""MQTT through `make up`: mosquitto's clients and a web user write to each other, straight and through Nginx."""
import os
import subprocess
import sys

import pytest

from conftest import ROOT

sys.path.insert(0, os.path.join(ROOT, "tests/integration"))

from client import Client  # noqa: E402
from cluster import wait_until  # noqa: E402


@pytest.fixture
def tokens(node, tmp_path):
    """Tokens of alice and bob, two devices each."""
    people = tmp_path / "people.csv"
    people.write_text("user,name\nmq-alice,Alice\nmq-bob,Bob\n")
    found = {}
    for device in ("web", "phone"):
        out = tmp_path / "tokens.csv"
        node.pigeon("user", "import", str(people), "--tokens", str(out), "--device", device)
        rows = dict(line.split(",")[:2] for line in out.read_text().splitlines()[1:])
        found.update({(user, device): token for user, token in rows.items()})
    return found


def test_mosquittos_clients_and_a_web_user(node, tokens):
    web = Client(f"ws://127.0.0.1:{node.http}/v1/ws", tokens["mq-alice", "web"])
    common = ["-h", "127.0.0.1", "-p", str(node.mqtt), "-u", "mq-bob", "-P", tokens["mq-bob", "phone"], "-q", "1"]
    sub = subprocess.Popen(["stdbuf", "-oL", "mosquitto_sub", *common, "-t", "inbox/#", "-C", "1", "-v", "-d"], stdout=subprocess.PIPE, text=True)
    try:
        assert any("Subscribed" in line for line in sub.stdout)
        web.send("mq-bob", "from the web")
        assert "inbox/u/mq-alice from the web\n" in sub.stdout.read()
        assert sub.wait(10) == 0
    finally:
        sub.kill()
        sub.wait()
        sub.stdout.close()
    subprocess.run(["mosquitto_pub", *common, "-t", "u/mq-alice", "-m", "from mosquitto"], check=True, timeout=20)
    web.wait_message("from mosquitto")
    web.close()


def test_a_browsers_mqtt_through_nginx(node, tokens):
    mqtt = pytest.importorskip("paho.mqtt.client")
    web = Client(f"ws://127.0.0.1:{node.http}/v1/ws", tokens["mq-alice", "web"])
    got = []
    c = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2, protocol=mqtt.MQTTv5, transport="websockets")
    c.ws_set_options(path="/mqtt")
    c.username_pw_set("mq-bob", tokens["mq-bob", "phone"])
    c.on_connect = lambda c, *_: c.subscribe("inbox/#", 1)
    c.on_subscribe = lambda c, *_: c.publish("u/mq-alice", "through nginx", 1)
    c.on_message = lambda c, _, m: got.append((m.topic, m.payload.decode()))
    c.connect("127.0.0.1", node.http)
    c.loop_start()
    try:
        web.wait_message("through nginx")
        web.send("mq-bob", "and back")
        wait_until(lambda: got, 10, "the answer to arrive")
        assert got == [("inbox/u/mq-alice", "and back")]
    finally:
        c.disconnect()
        c.loop_stop()
        web.close()
