"""One node as `make up` starts it (release build, Nginx in front, runit above), in a directory and on ports of its own."""
import os
import re
import socket
import subprocess

import pytest

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
RATES = {"PIGEON_LIMITS_USER_MESSAGES_S": "100000", "PIGEON_LIMITS_USER_MESSAGES_BURST": "100000", "PIGEON_LIMITS_USER_OPS_S": "100000",
         "PIGEON_LIMITS_USER_OPS_BURST": "100000", "PIGEON_LIMITS_ADDRESS_CONNECTS_S": "100000", "PIGEON_LIMITS_ADDRESS_UNAUTHENTICATED": "20000"}


def port_is_free(port):
    with socket.socket() as s:
        s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            s.bind(("127.0.0.1", port))
            return True
        except OSError:
            return False


def free_block(size, begin):
    """First of `size` free ports in a row, below the range that the kernel gives to clients."""
    for first in range(begin, 32000, size):
        if all(port_is_free(p) for p in range(first, first + size)):
            return first
    raise RuntimeError("no free block of ports")


class Node:
    def __init__(self, data, begin):
        self.data = str(data)
        self.http = free_block(1, begin)
        self.mqtt = free_block(1, begin + 1000)
        self.env = {**os.environ, **RATES, "PIGEON_DATA": self.data, "PIGEON_HTTP_PORT": str(self.http), "PIGEON_MQTT_PORT": str(self.mqtt), "PIGEON_BASE_PORT": str(free_block(16, begin + 16)),
                    "PIGEON_BUILD": os.path.join(ROOT, "build/release")}
        self.url = f"http://127.0.0.1:{self.http}"
        self.first_output = ""

    def run(self, *command, check=True, timeout=90, **kwargs):
        done = subprocess.run(command, cwd=ROOT, env=self.env, stdin=kwargs.pop("stdin", subprocess.DEVNULL), capture_output=True, text=True, timeout=timeout, check=False, **kwargs)
        assert not check or done.returncode == 0, f"{command} ended with {done.returncode}:\n{done.stdout}\n{done.stderr}"
        return done

    def up(self, check=True):
        return self.run("deploy/up.sh", check=check)

    def down(self):
        return self.run("deploy/down.sh")

    def pigeon(self, *args, check=True, text=None):
        done = subprocess.run([os.path.join(ROOT, "build/release/pigeon"), *args], cwd=ROOT, env=self.env, input=text or "", capture_output=True, text=True, timeout=60, check=False)
        assert not check or done.returncode == 0, f"pigeon {args} ended with {done.returncode}:\n{done.stdout}\n{done.stderr}"
        return done

    def pid(self, service):
        status = self.run("sv", "status", os.path.join(self.data, "run/sv", service)).stdout
        found = re.search(r"run: .*?\(pid (\d+)\)", status)
        return int(found.group(1)) if found else None


@pytest.fixture(scope="session")
def node(tmp_path_factory):
    n = Node(tmp_path_factory.mktemp("node") / "var", 21000)
    n.first_output = n.up().stdout
    yield n
    n.down()


@pytest.fixture(scope="session")
def second(node, tmp_path_factory):
    n = Node(tmp_path_factory.mktemp("second") / "var", 25000)
    n.first_output = n.up().stdout
    yield n
    n.down()
