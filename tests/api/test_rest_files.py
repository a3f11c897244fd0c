"""Files: upload, download, who may read, limits and quota."""
import hashlib
import http.client
import json
import os
import socket
import threading
import time

import pytest
from bus import Bus
from cluster import wait_until
from rest import Person, call

DATA = bytes(range(256)) * 100


def stored(node):
    return sorted(name for folder, _, names in os.walk(os.path.join(node.data, "files")) for name in names)


def test_a_file_comes_back_as_it_went(join):
    alice, = join("alice")
    made = alice.upload(DATA, "Fotos & \"Söhne\".png", "image/png; charset=x")
    assert made.status == 201
    assert (made.json["name"], made.json["size"], made.json["mime"]) == ("Fotos & \"Söhne\".png", len(DATA), "image/png")
    got = alice.call("GET", "/files/" + made.json["file_id"])
    assert got.status == 200 and hashlib.sha256(got.raw).digest() == hashlib.sha256(DATA).digest()
    assert got.headers["Content-Type"] == "image/png"
    assert got.headers["Content-Disposition"] == ("attachment; filename=\"Fotos & _S_hne_.png\"; "
                                                  "filename*=UTF-8''Fotos%20&%20%22S%C3%B6hne%22.png")
    assert got.headers["X-Content-Type-Options"] == "nosniff"
    assert got.headers["Content-Security-Policy"] == "sandbox; default-src 'none'"
    assert got.headers["Cache-Control"].startswith("private")
    assert alice.ok("GET", "/me")["file_bytes"] == len(DATA)


def test_parts_of_a_file(join):
    alice, = join("alice")
    file_id = alice.upload(DATA).json["file_id"]
    part = alice.call("GET", "/files/" + file_id, headers={"Range": "bytes=10-19"})
    assert part.status == 206 and part.raw == DATA[10:20]
    assert part.headers["Content-Range"] == f"bytes 10-19/{len(DATA)}"
    assert alice.call("GET", "/files/" + file_id, headers={"Range": f"bytes={len(DATA)}-"}).status == 416


def test_empty_and_nameless_files(join):
    alice, = join("alice")
    made = alice.call("POST", "/files", raw=b"")
    assert (made.status, made.json["name"], made.json["size"], made.json["mime"]) == (201, "file", 0, "application/octet-stream")
    assert alice.call("GET", "/files/" + made.json["file_id"]).raw == b""


@pytest.mark.parametrize("mime", ["text/html", "image/svg+xml", "text/javascript", "a/b\"c", "nonsense", "x" * 200 + "/y"])
def test_types_that_could_run_are_not_kept(join, mime):
    alice, = join("alice")
    made = alice.upload(b"<script>alert(1)</script>", "page.html", mime)
    assert made.json["mime"] == "application/octet-stream"
    assert alice.call("GET", "/files/" + made.json["file_id"]).headers["Content-Type"] == "application/octet-stream"


@pytest.mark.parametrize("name, kept", [("../../etc/passwd", "___.._etc_passwd"), ("a\r\nX-Evil: 1", "a__X-Evil: 1"), (".bashrc", "_bashrc"), ("文" * 100, "文" * 85)])
def test_names_do_no_harm(join, name, kept):
    alice, = join("alice")
    made = alice.upload(b"x", name)
    assert made.status == 201 and made.json["name"] == kept
    got = alice.call("GET", "/files/" + made.json["file_id"])
    assert "X-Evil" not in got.headers and got.headers["Content-Disposition"].startswith("attachment;")


def test_members_of_conversations_it_was_sent_to_may_read(join):
    alice, bob, eve = join("alice", "bob", "eve")
    file_id = alice.upload(DATA, "plan.pdf", "application/pdf").json["file_id"]
    bob.refused("forbidden", "GET", "/files/" + file_id)
    body = {"file": {"file_id": file_id, "name": "plan.pdf", "size": len(DATA), "mime": "application/pdf"}}
    alice.ok("POST", f"/users/{bob.user}/messages", {"client_id": "f1", "kind": "file", "body": body}, 201)
    assert bob.call("GET", "/files/" + file_id).raw == DATA
    eve.refused("forbidden", "GET", "/files/" + file_id)
    # Sending its id to somebody, or to herself, gives eve no right.
    for other in (bob, eve):
        eve.call("POST", f"/users/{other.user}/messages", {"client_id": "f2", "kind": "file", "body": body})
    eve.refused("forbidden", "GET", "/files/" + file_id)


def test_who_leaves_a_group_cannot_read_its_files_any_more(join):
    alice, bob = join("alice", "bob")
    conv = alice.group("files", [bob])
    file_id = alice.upload(DATA).json["file_id"]
    alice.ok("POST", f"/convs/{conv}/messages", {"client_id": "f", "kind": "file", "body": {"file": {"file_id": file_id}}}, 201)
    assert bob.call("GET", "/files/" + file_id).status == 200
    alice.ok("DELETE", f"/convs/{conv}/members/{bob.user}")
    bob.refused("forbidden", "GET", "/files/" + file_id)


def test_an_avatar_is_for_everybody(join):
    alice, bob = join("alice", "bob")
    file_id = alice.upload(DATA, "me.png", "image/png").json["file_id"]
    bob.refused("forbidden", "PATCH", "/me", {"avatar": file_id})  # not his picture
    alice.ok("PATCH", "/me", {"avatar": file_id})
    assert bob.ok("GET", f"/users/{alice.user}")["avatar"] == file_id
    assert bob.call("GET", "/files/" + file_id).raw == DATA


