"""The api's tests run on the integration tests' cluster; people are made over REST."""
import itertools
import os
import sys

import pytest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "integration"))

from cluster import Cluster, fresh_clusters  # noqa: E402
from rest import PASSWORD, Person  # noqa: E402

NUMBERS = itertools.count(1)


@pytest.fixture(scope="session")
def node(tmp_path_factory):
    """One cluster for all tests that harm nothing."""
    cluster = Cluster(tmp_path_factory.mktemp("api"), {"PIGEON_LIMITS_FILE_BYTES": "300000", "PIGEON_LIMITS_USER_FILE_BYTES": "1000000",
                                                       "PIGEON_LIMITS_LOGIN_FAILURES": "1000", "PIGEON_API_THREADS": "16"})
    try:
        cluster.up()
        cluster.pigeon("user", "add", "root", "--admin", "--password-stdin", text=PASSWORD + "\n")
        yield cluster
    finally:
        cluster.down()


@pytest.fixture
def fresh(tmp_path):
    """A cluster of the test's own with other settings."""
    yield from fresh_clusters(tmp_path)


@pytest.fixture(scope="session")
def root(node):
    return Person.log_in(node, "root")


@pytest.fixture
def join(node):
    """join("alice", "bob"): fresh users of the shared node, logged in; their names are made unique."""
    def join(*names, device="test"):
        return [Person.register(node, f"{n}{next(NUMBERS)}", device=device) for n in names]
    return join
