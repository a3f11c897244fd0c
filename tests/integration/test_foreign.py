"""A client that nobody here wrote: npm's ws. (Python's websockets is what all other tests use; Chromium is in tests/stack.)"""
import json
import os
import shutil
import subprocess

HERE = os.path.dirname(os.path.abspath(__file__))


def test_a_node_client_talks_with_a_python_client(shared, people):
    modules = os.path.join(HERE, "../../clients/web/node_modules/ws")
    assert os.path.isdir(modules), "npm's ws comes with the web client's packages: run make web first"
    alice, bob = people.join("alice", "bob")
    alice.close()
    node = subprocess.Popen([shutil.which("node"), os.path.join(HERE, "foreign.mjs"), shared.ws_url, alice.token, bob.user],
                            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    hello, sent = (json.loads(node.stdout.readline()) for _ in range(2))
    assert hello["ok"]["hello"]["user"] == alice.user
    assert sent["id"] == 2 and sent["ok"]["send"]["seq"] == 1
    assert bob.wait_message("from node")["client_id"] == "ws-1"
    bob.send(alice.user, "from python")
    got = next(f for f in map(json.loads, node.stdout) if "message" in f)
    assert got["message"]["body"]["text"] == "from python"
    node.stdin.close()
    assert list(map(json.loads, node.stdout))[-1] == {"closed": 1000}
    assert node.wait(10) == 0