@pytest.mark.parametrize("path", ["..%2f..%2fsecrets%2fnats-api", "../../secrets/nats-api", "%2e%2e/x", "tmp", "0" * 31, "0" * 33, "A" * 32, "%00" * 32, "0" * 30 + "%2f"])
def test_paths_lead_nowhere(join, path):
    alice, = join("alice")
    answer = alice.call("GET", "/files/" + path)
    assert answer.status in (400, 404), answer
    assert answer.code in ("invalid", "not_found")
    assert alice.refused("not_found", "GET", "/files/" + "0" * 32)


def test_too_large(node, join):
    alice, = join("alice")
    before = stored(node)
    said = alice.upload(b"x" * 300001)
    assert (said.status, said.code) == (413, "too_large")
    assert alice.upload(b"x" * 300000).status == 201

    def chunks():  # of unknown length
        for _ in range(100):
            yield b"y" * 10000
    connection = http.client.HTTPConnection("127.0.0.1", node.base + 3, timeout=30)
    connection.request("POST", "/v1/files", body=chunks(), encode_chunked=True, headers={"Authorization": "Bearer " + alice.token, "Transfer-Encoding": "chunked"})
    answer = connection.getresponse()
    assert answer.status == 413, answer.read()
    connection.close()
    assert len(stored(node)) == len(before) + 1  # nothing is left of what was refused


def test_the_quota_of_a_user(join):
    alice, bob = join("alice", "bob")
    for _ in range(3):
        assert alice.upload(b"x" * 300000).status == 201
    refused = alice.upload(b"x" * 100001)
    assert (refused.status, refused.code) == (413, "too_large")
    assert alice.upload(b"x" * 100000).status == 201
    assert bob.upload(b"x").status == 201


def test_an_upload_that_breaks_off_leaves_nothing(node, join):
    alice, = join("alice")
    before = stored(node)
    with socket.create_connection(("127.0.0.1", node.base + 3)) as s:
        s.sendall(f"POST /v1/files HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {alice.token}\r\nContent-Length: 100000\r\n\r\n".encode() + b"x" * 5000)
        wait_until(lambda: os.listdir(os.path.join(node.data, "files", "tmp")), 5, "the upload to begin")
    wait_until(lambda: not os.listdir(os.path.join(node.data, "files", "tmp")), 10, "the upload to end")
    assert stored(node) == before
    assert alice.ok("GET", "/me")["file_bytes"] == 0


def test_what_a_crash_left_is_cleared_after_a_day(fresh):
    """Not before: the directory may be shared with other nodes, whose uploads go on."""
    cluster = fresh()
    left, young = (os.path.join(cluster.data, "files", "tmp", digit * 32) for digit in "01")
    for path, hours in ((left, 25), (young, 23)):
        with open(path, "wb") as f:
            f.write(b"half a file")
        os.utime(path, (time.time() - hours * 3600,) * 2)
    cluster.restart("api")
    assert (os.path.exists(left), os.path.exists(young)) == (False, True)


def test_the_bytes_of_an_upload_in_doubt_stay(fresh):
    """The directory was asked and may have answered; that nobody answers the repeat does not undo it."""
    cluster = fresh()
    alice = Person.register(cluster, "alice")
    asked = threading.Event()
    with socket.create_connection(("127.0.0.1", cluster.base + 3), timeout=30) as s:
        s.sendall(f"POST /v1/files HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {alice.token}\r\nContent-Length: 10000\r\n\r\n".encode() + b"x" * 5000)
        wait_until(lambda: os.listdir(os.path.join(cluster.data, "files", "tmp")), 5, "the upload to begin")
        cluster.kill("storage")
        silent = Bus(cluster, "storage", {"pgn.sto.dir": lambda data, reply: asked.set()})
        s.sendall(b"x" * 5000)
        assert asked.wait(10), "the directory is not told"
        silent.write("UNSUB 1\r\n")
        silent.flush()
        answer = http.client.HTTPResponse(s)
        answer.begin()
        assert (answer.status, json.loads(answer.read())["error"]["code"]) == (504, "uncertain")
    silent.close()
    assert len(stored(cluster)) == 1
    cluster.start("storage")


def test_nginx_sends_the_files(fresh):
    cluster = fresh({"PIGEON_API_ACCEL": "true"})
    cluster.start("nginx", wait=False)
    wait_until(lambda: cluster.ready("nginx"), 10, "nginx")
    alice, bob = (Person.register(cluster, n) for n in ("alice", "bob"))
    file_id = alice.upload(DATA, "ä.png", "image/png").json["file_id"]
    straight = alice.call("GET", "/files/" + file_id)
    assert straight.raw == b"" and straight.headers["X-Accel-Redirect"] == f"/internal/files/{file_id[:2]}/{file_id}"

    def through(path, token):
        connection = http.client.HTTPConnection("127.0.0.1", cluster.base + 15, timeout=20)
        connection.request("GET", path, headers={"Authorization": "Bearer " + token})
        answer = connection.getresponse()
        result = answer.status, dict(answer.getheaders()), answer.read()
        connection.close()
        return result
    status, headers, raw = through("/v1/files/" + file_id, alice.token)
    assert (status, raw) == (200, DATA)
    assert headers["Content-Type"] == "image/png" and headers["Content-Disposition"].startswith("attachment")
    assert headers["X-Content-Type-Options"] == "nosniff" and "X-Accel-Redirect" not in headers
    assert through("/v1/files/" + file_id, bob.token)[0] == 403
    assert through(f"/internal/files/{file_id[:2]}/{file_id}", alice.token)[0] == 404
    assert call(cluster, "GET", f"/internal/files/{file_id[:2]}/{file_id}").status == 404
