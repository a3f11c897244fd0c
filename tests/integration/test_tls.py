"""TLS ended by the gateway: Python's ssl (OpenSSL) as the client, over websockets or bare sockets."""
import os
import select
import socket
import ssl
import struct
import subprocess
import threading
import time

import pytest
from client import Client
from cluster import Cluster, wait_until

TLS, MQTTS = 9, 10  # ports of the cluster's block
UPGRADE = (b"GET /v1/ws HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
           b"Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Protocol: pigeon.v1.json\r\n\r\n")


def make_certificate(folder, name="a", kind="ec"):
    """(certificate, key) of localhost, self-signed."""
    paths = [os.path.join(str(folder), f"{name}.{what}") for what in ("crt", "key")]
    how = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"] if kind == "ec" else ["-newkey", "rsa:2048"]
    subprocess.run(["openssl", "req", "-x509", *how, "-nodes", "-days", "30", "-subj", "/CN=" + name, "-addext", "subjectAltName=IP:127.0.0.1",
                    "-out", paths[0], "-keyout", paths[1]], check=True, capture_output=True)
    os.chmod(paths[1], 0o600)
    return paths


def settings_of(certificate, key, base, **more):
    return {"PIGEON_GATEWAY_TLS_CERTIFICATE": certificate, "PIGEON_GATEWAY_TLS_KEY": key, "PIGEON_GATEWAY_TLS_PORT": str(base + TLS),
            "PIGEON_GATEWAY_MQTT_TLS_PORT": str(base + MQTTS), **more}


def start(folder, **more):
    os.makedirs(str(folder), exist_ok=True)
    certificate, key = make_certificate(folder)
    made = Cluster(folder)
    made.env.update(settings_of(certificate, key, made.base, **more))
    made.certificate, made.key = certificate, key
    return made.up()


@pytest.fixture(scope="module")
def tls(tmp_path_factory):
    cluster = start(tmp_path_factory.mktemp("tls"))
    yield cluster
    cluster.down()


@pytest.fixture
def own(tmp_path):
    """own(PIGEON_...=...) starts a cluster for this test alone."""
    made = []

    def begin(**more):
        made.append(start(tmp_path / f"c{len(made)}", **more))
        return made[-1]
    yield begin
    for cluster in made:
        cluster.down()


def context_of(cluster, version=None, ciphers=None, alpn=None):
    context = ssl.create_default_context(cafile=cluster.certificate)
    if version:
        context.minimum_version = context.maximum_version = version
    if ciphers:
        context.set_ciphers(ciphers)
    if alpn:
        context.set_alpn_protocols(alpn)
    return context


class Tunnel:
    """TLS by one thread, and a plain socket to talk through: Python's ssl does not bear a reader and a writer at once, which websockets has."""

    def __init__(self, cluster, context=None):
        self.incoming, self.outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.talk = (context or context_of(cluster)).wrap_bio(self.incoming, self.outgoing, server_hostname="127.0.0.1")
        self.tcp = socket.create_connection(("127.0.0.1", cluster.base + TLS), timeout=20)
        shake(self)
        with socket.create_server(("127.0.0.1", 0)) as door:  # no socketpair: websockets sets TCP's options
            self.plain = socket.create_connection(door.getsockname())
            self.inner = door.accept()[0]
        threading.Thread(target=self.pump, daemon=True).start()

    def pump(self):
        try:
            while True:
                ready = select.select([self.inner, self.tcp], [], [])[0]
                if self.inner in ready:
                    data = self.inner.recv(65536)
                    if not data:
                        break
                    self.talk.write(data)
                    self.tcp.sendall(self.outgoing.read())
                if self.tcp in ready:
                    data = self.tcp.recv(65536)
                    self.incoming.write(data)
                    while data:
                        try:
                            data = self.talk.read(65536)
                            self.inner.sendall(data)
                        except ssl.SSLWantReadError:
                            break
                    if not data:
                        break
        except (OSError, ssl.SSLError):
            pass
        self.inner.close()
        self.tcp.close()


def shake(peer):
    """The handshake of something with tcp, talk, incoming and outgoing."""
    while True:
        try:
            peer.talk.do_handshake()
            break
        except ssl.SSLWantReadError:
            peer.tcp.sendall(peer.outgoing.read())
            data = peer.tcp.recv(65536)
            assert data, "the server went away"
            peer.incoming.write(data)
    peer.tcp.sendall(peer.outgoing.read())


