"""`make up` as a new user meets it."""
import json
import os
import re
import socket
import ssl
import stat
import subprocess
import urllib.error
import urllib.request

import pytest
from conftest import ROOT, Node, free_block


def call(node, method, path, body=None, token=None):
    request = urllib.request.Request(node.url + path, method=method, data=None if body is None else json.dumps(body).encode())
    request.add_header("Content-Type", "application/json")
    if token:
        request.add_header("Authorization", "Bearer " + token)
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:
            text = answer.read()
            return answer.status, json.loads(text) if text else None
    except urllib.error.HTTPError as refused:
        return refused.code, json.loads(refused.read())


def test_it_prints_address_and_one_time_password(node):
    assert f":{node.http}" in node.first_output
    assert re.search(r"One-time password: \S{8,}", node.first_output), node.first_output


def test_the_one_time_password_must_be_changed(node):
    password = re.search(r"One-time password: (\S+)", node.first_output).group(1)
    status, login = call(node, "POST", "/v1/login", {"user": "admin", "password": password, "device": "first"})
    assert status == 200 and login["must_change_password"] is True
    status, refused = call(node, "GET", "/v1/users", token=login["token"])
    assert status == 403, refused
    status, _ = call(node, "POST", "/v1/me/password", {"old": password, "new": "a much better one 42"}, login["token"])
    assert status == 204
    status, _ = call(node, "GET", "/v1/users", token=login["token"])
    assert status == 200
    status, _ = call(node, "POST", "/v1/login", {"user": "admin", "password": password, "device": "again"})
    assert status == 401


def test_again_is_harmless(node):
    before = {s: node.pid(s) for s in ("gateway", "storage", "nginx")}
    again = node.up()
    assert "running already" in again.stdout and "One-time password" not in again.stdout
    assert before == {s: node.pid(s) for s in before}


def test_the_page_and_its_headers(node):
    with urllib.request.urlopen(node.url + "/", timeout=10) as page:
        text = page.read().decode()
        assert "<title>" in text
        assert "script-src 'self'" in page.headers["Content-Security-Policy"]
        assert page.headers["X-Content-Type-Options"] == "nosniff"


def test_metrics_and_internals_are_not_published(node):
    for path in ("/metrics", "/internal/files/x"):
        try:
            with urllib.request.urlopen(node.url + path, timeout=10) as answer:
                assert b"pigeon_" not in answer.read()
        except urllib.error.HTTPError as refused:
            assert refused.code == 404


def test_only_nginx_listens_outside(node):
    base = int(re.search(r"BASE_PORT=(\d+)", open(os.path.join(node.data, "run/ports"), encoding="utf-8").read()).group(1))
    lines = subprocess.run(["ss", "-ltnH"], capture_output=True, text=True, check=True).stdout.splitlines()
    addresses = [line.split()[3] for line in lines]
    ours = [a for a in addresses if base <= int(a.rsplit(":", 1)[1]) < base + 16]
    assert len(ours) >= 9
    assert all(a.startswith("127.0.0.1:") for a in ours), ours


def test_nginx_and_mqtt_are_all_that_is_published(node):
    pids = {str(node.pid(s)) for s in os.listdir(os.path.join(node.data, "run/sv"))}
    lines = [line.split() for line in subprocess.run(["ss", "-ltnpH"], capture_output=True, text=True, check=True).stdout.splitlines()]
    ours = [words[3] for words in lines if pids & set(re.findall(r"pid=(\d+)", words[-1]))]
    assert {int(a.rsplit(":", 1)[1]) for a in ours if not a.startswith("127.")} == {node.http, node.mqtt}, ours


def test_secrets_are_closed(node):
    folder = os.path.join(node.data, "secrets")
    names = os.listdir(folder)
    assert len(names) >= 8
    for name in names:
        assert stat.S_IMODE(os.stat(os.path.join(folder, name)).st_mode) == 0o600, name
    assert len({open(os.path.join(folder, n), encoding="utf-8").read() for n in names}) == len(names)


def test_a_second_one_runs_beside_it(node, second):
    assert f":{second.http}" in second.first_output
    node.pigeon("user", "add", "only-here", "--one-time")
    assert "only-here" not in second.pigeon("user", "list").stdout
    assert f"-p {node.mqtt} " in node.first_output and f"-p {second.mqtt} " in second.first_output


def test_a_busy_port_is_one_clear_line(node, tmp_path):
    other = Node(tmp_path / "var", 28000)
    other.env["PIGEON_HTTP_PORT"] = str(node.http)
    refused = other.up(check=False)
    assert refused.returncode == 1
    assert len(refused.stderr.strip().splitlines()) == 1
    assert f"port {node.http}" in refused.stderr and "PIGEON_HTTP_PORT" in refused.stderr


def test_a_busy_mqtt_port_is_one_clear_line(node, tmp_path):
    other = Node(tmp_path / "var", 28000)
    other.env["PIGEON_MQTT_PORT"] = str(node.mqtt)
    refused = other.up(check=False)
    assert refused.returncode == 1
    assert len(refused.stderr.strip().splitlines()) == 1
    assert f"port {node.mqtt}" in refused.stderr and "PIGEON_MQTT_PORT" in refused.stderr


