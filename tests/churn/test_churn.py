"""The churn for a short while, against a gateway under each sanitizer (`make churn` for a long one)."""
import os
import random

import pytest

import churn

SEED = int(os.environ.get("CHURN_SEED", random.randrange(1 << 30)))
SECONDS = int(os.environ.get("CHURN_SECONDS", "12"))


@pytest.mark.parametrize("sanitizer", ["tsan", "asan"])
def test_takeover_and_subscribe(tmp_path, monkeypatch, sanitizer):
    print("seed", SEED)
    monkeypatch.setattr(churn, "GATEWAY", os.path.join(churn.ROOT, "build", sanitizer))
    counts, problems = churn.churn(tmp_path, SECONDS, SEED)
    assert problems == [], counts