def join(cluster, *names, context=None):
    tokens, joined = cluster.add_users(*names), []
    for name in names:
        tunnel = Tunnel(cluster, context)
        joined.append(Client(f"ws://127.0.0.1:{cluster.base + TLS}/v1/ws", tokens[name], sock=tunnel.plain))
        joined[-1].tunnel = tunnel
    return joined


def dial(cluster, context, port=TLS, session=None):
    plain = socket.create_connection(("127.0.0.1", cluster.base + port), timeout=10)
    return context.wrap_socket(plain, server_hostname="127.0.0.1", session=session)


def count(cluster, name):
    return cluster.metrics("gateway")["pigeon_" + name]


# ---- what must work ----

@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_3, ssl.TLSVersion.TLSv1_2])
def test_chat_between_tls_and_plain(tls, version):
    name = f"v{int(version)}"
    (alice,) = join(tls, "alice" + name, context=context_of(tls, version))
    bob = Client(tls.ws_url, tls.add_users("bob" + name)["bob" + name])
    with alice, bob:
        assert alice.tunnel.talk.version() == {ssl.TLSVersion.TLSv1_3: "TLSv1.3", ssl.TLSVersion.TLSv1_2: "TLSv1.2"}[version]
        for i in range(20):
            alice.send("bob" + name, f"over {i}")
            bob.send("alice" + name, f"back {i}")
        bob.wait_message("over 19")
        alice.wait_message("back 19")
        assert [m["body"]["text"] for m in bob.messages() if m["from"] == "alice" + name] == [f"over {i}" for i in range(20)]


def test_openssl_objects_are_given_up(tls):
    """After a TLS 1.3 handshake OpenSSL's object is gone; a TLS 1.2 socket keeps it."""
    wait_until(lambda: count(tls, "gateway_tls_openssl") == 0, what="those of earlier tests to be gone")
    (new,) = join(tls, "given13", context=context_of(tls, ssl.TLSVersion.TLSv1_3))
    (old,) = join(tls, "given12", context=context_of(tls, ssl.TLSVersion.TLSv1_2))
    with new, old:
        wait_until(lambda: count(tls, "gateway_tls_openssl") == 1, what="one object, of TLS 1.2")
        old.call("ping")
        new.call("ping")


@pytest.mark.parametrize("suite", ["TLS_AES_128_GCM_SHA256", "TLS_AES_256_GCM_SHA384", "TLS_CHACHA20_POLY1305_SHA256"])
def test_every_suite(tls, suite):
    """openssl s_client, which can be told the suite: an upgrade request and its answer."""
    done = subprocess.run(["openssl", "s_client", "-connect", f"127.0.0.1:{tls.base + TLS}", "-CAfile", tls.certificate, "-verify_return_error", "-tls1_3",
                           "-ciphersuites", suite, "-ign_eof"], input="GET /nowhere HTTP/1.1\r\nHost: x\r\n\r\n", capture_output=True, text=True, timeout=20, check=False)
    assert f"Cipher is {suite}" in done.stdout and "HTTP/1.1 404" in done.stdout, done.stdout[-800:] + done.stderr


@pytest.mark.parametrize("command", [b"k", b"K"])
def test_key_update(tls, command):
    """s_client renews its keys (k), or asks us to renew ours too (K), again and again before and within a conversation."""
    before = count(tls, "gateway_tls_broken_total")
    with subprocess.Popen(["stdbuf", "-o0", "openssl", "s_client", "-connect", f"127.0.0.1:{tls.base + TLS}", "-tls1_3", "-CAfile", tls.certificate],
                          stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT) as client:
        def say(data, answer):
            client.stdin.write(data)
            client.stdin.flush()
            read_to(client.stdout, answer)
        read_to(client.stdout, b"read R BLOCK")
        for i in range(6):
            say(command + b"\n", b"KEYUPDATE")
            if i == 0:
                say(UPGRADE, b"101 Switching Protocols")
            else:
                say(b"\x89\x81\0\0\0\0" + bytes([96 + i]), b"\x8a\x01" + bytes([96 + i]))  # a ping, a pong
        client.kill()
    assert count(tls, "gateway_tls_broken_total") == before


