"""Drill 1: kill -9 of each process at random, gateway to store, NATS and Redis, several quickly one after another.

--kills N --acks M: goes on until both are reached, or --seconds are over when they were given too (the long run for G1).
"""
import time

from cluster import SERVERS, SERVICES

TITLE = "kill -9 of each process at random"


def run(drill):
    options, kills, victims = drill.options, {}, []
    goal = options.kills or options.acks
    cluster = drill.cluster()
    drill.load(users=24, rate=1200, processes=4) if goal else drill.load()
    drill.wait_acks(1000)
    until, begun = time.monotonic() + max(options.seconds, 60), drill.crowd.acks()

    def more():
        if not goal:
            return drill.more()
        return time.monotonic() < until and (sum(kills.values()) < options.kills or drill.crowd.acks() - begun < options.acks)
    with drill.fault():
        while more():
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
    drill.wait_acks(2000)
    drill.figure("kills", sum(kills.values()))
    drill.figure("each", "/".join(f"{n}:{kills.get(n, 0)}" for n in [*SERVICES, *SERVERS]))
