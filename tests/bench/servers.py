"""The servers that are compared: how each is configured, started and ended. One instance is one running server.

Each runs alone on its core. `keeps` says what is left of an acknowledged message after a power cut.
"""
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import time

import machine
from machine import ROOT

USERS = 20000  # accounts that exist
MISSED_BODY = "x" * 80


class Server:
    name = keeps = ""
    slow_start = 30
    leaves_slowly = False  # still busy minutes after thousands of users have left: started anew before the next workload

    def __init__(self, work):
        self.work, self.process, self.log = os.path.join(work, self.name), None, os.path.join(work, self.name + ".log")
        os.makedirs(self.work, exist_ok=True)
        os.chmod(self.work, 0o755)

    def restart(self):
        """Anew, with nothing of before: memory that was used once is not given back."""
        self.stop()
        os.makedirs(self.work, exist_ok=True)
        os.chmod(self.work, 0o755)
        self.start()

    @staticmethod
    def missing():
        """Why it cannot run here, or None."""
        return None

    def version(self):
        return ""

    def pids(self):
        return machine.session(self.process.pid)

    def wait_ready(self, *ports):
        def ready():
            if self.process.poll() is not None:
                raise RuntimeError(f"{self.name} ended at its start: {self.tail()}")
            return all(machine.listening(p) for p in ports)
        machine.wait_for(ready, self.slow_start, f"{self.name} to listen")

    def tail(self):
        with open(self.log, encoding="utf-8", errors="replace") as f:
            return f.read()[-600:]

    def stop(self):
        machine.end(self.process)
        shutil.rmtree(self.work, ignore_errors=True)


def package_version(package):
    done = subprocess.run(["dpkg-query", "-W", "-f", "${Version}", package], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, check=False)
    return done.stdout.split("-")[0].split("+")[0].split(":")[-1]


def need(program, package):
    return None if shutil.which(program) or os.path.exists("/usr/sbin/" + program) else f"Debian's {package} is not installed"


class Mosquitto(Server):
    name, keeps = "mosquitto", "nothing"

    @staticmethod
    def missing():
        return need("mosquitto", "mosquitto")

    def version(self):
        return package_version("mosquitto")

    def start(self):
        self.port = machine.free_port()
        config = os.path.join(self.work, "mosquitto.conf")
        with open(config, "w", encoding="utf-8") as f:
            f.write(f"listener {self.port} 127.0.0.1\nallow_anonymous true\nmax_inflight_messages 1000\nmax_queued_messages 100000\npersistence false\n")
        self.process = machine.start(["mosquitto", "-c", config], machine.SERVER_CORE, self.log)
        self.wait_ready(self.port)