def read_to(stream, word, timeout=10):
    """What a process says up to this word."""
    seen, deadline = b"", time.monotonic() + timeout
    while word not in seen:
        ready = select.select([stream], [], [], deadline - time.monotonic())[0]
        assert ready, f"no {word!r} in {seen[-500:]!r}"
        piece = os.read(stream.fileno(), 65536)
        assert piece, f"ended before {word!r}: {seen[-500:]!r}"
        seen += piece
    return seen


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_3, ssl.TLSVersion.TLSv1_2])
def test_big_messages_both_ways(tls, version):
    """Many records a message, and a receiver that does not read while they come."""
    name = f"big{int(version)}"
    alice, bob = join(tls, "a" + name, "b" + name, context=context_of(tls, version))
    with alice, bob:
        texts = [f"{i:03}" + chr(97 + i % 26) * 16000 for i in range(100)]
        numbers = [alice.post_text("b" + name, t) for t in texts]
        for n in numbers:
            alice.answer(n, timeout=30)
        conv = bob.wait_message(texts[-1], 30)["conv"]
        assert [m["body"]["text"] for m in bob.messages(conv)] == texts
        assert [m["body"]["text"] for m in bob.history(conv)] == texts  # pages of a megabyte


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_3, ssl.TLSVersion.TLSv1_2])
def test_mqtt(tls, version):
    """MQTT 3.1.1 over TLS: a login with a token, and a ping."""
    name = f"mqtt{int(version)}"
    words = [word.encode() for word in ("phone", name, tls.add_users(name, device="phone")[name])]
    body = b"\0\4MQTT\4\xc2\0\x3c" + b"".join(struct.pack(">H", len(w)) + w for w in words)
    with dial(tls, context_of(tls, version, alpn=["mqtt"]), MQTTS) as s:
        s.sendall(bytes([0x10, len(body)]) + body)
        assert s.recv(10) == b"\x20\2\0\0"
        s.sendall(b"\xc0\0")
        assert s.recv(10) == b"\xd0\0"


def test_one_byte_records(tls):
    """A client that writes byte by byte: a record each."""
    with dial(tls, context_of(tls)) as s:
        for byte in b"GET /nowhere HTTP/1.1\r\nHost: x\r\n\r\n":
            s.send(bytes([byte]))
        assert s.recv(100).startswith(b"HTTP/1.1 404")


# ---- resumption ----

def test_resumed_by_ticket(tls):
    context = context_of(tls, ssl.TLSVersion.TLSv1_3)
    sessions = []
    for _ in range(3):
        with dial(tls, context, session=sessions[-1] if sessions else None) as s:
            s.send(b"GET /nowhere HTTP/1.1\r\nHost: x\r\n\r\n")
            assert s.recv(100).startswith(b"HTTP/1.1 404")
            assert s.session_reused == bool(sessions)
            sessions.append(s.session)  # the ticket came before the answer


def test_ticket_outlives_a_restart_where_the_secret_is_kept(own):
    cluster = own()
    with open(os.path.join(cluster.data, "secrets", "tls-tickets"), "w", encoding="ascii", opener=lambda p, f: os.open(p, f, 0o600)) as f:
        f.write(os.urandom(24).hex())
    context = context_of(cluster, ssl.TLSVersion.TLSv1_3)

    def reused(session=None):
        with dial(cluster, context, session=session) as s:
            s.send(b"GET /nowhere HTTP/1.1\r\nHost: x\r\n\r\n")
            assert s.recv(100).startswith(b"HTTP/1.1 404")
            return s.session_reused, s.session
    first = reused()[1]
    cluster.restart("gateway")
    again, kept = reused(first)
    assert not again  # it was sent before the secret was there
    cluster.restart("gateway")
    assert reused(kept)[0]


# ---- what must not ----

def test_old_versions_and_weak_suites_are_refused(tls):
    for arguments in (["-tls1_1", "-cipher", "ALL:@SECLEVEL=0"], ["-tls1_2", "-cipher", "AES128-GCM-SHA256:@SECLEVEL=0"], ["-tls1_2", "-cipher", "ECDHE-ECDSA-AES128-SHA:@SECLEVEL=0"]):
        done = subprocess.run(["openssl", "s_client", "-connect", f"127.0.0.1:{tls.base + TLS}", *arguments], stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=20, check=False)
        assert "Cipher is (NONE)" in done.stdout and "alert" in done.stderr, done.stdout + done.stderr


def test_alpn(tls):
    for port, offered, chosen in ((TLS, ["h2", "http/1.1"], "http/1.1"), (MQTTS, ["mqtt"], "mqtt"), (TLS, None, None)):
        with dial(tls, context_of(tls, alpn=offered), port) as s:
            assert s.selected_alpn_protocol() == chosen
    for port, offered in ((TLS, ["mqtt"]), (MQTTS, ["http/1.1"])):
        with pytest.raises(ssl.SSLError, match="(?i)no.application.protocol"):
            dial(tls, context_of(tls, alpn=offered), port)


