"""Three nodes in network namespaces, as `make cluster` starts them, in a directory and on ports of a test's own."""
import csv
import os
import socket
import subprocess
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.insert(0, os.path.join(ROOT, "tests/integration"))

from cluster import SANITIZER, free_block  # noqa: E402

SCRIPT = os.path.join(ROOT, "deploy/cluster.sh")
RATES = {"PIGEON_LIMITS_USER_MESSAGES_S": "100000", "PIGEON_LIMITS_USER_MESSAGES_BURST": "100000", "PIGEON_LIMITS_USER_OPS_S": "100000",
         "PIGEON_LIMITS_USER_OPS_BURST": "100000", "PIGEON_LIMITS_ADDRESS_CONNECTS_S": "100000", "PIGEON_LIMITS_ADDRESS_UNAUTHENTICATED": "20000"}
NODES = ("n1", "n2", "n3")


def why_not():
    """Why there can be no cluster here; empty when there can."""
    if os.geteuid() != 0:
        return "network namespaces need root"
    name = f"pigeon-probe-{os.getpid()}"
    done = subprocess.run(["ip", "netns", "add", name], capture_output=True, text=True, check=False)
    if done.returncode:
        return f"no network namespaces here: {done.stderr.strip()}"
    subprocess.run(["ip", "netns", "del", name], check=False)
    return ""


class Three:
    def __init__(self, folder, settings=None, build="build/release"):
        self.data = os.path.join(str(folder), "cluster")
        self.http = free_block(1, 26000)
        self.build = os.path.join(ROOT, os.environ.get("PIGEON_CLUSTER_BUILD", build))
        self.env = {**os.environ, **RATES, "PIGEON_DATA": self.data, "PIGEON_HTTP_PORT": str(self.http), "PIGEON_BUILD": self.build, **(settings or {})}
        self.front = os.path.join(self.data, "front")
        self.url, self.ws_url = f"http://127.0.0.1:{self.http}", f"ws://127.0.0.1:{self.http}/v1/ws"
        self.node_env, self.env = self.env, {**self.env, "PIGEON_DATA": self.front}  # self.env: what the command line is run with

    def script(self, *words, check=True, timeout=150):
        done = subprocess.run([SCRIPT, *words], env=self.node_env, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=timeout, check=False)
        assert not check or done.returncode == 0, f"cluster.sh {words} ended with {done.returncode}:\n{done.stdout[-4000:]}"
        return done

    def up(self):
        self.script("up")
        return self

    def down(self):
        """Stops it and fails on sanitizer reports."""
        self.script("down")
        for node in os.listdir(self.data):
            logs = os.path.join(self.data, node, "log")
            for service in os.listdir(logs) if os.path.isdir(logs) else []:
                path = os.path.join(logs, service, "current")
                text = open(path, encoding="utf-8", errors="replace").read() if os.path.exists(path) else ""
                found = [s for s in SANITIZER if s in text]
                assert not found, f"{node} {service}: {text[text.find(found[0]) - 200:][:3000]}"

    def pigeon(self, *args, text="", check=True):
        done = subprocess.run([os.path.join(self.build, "pigeon"), *args], env=self.env, input=text, capture_output=True, text=True, timeout=60, check=False)
        assert not check or done.returncode == 0, f"pigeon {' '.join(args)} ended with {done.returncode}:\n{done.stdout}\n{done.stderr}"
        return done

    def add_users(self, *names, device="test"):
        """{name: token}; also leaves them in tokens.csv"""
        people, out = os.path.join(self.data, "people.csv"), os.path.join(self.data, "tokens.csv")
        with open(people, "w", encoding="utf-8", newline="") as f:
            csv.writer(f).writerows([["user", "name"], *([n, n.title()] for n in names)])
        self.pigeon("user", "import", people, "--tokens", out, "--device", device)
        with open(out, encoding="utf-8", newline="") as f:
            return {r["user"]: r["token"] for r in csv.DictReader(f)}

    # ---- what was chosen ----

    def chosen(self, what):
        with open(os.path.join(self.data, "chosen"), encoding="utf-8") as f:
            return [line.split()[1] for line in f if line.startswith(what + " ")]

    def address(self, node):
        net = self.chosen("net")[0]
        return f"{net}.{ {'front': 1, 'store': 2}.get(node) or 10 + int(node[1:]) }"

    def gateway_url(self, node):
        return f"ws://{self.address(node)}:4202/v1/ws"

    def answers(self, node):
        with socket.socket() as s:
            s.settimeout(1)
            return s.connect_ex((self.address(node), 4202)) == 0
