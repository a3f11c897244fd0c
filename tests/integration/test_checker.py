"""The checker itself: a good history passes, each planted fault is named."""
import copy

import pytest

from load import checker


def message(user, n, seq, mid=None):
    return {"from": user, "device": "d", "client_id": f"m{n}", "seq": seq, "message_id": mid or f"id{seq}", "kind": "text"}


@pytest.fixture
def good():
    keys = [("a", "d", f"m{i}") for i in (1, 2, 3)]
    return {"sent": {k: ("b", "", i) for i, k in enumerate(keys)}, "acked": [(k, "c", i + 1, f"id{i + 1}") for i, k in enumerate(keys)],
            "seen": {"b": [("c", i, f"id{i}") for i in (1, 2, 2, 3)]}, "final": {"c": [message("a", i, i) for i in (1, 2, 3)]}}


def found(history, **more):
    return {what for what, _ in checker.check(**history, **more)}


def test_a_good_history_passes(good):
    assert found(good, readers_of=lambda _: ["b"]) == set()


def test_lost(good):
    good["final"]["c"].pop()
    assert checker.LOST in found(good)


def test_doubled(good):
    good["final"]["c"].append(message("a", 3, 4))
    assert checker.DOUBLED in found(good)


def test_gap(good):
    good["final"]["c"][2]["seq"] = 4
    assert checker.GAP in found(good)


def test_fork(good):
    good["seen"]["b"][0] = ("c", 1, "other")
    assert checker.FORK in found(good)


def test_disorder(good):
    swapped = copy.deepcopy(good)
    swapped["final"]["c"] = [message("a", 2, 1), message("a", 1, 2), message("a", 3, 3)]
    assert checker.DISORDER in found(swapped)


def test_two_answers(good):
    good["acked"].append((("a", "d", "m1"), "c", 2, "id2"))
    assert checker.TWO_ANSWERS in found(good)


def test_phantom(good):
    good["final"]["c"].append(message("z", 9, 4))
    assert checker.PHANTOM in found(good)


def test_missing(good):
    good["seen"]["b"].pop()
    assert checker.MISSING in found(good, readers_of=lambda _: ["b"])
