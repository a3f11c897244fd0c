"""Drill 1: kill -9 of each process at random, gateway to store, NATS and Redis, several quickly one after another."""
import time

from cluster import SERVERS, SERVICES

TITLE = "kill -9 of each process at random"


def run(drill):
    cluster = drill.cluster()
    drill.load()
    drill.wait_acks(1000)
    goal, victims, kills = drill.options.kills, [], {}
    until = time.monotonic() + drill.seconds
    with drill.fault():
        while sum(kills.values()) < goal if goal else time.monotonic() < until:
            if not victims:
                victims = [*SERVICES, *SERVERS]
                drill.rng.shuffle(victims)
            victim = victims.pop()
            drill.mark(f"kill {victim}")
            cluster.kill(victim)
            cluster.start(victim, wait=False)
            kills[victim] = kills.get(victim, 0) + 1
            time.sleep(drill.rng.uniform(0.05, 1.2))  # the pace of the faults is what is random here
        for name in list(cluster.processes):
            cluster.wait_ready(name)
    drill.figure("kills", sum(kills.values()))
