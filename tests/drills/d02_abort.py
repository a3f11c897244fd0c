"""Drill 2: processes abort at named points: before and after the commit, before the acknowledgement, before publishing.

PIGEON_FAULT=abort-at=POINT:N (common/base/fault.h): the process dies the N-th time it passes the point, and is started again
with another point and number.
"""
from cluster import wait_until

TITLE = "abort at named points"
POINTS = {"before-commit": "storage", "after-commit": "storage", "before-ack": "storage", "before-publish": "storage",
          "message-before-commit": "message", "gateway-before-ack": "gateway"}


def run(drill):
    cluster = drill.cluster()
    drill.load()
    drill.wait_acks(1000)
    left, aborts = [], {}
    with drill.fault():
        while drill.more():
            if not left:
                left = list(POINTS)
                drill.rng.shuffle(left)
            point = left.pop()
            victim, passes = POINTS[point], drill.rng.randint(1, 150)
            cluster.kill(victim)
            cluster.start(victim, wait=False, env={"PIGEON_FAULT": f"abort-at={point}:{passes},{drill.plant}".rstrip(",")})
            drill.mark(f"{victim} aborts at {point}:{passes}")
            code = wait_until(lambda: cluster.processes[victim].poll(), 30, f"{victim} to abort at {point}:{passes}")
            if code != -6:
                drill.fail(f"{victim} ended with {code}, not by abort, at {point}")
            cluster.processes.pop(victim)
            cluster.start(victim)
            aborts[point] = aborts.get(point, 0) + 1
    drill.wait_acks(2000)
    drill.figure("aborts", "/".join(f"{p}:{aborts.get(p, 0)}" for p in POINTS))
