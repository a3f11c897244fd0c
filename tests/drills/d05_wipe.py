"""Drill 5: NATS and Redis are killed, lose all their data, and come back: again and again, alone and both at once."""
import os
import shutil
import time

from cluster import SERVERS, wait_until

TITLE = "wipe NATS and Redis"
CAUGHT_UP_S = 10
ACL_USER, ACL_PASSWORD = "drill", "drill-counts-here"


def prepare(cluster):
    """The planted fault seq-from-redis needs a Redis user of its own."""
    with open(os.path.join(cluster.data, "run/redis.acl"), "a", encoding="utf-8") as f:
        print(f"user {ACL_USER} on >{ACL_PASSWORD} ~drill:* -@all +set +incr +pexpire +ping +auth", file=f)
    cluster.env["PIGEON_FAULT_REDIS"] = f"127.0.0.1:{cluster.base + 1}:{ACL_USER}:{ACL_PASSWORD}"


def wipe(cluster, name):
    cluster.kill(name)
    for folder, _, files in os.walk(os.path.join(cluster.data, "run")):
        for f in files:
            if f.startswith("dump.") or f.startswith("appendonly"):
                os.unlink(os.path.join(folder, f))
    shutil.rmtree(os.path.join(cluster.data, "run/jetstream"), ignore_errors=True)


def run(drill):
    cluster = drill.cluster(prepare=prepare)
    crowd = drill.load()
    drill.wait_acks(1000)
    wipes, worst = 0, 0
    with drill.fault():
        while drill.more():
            victims = drill.rng.choice([SERVERS, ["nats"], ["redis"]]) if wipes else SERVERS
            for name in victims:
                drill.mark(f"wipe {name}")
                wipe(cluster, name)
            time.sleep(drill.rng.uniform(0, 2))  # how long they are away
            cluster.start(*victims, wait=False)
            wipes += len(victims)
            begun, acks = time.monotonic(), crowd.acks()
            wait_until(lambda: crowd.acks() > acks + 300, 60, "acknowledgements after the wipe")
            worst = max(worst, time.monotonic() - begun)
            time.sleep(drill.rng.uniform(0.5, 2))  # some calm between
    drill.wait_acks(2000)
    drill.figure("wipes", wipes)
    drill.figure("worst_until_300_acks_s", round(worst, 1))
    drill.judge()
    caught_up = drill.figures["caught_up_s"]
    if not isinstance(caught_up, float) or caught_up > CAUGHT_UP_S or worst > CAUGHT_UP_S:
        drill.fail(f"not caught up in {CAUGHT_UP_S} s: {caught_up}, {worst:.1f}")
