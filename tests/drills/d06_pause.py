"""Drill 6: SIGSTOP each process for 1, 10, 60 s, then SIGCONT: no second owner, no fork, no answer twice."""
import time

from cluster import SERVERS, SERVICES

TITLE = "SIGSTOP each process"


def run(drill):
    cluster = drill.cluster()
    drill.load(rate=1200)
    drill.wait_acks(1000)
    lengths = [1, 3] if drill.short else [1, 10, 60]
    victims = ["storage", "message", "gateway", "nats"] if drill.short else [*SERVICES, *SERVERS]
    drill.rng.shuffle(victims)
    pauses = 0
    with drill.fault():
        for length in lengths:
            for victim in victims:
                drill.mark(f"stop {victim} for {length} s")
                cluster.pause(victim)
                time.sleep(length)  # the pause itself
                cluster.resume(victim)
                pauses += 1
                drill.wait_acks(1500 if length < 60 else 500)
    drill.wait_acks(2000)
    drill.figure("pauses", pauses)