class Ejabberd(Server):
    """XMPP with its archive and offline messages in SQLite; MQTT, which keeps nothing.

    `accounts`: users exist, which costs a lookup at each login, but only then messages wait for them. Else logins are anonymous.
    """
    name, keeps, slow_start, leaves_slowly = "ejabberd", "archive in SQLite (XMPP); nothing (MQTT)", 60, True
    accounts = 0

    @staticmethod
    def missing():
        return need("ejabberdctl", "ejabberd") or (None if os.path.exists("/usr/share/ejabberd/sql/lite.sql") else "its SQL schema is missing")

    def version(self):
        return package_version("ejabberd")

    def start(self):
        d = self.work
        self.xmpp_port = machine.free_port()
        self.port = self.xmpp_port + 1
        for sub in ("spool", "logs"):
            os.makedirs(f"{d}/{sub}", exist_ok=True)
        auth = "auth_method: [sql]\nauth_password_format: plain\n" if self.accounts else \
            "auth_method: [anonymous]\nanonymous_protocol: login_anon\nallow_multiple_connections: true\n"
        with open(f"{d}/ejabberd.yml", "w", encoding="utf-8") as f:
            f.write(f"""hosts: [localhost]
loglevel: error
listen:
  - {{ port: {self.xmpp_port}, ip: "127.0.0.1", module: ejabberd_c2s, backlog: 1000, shaper: none, access: all, starttls: false }}
  - {{ port: {self.port}, ip: "127.0.0.1", module: mod_mqtt, backlog: 1000 }}
{auth}sql_type: sqlite
sql_database: "{d}/ejabberd.db"
default_db: sql
access_rules: {{ offline: {{ allow: all }} }}
shaper_rules: {{ max_user_offline_messages: infinity }}
modules:
  mod_roster: {{}}
  mod_offline: {{ access_max_user_messages: max_user_offline_messages }}
  mod_disco: {{}}
  mod_mam: {{ default: always, db_type: sql }}
  mod_mqtt: {{ session_expiry: 0 }}
""")
        with open(f"{d}/ctl.cfg", "w", encoding="utf-8") as f:
            f.write("POLL=true\nERL_MAX_PORTS=19900\nERL_PROCESSES=500000\n")
        shutil.copy("/etc/ejabberd/inetrc", f"{d}/inetrc")
        db = sqlite3.connect(f"{d}/ejabberd.db")
        with open("/usr/share/ejabberd/sql/lite.sql", encoding="utf-8") as f:
            db.executescript(f.read())
        db.execute("pragma journal_mode=wal")
        if self.accounts:
            db.executemany("insert into users(username, password) values (?, 'p')", ((f"u{i}",) for i in range(self.accounts)))
            db.commit()
        db.close()
        subprocess.run(["chown", "-R", "ejabberd:", d], check=True)
        self.epmd_before = {p for p in os.listdir("/proc") if p.isdigit() and machine.name_of(p) == "epmd"}
        command = ["setpriv", "--reuid", "ejabberd", "--regid", "ejabberd", "--clear-groups", "ejabberdctl", "-d", d, "-l", f"{d}/logs", "-s", f"{d}/spool",
                   "-f", f"{d}/ejabberd.yml", "-c", f"{d}/ctl.cfg", "foreground"]
        self.process = machine.start(command, machine.SERVER_CORE, self.log, cwd=d, env={**os.environ, "HOME": d})
        self.wait_ready(self.xmpp_port, self.port)

    def fill_offline(self, first, end, missed):
        """What waits for users, written into its own table: by messages it would take half an hour."""
        db = sqlite3.connect(f"{self.work}/ejabberd.db", timeout=60)
        rows = ((f"u{u}", f"<message to='u{u}@localhost' from='u0@localhost/r' type='chat' id='m{n}'><body>ts:1:{n}:{MISSED_BODY}</body></message>")
                for u in range(first, end) for n in range(1, missed + 1))
        db.executemany("insert into spool(username, xml) values (?, ?)", rows)
        db.commit()
        db.execute("pragma wal_checkpoint(truncate)")
        db.close()

    def stop(self):
        machine.end(self.process)
        for pid in os.listdir("/proc"):  # Erlang's name server, which it started beside itself
            if pid.isdigit() and machine.name_of(pid) == "epmd" and pid not in self.epmd_before:
                os.kill(int(pid), signal.SIGTERM)
        shutil.rmtree(self.work, ignore_errors=True)


class Prosody(Server):
    name, keeps, leaves_slowly = "prosody", "archive in SQLite", True

    @staticmethod
    def missing():
        return need("prosody", "prosody")

    def version(self):
        return package_version("prosody")

    def start(self):
        d = self.work
        self.port = machine.free_port()
        accounts = f"{d}/data/localhost/accounts"
        os.makedirs(accounts)
        for i in range(USERS):
            with open(f"{accounts}/u{i}.dat", "w", encoding="ascii") as f:
                f.write('return { ["password"] = "p" };')
        with open(f"{d}/prosody.cfg.lua", "w", encoding="utf-8") as f:
            f.write(f"""daemonize = false
pidfile = "{d}/prosody.pid"; data_path = "{d}/data"
interfaces = {{ "127.0.0.1" }}; c2s_ports = {{ {self.port} }}; http_ports = {{}}; https_ports = {{}}
network_backend = "epoll"; network_settings = {{ tcp_backlog = 1024 }}
c2s_require_encryption = false; allow_unencrypted_plain_auth = true
authentication = "internal_plain"
storage = {{ accounts = "internal"; archive = "sql" }}
sql = {{ driver = "SQLite3", database = "prosody.sqlite" }}
modules_enabled = {{ "roster", "saslauth", "disco", "mam", "offline", "c2s" }}
modules_disabled = {{ "s2s", "tls" }}
archive_expires_after = "never"
log = {{ error = "{d}/prosody.log" }}
VirtualHost "localhost"
""")
        subprocess.run(["chown", "-R", "prosody:", d], check=True)
        command = ["setpriv", "--reuid", "prosody", "--regid", "prosody", "--clear-groups", "prosody", "--config", f"{d}/prosody.cfg.lua", "-F"]
        self.process = machine.start(command, machine.SERVER_CORE, self.log, cwd=d)
        self.wait_ready(self.port)