def test_a_busy_https_port_is_one_clear_line(node, tmp_path):
    other = Node(tmp_path / "var", 28000)
    other.env["PIGEON_HTTPS_PORT"] = str(node.http)
    refused = other.up(check=False)
    assert refused.returncode == 1
    assert f"port {node.http}" in refused.stderr and "PIGEON_HTTPS_PORT" in refused.stderr


def test_a_bad_port_is_one_clear_line(tmp_path):
    other = Node(tmp_path / "var", 28000)
    other.env["PIGEON_HTTP_PORT"] = "80x"
    refused = other.up(check=False)
    assert refused.returncode == 1 and "80x" in refused.stderr


def test_a_path_that_nginx_does_not_bear_is_one_clear_line(tmp_path):
    other = Node(tmp_path / "my var", 28000)
    refused = other.up(check=False)
    assert refused.returncode == 1 and not os.path.exists(other.data)
    assert len(refused.stderr.strip().splitlines()) == 1
    assert "my var" in refused.stderr and "PIGEON_DATA" in refused.stderr


def test_without_an_administrator_it_is_said_and_tried_again(second):
    marker = os.path.join(second.data, "run/admin-made")
    os.unlink(marker)
    again = second.up()  # there is one: how to come to a password is said
    assert "pigeon user passwd admin" in again.stdout and os.path.exists(marker)
    os.unlink(marker)
    second.run("sv", "-w", "10", "stop", os.path.join(second.data, "run/sv/storage"))
    try:
        done = subprocess.run(["sh", "-c", f'. deploy/lib.sh; first_administrator "{marker}"', "deploy/up.sh"], cwd=ROOT, env=second.env, capture_output=True, text=True, timeout=60, check=False)
    finally:
        second.run("sv", "-w", "10", "start", os.path.join(second.data, "run/sv/storage"))
    assert "could not be made" in done.stdout and not os.path.exists(marker), done.stdout + done.stderr
    second.up()


def test_status_names_every_service(node):
    text = node.pigeon("status", check=False).stdout  # it ends with 1 while there is no backup
    for service in ("gateway", "message", "presence", "storage", "api"):
        assert service in text


def test_down_says_so_and_up_keeps_everything(second):
    second.pigeon("user", "add", "kept", "--one-time")
    assert "stopped" in second.down().stdout
    assert "not running" in second.down().stdout
    assert second.pigeon("status", check=False).returncode == 4
    again = second.up()
    assert "One-time password" not in again.stdout
    assert "kept" in second.pigeon("user", "list").stdout


@pytest.fixture(scope="module", name="encrypted")
def encrypted_node(tmp_path_factory):
    n = Node(tmp_path_factory.mktemp("encrypted") / "var", 29000)
    n.https = free_block(1, n.http + 1)
    n.env["PIGEON_HTTPS_PORT"] = str(n.https)
    n.first_output = n.up().stdout
    yield n
    n.down()


def raw(node, port, request, context=None):
    """The head of the answer to bytes that are sent as they are."""
    with socket.create_connection(("127.0.0.1", port), 10) as s:
        if context:
            s = context.wrap_socket(s, server_hostname="localhost")
        s.sendall(request.replace("\n", "\r\n").encode())
        answer = b""
        while b"\r\n\r\n" not in answer:
            piece = s.recv(4096)
            assert piece, answer
            answer += piece
        return answer.decode("latin-1")


def test_https_serves_page_rest_and_socket(encrypted):
    trusted = ssl.create_default_context(cafile=os.path.join(encrypted.data, "tls/certificate.pem"))  # the self-signed one, by the name localhost
    assert "https://" in encrypted.first_output and f":{encrypted.https}" in encrypted.first_output
    with urllib.request.urlopen(f"https://localhost:{encrypted.https}/", timeout=10, context=trusted) as page:
        assert "<title>" in page.read().decode()
    with urllib.request.urlopen(f"https://localhost:{encrypted.https}/readyz", timeout=10, context=trusted) as answer:
        assert answer.status == 200
    upgrade = (f"GET /v1/ws HTTP/1.1\nHost: localhost:{encrypted.https}\nOrigin: https://localhost:{encrypted.https}\nConnection: Upgrade\nUpgrade: websocket\n"
               "Sec-WebSocket-Version: 13\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\nSec-WebSocket-Protocol: pigeon.v1.json\n\n")
    assert raw(encrypted, encrypted.https, upgrade, trusted).startswith("HTTP/1.1 101 ")


def test_with_https_nothing_is_served_without(encrypted):
    for path in ("/", "/v1/login", "/v1/ws", "/mqtt", "/internal/files/x", "/readyz/"):
        head = raw(encrypted, encrypted.http, f"GET {path} HTTP/1.1\nHost: school.example:{encrypted.http}\nConnection: close\n\n")
        assert head.startswith("HTTP/1.1 308 "), head
        assert f"\r\nLocation: https://school.example:{encrypted.https}{path}\r\n" in head
    assert raw(encrypted, encrypted.http, "GET /readyz HTTP/1.1\nHost: localhost\nConnection: close\n\n").startswith("HTTP/1.1 200 ")


def test_config_errors_say_where(tmp_path):
    wrong = tmp_path / "pigeon.yaml"
    wrong.write_text("gateway:\n  prot: 80\n")
    done = subprocess.run([os.path.join(ROOT, "build/release/pigeon"), "config", "check", str(wrong)], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert ":2:" in done.stdout + done.stderr and "prot" in done.stdout + done.stderr and "port" in done.stdout + done.stderr
