"""docs/openapi.yaml: the same routes as the code, and the running server keeps to it (schemathesis)."""
import os
import re
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import yaml
from cluster import BUILD, ROOT, http_get
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
KEY = '      parameters:\n        - {$ref: "#/components/parameters/Key"}\n'


def schemathesis(node, folder, token, *options):
    """One run. Logout is left out: it would end the run's own session."""
    folder.mkdir()
    # schemathesis 4.10 makes an invalid schema of an operation whose only header is optional; the header has tests of its own.
    spec = folder / "openapi.yaml"
    with open(SPEC, encoding="utf-8") as f:
        spec.write_text(f.read().replace(KEY, ""), encoding="utf-8")
    command = [os.path.join(os.path.dirname(sys.executable), "schemathesis"), "--config-file", os.path.join(os.path.dirname(__file__), "schemathesis.toml"), "run", str(spec),
               "--url", node.api_url, "--header", f"Authorization: Bearer {token}", "--checks", CHECKS, "--exclude-operation-id", "logout", "--request-timeout", "30",
               "--seed", "1", "--no-color", *options]
    done = subprocess.run(command, cwd=folder, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=400, check=False)
    return f"{folder.name}:\n{done.stdout[-10000:]}" if done.returncode else ""


def test_the_server_keeps_to_the_page(node, root, tmp_path):
    """As an ordinary user and as administrator: no 5xx, no answer that the page does not describe, no bad request accepted."""
    alice = Person.register(node, "alice")
    Person.register(node, "bob")
    alice.send("d:alice:alice", "a note")
    made = root.ok("POST", "/admin/users", {"user": "schema-admin", "admin": True}, 201)
    admin = Person.log_in(node, "schema-admin", made["password"])
    assert admin.call("POST", "/me/password", {"old": made["password"], "new": "another password"}).status == 204
    send, convs = "^/v1/convs/.conv./messages", "^/v1/convs"
    fuzz = ("--phases", "examples,fuzzing", "--max-examples", "3")
    # Once in CI is enough, and the sanitizers' build the better one for it.
    thorough = ("--phases", "examples,coverage,fuzzing", "--max-examples", "3") if "debug" not in BUILD else fuzz

    def run(person, **runs):  # processes of their own, two at once
        with ThreadPoolExecutor(2) as pool:
            jobs = [pool.submit(schemathesis, node, tmp_path / name, person.token, *options) for name, options in runs.items()]
        problems = "\n".join(filter(None, (j.result() for j in jobs)))
        assert not problems, problems
        assert person.call("GET", "/me").status == 200

    run(alice, send=(*thorough, "--include-path-regex", send), people=(*thorough, "--exclude-path-regex", convs + "|^/v1/admin|messages"),
        convs=(*thorough, "--include-path-regex", convs, "--exclude-path-regex", send), direct=(*fuzz, "--include-path-regex", "users/.user./messages|^/v1/admin"))
    run(admin, admin=(*thorough, "--include-path-regex", "^/v1/admin"), all=(*fuzz, "--exclude-path-regex", "^/v1/admin"))


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