class Centrifugo(Server):
    """A channel a user, JSON over WebSocket, its memory engine without history."""
    name, keeps = "centrifugo", "nothing"
    program = os.path.join(ROOT, "build", "peers", "centrifugo")

    @staticmethod
    def missing():
        return None if os.path.exists(Centrifugo.program) else "it was not built (tests/bench/build_peers.py says why)"

    def version(self):
        done = subprocess.run([self.program, "version"], stdout=subprocess.PIPE, text=True, check=False)
        return "5.4.9" if "5.4" in done.stdout or "0.0.0" in done.stdout else done.stdout.strip()[:40]

    def start(self):
        self.port = machine.free_port()
        config = os.path.join(self.work, "config.json")
        with open(config, "w", encoding="utf-8") as f:
            f.write('{"client_insecure": true, "allow_subscribe_for_client": true, "allow_publish_for_subscriber": false, "allow_publish_for_client": true,'
                    ' "allow_subscribe_for_anonymous": true, "allow_publish_for_anonymous": true, "allow_anonymous_connect_without_token": true,'
                    ' "client_channel_limit": 16, "client_queue_max_size": 104857600, "websocket_ping_interval": "30s", "websocket_pong_timeout": "10s"}')
        command = [self.program, "--config", config, "--address", "127.0.0.1", "--port", str(self.port), "--log_level", "error"]
        self.process = machine.start(command, machine.SERVER_CORE, self.log, env={**os.environ, "GOMAXPROCS": "1"})
        self.wait_ready(self.port)


class Pigeon(Server):
    """All of it, started as `make up` does, without Nginx: clients talk to the gateway itself. Limits a user and address has are lifted."""
    name, keeps = "pigeon", "everything, after fsync"
    SETTINGS = {
        "PIGEON_LIMITS_USER_MESSAGES_S": "1000000", "PIGEON_LIMITS_USER_MESSAGES_BURST": "1000000", "PIGEON_LIMITS_USER_OPS_S": "1000000",
        "PIGEON_LIMITS_USER_OPS_BURST": "1000000", "PIGEON_LIMITS_ADDRESS_CONNECTS_S": "1000000", "PIGEON_LIMITS_ADDRESS_UNAUTHENTICATED": "20000",
    }
    build = os.path.join(ROOT, os.environ.get("PIGEON_BUILD", "build/release"))

    def version(self):
        done = subprocess.run(["git", "-C", ROOT, "describe", "--always", "--dirty"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, check=False)
        return done.stdout.strip()

    def start(self):
        base = machine.free_port()
        base += -base % 16
        self.port, self.ws_port = base + 15, base + 2
        self.data = os.path.join(self.work, "var")
        self.env = {**os.environ, **self.SETTINGS, "PIGEON_DATA": self.data, "PIGEON_BASE_PORT": str(base), "PIGEON_HTTP_PORT": str(base + 14), "PIGEON_BUILD": self.build,
                    "PIGEON_CPUS": machine.SERVER_CORE, "PIGEON_SERVERS": "nats redis", "PIGEON_GATEWAY_MQTT_PORT": str(self.port)}
        self.env.pop("PIGEON_SERVICES", None)
        with open(self.log, "ab") as out:
            done = subprocess.run([os.path.join(ROOT, "deploy/up.sh")], env=self.env, stdout=out, stderr=out, check=False)
        if done.returncode:
            raise RuntimeError(f"Pigeon did not start: {self.tail()}")
        self.speaks_mqtt = machine.listening(self.port)
        self.url = f"ws://127.0.0.1:{self.ws_port}/v1/ws"
        self.make_users()

    def make_users(self):
        people, out = os.path.join(self.work, "people.csv"), os.path.join(self.work, "tokens.csv")
        with open(people, "w", encoding="ascii") as f:
            f.write("user,name\n" + "".join(f"u{i},User {i}\n" for i in range(USERS)))
        done = subprocess.run([os.path.join(self.build, "pigeon"), "user", "import", people, "--tokens", out], env=self.env, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, text=True, check=False)
        if done.returncode:
            raise RuntimeError(f"users were not made: {done.stdout[-500:]}")
        with open(out, encoding="ascii") as f:
            self.tokens = dict(line.strip().split(",") for line in f if line.startswith("u") and not line.startswith("user,"))
        self.passwords = os.path.join(self.work, "passwords")
        with open(self.passwords, "w", encoding="ascii") as f:
            f.writelines(self.tokens[f"u{i}"] + "\n" for i in range(USERS))

    def tokens_from(self, first):
        path = os.path.join(self.work, f"tokens-{first}.csv")
        if not os.path.exists(path):
            with open(path, "w", encoding="ascii") as f:
                f.writelines(f"u{i},{self.tokens[f'u{i}']}\n" for i in range(first, USERS))
        return path

    def pids(self):
        with open(os.path.join(self.data, "run", "supervisor.pid"), encoding="ascii") as f:
            return machine.children(int(f.read()))

    def stop(self):
        with open(self.log, "ab") as out:
            subprocess.run([os.path.join(ROOT, "deploy/down.sh")], env=getattr(self, "env", os.environ), stdout=out, stderr=out, check=False)
        shutil.rmtree(self.work, ignore_errors=True)


ALL = {s.name: s for s in (Mosquitto, Ejabberd, Prosody, Centrifugo, Pigeon)}


def say(text):
    print(time.strftime("%H:%M:%S ") + text, file=sys.stderr, flush=True)
