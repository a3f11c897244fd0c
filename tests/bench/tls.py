"""What TLS costs, at the gateway and in Nginx, in one run: memory of a silent socket (P9), handshakes, CPU of messages, a storm beside live traffic.

    python3 tests/bench/tls.py [memory] [handshakes] [messages] [storm]       all of them; some 8 minutes

Pigeon is on core 0, pigeon-load on core 1. A line of JSON for each figure; build/release must be there. docs/TLS.md has a run's figures.
"""
import glob
import json
import os
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import tempfile
import time
import urllib.request

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BUILD = os.environ.get("PIGEON_BUILD", os.path.join(ROOT, "build/release"))
HTTP, TLS, NGINX_TLS = 8291, 8292, 8293
USERS = 8000
LIFTED = {f"PIGEON_LIMITS_{k}": "100000" for k in ("ADDRESS_CONNECTS_S", "ADDRESS_UNAUTHENTICATED", "USER_MESSAGES_S", "USER_MESSAGES_BURST", "USER_OPS_S", "USER_OPS_BURST")}


def say(**row):
    print(json.dumps(row), flush=True)


class Node:
    """One `make up` of its own, and an Nginx that also listens with TLS."""

    def __init__(self, kind="ec", **settings):
        self.folder = tempfile.mkdtemp()
        self.data = os.path.join(self.folder, "var")
        pem = [os.path.join(self.folder, f) for f in ("certificate.pem", "key.pem")]
        how = ["ec", "-pkeyopt", "ec_paramgen_curve:P-256"] if kind == "ec" else ["rsa:2048"]
        subprocess.run(["openssl", "req", "-x509", "-newkey", *how, "-nodes", "-days", "9", "-subj", "/CN=localhost", "-out", pem[0], "-keyout", pem[1]], check=True, capture_output=True)
        os.chmod(pem[1], 0o600)
        self.env = {**os.environ, **LIFTED, "PIGEON_DATA": self.data, "PIGEON_HTTP_PORT": str(HTTP), "PIGEON_MQTT_PORT": "0", "PIGEON_PROFILE": "none", "PIGEON_TLS_PORT": str(TLS), "PIGEON_TLS_CERTIFICATE": pem[0],
                    "PIGEON_TLS_KEY": pem[1], "PIGEON_CPUS": "0", "PIGEON_BUILD": BUILD, **settings}
        subprocess.run([os.path.join(ROOT, "deploy/up.sh")], env=self.env, check=True, stdout=subprocess.DEVNULL)
        with open(os.path.join(self.data, "run/ports"), encoding="ascii") as f:
            self.base = next(int(line.split("=")[1]) for line in f if line.startswith("BASE_PORT="))
        conf = os.path.join(self.data, "run/nginx/nginx.conf")
        with open(conf, encoding="utf-8") as f:
            text = f.read()
        text = text.replace(f"listen {HTTP} backlog", f"listen {NGINX_TLS} ssl backlog=4096;\n ssl_certificate {pem[0]};\n ssl_certificate_key {pem[1]};\n ssl_protocols TLSv1.3;\n"
                            f" ssl_session_tickets on;\n listen {HTTP} backlog")
        with open(conf, "w", encoding="utf-8") as f:
            f.write(text)
        os.kill(int(open(os.path.join(self.data, "run/nginx/nginx.pid"), encoding="ascii").read()), signal.SIGHUP)
        until(lambda: dial(NGINX_TLS), "Nginx to speak TLS")
        users = os.path.join(self.folder, "users.csv")
        self.tokens = os.path.join(self.folder, "tokens.csv")
        with open(users, "w", encoding="ascii") as f:
            f.write("user,name\n" + "".join(f"u{i},User {i}\n" for i in range(USERS)))
        subprocess.run([os.path.join(BUILD, "pigeon"), "user", "import", users, "--tokens", self.tokens], env=self.env, check=True, stdout=subprocess.DEVNULL)

    def stop(self):
        subprocess.run([os.path.join(ROOT, "deploy/down.sh")], env=self.env, check=False, stdout=subprocess.DEVNULL)
        shutil.rmtree(self.folder)

    def pids(self, name):
        """Of this node's: those whose command line, or whose parent's, names its directory."""
        mine = {}
        for path in glob.glob("/proc/[0-9]*/cmdline"):
            try:
                with open(path, "rb") as f:
                    command = f.read()
                with open(path.replace("cmdline", "stat"), encoding="ascii", errors="replace") as f:
                    rest = f.read().rsplit(")", 1)[1].split()
            except OSError:
                continue
            mine[int(path.split("/")[2])] = (command, int(rest[1]))
        own = {p for p, (c, _) in mine.items() if self.data.encode() in c}
        return [p for p, (c, parent) in mine.items() if name.encode() in c and (p in own or parent in own) and b"runsv" not in c and b"svlogd" not in c]

    def pss(self, name):
        total = 0
        for pid in self.pids(name):
            with open(f"/proc/{pid}/smaps_rollup", encoding="ascii") as f:
                total += next(int(line.split()[1]) for line in f if line.startswith("Pss:"))
        return total

    def cpu_ms(self, name):
        total = 0
        for pid in self.pids(name):
            with open(f"/proc/{pid}/stat", encoding="ascii", errors="replace") as f:
                fields = f.read().rsplit(")", 1)[1].split()
            total += (int(fields[11]) + int(fields[12])) * 1000 // os.sysconf("SC_CLK_TCK")
        return total

    def metric(self, name):
        with urllib.request.urlopen(f"http://127.0.0.1:{self.base + 4}/metrics", timeout=5) as answer:
            return next(float(line.split()[-1]) for line in answer.read().decode().splitlines() if line.startswith("pigeon_" + name + " "))

    def load(self, mode, way, users, *arguments):
        port, scheme = {"plain": (self.base + 2, "ws"), "tls": (TLS, "wss"), "nginx-tls": (NGINX_TLS, "wss"), "nginx": (HTTP, "ws")}[way]
        return subprocess.Popen(["taskset", "-c", "1", os.path.join(BUILD, "pigeon-load"), mode, "--url", f"{scheme}://127.0.0.1:{port}/v1/ws", "--tokens", self.tokens,
                                 "--users", str(users), "--json", "--quiet", *map(str, arguments)], stdout=subprocess.PIPE, text=True)


