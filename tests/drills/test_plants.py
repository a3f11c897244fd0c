"""Each planted fault is found by its drill: `make drills-plants`, some 5 minutes. (CI finds two of them in test_crash.py.)"""
import os
import re
import subprocess
import sys

import pytest

HERE = os.path.dirname(os.path.abspath(__file__))
FOUND_BY = {
    "ack-before-commit": "acknowledged, but not there", "dedup-off": "stored twice", "seq-from-redis": "one number, two messages",
    "drop-publish": "not delivered while nothing failed", "sync-off": "",
}


@pytest.mark.parametrize("plant", FOUND_BY)
def test_the_drill_fails_and_says_why(plant):
    done = subprocess.run([sys.executable, os.path.join(HERE, "run.py"), "--short", "--plant", plant], capture_output=True, text=True, timeout=400, check=False)
    assert done.returncode == 1, done.stdout + done.stderr
    assert re.search(r"^drill +\d+ .*: FAIL ", done.stdout, re.M) and FOUND_BY[plant] in done.stdout, done.stdout