def hello_bytes(context):
    """A ClientHello of Python's."""
    out = ssl.MemoryBIO()
    talk = context.wrap_bio(ssl.MemoryBIO(), out, server_hostname="127.0.0.1")
    with pytest.raises(ssl.SSLWantReadError):
        talk.do_handshake()
    return out.read()


def test_slow_handshake(tls):
    """Byte by byte, and still well; it costs no OpenSSL object before its first message is whole."""
    context, before = context_of(tls), count(tls, "gateway_tls_openssl")
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    talk = context.wrap_bio(incoming, outgoing, server_hostname="127.0.0.1")
    with socket.create_connection(("127.0.0.1", tls.base + TLS), timeout=10) as s:
        s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

        def drip(look=False):
            data = outgoing.read()
            for i, byte in enumerate(data):
                s.send(bytes([byte]))
                if look and i == len(data) - 2:
                    assert count(tls, "gateway_tls_openssl") <= before
        while True:
            try:
                talk.do_handshake()
                break
            except ssl.SSLWantReadError:
                drip(look=not talk.version())
                incoming.write(s.recv(65536))
        talk.write(b"GET /nowhere HTTP/1.1\r\nHost: x\r\n\r\n")
        drip()
        while True:
            try:
                assert talk.read(100).startswith(b"HTTP/1.1 404")
                break
            except ssl.SSLWantReadError:
                incoming.write(s.recv(65536))


def test_handshake_has_a_time_limit(tls):
    """3 s here: silence, half a hello, and a hello whose answer is never answered."""
    whole, failed = hello_bytes(context_of(tls)), count(tls, "gateway_tls_failed_total")
    sockets = []
    for data in (b"", whole[:100], whole):
        s = socket.create_connection(("127.0.0.1", tls.base + TLS), timeout=10)
        s.sendall(data)
        sockets.append(s)
    for s in sockets:
        while s.recv(65536):
            pass
        s.close()
    assert count(tls, "gateway_tls_failed_total") == failed + 2  # silence is not counted


@pytest.mark.parametrize("data", [b"\x00" * 100, b"\x16\x03\x01\xff\xff" + b"x" * 100, b"\x16\x03\x01\x00\x05hello", b"\x80\x2e\x01\x00\x02", os.urandom(300),
                                  b"\x17\x03\x03\x00\x13" + b"x" * 19, b"\x15\x03\x01\x00\x02\x02\x28"])
def test_garbage(tls, data):
    with socket.create_connection(("127.0.0.1", tls.base + TLS), timeout=10) as s:
        s.sendall(data)
        s.settimeout(10)
        try:
            while s.recv(65536):
                pass
        except ConnectionResetError:
            pass
    with dial(tls, context_of(tls)) as s:
        assert s.version() == "TLSv1.3"


def test_plain_http_is_told(tls):
    with socket.create_connection(("127.0.0.1", tls.base + TLS), timeout=10) as s:
        s.sendall(b"GET /v1/ws HTTP/1.1\r\nHost: x\r\n\r\n")
        answer = s.recv(1000)
        assert answer.startswith(b"HTTP/1.1 400") and b"TLS" in answer


class Tampered:
    """A TLS client by hand, whose records can be touched on their way."""

    def __init__(self, cluster, version=ssl.TLSVersion.TLSv1_3):
        self.incoming, self.outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.talk = context_of(cluster, version).wrap_bio(self.incoming, self.outgoing, server_hostname="127.0.0.1")
        self.tcp = socket.create_connection(("127.0.0.1", cluster.base + TLS), timeout=10)
        shake(self)

    def records(self, data):
        self.talk.write(data)
        return self.outgoing.read()

    def read(self):
        """Data, or what TLS says of the end."""
        while True:
            try:
                return self.talk.read(65536)
            except ssl.SSLWantReadError:
                data = self.tcp.recv(65536)
                if not data:
                    return "cut"
                self.incoming.write(data)
            except ssl.SSLError as e:
                return e.reason


