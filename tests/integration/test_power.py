"""Power cuts and disk errors in short, on powerfs (drills 3 and 4 in full: make drills ONLY=3,4): nothing acknowledged is lost, and it is seen when it is."""
import os
import subprocess
import sys

import pytest

from cluster import BUILD, ROOT

sys.path.insert(0, os.path.join(ROOT, "tests/drills"))
from powerfs import why_not  # noqa: E402


def drill(*arguments):
    reason = why_not(BUILD)
    if reason:
        pytest.skip(reason)
    done = subprocess.run([sys.executable, os.path.join(ROOT, "tests/drills/run.py"), *arguments], capture_output=True, text=True, timeout=300, check=False)
    print(done.stdout, done.stderr)
    return done


ONCE = pytest.mark.skipif("asan" in BUILD, reason="in the debug build")


def test_a_power_cut_loses_nothing_acknowledged():
    assert drill("--only", "3", "--cuts", "4", "--short").returncode == 0


@ONCE
def test_without_sync_it_is_lost_and_seen():
    done = drill("--only", "3", "--cuts", "2", "--plant", "sync-off")
    assert done.returncode == 1 and "): message ('w" in done.stdout, done.stdout


@ONCE
def test_failed_syncs_and_writes_lose_nothing_acknowledged():
    assert drill("--only", "4", "--cuts", "4", "--short").returncode == 0
