"""The goals' workloads: each takes a contender and gives a list of (run's name, figures)."""
import time

import machine
from contenders import quiet

SILENT_BASE, STORM_USERS, FANOUT_USERS, HEARTBEAT_S = 2000, 10000, 4000, 30


def settled_pss(server):
    """Memory after it has stopped moving: two readings a second apart within half a per cent, at most 15 s."""
    last = 0
    for _ in range(15):
        time.sleep(1)
        now = machine.pss_bytes(server.pids())
        if abs(now - last) * 200 <= now:
            break
        last = now
    return machine.pss_bytes(server.pids())


def cpu_rate(server, secs):
    """Microseconds of CPU a second."""
    begun, cpu = time.monotonic(), machine.cpu_us(server.pids())
    time.sleep(secs)
    return (machine.cpu_us(server.pids()) - cpu) / (time.monotonic() - begun)


def silent(contender, o):
    """P1 and P8: memory of a silent user as the slope between two counts; CPU of one with a heartbeat each 30 s."""
    top, loads = o.silent or contender.max_users, []
    quiet(contender.server)
    base_rate = cpu_rate(contender.server, 10 if o.full else 5)
    try:
        loads.append(contender.idle(SILENT_BASE, 0, 600))
        low = settled_pss(contender.server)
        names = machine.pss_by_name(contender.server.pids())
        loads.append(contender.idle(top - SILENT_BASE, SILENT_BASE, 600))
        high = settled_pss(contender.server)
        grown = {name: value - names.get(name, 0) for name, value in machine.pss_by_name(contender.server.pids()).items() if value != names.get(name, 0)}
        time.sleep(HEARTBEAT_S)  # as it is day in, day out: everybody's login is a heartbeat or more ago
        rate = cpu_rate(contender.server, HEARTBEAT_S)  # a whole period: who logged in together beats together
        for load in loads:
            if load.process.poll() is not None:
                raise RuntimeError(f"silent users did not stay: {load.said()}")
    finally:
        for load in loads:
            load.end()
    return [(f"silent {SILENT_BASE} to {top}", {"users": top, "pss_low": low, "pss_high": high, "grown_by": grown, "bytes_per_user": round((high - low) / (top - SILENT_BASE)),
                                               "cpu_us_per_user_s": round(max(rate - base_rate, 0) / top, 3), "void": None})]


def storm(contender, o):
    return [(f"storm {STORM_USERS}", contender.storm(STORM_USERS))]


def pairs(contender, o):
    found = []
    for users in (200, 4000):
        r = contender.pairs(users, o.secs)
        found.append((f"pairs {users}", r))
        if o.latency(contender) and not r["void"]:
            quiet(contender.server)
            found.append((f"pairs {users} at 80%", {**contender.pairs(users, o.secs, round(r["delivered_per_s"] * 0.8)), "offered_per_s": round(r["delivered_per_s"] * 0.8)}))
        quiet(contender.server)
    return found


def fanout(contender, o):
    """At rising rates; who keeps pace with the last one is asked for twice as much."""
    found, rates = [], list(o.fanout_rates)
    while rates:
        rate = rates.pop(0)
        r = contender.fanout(FANOUT_USERS, rate, o.secs)
        if r is None:
            break
        found.append((f"fanout {FANOUT_USERS} at {rate}/s", r))
        quiet(contender.server)
        if not rates and 40 <= rate < 160 and not r["void"] and r["delivered_per_s"] > 0.85 * rate * FANOUT_USERS:
            rates.append(rate * 2)
    return found


def resync(contender, o):
    r = contender.resync(o.resync_users, o.missed, o.resync_limit if contender.server_name == "ejabberd" else 300)
    return [] if r is None else [(f"resync {o.resync_users} x {o.missed}", r)]


ALL = {"P1": silent, "P2": storm, "P3": pairs, "P4": fanout, "P6": resync}
