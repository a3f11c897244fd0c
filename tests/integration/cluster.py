"""The real servers on free ports in a directory of their own, configured by the very script that `make up` uses.

Services run straight below the test (no supervisor), so that a test can kill, pause and restart each of them.
PIGEON_BUILD names the build directory (build/debug by default).
"""
import csv
import http.client
import json
import os
import re
import signal
import socket
import subprocess
import time

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BUILD = os.path.join(ROOT, os.environ.get("PIGEON_BUILD", "build/debug"))
SERVICES = ["storage", "message", "presence", "gateway", "api"]
SERVERS = ["nats", "redis"]
ADMIN = {"gateway": 4, "message": 5, "presence": 6, "storage": 7, "api": 8}
# Test settings: cheap password hashes, short waits. Rates are lifted; tests of the limits lower them again.
SETTINGS = {
    "PIGEON_API_ARGON2_MEMORY_KIB": "64", "PIGEON_API_ARGON2_PASSES": "1", "PIGEON_PRESENCE_LINGER_MS": "300",
    "PIGEON_GATEWAY_HELLO_TIMEOUT_MS": "3000", "PIGEON_GATEWAY_DRAIN_MS": "300", "PIGEON_LIMITS_USER_MESSAGES_S": "100000",
    "PIGEON_LIMITS_USER_MESSAGES_BURST": "100000", "PIGEON_LIMITS_USER_OPS_S": "100000", "PIGEON_LIMITS_USER_OPS_BURST": "100000",
    "PIGEON_LIMITS_ADDRESS_CONNECTS_S": "100000", "PIGEON_LOG_LEVEL": "debug", "PIGEON_API_ACCEL": "false", "PIGEON_API_REGISTRATION": "open",
}
SANITIZER = ("ERROR: AddressSanitizer", "ERROR: LeakSanitizer", "runtime error:", "WARNING: ThreadSanitizer", "Assertion `")
# What no log may hold after any test: something of a token's form, a password's hash. The node's own secrets are compared word by word.
SECRET = re.compile(r"(?<![\w-])[\w-]{43}(?![\w-])|\$argon2", re.ASCII)


def wait_until(condition, timeout=10.0, what="the condition"):
    """The first true value of condition(), asked every 10 ms; AssertionError after timeout seconds."""
    deadline = time.monotonic() + timeout
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise AssertionError(f"waited {timeout} s for {what}")
        time.sleep(0.01)


def free_block(size=16, begin=None):
    """First of `size` free ports in a row, below the range that the kernel gives to clients."""
    begin = begin or 14000 + os.getpid() % 300 * 16
    for first in list(range(begin, 20000, size)) + list(range(14000, begin, size)):
        sockets = []
        try:
            for port in range(first, first + size):
                s = socket.socket()
                sockets.append(s)
                s.bind(("127.0.0.1", port))
            return first
        except OSError:
            continue
        finally:
            for s in sockets:
                s.close()
    raise RuntimeError("no free block of ports")


