"""The command line and the load generator against the real services, as tests/integration starts them."""
import os
import sys

import pytest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "integration"))

from cluster import Cluster, fresh_clusters  # noqa: E402


@pytest.fixture(scope="session")
def node(tmp_path_factory):
    """One cluster for all tests that harm nothing."""
    cluster = Cluster(tmp_path_factory.mktemp("cli"))
    try:
        cluster.up()
        yield cluster
    finally:
        cluster.down()


@pytest.fixture
def fresh(tmp_path):
    """A cluster of the test's own: fresh(settings) starts it; tests may kill its parts."""
    yield from fresh_clusters(tmp_path)
