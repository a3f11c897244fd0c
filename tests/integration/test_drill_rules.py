"""The drills' rules on hand-made histories: a good one passes, and each violation is named. (Short histories of crash tests: test_checker.py.)"""
import pytest

from load import checker
import judge

GOOD = """S 100 a test m1 b
A 200 a m1 d:a:b 1 i1
S 210 a test m2 b
V 220 a d:a:b 1 i1 a m1 o
V 230 b d:a:b 1 i1 a m1 w
R 250 a m2
A 300 a m2 d:a:b 2 i2
A 310 a m2 d:a:b 2 i2
V 320 b d:a:b 2 i2 a m2 w
V 321 a d:a:b 2 i2 a m2 o
F 330 340 b d:a:b 2
S 400 b test m1 a
A 450 b m1 d:a:b 3 i3
V 460 a d:a:b 3 i3 b m1 w
X 470 a d:a:b 3 i3
V 461 b d:a:b 3 i3 b m1 o
F 500 510 a d:a:b 3"""


def message(user, cid, seq, mid=None):
    return {"from": user, "client_id": cid, "seq": seq, "message_id": mid or f"i{seq}", "kind": "text"}


FINAL = [message("a", "m1", 1), message("a", "m2", 2), message("b", "m1", 3)]


def verdict(text=GOOD, final=None, windows=((205, 480),)):
    return judge.judge(judge.History(lines=text.splitlines()), {"d:a:b": FINAL if final is None else final}, {"d:a:b": ["a", "b"]}, windows)


def test_a_good_history_passes_and_is_counted():
    found = verdict()
    assert found.broken == []
    assert (found.figures["acks"], found.figures["acks_in_fault"], found.figures["in_doubt"], found.figures["recovered"], found.figures["unknown"]) == (3, 2, 1, 1, 0)


# What is done to the history, and what must be found.
TEXT = {
    "a false OK": (GOOD + "\nS 600 a test m9 b\nA 610 a m9 d:a:b 4 i4", checker.LOST),
    "an answer with another number": (GOOD.replace("A 200 a m1 d:a:b 1 i1", "A 200 a m1 d:a:b 2 i1"), checker.LOST),
    "a retry with another answer": (GOOD.replace("A 310 a m2 d:a:b 2 i2", "A 310 a m2 d:a:b 3 i3"), checker.TWO_ANSWERS),
    "a number shown twice": (GOOD + "\nV 700 b d:a:b 3 i3 b m1 w", checker.SHOWN_TWICE),
    "a reader saw something else": (GOOD.replace("V 320 b d:a:b 2 i2", "V 320 b d:a:b 2 i7"), checker.FORK),
    "numbers that go back": (GOOD.replace("V 230 b d:a:b 1 i1 a m1 w", "V 460 b d:a:b 3 i3 b m1 w", 1), checker.REGRESSION),
    "a later read that ends earlier": (GOOD + "\nF 520 530 b d:a:b 2", checker.REGRESSION),
    "a read that missed what was acknowledged": (GOOD.replace("F 330 340 b d:a:b 2", "F 330 340 b d:a:b 1"), checker.STALE_READ),
    "never shown": (GOOD.replace("V 320 b d:a:b 2 i2 a m2 w\n", ""), checker.MISSING),
    "not stored, it was said": (GOOD.replace("A 450 b m1 d:a:b 3 i3", "E 450 b m1 unavailable\nN 451 b m1"), checker.FALSE_NO),
    "not fanned out in the calm": ("G 150 b d:a:b 0\n" + GOOD, checker.DROPPED),
    "stored, but never sent": (GOOD.replace("S 400 b test m1 a\n", ""), checker.PHANTOM),
}
STORE = {
    checker.DOUBLED: FINAL + [message("b", "m1", 4)],
    checker.GAP: [FINAL[0], FINAL[1], message("b", "m1", 4)],
    checker.LOST: FINAL[:2],
    checker.FORK: [*FINAL[:2], message("b", "m1", 3, "other")],
    checker.DISORDER: [message("a", "m2", 1), message("a", "m1", 2), FINAL[2]],
}


@pytest.mark.parametrize("what", TEXT)
def test_a_violation_by_what_clients_saw(what):
    text, kind = TEXT[what]
    assert kind in verdict(text).kinds()


@pytest.mark.parametrize("kind", STORE)
def test_a_violation_in_the_store(kind):
    assert kind in verdict(final=STORE[kind]).kinds()


def test_what_a_refused_send_may_do():
    """Repeated after a refusal it stands behind later ones; refused and given up it is nowhere; neither is a breach."""
    text = GOOD.replace("A 200 a m1 d:a:b 1 i1", "E 150 a m1 unavailable\nA 305 a m1 d:a:b 2 i2").replace("A 300 a m2 d:a:b 2 i2", "A 300 a m2 d:a:b 1 i1").replace("A 310 a m2 d:a:b 2 i2", "S 600 a test m5 b\nE 610 a m5 overloaded\nN 610 a m5")
    assert checker.DISORDER not in verdict(text, [message("a", "m2", 1), message("a", "m1", 2), FINAL[2]]).kinds()
    assert verdict(text, [message("a", "m2", 1), message("a", "m1", 2), FINAL[2]]).figures["lost"] == 0


def test_unknown_is_counted_apart():
    found = verdict(GOOD + "\nS 600 a test m9 b\nR 700 a m9\nE 720 a m9 uncertain")
    assert found.broken == [] and (found.figures["in_doubt"], found.figures["recovered"], found.figures["unknown"]) == (2, 1, 1)


def test_latency_that_does_not_come_back_is_told():
    sent = {f"a m{i}": i * 100000 for i in range(100)}
    acked = {k: t + (5000 if t < 5000000 else 4000000) for k, t in sent.items()}
    assert judge.latency_back(sent, acked, [(1000000, 2000000)]) >= 7
    assert judge.latency_back(sent, {k: t + 5000 for k, t in sent.items()}, [(1000000, 2000000)]) == 0
