"""A conversation by paho (Python), as its users would write it. talk.mjs and talk.c are the same for mqtt.js and paho's C library.

talk URL VERSION USER PASSWORD CLIENT_ID CLEAN FILTER TOPIC COUNT [CA]: connects, subscribes with QoS 1 to FILTER ("-": not), publishes
q0, q1, q2 to TOPIC with that QoS ("-": not), takes COUNT messages, goes. A line for each step; the library may reconnect in between.
"""
import sys
import threading
from urllib.parse import urlparse

import paho.mqtt.client as mqtt
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

url, version, user, password, client_id, clean, filter_, topic, count = sys.argv[1:10]
where, v5 = urlparse(url), version == "5"
done, granted, first = threading.Event(), threading.Event(), threading.Event()
got = 0


def say(*words):
    sys.stdout.write(" ".join(map(str, words)) + "\n")  # one write: callbacks come from another thread
    sys.stdout.flush()


def on_connect(_client, _data, flags, reason, _properties):
    say("connected", int(flags.session_present)) if not reason.is_failure else say("error", reason.value)
    first.set()


def on_subscribe(_client, _data, _mid, reasons, _properties):
    say("granted", reasons[0].value)
    granted.set()


def on_message(_client, _data, message):
    global got
    say("got", message.topic, message.payload.decode())
    got += 1
    if got == int(count):
        done.set()


def start():
    client = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2, client_id, protocol=mqtt.MQTTv5 if v5 else mqtt.MQTTv311,
                         clean_session=None if v5 else clean == "1", transport="websockets" if where.scheme in ("ws", "wss") else "tcp")
    client.username_pw_set(user, password)
    client.reconnect_delay_set(1, 1)
    if where.path:
        client.ws_set_options(path=where.path)
    if len(sys.argv) > 10:
        client.tls_set(ca_certs=sys.argv[10])
    client.on_connect, client.on_subscribe, client.on_message = on_connect, on_subscribe, on_message
    options = {}
    if v5:
        options["properties"] = Properties(PacketTypes.CONNECT)
        options["properties"].SessionExpiryInterval = 0 if clean == "1" else 600
        options["clean_start"] = clean == "1"
    client.connect(where.hostname, where.port, keepalive=30, **options)
    client.loop_start()
    return client


def main():
    client = start()
    assert first.wait(20)
    if filter_ != "-":
        client.subscribe(filter_, qos=1)
        assert granted.wait(20)
    for qos in range(3) if topic != "-" else ():
        client.publish(topic, f"q{qos}", qos).wait_for_publish(20)
        say("published", qos)
    assert count == "0" or done.wait(40)
    client.disconnect()
    client.loop_stop()
    say("closed")


main()
