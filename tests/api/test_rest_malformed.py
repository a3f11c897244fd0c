"""What is not well formed: JSON, methods, paths, bodies, raw bytes."""
import errno
import json
import socket

import pytest
from rest import call

BAD_JSON = [
    b"{", b"[]", b"null", b"1", b"\"x\"", b"{\"user\":}", b"{'user':'a'}", b"{\"user\":\"\xff\"}", b"{\"user\":\"a\\u0000b\"}", b"\x00", b"{\"user\":\"a\"} x",
    b"{\"user\":\"a\",\"user\":\"b\"}", b"[" * 100000, b"{\"a\":" * 1000 + b"1" + b"}" * 1000, b"{\"user\":\"\\ud800\"}", b"\xef\xbb\xbf{}", b"{\"password\":1e999}",
]


@pytest.mark.parametrize("raw", BAD_JSON, ids=range(len(BAD_JSON)))
@pytest.mark.parametrize("path", ["/v1/login", "/v1/register"])
def test_bad_json_before_login(node, path, raw):
    answer = call(node, "POST", path, raw=raw)
    assert answer.status in (400, 413) and answer.code in ("invalid", "too_large"), answer


def test_bad_json_after_login(join):
    alice, = join("alice")
    for raw in BAD_JSON:
        raw = raw.replace(b"user", b"name").replace(b"password", b"about")
        assert alice.call("PATCH", "/me", raw=raw).code == "invalid", raw[:60]


def test_unknown_fields_are_ignored_and_null_is_absent(join):
    alice, bob = join("alice", "bob")
    alice.ok("POST", f"/users/{bob.user}/messages", {"client_id": "u", "body": {"text": "x", "future": [1, {"a": None}]}, "later": {}, "reply_to": None}, 201)


def test_huge_bodies(node, join):
    alice, = join("alice")
    before = call(node, "POST", "/v1/login", raw=json.dumps({"user": "a", "password": "x" * 20000}).encode())
    assert (before.status, before.code) == (413, "too_large")
    answer = alice.call("PATCH", "/me", raw=b"{\"about\":\"" + b"x" * 3000000 + b"\"}")
    assert (answer.status, answer.code) == (413, "too_large")
    answer = alice.call("POST", f"/users/{alice.user}/messages", {"client_id": "big", "body": {"text": "x" * 100000}})
    assert answer.code in ("too_large", "invalid"), answer
    assert alice.call("GET", "/me").status == 200


@pytest.mark.parametrize("path, methods", [("/v1/me", {"GET", "PATCH"}), ("/v1/login", {"POST"}), ("/v1/convs", {"GET", "POST"}), ("/v1/files/" + "0" * 32, {"GET"})])
def test_other_methods_are_told_which_there_are(node, path, methods):
    for method in ("PUT", "DELETE", "OPTIONS", "TRACE", "POST", "GET", "FOO"):
        if method in methods:
            continue
        answer = call(node, method, path)
        assert answer.status in (400, 405, 501) if method in ("FOO", "TRACE") else answer.status == 405, (method, answer)
        if answer.status == 405:
            assert set(answer.headers["Allow"].split(", ")) == methods and answer.code == "invalid"


@pytest.mark.parametrize("path", ["/", "/v1", "/v1/", "/v2/me", "/v1/me/", "/v1//me", "/v1/unknown", "/v1/users/A", "/v1/users/a/b", "/v1/users/%2e%2e", "/v1/users/a%00b",
                                  "/v1/../v1/me", "/v1/./me", "/etc/passwd", "/v1/convs/d:b:a", "/v1/convs/c", "/v1/me%2fsessions", "/v1/users/" + "a" * 5000])
def test_no_such_path(join, path):
    alice, = join("alice")
    answer = call(alice.cluster, "GET", path, token=alice.token)
    assert answer.status in (400, 404, 414) and (answer.code in ("invalid", "not_found") or answer.status == 414), answer


RAW = [
    b"\r\n\r\n", b"GET\r\n\r\n", b"GET /v1/me\r\n\r\n", b"GET /v1/me HTTP/9.9\r\n\r\n", b"\x16\x03\x01\x02\x00\x01\x00", b"GET " + b"/" * 20000 + b" HTTP/1.1\r\n\r\n",
    b"GET /v1/me HTTP/1.1\r\n" + b"A: b\r\n" * 500 + b"\r\n", b"POST /v1/login HTTP/1.1\r\nContent-Length: -5\r\n\r\n", b"POST /v1/login HTTP/1.1\r\nContent-Length: 99999999999999999999\r\n\r\n",
    b"POST /v1/login HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", b"POST /v1/login HTTP/1.1\r\nTransfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n",
    b"GET /v1/me HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer \xff\xfe\r\n\r\n", b"GET /%zz HTTP/1.1\r\nHost: x\r\n\r\n", b"GET /v1/users?q=%zz HTTP/1.1\r\nHost: x\r\n\r\n",
]


@pytest.mark.parametrize("raw", RAW, ids=range(len(RAW)))
def test_raw_bytes_do_no_harm(node, raw):
    with socket.create_connection(("127.0.0.1", node.base + 3), timeout=20) as s:
        try:  # the server may end it at any byte
            s.sendall(raw)
            s.shutdown(socket.SHUT_WR)
            while s.recv(65536):
                pass
        except OSError as ended:
            assert ended.errno in (errno.ECONNRESET, errno.ENOTCONN, errno.EPIPE), ended
    assert call(node, "GET", "/v1/info").status == 200
