"""The servers that are compared: how each is configured, started and ended. One instance is one running server.

Each runs alone on its core. `keeps` says what is left of an acknowledged message after a power cut.
"""
import base64
import glob
import hashlib
import hmac
import json
import os
import shutil
import signal
import sqlite3
import struct
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


def postgres(program):
    """Debian keeps them beside each version, not in the path."""
    return max(glob.glob(f"/usr/lib/postgresql/*/bin/{program}"), key=lambda p: int(p.split("/")[4]), default=None)


class Tinode(Server):
    """JSON over WebSocket. Each message is three commits of its PostgreSQL, which runs beside it on the same core; both are counted.

    Accounts are written into its table and their login tokens signed here with its key: a password would measure bcrypt.
    """
    name, keeps, slow_start = "tinode", "everything, after PostgreSQL's commit", 60
    program, initialiser = (os.path.join(ROOT, "build", "peers", p) for p in ("tinode", "tinode-db"))
    UID_KEY, API_SALT, TOKEN_KEY = bytes(range(16)), bytes(range(32)), bytes(range(32, 64))
    AUTHENTICATED, SERIAL = 20, 1
    database, groups, talked = None, 0, 0  # talked: so many users, each with its pair

    @staticmethod
    def missing():
        built = os.path.exists(Tinode.program) and os.path.exists(Tinode.initialiser)
        return (None if built else "it was not built (tests/bench/build_peers.py says why)") or (None if postgres("postgres") else "Debian's postgresql is not installed")

    def version(self):
        return f"0.22.13 on PostgreSQL {package_version('postgresql')}"

    def start(self):
        self.port, self.talked = machine.free_port(), 0
        self.socket = os.path.join(self.work, "socket")
        self.start_database()
        config = os.path.join(self.work, "tinode.conf")
        with open(config, "w", encoding="utf-8") as f:
            json.dump(self.settings(), f)
        with open(self.log, "ab") as out:
            subprocess.run([self.initialiser, f"--config={config}"], stdout=out, stderr=out, cwd=self.work, check=True)
        self.make_users()
        self.process = machine.start([self.program, f"--config={config}", "--static_data=-"], machine.SERVER_CORE, self.log, cwd=self.work, env={**os.environ, "GOMAXPROCS": "1"})
        self.wait_ready(self.port)

    def start_database(self):
        """As Debian sets it up, fsync and all; but it only listens on a socket of its own."""
        data = os.path.join(self.work, "data")
        for d in (data, self.socket):
            os.makedirs(d)
            shutil.chown(d, "postgres", "postgres")
        own = ["setpriv", "--reuid", "postgres", "--regid", "postgres", "--init-groups"]
        with open(self.log, "ab") as out:
            subprocess.run([*own, postgres("initdb"), "-D", data, "-U", "postgres", "--auth=trust", "--encoding=UTF8", "--locale=C.UTF-8"], stdout=out, stderr=out, cwd="/", check=True)
        self.database = machine.start([*own, postgres("postgres"), "-D", data, "-k", self.socket, "-c", "listen_addresses="], machine.SERVER_CORE, self.log, cwd="/")
        ready = [postgres("pg_isready"), "-q", "-h", self.socket, "-U", "postgres"]
        machine.wait_for(lambda: subprocess.run(ready, check=False).returncode == 0, self.slow_start, "PostgreSQL to listen")

    def settings(self):
        def b64(b):
            return base64.b64encode(b).decode()
        return {
            "listen": f"127.0.0.1:{self.port}", "grpc_listen": "", "api_path": "/", "api_key_salt": b64(self.API_SALT), "max_message_size": 262144, "max_subscriber_count": USERS, "push": [],
            "auth_config": {"token": {"expire_in": 1209600, "serial_num": self.SERIAL, "key": b64(self.TOKEN_KEY)}},
            # Its own file asks for 50 connections; only in the URL does the pool obey. Groups are loaded up to max_results members.
            "store_config": {"uid_key": b64(self.UID_KEY), "max_results": USERS, "use_adapter": "postgres", "adapters": {"postgres": {
                "dsn": f"postgresql://postgres@/tinode?host={self.socket}&sslmode=disable&pool_max_conns=50", "sql_timeout": 10}}},
        }

    def sql(self, text):
        subprocess.run([postgres("psql"), "-h", self.socket, "-U", "postgres", "-d", "tinode", "-q", "-v", "ON_ERROR_STOP=1"], input=text, text=True, check=True)

    def public_id(self, number):
        """How it shows the row's number: enciphered by XTEA (64 rounds)."""
        key, mask = struct.unpack(">4I", self.UID_KEY), 0xFFFFFFFF
        a, b = struct.unpack(">2I", struct.pack("<Q", number))
        total = 0
        for _ in range(32):
            a = (a + (((b << 4 ^ b >> 5) + b) ^ (total + key[total & 3]))) & mask
            total = (total + 0x9E3779B9) & mask
            b = (b + (((a << 4 ^ a >> 5) + a) ^ (total + key[total >> 11 & 3]))) & mask
        return struct.pack(">2I", a, b)

    @staticmethod
    def named(kind, public):
        return kind + base64.urlsafe_b64encode(public).decode().rstrip("=")

    def token(self, public):
        plain = public + struct.pack("<I3H", int(time.time()) + 86400, self.AUTHENTICATED, self.SERIAL, 0)
        return base64.b64encode(plain + hmac.digest(self.TOKEN_KEY, plain, "sha256")).decode()

    def make_users(self):
        """User i is row i + 1. Writes what the generator needs: who they are and what they log in with."""
        self.sql(f"""INSERT INTO users(id, createdat, updatedat, access, public, trusted, tags)
                     SELECT n, now(), now(), '{{"Auth": "JRWPA", "Anon": "N"}}', 'null', 'null', '[]' FROM generate_series(1, {USERS}) n;
                     ANALYZE users;""")
        self.tokens = os.path.join(self.work, "tokens")
        with open(self.tokens, "w", encoding="ascii") as f:
            for public in map(self.public_id, range(1, USERS + 1)):
                f.write(f"{self.named('usr', public)} {self.token(public)}\n")
        plain = struct.pack("<BIHB", 1, 0, 1, 0)
        self.api_key = base64.urlsafe_b64encode(plain + hmac.new(self.API_SALT, plain, hashlib.md5).digest()).decode()

    def make_group(self, members):
        """A new group topic of the first so many users, written into its tables. Nobody wants its presence, which is less work for it."""
        self.groups += 1
        name = self.named("grp", self.public_id(USERS + self.groups))
        self.sql(f"""INSERT INTO topics(createdat, updatedat, touchedat, name, owner, access, public, trusted, tags)
                     VALUES(now(), now(), now(), '{name}', 1, '{{"Auth": "JRW", "Anon": "N"}}', 'null', 'null', '[]');
                     INSERT INTO subscriptions(createdat, updatedat, userid, topic, modewant, modegiven, private)
                     SELECT now(), now(), n, '{name}', m, m, 'null' FROM (SELECT n, CASE n WHEN 1 THEN 'JRWASDO' ELSE 'JRW' END m FROM generate_series(1, {members}) n) s;
                     ANALYZE subscriptions;""")
        return name

    def pids(self):
        return machine.session(self.process.pid) + machine.children(self.database.pid)

    def stop(self):
        machine.end(self.process)
        if self.database is not None and self.database.poll() is None:
            self.database.send_signal(signal.SIGQUIT)  # at once: its data go too
            try:
                self.database.wait(15)
            except subprocess.TimeoutExpired:
                pass
        machine.end(self.database)
        shutil.rmtree(self.work, ignore_errors=True)


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


ALL = {s.name: s for s in (Mosquitto, Ejabberd, Prosody, Centrifugo, Tinode, Pigeon)}


def say(text):
    print(time.strftime("%H:%M:%S ") + text, file=sys.stderr, flush=True)