@pytest.mark.parametrize("touch", ["bit", "order", "twice", "length", "type", "plain"])
def test_touched_records(tls, touch):
    before = count(tls, "gateway_tls_broken_total")
    t = Tampered(tls)
    one, two = bytearray(t.records(b"GET /nowhere HTTP/1.1\r\n")), bytearray(t.records(b"Host: x\r\n\r\n"))
    if touch == "bit":
        one[20] ^= 1
    elif touch == "order":
        one, two = two, one
    elif touch == "twice":
        two = one
    elif touch == "length":
        one[3:5] = struct.pack(">H", 16384 + 257)
        one += b"x" * (16384 + 257 + 5 - len(one))
    elif touch == "type":
        one[0] = 22
    else:
        one = bytearray(b"\x14\x03\x03\x00\x01\x01")  # a ChangeCipherSpec after the handshake
    try:
        t.tcp.sendall(one + two)
        said = t.read()
    except ConnectionError:
        said = "cut"
    assert isinstance(said, str), said
    wait_until(lambda: count(tls, "gateway_tls_broken_total") == before + 1, what="the record to be refused")
    t.tcp.close()


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_3, ssl.TLSVersion.TLSv1_2])
def test_goodbyes(tls, version):
    """The client's close_notify ends the connection after what came before it was answered; the server says close_notify too."""
    with dial(tls, context_of(tls, version)) as s:
        s.send(b"GET /nowhere HTTP/1.1\r\nHost: x\r\n\r\n")
        answer = b""
        while True:
            piece = s.recv(1000)  # an end without close_notify would be an SSLEOFError
            if not piece:
                break
            answer += piece
        assert answer.startswith(b"HTTP/1.1 404")
    t = Tampered(tls, version)
    request = t.records(b"GET /nowhere HTTP/1.1\r\nHost: x\r\n\r\n")
    with pytest.raises(ssl.SSLWantReadError):
        t.talk.unwrap()
    t.tcp.sendall(request + t.outgoing.read())
    answer = t.read()
    assert answer == b"" or answer.startswith(b"HTTP/1.1 404")
    while t.tcp.recv(65536):
        pass
    t.tcp.close()


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_3, ssl.TLSVersion.TLSv1_2])
def test_half_closed(tls, version):
    """A client that shuts its side down without close_notify is closed, as a plain one."""
    (alice,) = join(tls, f"half{int(version)}", context=context_of(tls, version))
    before = count(tls, "gateway_connections")
    alice.tunnel.tcp.shutdown(socket.SHUT_WR)
    wait_until(lambda: count(tls, "gateway_connections") < before, what="the socket to be closed")
    alice.wait_closed()


# ---- certificates ----

def serial(cluster):
    with dial(cluster, ssl._create_unverified_context()) as s:  # noqa: S323
        return s.getpeercert(binary_form=True)


def replace(path, data, mode=0o600):
    with open(path + ".new", "wb") as f:
        f.write(data)
    os.chmod(path + ".new", mode)
    os.rename(path + ".new", path)


def test_certificate_reload(own, tmp_path):
    cluster = own()
    (alice,) = join(cluster, "alice")
    first = serial(cluster)
    new = [open(p, "rb").read() for p in make_certificate(tmp_path, "b", "rsa")]
    old = [open(p, "rb").read() for p in (cluster.certificate, cluster.key)]

    def refused(times):
        return lambda: cluster.log("gateway").count("is not used, the old one stays") == times
    replace(cluster.certificate, b"no certificate")
    wait_until(refused(1), what="a broken certificate to be refused")
    assert serial(cluster) == first
    replace(cluster.certificate, new[0])  # its key is still the old one's
    wait_until(refused(2), what="a certificate without its key to be refused")
    assert serial(cluster) == first
    replace(cluster.key, new[1], 0o644)
    wait_until(refused(3), what="a key that all may read to be refused")
    assert "may be read by others" in cluster.log("gateway") and serial(cluster) == first
    os.chmod(cluster.key, 0o600)  # what the log asks for is enough
    second = wait_until(lambda: (s := serial(cluster)) != first and s, what="the new certificate")
    assert alice.call("ping") is not None
    replace(cluster.key, old[1])
    replace(cluster.certificate, old[0])
    wait_until(lambda: serial(cluster) == first, what="the first certificate again")
    assert second != first and alice.call("ping") is not None and count(cluster, "gateway_tls_reloads_total") >= 2
    alice.close()


@pytest.mark.parametrize("fault,said", [("none", "need gateway.tls_certificate"), ("missing", "tls_certificate"), ("mode", "may be read by others"), ("other", "key values mismatch"),
                                        ("garbage", "tls_key")], ids=["none", "missing", "mode", "other", "garbage"])
