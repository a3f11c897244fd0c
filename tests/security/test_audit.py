"""Point 13: the audit log holds what administrators did, no bodies, and shows when somebody touched it."""
import os
import signal
import sqlite3

import pytest
from rest import PASSWORD, Person


@pytest.fixture
def filled(fresh):
    cluster = fresh()
    cluster.pigeon("user", "add", "root", "--admin", "--password-stdin", text=PASSWORD + "\n")
    root = Person.log_in(cluster, "root")
    for name in ("alice", "bob", "carol"):
        root.ok("POST", "/admin/users", {"user": name}, 201)
    return cluster


def database(cluster):
    for folder, _, files in os.walk(os.path.join(cluster.data, "store")):
        for name in files:
            path = os.path.join(folder, name)
            with open(path, "rb") as f:
                if f.read(15) == b"SQLite format 3":
                    return path
    raise AssertionError("no SQLite file")


EDITS = {
    "untouched": None,
    "an entry changed": "UPDATE audit SET object = 'mallory' WHERE number = 3",
    "its time changed": "UPDATE audit SET at = at + 1 WHERE number = 2",
    "an entry deleted": "DELETE FROM audit WHERE number = 2",
    "the first deleted": "DELETE FROM audit WHERE number = 1",
    "deleted and renumbered": "DELETE FROM audit WHERE number = 2; UPDATE audit SET number = number - 1 WHERE number > 2",
    "two swapped": "UPDATE audit SET number = -1 WHERE number = 2; UPDATE audit SET number = 2 WHERE number = 3; UPDATE audit SET number = 3 WHERE number = -1",
}


def test_tampering_shows_at_the_next_start(filled):
    path, copies = database(filled), {}
    filled.kill("storage", signal.SIGTERM)
    with open(path, "rb") as f:
        whole = f.read()
    assert not os.path.exists(path + "-wal") or os.path.getsize(path + "-wal") == 0
    for what, sql in EDITS.items():
        with open(path, "wb") as f:
            f.write(whole)
        if sql:
            db = sqlite3.connect(path)
            db.executescript(sql)
            db.commit()
            db.close()
        before = len(filled.log("storage"))
        filled.start("storage")
        copies[what] = filled.log("storage")[before:]
        filled.kill("storage", signal.SIGTERM)
    filled.start("storage")
    assert "audit log is whole: 4 entries" in copies.pop("untouched")
    for what, text in copies.items():
        assert "tampered" in text and "is whole" not in text, what


def test_no_bodies_no_passwords_in_the_audit_log(shared, root, join):
    alice, bob = join("alice", "bob")
    alice.send(bob, "a very private sentence")
    root.ok("PATCH", f"/admin/users/{alice.user}", {"password": "a very private password"})
    page = str(root.ok("GET", "/admin/audit?limit=200"))
    assert "very private" not in page and "argon2" not in page and alice.token not in page


def test_nobody_writes_the_audit_log_from_outside(root):
    for method in ("POST", "PUT", "PATCH", "DELETE"):
        for path in ("/admin/audit", "/admin/audit/1"):
            assert root.call(method, path, {"action": "x"}).status in (404, 405), (method, path)
