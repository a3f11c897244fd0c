"""Drill 10: five times the capacity, by pigeon-load beside the observers; then everyone is thrown out and reconnects at once.

Capacity is measured first: pigeon-load in a closed loop on this very machine. pigeon-load audits what it sent by itself.
"""
import json
import os
import subprocess

from cluster import BUILD

TITLE = "five times the capacity, then everyone reconnects"
LOADERS = 200


def pigeon_load(cluster, path, seconds, *more):
    done = subprocess.run([os.path.join(BUILD, "pigeon-load"), "pairs", "--url", cluster.ws_url, "--tokens", path, "--secs", str(seconds), "--quiet", "--json", *more],
                          capture_output=True, text=True, timeout=seconds + 240, check=False)
    lines = done.stdout.splitlines()
    assert lines, f"pigeon-load ended with {done.returncode}: {done.stderr[-2000:]}"
    return json.loads(lines[-1])


def run(drill):
    cluster = drill.cluster()
    names = [f"l{i}" for i in range(LOADERS)]
    tokens, path = cluster.add_users(*names, device="load"), os.path.join(drill.folder, "load.csv")
    with open(path, "w", encoding="utf-8") as f:
        f.write("user,token\n" + "".join(f"{n},{tokens[n]}\n" for n in names))
    crowd = drill.load(users=32, rate=400, window=32)
    drill.wait_acks(1000)
    capacity = pigeon_load(cluster, path, 4)
    rate = max(1, round(capacity["acked"] / 4))
    drill.figure("capacity_per_s", rate)
    with drill.fault():
        flood = pigeon_load(cluster, path, 10 if drill.short else drill.seconds / 2, "--rate", str(rate * 5))
        for _ in range(3):
            drill.mark("everyone is thrown out")
            cluster.restart("gateway")
            drill.wait_acks(1000)
    drill.wait_acks(2000)
    drill.figure("flood", "/".join(f"{k}:{flood.get(k, 0)}" for k in ("sent", "acked", "refused", "lost", "doubled")))
    for k in ("lost", "doubled", "disordered", "forked", "undelivered"):
        if flood.get(k):
            drill.fail(f"pigeon-load's own audit: {k} {flood[k]}")
    drill.judge()
    drill.figures["acks_in_fault"] += flood["acked"]  # by pigeon-load, which read them back itself
