"""The security tests run on the integration tests' clusters. Every one of them is named in docs/SECURITY.md and seen failing by take-out.py."""
import os
import sys

import pytest

TESTS = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
sys.path[:0] = [os.path.join(TESTS, "integration"), os.path.join(TESTS, "api"), os.path.join(TESTS, "security")]

from cluster import Cluster, fresh_clusters  # noqa: E402
from rest import PASSWORD, Person  # noqa: E402


@pytest.fixture(scope="session")
def shared(tmp_path_factory):
    """One cluster with Nginx for all tests that harm nothing; `root` is its administrator."""
    cluster = Cluster(tmp_path_factory.mktemp("security"), {"PIGEON_LIMITS_LOGIN_FAILURES": "1000"})
    try:
        cluster.up().start("nginx")
        cluster.pigeon("user", "add", "root", "--admin", "--password-stdin", text=PASSWORD + "\n")
        yield cluster
    finally:
        cluster.down()


@pytest.fixture(scope="session")
def root(shared):
    return Person.log_in(shared, "root")


@pytest.fixture
def fresh(tmp_path):
    """A cluster of the test's own: fresh(settings) starts it."""
    yield from fresh_clusters(tmp_path)


@pytest.fixture
def join(shared, request):
    """join("alice", "bob"): fresh users of the shared cluster, logged in; their names begin with the test's."""
    prefix = "s" + format(abs(hash(request.node.nodeid)) % 16**6, "x")

    def join(*names):
        return [Person.register(shared, f"{prefix}-{n}") for n in names]
    return join
