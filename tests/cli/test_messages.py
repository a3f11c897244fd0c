"""pigeon send, history, tail."""
import json
import os
import signal
import subprocess

import pytest
from cluster import BUILD


@pytest.fixture(scope="module")
def pair(node):
    node.add_users("cli-a", "cli-b", "cli-x")
    return "cli-a", "cli-b", "d:cli-a:cli-b"


def history(node, conv, *args):
    return [json.loads(line) for line in node.pigeon("history", conv, *args, "--json").stdout.splitlines()]


def test_send_is_stored_once_under_one_key(node, pair):
    a, b, conv = pair
    first = json.loads(node.pigeon("send", a, b, "only once", "--client-id", "key-1", "--json").stdout)
    again = json.loads(node.pigeon("send", a, conv, "only once", "--client-id", "key-1", "--json").stdout)
    assert first == again and first["conv"] == conv
    assert [m["body"]["text"] for m in history(node, conv)].count("only once") == 1


def test_text_from_standard_input(node, pair):
    a, b, conv = pair
    node.pigeon("send", b, a, "-", text="first line\nsecond line\n")
    assert history(node, conv, "--limit", "1")[0]["body"]["text"] == "first line\nsecond line"
    assert node.pigeon("send", b, a, "-", text="", check=False).returncode == 2


def test_refusals(node, pair):
    a, _, _ = pair
    assert node.pigeon("send", a, "nobody-here", "x", check=False).returncode == 1
    assert node.pigeon("send", a, "d:cli-b:cli-x", "x", check=False).returncode == 1
    assert node.pigeon("send", "No Body", a, "x", check=False).returncode == 2
    assert node.pigeon("history", "not-a-conv", check=False).returncode == 2
    assert node.pigeon("history", "d:cli-a:cli-x", check=False).returncode in (0, 1)


def test_history_pages(node, pair):
    a, _, _ = pair
    for i in range(12):
        node.pigeon("send", a, "cli-x", f"number {i + 1}")
    conv = "d:cli-a:cli-x"
    assert [m["seq"] for m in history(node, conv)] == list(range(1, 13))
    assert [m["seq"] for m in history(node, conv, "--limit", "3")] == [10, 11, 12]
    assert [m["seq"] for m in history(node, conv, "--after", "9")] == [10, 11, 12]
    assert [m["seq"] for m in history(node, conv, "--before", "4", "--limit", "2")] == [2, 3]
    assert "cli-a: number 12" in node.pigeon("history", conv).stdout


def test_what_people_write_cannot_steer_the_terminal(node, pair):
    a, b, conv = pair
    node.pigeon("send", a, b, "evil \x1b[2J text")
    assert "\x1b" not in node.pigeon("history", conv).stdout


def test_tail_follows(node, pair):
    a, b, conv = pair
    node.pigeon("send", a, b, "before the tail")
    tail = subprocess.Popen([os.path.join(BUILD, "pigeon"), "tail", conv, "--last", "1", "--json"], env={**node.env, "ASAN_OPTIONS": "detect_leaks=0"}, stdout=subprocess.PIPE, text=True)
    try:
        assert json.loads(tail.stdout.readline())["body"]["text"] == "before the tail"
        for i in range(3):
            node.pigeon("send", b, a, f"while it runs {i}")
            assert json.loads(tail.stdout.readline())["body"]["text"] == f"while it runs {i}"
        tail.send_signal(signal.SIGINT)
        assert tail.wait(10) == 0
    finally:
        tail.kill()
        tail.wait()
        tail.stdout.close()