def until(check, what, seconds=120):
    end = time.monotonic() + seconds
    while True:
        try:
            value = check()
        except OSError:
            value = None
        if value:
            return value
        if time.monotonic() > end:
            raise RuntimeError("waited for " + what)
        time.sleep(0.1)


def dial(port, context=None, session=None):
    context = context or ssl._create_unverified_context()
    with context.wrap_socket(socket.create_connection(("127.0.0.1", port), timeout=5), session=session) as s:
        s.sendall(b"GET /healthy HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        if not s.recv(50):
            raise ConnectionError("no answer")
        return s.session, s.session_reused


def memory():
    """KB a silent user: slope of PSS from 2,000 to 8,000 online, of a gateway and an Nginx that are fresh each time."""
    for way, settings in (("plain", {}), ("tls", {}), ("tls, OpenSSL's records", {"PIGEON_GATEWAY_TLS_OWN_RECORDS": "false"}), ("nginx", {}), ("nginx-tls", {})):
        node = Node(**settings)
        try:
            seen = []
            for users in (2000, USERS):
                load = node.load("idle", way.split(",")[0], users, "--secs", "600")
                until(lambda n=users: node.metric("gateway_sessions") == n, "all to be online")
                time.sleep(12)  # buffers of the storm are given back
                seen.append((node.pss("pigeon-gateway"), node.pss("nginx")))
                load.kill()
                load.wait()
                until(lambda: node.metric("gateway_connections") == 0, "all to be gone")
            say(figure="memory", way=way, gateway_kb=[s[0] for s in seen], nginx_kb=[s[1] for s in seen], gateway_kb_a_user=round((seen[1][0] - seen[0][0]) / (USERS - 2000), 3),
                nginx_kb_a_user=round((seen[1][1] - seen[0][1]) / (USERS - 2000), 3))
        finally:
            node.stop()


def handshakes():
    """CPU of the server a handshake: logins of 4,000 users less those without TLS, and bare connections, full and by ticket."""
    for kind in ("ec", "rsa"):
        node = Node(kind)
        try:
            for way in ("plain", "tls", "nginx", "nginx-tls"):
                before, start = (node.cpu_ms("pigeon-gateway"), node.cpu_ms("nginx")), time.monotonic()
                load = node.load("storm", way, 4000)
                out = load.communicate(timeout=300)[0]
                say(figure="logins", certificate=kind, way=way, users=4000, gateway_us_each=round((node.cpu_ms("pigeon-gateway") - before[0]) / 4), nginx_us_each=round((node.cpu_ms("nginx") - before[1]) / 4),
                    logins_a_second=json.loads(out).get("logins_per_s"), seconds=round(time.monotonic() - start, 1))
            for way, port, name in (("tls", TLS, "pigeon-gateway"), ("nginx-tls", NGINX_TLS, "nginx")):
                for resumed in (False, True):
                    context = ssl._create_unverified_context()
                    session, before, count, hits = dial(port, context)[0], node.cpu_ms(name), 1500, 0
                    for _ in range(count):
                        new, hit = dial(port, context, session if resumed else None)
                        session, hits = new or session, hits + hit
                    say(figure="handshake", certificate=kind, way=way, resumed=resumed, hits=hits, us_each=round((node.cpu_ms(name) - before) * 1000 / count))
        finally:
            node.stop()


def messages():
    """CPU a message, 400 users at 2,000 messages/s, each way in turn, twice."""
    node = Node()
    try:
        for _ in range(2):
            for way in ("plain", "tls", "nginx", "nginx-tls"):
                load = node.load("pairs", way, 400, "--rate", "2000", "--secs", "14", "--no-verify")
                until(lambda: node.metric("gateway_sessions") == 400, "all to be online")
                time.sleep(2)
                before, sent = (node.cpu_ms("pigeon-gateway"), node.cpu_ms("nginx")), node.metric("gateway_sends_ok_total")
                time.sleep(10)
                sent = node.metric("gateway_sends_ok_total") - sent
                say(figure="messages", way=way, a_second=round(sent / 10), gateway_us_each=round((node.cpu_ms("pigeon-gateway") - before[0]) * 1000 / sent, 1),
                    nginx_us_each=round((node.cpu_ms("nginx") - before[1]) * 1000 / sent, 1))
                load.communicate(timeout=60)
    finally:
        node.stop()


def storm():
    """Latency of 1,000 messages/s of 200 users over TLS while 4,000 others connect, with and without the bound on handshakes a turn."""
    for kind in ("ec", "rsa"):
        for bound in ("2000", "0"):
            node = Node(kind, PIGEON_GATEWAY_TLS_TURN_US=bound, PIGEON_GATEWAY_HELLO_TIMEOUT_MS="60000")
            try:
                talk = node.load("pairs", "tls", 200, "--rate", "1000", "--secs", "12", "--no-verify")
                until(lambda: node.metric("gateway_sessions") == 200, "the talkers to be online")
                time.sleep(3)
                others = os.path.join(node.folder, "others.csv")
                with open(node.tokens, encoding="ascii") as f, open(others, "w", encoding="ascii") as out:
                    rows = f.readlines()
                    out.writelines([rows[0], *rows[201:4201]])
                tokens, node.tokens = node.tokens, others
                start = time.monotonic()
                crowd = node.load("storm", "tls", 4000, "--concurrency", "4000")
                node.tokens = tokens
                crowd.communicate(timeout=120)
                took = time.monotonic() - start
                result = json.loads(talk.communicate(timeout=120)[0])
                say(figure="storm", certificate=kind, bound_us=int(bound), seconds=round(took, 1), failed=node.metric("gateway_tls_failed_total"),
                    talkers_acked=result["acked"], ack_ms=result["latency_ms"]["ack"], delivery_ms=result["latency_ms"]["delivery"])
            finally:
                node.stop()


def main():
    known = {"memory": memory, "handshakes": handshakes, "messages": messages, "storm": storm}
    for name in sys.argv[1:] or known:
        known[name]()


main()
