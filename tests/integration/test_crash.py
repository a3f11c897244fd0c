"""kill -9 of every part under load: nothing acknowledged is lost, nothing doubled, order kept; and the checker can see it if it were."""
import os
import random
import signal

import pytest

from load import Load, checker

SEED = int(os.environ.get("PIGEON_SEED", random.randrange(1 << 30)))


def drill(cluster, victim, sig=signal.SIGKILL, acks=300):
    print("seed", SEED)
    with Load(cluster, 12, SEED) as load:
        load.wait_acks(acks)
        cluster.restart(victim, sig, wait=False)
        load.wait_acks(acks)
        verdict = load.verdict()
    cluster.wait_ready(victim)
    return verdict


@pytest.mark.parametrize("victim", ["gateway", "message", "storage", "presence", "api", "nats", "redis"])
def test_kill_9_loses_nothing(fresh, victim):
    assert drill(fresh(), victim) == []


@pytest.mark.parametrize("victim", ["gateway", "message", "storage"])
def test_a_polite_restart_loses_nothing(fresh, victim):
    assert drill(fresh(), victim, signal.SIGTERM) == []


def test_the_checker_finds_an_acknowledgement_before_the_commit(fresh):
    cluster = fresh({"PIGEON_FAULT": "ack-before-commit"})
    assert checker.LOST in {what for what, _ in drill(cluster, "storage")}


def test_the_checker_finds_missing_deduplication(fresh):
    cluster = fresh({"PIGEON_FAULT": "dedup-off"})
    assert {what for what, _ in drill(cluster, "gateway")} & {checker.DOUBLED, checker.TWO_ANSWERS}
