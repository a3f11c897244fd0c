"""Drill 7: partitions of a cluster of three nodes in network namespaces: halves, one-way, flapping links.

What is cut are the links between nodes, and to the part that exists once (store, Redis); people reach all nodes through Nginx all the
time. Whoever is on the small side is told so (unavailable, uncertain) and goes on when the network heals. MongoDB's own elections are
not covered: FerretDB and the embedded store have none, a real replica set cannot be had here.
"""
import os
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../cluster"))

from three import NODES, Three, why_not  # noqa: E402

TITLE = "partitions of three nodes (MongoDB's elections: not covered, no replica set here)"
ONCE = "store"


def halves(cluster, rng, seconds):
    """One node hears neither the others nor the store."""
    lonely = rng.choice(NODES)
    for other in [n for n in NODES if n != lonely] + [ONCE]:
        cluster.script("cut", lonely, other)
    time.sleep(seconds)
    return f"halves {lonely} | rest"


def one_way(cluster, rng, seconds):
    """What one node says to another no longer arrives; the other way all is well."""
    sender, receiver = rng.sample([*NODES, ONCE], 2)
    cluster.script("one-way", sender, receiver)
    time.sleep(seconds)
    return f"one-way {sender} > {receiver}"


def flapping(cluster, rng, seconds):
    """A link between two nodes comes and goes."""
    one, other = rng.sample(NODES, 2)
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        cluster.script("cut", one, other)
        time.sleep(rng.uniform(0.1, 1.0))
        cluster.script("heal")
        time.sleep(rng.uniform(0.1, 0.6))
    return f"flapping {one} - {other}"


def run(drill):
    reason = why_not()
    if reason:
        drill.min_acks = 0
        drill.figure("skipped", reason)
        return
    store = os.environ.get("PIGEON_CLUSTER_STORE", "embedded")
    faults = {"PIGEON_FAULT": drill.plant} if drill.plant else {}
    cluster = Three(drill.folder, {"PIGEON_CLUSTER_STORE": store, **faults}, build=os.environ.get("PIGEON_BUILD", "build/debug"))
    drill.adopt(cluster)
    cluster.up()
    drill.load(tail=False)
    drill.wait_acks(500)
    kinds, seen, until = [halves, one_way, flapping], [], time.monotonic() + drill.seconds
    with drill.fault():
        while time.monotonic() < until or len(seen) < len(kinds):
            kind = kinds[len(seen) % len(kinds)]
            before = drill.crowd.acks()
            what = kind(cluster, drill.rng, drill.rng.uniform(3, 8))
            drill.mark(f"{what}: {drill.crowd.acks() - before} acknowledged meanwhile")
            cluster.script("heal")
            seen.append(what)
            time.sleep(drill.rng.uniform(1, 4))
    started = time.monotonic()
    drill.wait_acks(500, timeout=60)
    drill.figure("partitions", len(seen))
    drill.figure("going_on_after_s", round(time.monotonic() - started, 1))
    drill.figure("store", store)
