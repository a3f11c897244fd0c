"""Point 9: what a page of somebody else's can do with a visitor's browser: nothing."""
import os
import re

import pytest
from cluster import ROOT
from rest import call
from test_malformed import Raw
from test_security import through_nginx

FOREIGN = "https://evil.example"


@pytest.mark.parametrize("origin", [FOREIGN, "null", "http://localhost.evil.example", "http://localhost:81", "https://localhost:8443", "http://evil.example/localhost", "file://"])
def test_foreign_pages_get_no_socket(shared, origin):
    peer = Raw(shared.gateway_port)
    head = peer.upgrade(Origin=origin)
    peer.socket.close()
    assert head.startswith("HTTP/1.1 403 "), head


def test_foreign_pages_read_no_answer_and_send_no_json(shared, join):
    """No CORS header on anything, so a browser gives a foreign page no answer and sends it no request with a token or with JSON."""
    alice, = join("alice")
    for method, path in (("OPTIONS", "/v1/login"), ("OPTIONS", "/v1/me"), ("GET", "/v1/me"), ("POST", "/v1/login"), ("GET", "/v1/info"), ("GET", "/")):
        status, headers, _ = through_nginx(shared, method, path, Origin=FOREIGN, Authorization="Bearer " + alice.token, **{"Access-Control-Request-Method": "POST"})
        assert not [h for h in headers if h.startswith("access-control")], (method, path)
        assert method != "OPTIONS" or status >= 400, path


def test_nothing_rides_on_cookies(shared, join):
    """There are none, so there is nothing to forge: the token travels in a header that only our page can write."""
    alice, = join("alice")
    login = {"user": alice.user, "password": "correct horse battery"}
    for method, path, body in (("POST", "/v1/login", login), ("GET", "/v1/me", None), ("GET", "/", None), ("GET", "/v1/info", None)):
        _, headers, _ = through_nginx(shared, method, path, body, Authorization="Bearer " + alice.token)
        assert "set-cookie" not in headers, path
    for name in ("token", "session", "Authorization", "pigeon"):
        assert call(shared, "GET", "/v1/me", headers={"Cookie": f"{name}={alice.token}; {name}=Bearer {alice.token}"}).status == 401
    source = " ".join(open(os.path.join(folder, f), encoding="utf-8").read() for folder, _, files in os.walk(os.path.join(ROOT, "clients/web/src")) for f in files if f.endswith((".ts", ".tsx")))
    assert "document.cookie" not in source


def test_the_policy_of_every_page_is_strict(shared):
    for path in ("/", "/x", "/v1/info", "/v1/me"):
        _, headers, _ = through_nginx(shared, "GET", path)
        policy = dict(part.strip().split(" ", 1) for part in headers["content-security-policy"].split(";"))
        assert policy["default-src"] == policy["script-src"] == policy["style-src"] == policy["connect-src"] == "'self'", path
        assert policy["object-src"] == policy["base-uri"] == policy["frame-ancestors"] == "'none'" and policy["form-action"] == "'self'"
        assert not re.search(r"unsafe|\*|https?:", headers["content-security-policy"])
        assert headers["x-frame-options"] == "DENY" and headers["x-content-type-options"] == "nosniff" and headers["referrer-policy"] == "no-referrer"


def test_the_page_makes_text_nodes_only():
    """No way from a message to markup: none of the doors is opened anywhere in the web client."""
    doors = re.compile(r"innerHTML|outerHTML|insertAdjacentHTML|dangerouslySetInnerHTML|document\.write|createContextualFragment|\beval\(|new Function|javascript:|srcdoc")
    seen = 0
    for folder, _, files in os.walk(os.path.join(ROOT, "clients/web")):
        if "node_modules" in folder or os.sep + "dist" in folder or os.sep + "test" in folder:
            continue
        for name in files:
            if name.endswith((".ts", ".tsx", ".js", ".html")):
                seen += 1
                with open(os.path.join(folder, name), encoding="utf-8") as f:
                    found = doors.search(f.read())
                assert not found, f"{name}: {found.group()}"
    assert seen > 10


def test_admin_needs_the_role_each_time(shared, root, join):
    alice, = join("alice")
    paths = ("/admin/users", "/admin/invites", "/admin/status", "/admin/audit")
    for path in paths:
        assert (root.call("GET", path).status, alice.call("GET", path).status, call(shared, "GET", "/v1" + path).status) == (200, 403, 401), path
    root.ok("PATCH", f"/admin/users/{alice.user}", {"admin": True})
    assert alice.call("GET", "/admin/users").status == 200
    root.ok("PATCH", f"/admin/users/{alice.user}", {"admin": False})
    assert alice.call("GET", "/admin/users").status == 403


def test_the_forwarded_address_is_nginxs_word(shared, join):
    """A client's own X-Forwarded-For neither hides its address nor makes it somebody else's."""
    alice, = join("alice")
    _, _, raw = through_nginx(shared, "POST", "/v1/login", {"user": alice.user, "password": "correct horse battery", "device": "x"}, **{"X-Forwarded-For": "192.0.2.7"})
    assert raw
    sessions = alice.ok("GET", "/me/sessions")["sessions"]
    assert {s["address"] for s in sessions} == {"127.0.0.1"}