class Cluster:
    def __init__(self, folder, settings=None, services=tuple(SERVICES)):
        self.data = os.path.join(str(folder), "var")
        self.base = free_block()
        self.services = list(services)
        web = os.path.join(str(folder), "web")
        os.makedirs(web, exist_ok=True)
        self.env = {**os.environ, **SETTINGS, "PIGEON_DATA": self.data, "PIGEON_HTTP_PORT": str(self.base + 15), "PIGEON_BASE_PORT": str(self.base),
                    "PIGEON_BUILD": BUILD, "PIGEON_WEB": web, "ASAN_OPTIONS": "detect_leaks=1:abort_on_error=0:exitcode=99", "UBSAN_OPTIONS": "print_stacktrace=1",
                    "LSAN_OPTIONS": f"suppressions={ROOT}/tests/integration/lsan.txt", "TSAN_OPTIONS": f"exitcode=99 suppressions={ROOT}/tests/integration/tsan.txt", **(settings or {})}
        subprocess.run([os.path.join(ROOT, "deploy/make-config.sh")], env=self.env, check=True)
        self.processes, self.expected = {}, set()

    # ---- processes ----

    def command(self, name):
        run = os.path.join(self.data, "run")
        if name == "nats":
            return ["nats-server", "-c", os.path.join(run, "nats.conf")]
        if name == "redis":
            return ["redis-server", os.path.join(run, "redis.conf")]
        if name == "nginx":
            return ["nginx", "-e", "stderr", "-p", os.path.join(run, "nginx"), "-c", os.path.join(run, "nginx/nginx.conf")]
        return [os.path.join(BUILD, "pigeon-" + name), "--config", os.path.join(self.data, "pigeon.yaml")]

    def log_path(self, name):
        return os.path.join(self.data, "log", name + ".log")

    def log(self, name):
        with open(self.log_path(name), encoding="utf-8", errors="replace") as f:
            return f.read()

    def start(self, *names, wait=True, env=None):
        for name in names:
            assert name not in self.processes, f"{name} runs already"
            with open(self.log_path(name), "ab") as log:
                self.processes[name] = subprocess.Popen(self.command(name), env={**self.env, **(env or {})}, stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=self.data)
        if wait:
            for name in names:
                self.wait_ready(name)
        return self

    def up(self):
        self.start(*SERVERS, *self.services)
        return self

    def ready(self, name):
        if name in ("nats", "redis"):
            with socket.socket() as s:
                s.settimeout(0.2)
                return s.connect_ex(("127.0.0.1", self.base + SERVERS.index(name))) == 0
        port = self.base + (15 if name == "nginx" else ADMIN[name])
        return http_get(port, "/readyz")[0] == 200

    def wait_ready(self, name, timeout=20):
        def check():
            code = self.processes[name].poll()
            assert code is None, f"{name} ended with {code}:\n{self.log(name)[-3000:]}"
            return self.ready(name)
        wait_until(check, timeout, f"{name} to be ready; its log:\n{self.log(name)[-2000:]}")

    def kill(self, name, sig=signal.SIGKILL):
        process = self.processes.pop(name)
        process.send_signal(sig)
        code = process.wait(30)
        if sig == signal.SIGTERM:
            assert code == 0, f"{name} ended with {code} on SIGTERM:\n{self.log(name)[-3000:]}"
        return code

    def restart(self, name, sig=signal.SIGKILL, wait=True):
        self.kill(name, sig)
        self.start(name, wait=wait)

    def pause(self, name):
        self.processes[name].send_signal(signal.SIGSTOP)

    def resume(self, name):
        self.processes[name].send_signal(signal.SIGCONT)

    def down(self):
        """Stops everything politely and fails on what no test expected: sanitizer reports, processes that ended by themselves."""
        ended = {n: p.poll() for n, p in self.processes.items() if p.poll() is not None}
        codes = {}
        for name in [*reversed(self.services), "nginx", *SERVERS]:
            process = self.processes.pop(name, None)
            if process and process.poll() is None:
                process.send_signal(signal.SIGCONT)
                process.send_signal(signal.SIGTERM)
                try:
                    codes[name] = process.wait(40)
                except subprocess.TimeoutExpired:
                    process.kill()
                    codes[name] = "did not end on SIGTERM"
        problems = [f"{n} ended by itself with {c}" for n, c in ended.items()]
        problems += [f"{n} ended with {c} on SIGTERM" for n, c in codes.items() if n in self.services and c != 0]
        for name in self.services:
            if os.path.exists(self.log_path(name)):
                text = self.log(name)
                at = min((text.find(s) for s in SANITIZER if s in text), default=-1)
                if at >= 0:
                    problems.append(f"{name}: {text[max(0, at - 200):at + 3000]}")
        problems += self.secrets_in_logs()
        assert not problems, "\n".join(problems)

    def secrets_in_logs(self):
        """A line for each log that holds a token, a password's hash or one of the node's own secrets."""
        folder, found = os.path.join(self.data, "secrets"), []
        own = [open(os.path.join(folder, n), encoding="utf-8", errors="replace").read().strip() for n in os.listdir(folder) if os.path.isfile(os.path.join(folder, n))]
        for name in os.listdir(os.path.join(self.data, "log")):
            if not os.path.isfile(self.log_path(name[:-4])):
                continue
            text = self.log(name[:-4])
            seen = SECRET.search(text)
            if seen:
                found.append(f"{name} holds what looks like a token or a hash: {text[max(0, seen.start() - 100):seen.end()]}")
            found += [f"{name} holds a secret of this node" for word in own if len(word) >= 16 and word in text]
        return found

    # ---- people ----

    def pigeon(self, *args, text="", check=True):
        env = {**self.env, "ASAN_OPTIONS": "detect_leaks=0"}  # a command that ends leaves its memory to the kernel
        done = subprocess.run([os.path.join(BUILD, "pigeon"), *args], env=env, input=text, capture_output=True, text=True, timeout=60, check=False)
        assert not check or done.returncode == 0, f"pigeon {' '.join(args)} ended with {done.returncode}:\n{done.stdout}\n{done.stderr}"
        return done

    def add_users(self, *names, device="test"):
        """Makes them (or leaves them) and gives {name: token} of sessions on this device."""
        people, out = (os.path.join(self.data, f) for f in ("people.csv", "tokens.csv"))
        with open(people, "w", encoding="utf-8", newline="") as f:
            writer = csv.writer(f)
            writer.writerow(["user", "name"])
            writer.writerows([n, n.title()] for n in names)
        self.pigeon("user", "import", people, "--tokens", out, "--device", device)
        with open(out, encoding="utf-8", newline="") as f:
            rows = list(csv.DictReader(f))
        return {r["user"]: r["token"] for r in rows}

    # ---- where ----

    @property
    def gateway_port(self):
        return self.base + 2

    @property
    def ws_url(self):
        return f"ws://127.0.0.1:{self.gateway_port}/v1/ws"

    @property
    def api_url(self):
        return f"http://127.0.0.1:{self.base + 3}"

    def metrics(self, name):
        """{metric line without its value: value}"""
        return self.metrics_at(self.base + ADMIN[name])

    def metrics_at(self, port):
        status, text = http_get(port, "/metrics")
        assert status == 200
        rows = [line.rsplit(" ", 1) for line in text.splitlines() if line and not line.startswith("#")]
        return {k: float(v) for k, v in rows}

    def rest(self, method, path, body=None, token=None, headers=None):
        """(status, decoded answer) of the api."""
        connection = http.client.HTTPConnection("127.0.0.1", self.base + 3, timeout=20)
        try:
            sent = {"Content-Type": "application/json", **({"Authorization": "Bearer " + token} if token else {}), **(headers or {})}
            data = body if isinstance(body, (bytes, type(None))) else json.dumps(body).encode()
            connection.request(method, path, body=data, headers=sent)
            answer = connection.getresponse()
            raw = answer.read()
            is_json = (answer.getheader("Content-Type") or "").startswith("application/json")
            return answer.status, json.loads(raw) if raw and is_json else raw
        finally:
            connection.close()


def fresh_clusters(folder):
    """Body of the fixtures `fresh`: yields start(settings), which brings up a cluster of the test's own; stops them all afterwards."""
    made = []

    def start(settings=None, **options):
        made.append(Cluster(folder / f"c{len(made)}", settings, **options))
        return made[-1].up()
    yield start
    for cluster in made:
        cluster.down()


def http_get(port, path):
    try:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=2)
        connection.request("GET", path)
        answer = connection.getresponse()
        return answer.status, answer.read().decode()
    except OSError:
        return 0, ""
    finally:
        connection.close()
