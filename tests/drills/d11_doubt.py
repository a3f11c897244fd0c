"""Beside the ten, for G2: clients cut their own connections with full windows in flight, gateways and storage die; every send in doubt is repeated.

    make drills ONLY=11 SECONDS=600      `in_doubt` and `doubled` on the line are the figures
"""
import time

TITLE = "sends in doubt, repeated"


def run(drill):
    cluster = drill.cluster()
    drill.load(users=24, rate=0, window=64, cut_s=1, again=0.1)
    drill.wait_acks(500)
    kills = 0
    with drill.fault():
        while drill.more():
            time.sleep(drill.rng.uniform(3, 6))  # cuts by the clients meanwhile
            cluster.restart(drill.rng.choice(["gateway", "storage", "message"]))
            kills += 1
    drill.wait_acks(500)
    drill.figure("kills", kills)
