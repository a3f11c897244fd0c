"""Point 1: no service starts with a secret that anybody could know, and what the first start makes is closed."""
import os
import re
import stat
import subprocess

import pytest
from cluster import BUILD, SERVICES, Cluster

BAD = {
    "empty": ("", 0o600, "shorter"), "short": ("a8Xk2_pQ9-zLm3e", 0o600, "shorter"), "well known": ("changeme-changeme-changeme", 0o600, "well-known"),
    "the name": ("Pigeon2026Pigeon2026", 0o600, "well-known"), "one letter": ("x" * 32, 0o600, "repeats"), "two lines": ("a8Xk2_pQ9-zLm3e\na8Xk2_pQ9-zLm3e", 0o600, "line"),
    "for the group": ("a8Xk2_pQ9-zLm3eR4w", 0o640, "others"), "for all": ("a8Xk2_pQ9-zLm3eR4w", 0o604, "others"), "missing": (None, 0, "No such file"),
}


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """The files of a first start; nothing runs."""
    return Cluster(tmp_path_factory.mktemp("secrets"))


def begin(cluster, service):
    """Starts it without NATS: a service that took its secret waits for the server until it is killed."""
    try:
        done = subprocess.run([os.path.join(BUILD, "pigeon-" + service), "--config", os.path.join(cluster.data, "pigeon.yaml")], env=cluster.env, cwd=cluster.data,
                              stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=8, check=False)
        return done.returncode, done.stdout + done.stderr
    except subprocess.TimeoutExpired:
        return None, "it runs"


@pytest.mark.parametrize("service", SERVICES)
def test_bad_secrets_stop_every_service(made, service):
    path = os.path.join(made.data, "secrets", "nats-" + service)
    with open(path, encoding="ascii") as f:
        good = f.read()
    try:
        for what, (text, mode, says) in BAD.items():
            os.unlink(path)
            if text is not None:
                with open(path, "w", encoding="ascii") as f:
                    f.write(text)
                os.chmod(path, mode)
            code, said = begin(made, service)
            assert code, f"{service} with a secret that is {what}: {said[-500:]}"
            assert says in said and path in said, (what, said[-500:])
            assert not text or text.splitlines()[0] not in said, f"{what}: the secret itself stands in the log"
            if text is None:
                open(path, "w", encoding="ascii").close()
    finally:
        with open(path, "w", encoding="ascii") as f:
            f.write(good)
        os.chmod(path, 0o600)


def test_what_the_first_start_makes_is_closed(made, tmp_path):
    """Secrets and every file that holds one: 0600 below directories of 0700, no two alike, none as in another installation."""
    other = Cluster(tmp_path)
    folder = os.path.join(made.data, "secrets")
    secrets = {n: open(os.path.join(folder, n), encoding="ascii").read().strip() for n in os.listdir(folder)}
    assert len(secrets) >= 8 and len(set(secrets.values())) == len(secrets)
    for name, secret in secrets.items():
        assert re.fullmatch(r"[A-Za-z0-9_-]{32}", secret), name
        assert secret != open(os.path.join(other.data, "secrets", name), encoding="ascii").read().strip()
    for where, _, files in os.walk(made.data):
        assert stat.S_IMODE(os.stat(where).st_mode) == 0o700, where
        for name in files:
            path = os.path.join(where, name)
            text = open(path, encoding="utf-8", errors="replace").read()
            if any(s in text for s in secrets.values()):
                assert stat.S_IMODE(os.stat(path).st_mode) == 0o600, path
                assert where == folder or name in ("nats.conf", "redis.acl"), f"a secret in {path}"
