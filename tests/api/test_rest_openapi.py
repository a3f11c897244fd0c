"""docs/openapi.yaml: the same routes as the code, and the running server keeps to it (schemathesis)."""
import os
import re
import subprocess
import sys

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


CHECKS = "not_a_server_error,status_code_conformance,content_type_conformance,response_schema_conformance,response_headers_conformance,negative_data_rejection"


def schemathesis(node, folder, token, *options):
    """A run in a process of its own: two at once fill two cores. Logout is left out: it would end the run's own session."""
    folder.mkdir()
    command = [os.path.join(os.path.dirname(sys.executable), "schemathesis"), "--config-file", os.path.join(os.path.dirname(__file__), "schemathesis.toml"), "run", SPEC,
               "--url", node.api_url, "--header", f"Authorization: Bearer {token}", "--checks", CHECKS, "--exclude-operation-id", "logout", "--request-timeout", "30",
               "--seed", "1", "--no-color", *options]
    with open(folder / "out", "w", encoding="utf-8") as out:
        return subprocess.Popen(command, cwd=folder, stdout=out, stderr=subprocess.STDOUT)


def test_the_server_keeps_to_the_page(node, root, tmp_path):
    """As an ordinary user and as administrator: no 5xx, no answer that the page does not describe, no bad request accepted."""
    alice = Person.register(node, "alice")
    Person.register(node, "bob")
    alice.send("d:alice:alice", "a note")
    made = root.ok("POST", "/admin/users", {"user": "schema-admin", "admin": True}, 201)
    admin = Person.log_in(node, "schema-admin", made["password"])
    assert admin.call("POST", "/me/password", {"old": made["password"], "new": "another password"}).status == 204
    talk, thorough = "^/v1/(convs|users/.user./messages)", ("--phases", "examples,coverage,fuzzing", "--max-examples", "3")
    rounds = [
        {"talk": (alice, *thorough, "--include-path-regex", talk), "accounts": (alice, *thorough, "--exclude-path-regex", talk + "|^/v1/admin")},
        {"admin": (admin, *thorough, "--include-path-regex", "^/v1/admin"), "all": (admin, "--phases", "fuzzing", "--max-examples", "3", "--exclude-path-regex", "^/v1/admin")},
    ]
    for runs in rounds:
        running = {name: schemathesis(node, tmp_path / name, person.token, *options) for name, (person, *options) in runs.items()}
        for name, process in running.items():
            try:
                code = process.wait(400)
            finally:
                process.kill()
            assert code == 0, f"{name}:\n" + (tmp_path / name / "out").read_text()[-10000:]
    assert alice.call("GET", "/me").status == admin.call("GET", "/me").status == 200


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
