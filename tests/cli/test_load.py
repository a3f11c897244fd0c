"""pigeon-load: every mode against the real services, and that it sees what is wrong."""
import json
import os
import subprocess

import pytest
from cluster import BUILD

LOAD = os.path.join(BUILD, "pigeon-load")


@pytest.fixture(scope="module")
def tokens(node, tmp_path_factory):
    return make_tokens(node, tmp_path_factory.mktemp("load"), 120)


def make_tokens(cluster, folder, count):
    people, out = folder / "people.csv", folder / "tokens.csv"
    people.write_text("".join(f"l{i}\n" for i in range(count)))
    cluster.pigeon("user", "import", str(people), "--tokens", str(out))
    return str(out)


def start(cluster, tokens, mode, *args):
    command = [LOAD, mode, "--url", cluster.ws_url, "--tokens", tokens, "--json", *args]
    return subprocess.Popen(command, env={**cluster.env, "ASAN_OPTIONS": "detect_leaks=0"}, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def wait_running(running, seconds):
    """Until it has been running for so long, as its progress lines say."""
    for line in running.stderr:
        word = line.split()
        if word[0] == "running" and int(word[1]) >= seconds:
            return
    raise AssertionError("it ended early")


def finish(running, code=0):
    out, err = running.communicate(timeout=150)
    assert running.returncode == code, f"exit code {running.returncode}\n{out}\n{err}"
    return json.loads(out.splitlines()[-1])


def right(r):
    return r["verdict"] == "passed" and not any(r[k] for k in ("lost", "undelivered", "doubled", "disordered", "forked", "unanswered", "unverified", "malformed"))


@pytest.mark.parametrize("args", [("pairs", "--users", "40", "--secs", "2"), ("pairs", "--users", "40", "--secs", "2", "--proto", "--window", "8"),
                                  ("pairs", "--users", "40", "--secs", "2", "--rate", "200", "--processes", "2"),
                                  ("group", "--users", "60", "--secs", "2", "--rate", "20"), ("group", "--users", "60", "--secs", "2", "--rate", "20", "--processes", "2", "--proto"),
                                  ("campus", "--users", "110", "--secs", "4", "--churn", "5"), ("resync", "--users", "60", "--missed", "30")], ids=" ".join)
def test_modes_that_talk(node, tokens, args):
    r = finish(start(node, tokens, *args))
    assert right(r) and r["acked"] == r["sent"] == r["audited"] and r["acked"] > 20 and r["latency_ms"]["ack"]["count"] == r["acked"]


def test_storm_and_idle(node, tokens):
    r = finish(start(node, tokens, "storm"))
    assert r["logins"] == 120 and r["logins_per_s"] > 0
    assert finish(start(node, tokens, "idle", "--secs", "1"))["logins"] == 120


def test_an_own_report(node, tokens, tmp_path):
    page = tmp_path / "report.html"
    finish(start(node, tokens, "pairs", "--users", "10", "--secs", "2", "--html", str(page)))
    text = page.read_text()
    assert "<svg" in text and "passed" in text and "http" not in text.replace("http-equiv", "")


def test_it_waits_when_told_to(fresh, tmp_path):
    cluster = fresh({"PIGEON_LIMITS_USER_MESSAGES_S": "20", "PIGEON_LIMITS_USER_MESSAGES_BURST": "20"})
    r = finish(start(cluster, make_tokens(cluster, tmp_path, 4), "pairs", "--secs", "3", "--window", "4"))
    assert right(r) and r["rate_limited"] > 0 and r["acked"] < 4 * (20 + 20 * 6)


@pytest.mark.parametrize("victim", ["gateway", "message", "storage", "nats"])
def test_kill_9_under_pairs(fresh, tmp_path, victim):
    cluster = fresh()
    running = start(cluster, make_tokens(cluster, tmp_path, 20), "pairs", "--secs", "6")
    wait_running(running, 2)
    cluster.restart(victim)
    assert right(finish(running))


@pytest.mark.parametrize("fault,victim", [("ack-before-commit", "storage"), ("dedup-off", "gateway")])
def test_it_finds_planted_faults(fresh, tmp_path, fault, victim):
    cluster = fresh({"PIGEON_FAULT": fault})
    running = start(cluster, make_tokens(cluster, tmp_path, 40), "pairs", "--secs", "10", "--window", "8", "--drain", "10")
    for second in range(1, 7):  # with messages under way each time
        wait_running(running, second)
        cluster.restart(victim)
    r = finish(running, 1)
    assert r["lost"] + r["disordered"] + r["doubled"] + r["forked"] > 0


def test_wrong_usage_and_wrong_tokens(node, tokens, tmp_path):
    for args in ([], ["dance"], ["pairs"], ["pairs", "--tokens", tokens, "--users", "121"], ["pairs", "--tokens", str(tmp_path / "no")], ["pairs", "--tokens", tokens, "--window", "x"]):
        assert subprocess.run([LOAD, *args], env={**node.env, "ASAN_OPTIONS": "detect_leaks=0"}, capture_output=True, check=False).returncode == 2, args
    bad = tmp_path / "bad.csv"
    bad.write_text("l0," + "A" * 43 + "\nl1," + "B" * 43 + "\n")
    done = start(node, str(bad), "pairs", "--secs", "1")
    _, err = done.communicate(timeout=60)
    assert done.returncode == 3 and "token" in err
