"""Real clients: each library, each version, each transport; a person on the web at the other end."""
import ctypes.util
import itertools
import signal
import subprocess

import pytest

import raw
from cluster import wait_until

LIBRARIES, VERSIONS, TRANSPORTS = ["paho-python", "paho-c", "mqtt.js"], [4, 5], ["tcp", "ws", "tls", "wss"]


def line(process, begin, errors=False):
    """The rest of the next line that begins so. errors: whether the library may say some before it."""
    seen = []
    for text in process.stdout:
        seen.append(text.rstrip("\n"))
        assert errors or not text.startswith("error"), seen
        if text.startswith(begin + " ") or text.rstrip("\n") == begin:
            return text[len(begin):].strip()
    raise AssertionError(f"no {begin!r} in {seen}")


@pytest.mark.parametrize("library, version, transport", list(itertools.product(LIBRARIES, VERSIONS, TRANSPORTS)))
def test_a_conversation_with_the_web(node, people, talkers, library, version, transport):
    alice = people.native("alice")
    (bob,) = people.add("bob")
    talk = node.talk(talkers[library], node.mqtt_url(transport), version, bob, people.tokens[bob], "phone", 1, "inbox/#", f"u/{alice.user}", 2, tls=transport in ("tls", "wss"))
    try:
        assert line(talk, "connected") == "0"
        assert line(talk, "granted") == "1"
        assert alice.wait_message("q2")["from"] == bob
        assert [m["body"]["text"] for m in alice.messages()] == ["q0", "q1", "q2"]
        alice.send(bob, "hello")
        alice.send(bob, "grüße 👋")
        assert line(talk, "got") == f"inbox/u/{alice.user} hello"
        assert line(talk, "got") == f"inbox/u/{alice.user} grüße 👋"
        line(talk, "closed")
        assert talk.wait(10) == 0
    finally:
        talk.kill()
        talk.wait()
        talk.stdout.close()


@pytest.mark.parametrize("version, transport", list(itertools.product(["mqttv311", "mqttv5"], ["tcp", "tls"])))
def test_mosquittos_clients(node, people, version, transport):
    alice = people.native("alice")
    (bob,) = people.add("bob")
    common = ["-h", "localhost", "-p", node.mqtt_url(transport).rsplit(":", 1)[1], "-V", version, "-u", bob, "-P", people.tokens[bob]]
    common += ["--cafile", node.ca] if transport == "tls" else []
    for qos in ("0", "1", "2"):
        subprocess.run(["mosquitto_pub", *common, "-q", qos, "-i", "pub", "-t", f"u/{alice.user}", "-m", "by " + qos], check=True, timeout=20)
        alice.wait_message("by " + qos)
    sub = subprocess.Popen(["stdbuf", "-oL", "mosquitto_sub", *common, "-q", "2", "-i", "sub", "-t", "inbox/#", "-C", "2", "-v", "-d"], stdout=subprocess.PIPE, text=True)
    try:
        next(text for text in sub.stdout if "Subscribed" in text)
        alice.send(bob, "one")
        alice.send(bob, "two")
        got = [text.strip() for text in sub.stdout if text.startswith("inbox/")]
        assert got == [f"inbox/u/{alice.user} one", f"inbox/u/{alice.user} two"]
        assert sub.wait(10) == 0
    finally:
        sub.kill()
        sub.wait()
        sub.stdout.close()


def test_mosquitto_pub_is_told(node, people):
    (bob,) = people.add("bob")
    common = ["mosquitto_pub", "-h", "localhost", "-p", str(node.mqtt_port), "-V", "mqttv5", "-u", bob, "-i", "x", "-q", "1", "-m", "x"]
    refused = subprocess.run([*common, "-P", "nonsense", "-t", f"u/{bob}"], capture_output=True, text=True, timeout=20, check=False)
    assert refused.returncode != 0 and "not authori" in (refused.stderr + refused.stdout).lower().replace("bad user name or password", "not authorised")
    wrong = subprocess.run([*common, "-P", people.tokens[bob], "-t", "free/space"], capture_output=True, text=True, timeout=20, check=False)
    assert "topic name invalid" in (wrong.stderr + wrong.stdout).lower()


@pytest.mark.parametrize("library", LIBRARIES)
def test_a_library_comes_back_and_has_what_it_missed(mortal, crew, talkers, library):
    """The gateway is killed and stays away while someone writes; the library connects again by itself."""
    node, people = mortal, crew(mortal)
    alice, (bob,) = people.native("alice"), people.add("bob")
    talk = node.talk(talkers[library], node.mqtt_url("tcp"), 5, bob, people.tokens[bob], "phone", 0, "inbox/#", "-", 99)
    try:
        assert line(talk, "granted") == "1"
        alice.send(bob, "before")
        line(talk, "got")
        node.kill("gateway", signal.SIGKILL)
        node.start("gateway")
        again = people.native("alice")
        again.send(bob, "meanwhile")
        again.send(bob, "after")
        rest = []
        while "after" not in rest:
            rest.append(line(talk, "got", errors=True).split()[-1])
        assert rest in (["meanwhile", "after"], ["before", "meanwhile", "after"])  # at least once: its PUBACK may not have been written down
    finally:
        talk.kill()
        talk.wait()
        talk.stdout.close()


def test_paho_publishes_twice_nothing_while_the_gateway_dies(mortal, crew):
    """QoS 2 from paho under kill -9 between PUBLISH and PUBCOMP, over and over: each message is stored exactly once."""
    import paho.mqtt.client as mqtt

    node, people = mortal, crew(mortal)
    people.native("alice")
    alice, bob = people.add("alice", "bob")
    client = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2, "phone", protocol=mqtt.MQTTv311, clean_session=False)
    client.username_pw_set(bob, people.tokens[bob])
    client.reconnect_delay_set(0.1, 0.2)
    client.max_inflight_messages_set(20)
    client.connect("localhost", node.mqtt_port)
    client.loop_start()
    try:
        sent = []
        for turn in range(3):
            sent += [client.publish(f"u/{alice}", f"m{turn}-{i}", 2) for i in range(60)]
            wait_until(lambda: any(s.is_published() for s in sent[-60:]), what="the first PUBCOMP")
            node.restart("gateway")
        for s in sent:
            s.wait_for_publish(30)
        assert all(s.is_published() for s in sent)
    finally:
        client.disconnect()
        client.loop_stop()
    reader = people.native("alice")
    (conv,) = reader.sync()[0]
    stored = sorted(m["body"]["text"] for m in reader.history(conv))
    assert stored == sorted(f"m{turn}-{i}" for turn in range(3) for i in range(60))


def test_what_the_tests_need_is_here():
    """deploy/install.sh test, tests/requirements.txt and npm ci bring them; without one of them nothing above says anything."""
    assert ctypes.util.find_library("paho-mqtt3cs")
    assert raw.packet(0xC0) == b"\xc0\0"
