"""Drill 8: the wall clock of one node's services steps by an hour, forth and back, and by odd amounts.

By a switch of test builds, not libfaketime: PIGEON_FAULT_CLOCK names a file of 8 bytes, milliseconds that common/base/clock.c
adds to the wall clock. The monotonic clock does not step on a real machine either. NATS and Redis keep the right time.
"""
import os
import struct
import time

TITLE = "clock steps of an hour"
HOUR_MS = 3600 * 1000


def run(drill):
    path = os.path.join(drill.folder, "clock")

    def step(ms):
        drill.mark(f"clock at {ms} ms")
        with open(path, "r+b") as f:
            f.write(struct.pack("<q", ms))
    with open(path, "wb") as f:
        f.write(struct.pack("<q", 0))
    cluster = drill.cluster({"PIGEON_FAULT_CLOCK": path})
    crowd = drill.load()
    drill.wait_acks(1000)
    steps, plan = 0, []
    with drill.fault():
        while drill.more():
            plan = plan or [HOUR_MS, 0, -HOUR_MS, 0, drill.rng.randint(-HOUR_MS, HOUR_MS), HOUR_MS]
            step(plan.pop(0))
            steps += 1
            if steps % 3 == 0:  # a process that starts with the wrong time
                cluster.restart(drill.rng.choice(["gateway", "message", "presence", "storage", "api"]))
            acks = crowd.acks()
            drill.wait_acks(200)
            if crowd.acks() <= acks:
                drill.fail("nothing was acknowledged after a step")
            time.sleep(drill.rng.uniform(0.2, 1))  # time between steps
    drill.wait_acks(2000)
    drill.figure("steps", steps)
