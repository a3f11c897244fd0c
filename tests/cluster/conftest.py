import os
import sys

import pytest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

from three import Three, why_not  # noqa: E402


@pytest.fixture(scope="session")
def three(tmp_path_factory):
    reason = why_not()
    if reason:
        pytest.skip(reason)
    cluster = Three(tmp_path_factory.mktemp("three"), {"PIGEON_CLUSTER_STORE": os.environ.get("PIGEON_CLUSTER_STORE", "embedded")})
    try:
        yield cluster.up()
    finally:
        cluster.down()
