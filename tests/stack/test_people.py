"""People and crowds on the whole stack: two browsers, a campus, services killed under load."""
import json
import os
import re
import shutil
import signal
import subprocess
import time

import pytest

from conftest import ROOT

LOAD = os.path.join(ROOT, "build/release/pigeon-load")


@pytest.fixture(scope="session")
def tokens(node, tmp_path_factory):
    """600 users u0... with tokens."""
    folder = tmp_path_factory.mktemp("users")
    people, out = folder / "people.csv", folder / "tokens.csv"
    people.write_text("user,name\n" + "".join(f"u{i},User {i}\n" for i in range(600)))
    node.pigeon("user", "import", str(people), "--tokens", str(out))
    return str(out)


def load(node, tokens, *args):
    return [LOAD, *args, "--url", f"ws://127.0.0.1:{node.http}/v1/ws", "--tokens", tokens, "--json"]


def result(text):
    return json.loads([line for line in text.splitlines() if line.startswith("{")][-1])


def test_two_people_in_two_browsers(node):
    for name in ("alice", "bob"):
        node.pigeon("user", "add", name, "--name", name.title(), "--password-stdin", text=f"{name}-password-1\n")
    env = {**node.env, "PIGEON_URL": node.url, "PIGEON_USER_A": "alice", "PIGEON_PASS_A": "alice-password-1", "PIGEON_USER_B": "bob", "PIGEON_PASS_B": "bob-password-1"}
    script = os.path.join(ROOT, "tests/web/e2e.mjs")
    done = subprocess.run([shutil.which("node"), script], cwd=os.path.join(ROOT, "clients/web"), env=env, capture_output=True, text=True, timeout=240, check=False)
    counts = re.findall(r"^(\d+) passed, (\d+) failed", done.stdout, re.M)
    assert done.returncode == 0 and counts and counts[-1][1] == "0" and int(counts[-1][0]) >= 10, done.stdout + done.stderr


def test_campus(node, tokens):
    done = node.run(*load(node, tokens, "campus", "--users", "400", "--secs", "20"), timeout=120)
    r = result(done.stdout)
    assert r["lost"] == 0 and r["doubled"] == 0 and r["disordered"] == 0
    assert r["acked"] >= 400 * 20 / 2 * 0.8


def group_of(pid):
    try:
        return os.getpgid(int(pid))
    except ProcessLookupError:
        return None


@pytest.mark.parametrize("service", ["gateway", "message", "presence", "storage", "api", "nats", "redis", "nginx"])
def test_kill_9_under_load(node, tokens, service):
    running = subprocess.Popen(load(node, tokens, "pairs", "--users", "100", "--secs", "10"), env=node.env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    time.sleep(4)  # into the run: the load generator is the clock here
    before = node.pid(service)
    os.kill(before, signal.SIGKILL)
    out, err = running.communicate(timeout=120)
    assert running.returncode == 0, f"{out[-3000:]}\n{err[-3000:]}"
    r = result(out)
    assert r["lost"] == 0 and r["doubled"] == 0 and r["disordered"] == 0 and r["acked"] > 1000
    assert node.pid(service) not in (None, before)
    left = [p for p in os.listdir("/proc") if p.isdigit() and group_of(p) == before]
    assert not left, f"processes of the killed {service} are still there: {left}"


def test_backup_and_restore_while_it_runs(node):
    node.pigeon("user", "add", "carol", "--one-time")
    node.pigeon("send", "carol", "alice", "before the backup")
    node.pigeon("backup", "monday")
    node.pigeon("send", "carol", "alice", "after the backup")
    assert "monday" in node.pigeon("backup", "list").stdout
    node.pigeon("restore", "monday")
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        history = node.pigeon("history", "d:alice:carol", check=False)
        if history.returncode == 0 and "before the backup" in history.stdout:
            break
        time.sleep(0.2)
    assert "before the backup" in history.stdout and "after the backup" not in history.stdout
    node.pigeon("send", "carol", "alice", "and on it goes")
