"""docs/openapi.yaml: the same routes as the code, and the running server keeps to it (schemathesis)."""
import os
import re
import subprocess
import sys

import pytest
import yaml
from cluster import ROOT, http_get
from rest import Person

SPEC = os.path.join(ROOT, "docs/openapi.yaml")


def operations():
    with open(SPEC, encoding="utf-8") as f:
        spec = yaml.safe_load(f)
    return {(method.upper(), path): operation for path, item in spec["paths"].items() for method, operation in item.items() if method != "parameters"}


def test_the_page_has_the_routes_of_the_code():
    with open(os.path.join(ROOT, "services/api/routes.c"), encoding="utf-8") as f:
        rows = re.findall(r'\{"([A-Z]+)", "([^"]+)", (API_\w+),', f.read())
    written = operations()
    assert {(m, p) for m, p, _ in rows} == set(written)
    for method, path, access in rows:
        assert ("security" in written[method, path]) == (access == "API_ANYONE"), (method, path)
        if access == "API_ADMIN":
            assert written[method, path]["tags"] == ["admin"]


@pytest.mark.parametrize("who", ["alice", "root"])
def test_the_server_keeps_to_the_page(node, root, tmp_path, who):
    """As an ordinary user and as administrator. Left out is what would end the run's own session."""
    if who == "alice":
        person = Person.register(node, "alice")
        Person.register(node, "bob")
        person.send("d:alice:alice", "a note")
    else:
        root.ok("POST", "/admin/users", {"user": "schema-admin", "admin": True, "password": "a password to change"}, 201)
        person = Person.log_in(node, "schema-admin", "a password to change")
        person.call("POST", "/me/password", {"old": "a password to change", "new": "another password"})
    command = [os.path.join(os.path.dirname(sys.executable), "schemathesis"), "run", SPEC, "--url", node.api_url, "--header", f"Authorization: Bearer {person.token}",
               "--checks", "not_a_server_error,status_code_conformance,content_type_conformance,response_schema_conformance,response_headers_conformance,"
               "negative_data_rejection,missing_required_header,unsupported_method",
               "--phases", "examples,coverage,fuzzing", "--max-examples", "15", "--seed", "1", "--generation-database", "none", "--no-color", "--workers", "2",
               "--exclude-operation-id", "logout", "--request-timeout", "20"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=170, check=False)
    assert done.returncode == 0, done.stdout[-12000:] + done.stderr[-2000:]
    assert person.call("GET", "/me").status == 200


def test_metrics_are_what_prometheus_reads(node):
    from cluster import ADMIN
    for name in node.services:
        status, text = http_get(node.base + ADMIN[name], "/metrics")
        assert status == 200
        done = subprocess.run(["promtool", "check", "metrics"], input=text, capture_output=True, text=True, check=False)
        assert done.returncode == 0, f"{name}: {done.stdout}{done.stderr}"


def test_health_and_readiness(node):
    from cluster import ADMIN
    for port in [node.base + ADMIN[n] for n in node.services] + [node.base + 3]:
        assert http_get(port, "/healthz")[0] == 200
        assert http_get(port, "/readyz")[0] == 200
