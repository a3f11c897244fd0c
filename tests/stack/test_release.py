"""What only test builds may have is not in the build for use."""
import http.client
import os

from conftest import ROOT

UPGRADE = {"Upgrade": "websocket", "Connection": "Upgrade", "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==", "Sec-WebSocket-Version": "13"}


def test_no_echo_route(node):
    statuses = {}
    for path in ("/v1/ws", "/echo"):
        connection = http.client.HTTPConnection("127.0.0.1", int(node.env["PIGEON_BASE_PORT"]) + 2, timeout=5)
        connection.request("GET", path, headers=UPGRADE)
        statuses[path] = connection.getresponse().status
        connection.close()
    assert statuses == {"/v1/ws": 101, "/echo": 404}


def test_planted_faults_are_not_compiled_in():
    with open(os.path.join(ROOT, "build/release/pigeon-storage"), "rb") as f:
        assert b"PIGEON_FAULT" not in f.read()
