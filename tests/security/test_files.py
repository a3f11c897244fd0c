"""Points 2 and 10: who may read a file, for how long, and as what the browser gets it."""
import hashlib
import os
import stat
import uuid

import pytest
from client import Client, Refused
from rest import call
from test_security import through_nginx

DATA = b"<html><script>alert(document.domain)</script></html>" * 10


def share(person, conv, file_id, kind="file"):
    body = {"file": {"file_id": file_id, "name": "x", "size": len(DATA), "mime": "text/html"}}
    path = f"/users/{conv.user}/messages" if not isinstance(conv, str) else f"/convs/{conv}/messages"
    return person.ok("POST", path, {"client_id": uuid.uuid4().hex, "kind": kind, "body": body}, 201)


def test_who_may_read_a_file(shared, join):
    owner, member, former, stranger = join("owner", "member", "former", "stranger")
    conv = owner.group("files", [member, former])
    file_id = owner.upload(DATA).json["file_id"]
    assert member.call("GET", "/files/" + file_id).status == 403  # not sent yet
    share(owner, conv, file_id)
    assert former.call("GET", "/files/" + file_id).status == 200
    owner.ok("DELETE", f"/convs/{conv}/members/{former.user}")
    for person, status in ((owner, 200), (member, 200), (former, 403), (stranger, 403)):
        assert person.call("GET", "/files/" + file_id).status == status, person.user
    assert call(shared, "GET", "/v1/files/" + file_id).status == 401
    assert call(shared, "POST", "/v1/files?name=a", raw=b"x").status == 401
    stranger.call("POST", f"/convs/{conv}/join")
    assert stranger.call("GET", "/files/" + file_id).status == 403
    member.call("PATCH", "/me", {"avatar": file_id})  # somebody else's file as his own picture opens it to nobody
    assert stranger.call("GET", "/files/" + file_id).status == 403


def test_a_recalled_file_is_closed_for_all_but_its_owner(shared, join):
    alice, bob, carol = join("alice", "bob", "carol")
    file_id = alice.upload(DATA).json["file_id"]
    sent = share(alice, bob, file_id)
    again = share(alice, bob, file_id)
    with Client(shared.ws_url, alice.token) as socket:
        socket.call("recall", conv=sent["conv"], seq=sent["seq"])
        assert bob.call("GET", "/files/" + file_id).status == 200  # the second message shows it still
        socket.call("recall", conv=sent["conv"], seq=again["seq"])
    assert bob.call("GET", "/files/" + file_id).status == 403
    assert alice.call("GET", "/files/" + file_id).status == 200
    share(bob, carol, file_id)  # he remembers its id
    assert carol.call("GET", "/files/" + file_id).status == bob.call("GET", "/files/" + file_id).status == 403
    share(alice, carol, file_id)
    assert carol.call("GET", "/files/" + file_id).status == 200


def test_a_page_that_was_uploaded_runs_nowhere(fresh):
    """Through Nginx, as a browser gets it: no type that runs, no sniffing, a download, and a sandbox all the same."""
    from rest import Person
    cluster = fresh({"PIGEON_API_ACCEL": "true"})
    cluster.start("nginx")
    alice = Person.register(cluster, "alice")
    for mime in ("text/html", "image/svg+xml", "application/xhtml+xml", "text/xml"):
        file_id = alice.upload(DATA, "page.html", mime).json["file_id"]
        status, headers, raw = through_nginx(cluster, "GET", "/v1/files/" + file_id, Authorization="Bearer " + alice.token)
        assert (status, raw) == (200, DATA)
        assert headers["content-type"] == "application/octet-stream" and headers["content-disposition"].startswith("attachment;")
        assert headers["x-content-type-options"] == "nosniff" and "sandbox" in headers["content-security-policy"] and "private" in headers["cache-control"]
    path = os.path.join(cluster.data, "files", file_id[:2], file_id)
    assert hashlib.sha256(open(path, "rb").read()).digest() == hashlib.sha256(DATA).digest()  # the name is the server's own
    assert not stat.S_IMODE(os.stat(path).st_mode) & 0o007


def test_uploads_are_bounded(fresh):
    from rest import Person
    cluster = fresh({"PIGEON_LIMITS_FILE_BYTES": "2000", "PIGEON_LIMITS_USER_FILE_BYTES": "3000"})
    alice = Person.register(cluster, "alice")
    assert alice.upload(b"x" * 2001).status == 413
    assert alice.upload(b"x" * 2000).status == 201
    assert alice.upload(b"x" * 1001).status == 413
    assert alice.upload(b"x" * 1000).status == 201


@pytest.mark.parametrize("user", ["a.b", "a*", ">", "a b", "../x", "A", "", "x" * 33])
def test_names_never_become_subjects(shared, join, user):
    """Point 6: what is no user id is refused before anything is published, asked or watched with it."""
    alice, = join("alice")
    before = alice.ok("GET", "/convs")
    with Client(shared.ws_url, alice.token) as socket:
        for op, fields in (("watch", {"users": [user]}), ("send", {"to": {"user": user}, "client_id": "x", "kind": "text", "body": {"text": "x"}}),
                           ("create", {"kind": "group", "title": "g", "members": [user]}), ("fetch", {"conv": "c" + user, "limit": 1}), ("mark", {"conv": "d:" + user, "read": 1})):
            with pytest.raises(Refused) as refused:
                socket.call(op, **fields)
            assert refused.value.code in ("invalid", "not_found"), (op, refused.value)
        socket.call("ping")
    assert alice.ok("GET", "/convs").get("convs") == before.get("convs")
