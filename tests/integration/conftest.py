import os
import sys

import pytest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

from client import Client  # noqa: E402
from cluster import Cluster, fresh_clusters  # noqa: E402


@pytest.fixture(scope="session")
def shared(tmp_path_factory):
    """One cluster for all tests that harm nothing."""
    cluster = Cluster(tmp_path_factory.mktemp("shared"))
    try:
        cluster.up()
        yield cluster
    finally:
        cluster.down()


@pytest.fixture
def fresh(tmp_path):
    """A cluster of the test's own: fresh(settings) starts it; tests may kill its parts."""
    yield from fresh_clusters(tmp_path)


class People:
    """Users of one cluster and their sockets; closes the sockets when the test is over."""

    def __init__(self, cluster, prefix):
        self.cluster, self.prefix, self.clients = cluster, prefix, []

    def names(self, *short):
        return [f"{self.prefix}-{s}" for s in short]

    def join(self, *short, device="test", **options):
        """Makes users (named after the test) and connects each: a list of clients."""
        names = self.names(*short)
        tokens = self.cluster.add_users(*names, device=device)
        joined = [Client(self.cluster.ws_url, tokens[n], **options) for n in names]
        for client, name in zip(joined, names):
            client.token = tokens[name]
        self.clients += joined
        return joined


@pytest.fixture
def people(shared, request):
    """people.join("alice", "bob"): two fresh users of the shared cluster, connected."""
    prefix = "t" + format(abs(hash(request.node.nodeid)) % 16**6, "x")
    group = People(shared, prefix)
    yield group
    for client in group.clients:
        client.close()