def test_no_start_without_a_certificate(tls, tmp_path, fault, said):
    certificate, key = make_certificate(tmp_path)
    if fault == "none":
        certificate = key = ""
    elif fault == "missing":
        os.unlink(certificate)
    elif fault == "mode":
        os.chmod(key, 0o640)
    elif fault == "other":
        key = make_certificate(tmp_path, "b")[1]
    else:
        replace(key, b"garbage")
    env = {**tls.env, **settings_of(certificate, key, tls.base), "PIGEON_GATEWAY_PORT": "0", "PIGEON_GATEWAY_ADMIN_PORT": "0", "PIGEON_GATEWAY_TLS_PORT": str(tls.base + 11),
           "PIGEON_GATEWAY_MQTT_TLS_PORT": "0", "ASAN_OPTIONS": "detect_leaks=0"}
    done = subprocess.run(tls.command("gateway"), env=env, capture_output=True, text=True, timeout=20, check=False)
    assert done.returncode != 0 and said in done.stderr, done.stderr


# ---- storms ----

def test_storm(own):
    """300 clients at once, some of them mute, while two chat: every honest one gets in, and messages keep going."""
    cluster = own(PIGEON_LIMITS_ADDRESS_UNAUTHENTICATED="100000", PIGEON_GATEWAY_TLS_TURN_US="1000")
    alice, bob = join(cluster, "alice", "bob")
    context, done, bad = context_of(cluster), [], []
    whole = hello_bytes(context)
    mute = []
    for i in range(50):
        s = socket.create_connection(("127.0.0.1", cluster.base + TLS))
        s.sendall(whole if i % 2 else whole[:200])
        mute.append(s)

    def dial_some():
        for _ in range(30):
            try:
                with dial(cluster, context) as s:
                    s.send(b"GET /nowhere HTTP/1.1\r\nHost: x\r\n\r\n")
                    assert s.recv(20).startswith(b"HTTP/1.1 404")
                    done.append(1)
            except (OSError, AssertionError) as e:
                bad.append(e)
    threads = [threading.Thread(target=dial_some) for _ in range(10)]
    for t in threads:
        t.start()
    sent = 0
    while any(t.is_alive() for t in threads) or sent < 10:
        alice.send("bob", f"{sent}")
        sent += 1
    bob.wait_message(str(sent - 1))
    assert [m["body"]["text"] for m in bob.messages()] == [str(i) for i in range(sent)]
    assert not bad and len(done) == 300
    for s in mute:
        s.close()
    wait_until(lambda: count(cluster, "gateway_tls_openssl") == 0 and count(cluster, "gateway_tls_waiting") == 0, what="no handshake to be left over")
    alice.close()
    bob.close()


def test_handshakes_are_capped(own):
    cluster = own(PIGEON_LIMITS_TLS_HANDSHAKES="16")
    held = [socket.create_connection(("127.0.0.1", cluster.base + TLS), timeout=10) for _ in range(16)]
    wait_until(lambda: count(cluster, "gateway_connections") == 16, what="16 sockets")
    with socket.create_connection(("127.0.0.1", cluster.base + TLS), timeout=10) as s:
        assert s.recv(10) == b""
    assert count(cluster, "gateway_tls_refused_total") == 1
    for s in held:
        s.close()
    wait_until(lambda: count(cluster, "gateway_connections") == 0, what="no sockets")
    with dial(cluster, context_of(cluster)) as s:
        assert s.version() == "TLSv1.3"


def test_openssl_keeps_the_records_when_told(own):
    """gateway.tls_own_records off: the same chat, and the objects stay."""
    cluster = own(PIGEON_GATEWAY_TLS_OWN_RECORDS="false")
    alice, bob = join(cluster, "alice", "bob")
    with alice, bob:
        for i in range(20):
            alice.send("bob", f"{i}" * 1000)
        bob.wait_message("19" * 1000)
        assert count(cluster, "gateway_tls_openssl") == 2


def test_websocket_close_over_tls(tls):
    """The close frame, then close_notify, then the end of the stream."""
    t = Tampered(tls)
    t.tcp.sendall(t.records(UPGRADE))
    assert b"101 Switching" in t.read()
    t.tcp.sendall(t.records(b"\x88\x82\0\0\0\0\x03\xe8"))
    assert t.read() == b"\x88\x02\x03\xe8"
    assert t.read() == b""  # close_notify; without it: "cut"
    assert t.tcp.recv(1) == b""
    t.tcp.close()
