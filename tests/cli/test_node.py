"""pigeon status, config, backup, doctor, and how errors read."""
import json
import os
import subprocess

from cluster import BUILD, ROOT, wait_until


def test_status_names_every_service(node):
    done = node.pigeon("status", "--json", check=False)
    state = json.loads(done.stdout)
    assert {s["service"] for s in state["services"]} == {"gateway", "message", "presence", "storage", "api"}
    assert state["store"]["schema"] >= 1 and done.returncode == (1 if state["problems"] else 0)
    assert "gateway" in node.pigeon("status", check=False).stdout


def test_status_says_what_is_missing(fresh):
    cluster = fresh()
    cluster.kill("presence")
    done = cluster.pigeon("status", check=False)
    assert done.returncode == 1 and "presence is not running" in done.stdout
    cluster.kill("storage")
    assert cluster.pigeon("user", "list", check=False).returncode == 4
    cluster.start("storage", "presence")
    cluster.pause("storage")
    done = cluster.pigeon("user", "list", check=False)
    assert done.returncode == 4 and "may have been done" not in done.stderr, "a list changes nothing"
    cluster.resume("storage")


def test_no_node_is_exit_code_4(node, tmp_path):
    for args in (("status",), ("user", "list"), ("doctor",)):
        done = node.pigeon(*args, "--data", str(tmp_path), check=False)
        assert done.returncode == 4 and "make up" in done.stderr and "PIGEON_DATA" in done.stderr
    error = json.loads(node.pigeon("status", "--data", str(tmp_path), "--json", check=False).stdout)
    assert error["error"]["code"] == "unavailable"


def test_usage_errors_are_exit_code_2(node):
    for args in ((), ("frobnicate",), ("user",), ("user", "add"), ("user", "list", "--nonsense"), ("invite", "--uses", "many"), ("history",), ("version", "x")):
        assert node.pigeon(*args, check=False).returncode == 2, args
    assert "user add" in node.pigeon("user", check=False).stderr


def test_every_command_has_help(node):
    overview = node.pigeon("help").stdout
    assert "Exit codes" in overview
    for line in overview.splitlines():
        if line.startswith("  ") and line[2:3].islower() and not line.startswith("  pigeon COMMAND"):
            words = [w for w in line.split() if w.islower()][:1]
            assert node.pigeon("help", *words).stdout.startswith("pigeon " + words[0])
    assert node.pigeon("user", "add", "--help").stdout == node.pigeon("help", "user", "add").stdout


def test_config(node, tmp_path):
    wrong = tmp_path / "wrong.yaml"
    wrong.write_text("gateway:\n  prot: 80\n")
    done = node.pigeon("config", "check", str(wrong), check=False)
    assert done.returncode == 2 and "wrong.yaml:2:" in done.stderr and "port" in done.stderr
    assert node.pigeon("config", "check", os.path.join(node.data, "pigeon.yaml")).returncode == 0
    assert node.pigeon("config", "check", str(tmp_path / "nowhere"), check=False).returncode == 2
    with open(os.path.join(ROOT, "docs/CONFIG.md"), encoding="utf-8") as f:
        assert node.pigeon("config", "doc").stdout == f.read()


def test_doctor_finds_an_open_secret(fresh):
    cluster = fresh()
    assert cluster.pigeon("doctor").returncode == 0
    os.chmod(os.path.join(cluster.data, "secrets", "redis-api"), 0o644)
    done = cluster.pigeon("doctor", check=False)
    assert done.returncode == 1 and "redis-api" in done.stdout and "chmod 600" in done.stdout


def test_backup_and_restore(fresh):
    cluster = fresh()
    cluster.add_users("bk-a", "bk-b")
    cluster.pigeon("send", "bk-a", "bk-b", "before")
    made = json.loads(cluster.pigeon("backup", "monday", "--json").stdout)
    assert made["name"] == "monday" and made["bytes"] > 0
    assert "monday" in cluster.pigeon("backup", "list").stdout
    assert cluster.pigeon("backup", "../evil", check=False).returncode == 2
    assert cluster.pigeon("restore", "tuesday", check=False).returncode == 1
    cluster.pigeon("send", "bk-a", "bk-b", "after")
    restored = restore(cluster, "monday")
    assert restored.returncode == 0, restored.stderr
    text = wait_until(lambda: cluster.pigeon("history", "d:bk-a:bk-b", check=False).stdout, what="the history")
    assert "before" in text and "after" not in text


def restore(cluster, name):
    """Storage ends, to be started anew by its supervisor: here by us, while the command line waits."""
    storage = cluster.processes["storage"]
    running = subprocess.Popen([os.path.join(BUILD, "pigeon"), "restore", name], env={**cluster.env, "ASAN_OPTIONS": "detect_leaks=0"}, stdin=subprocess.DEVNULL,
                               stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    wait_until(lambda: storage.poll() is not None or running.poll() is not None, 30, "storage to end or restore to finish")
    if storage.poll() is not None:
        del cluster.processes["storage"]
        cluster.start("storage")
    out, err = running.communicate(timeout=90)
    return subprocess.CompletedProcess([], running.returncode, out, err)
