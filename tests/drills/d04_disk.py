"""Drill 4: failed fsyncs, failed and short writes, a full disk, at random times under load (powerfs makes them).

From the moment storage sees an error until it says that it can write again nothing may be acknowledged; reads go on; it is back by itself within
BACK_S of the fault's end; nothing acknowledged is lost, also when the power goes right after (half of the rounds) or storage is killed and the power
goes later: what a failed fsync left in the page cache is not on the disk. Options: --cuts N (rounds), --seed N.
"""
import datetime
import errno
import re
import threading
import time

from power_stand import BUILD, Stand, rest, wait_until
from powerfs import why_not

TITLE = "fsync error, disk full"
SHORT_ROUNDS, ROUNDS, BACK_S, IN_FLIGHT_S = 5, 50, 60, 0.5
FULL = "full"
FAULTS = [("fsync", errno.EIO, ".log"), ("fsync", errno.EIO, "sqlite-wal"), ("fsync", errno.EIO, ""), ("fsync", errno.EIO, ".sst"), ("fsync", errno.EIO, "MANIFEST"),
          ("write", errno.EIO, ".log"), ("write", errno.EIO, ".sst"), ("write", errno.EIO, "sqlite"), ("write", errno.EIO, ""), ("write", errno.ENOSPC, ""),
          ("write", errno.ENOSPC, "sqlite-wal"), ("short", 0, ""), ("create", errno.ENOSPC, ""), ("rename", errno.EIO, ""), (FULL, 0, ""), (FULL, 0, "")]


class Reader(threading.Thread):
    """Reads a conversation's newest page all the time; how often it was refused, and why."""

    def __init__(self, stand):
        super().__init__(daemon=True)
        self.stand, self.stopping, self.read, self.failed = stand, False, 0, []
        self.away = False  # storage was killed: nobody can answer

    def run(self):
        while not self.stopping:
            away = self.away
            status, _ = rest(self.stand.cluster, "GET", f"/v1/convs/{self.stand.marker.conv}/messages?limit=20", token=self.stand.marker.token)
            if status == 200:
                self.read += 1
            elif not away and not self.away:
                self.failed.append(status)
            time.sleep(0.05)


def outages(log):
    """[(begin, end)] in Unix times: from a failed commit to `the store can be written again`; end None: not yet."""
    found, begin = [], None
    for stamp, text in re.findall(r"^(\S+Z) \w+ +storage: (a commit of .* failed|the store can be written again|version .* starts)", log, re.M):
        at = datetime.datetime.fromisoformat(stamp.replace("Z", "+00:00")).timestamp()
        if text.startswith("a commit"):
            begin = begin or at
        elif begin:
            found.append((begin, at))
            begin = None
    return found + ([(begin, None)] if begin else [])


def plant_fault(drill, stand):
    op, error, match = drill.rng.choice(FAULTS)
    if op == FULL:
        stand.disk.limit(stand.disk.stats()["used"] + drill.rng.randint(0, 1 << 18))
    else:
        stand.disk.fault(op, error, drill.rng.randint(0, 20), drill.rng.choice([1, 3, -1]), match)
    return f"{op} {errno.errorcode.get(error, '')} {match}".strip()


def started_again(drill, stand):
    """Storage may not end by itself: if it does, that is counted, and it is started as runit would."""
    process = stand.cluster.processes.get("storage")
    if process and process.poll() is not None:
        stand.cluster.processes.pop("storage")
        drill.mark(f"storage ended by itself with {process.returncode}: {stand.cluster.log('storage')[-600:]}")
        stand.start_storage()
        return True
    return False


def one_round(drill, stand, reader, number):
    figures = {"ended": 0}
    stand.load.wait_acks(50, 120)
    what = plant_fault(drill, stand)
    until = time.monotonic() + drill.rng.uniform(0.5, 4)
    while time.monotonic() < until:
        time.sleep(0.02)
        if stand.cluster.processes["storage"].poll() is not None:
            break
    then = drill.rng.choice(["", "cut", "cut", "kill"])  # kill: the kernel's pages outlive the process, what they pretend to have written does not
    begin = time.monotonic()
    if then:
        reader.away = True
        if then == "cut":
            stand.disk.cut("drop" if drill.rng.random() < 0.7 else "random", drill.rng.getrandbits(48))
        stand.cluster.kill("storage")
    stand.disk.mend()
    stand.disk.limit(0)
    if then:
        if then == "cut":
            stand.disk.on()
        stand.start_storage()
    before = stand.acks()

    def back():
        figures["ended"] += started_again(drill, stand)
        return stand.acks() > before
    wait_until(back, BACK_S, f"writes to come back after {what}")
    reader.away = False
    figures["back"] = time.monotonic() - begin
    lost = stand.find_lost()
    drill.mark(f"round {number}: {what}{', then a ' + then if then else ''}: back after {figures['back']:.1f} s, ended {figures['ended']}, lost {len(lost)}")
    for text in lost[:5]:
        drill.fail(f"round {number} ({what} {then}): {text}")
    return figures


def killed_after_a_failed_sync(drill, stand, reader):
    """A sync of the directory's log fails, storage is killed and goes on with the kernel's pages of it; then the power goes. Without
    log_settle (services/storage/dir.c) users registered in between were lost in two of three runs."""
    before = stand.disk.stats()["faults"]
    stand.disk.fault("fsync", errno.EIO, 0, 1, "sqlite-wal")
    wait_until(lambda: stand.disk.stats()["faults"] > before, 60, "a sync that fails")
    reader.away = True
    stand.cluster.kill("storage")
    stand.disk.mend()
    stand.start_storage()
    goal = stand.people_acked() + 15
    wait_until(lambda: stand.people_acked() >= goal, 60, "users to be registered")
    stand.cut("drop", drill.rng.getrandbits(48))
    stand.start_storage()
    for text in stand.find_lost()[:5]:
        drill.fail(f"killed after a failed sync: {text}")
    reader.away = False


def late_acks(stand):
    """Acknowledgements while storage could not write (answers that were under way when it failed: IN_FLIGHT_S)."""
    return sum(stand.acked_between(begin + IN_FLIGHT_S, end or time.time()) for begin, end in outages(stand.cluster.log("storage")))


def run(drill):
    reason = why_not(BUILD)
    if reason:
        drill.min_acks = 0
        drill.title += f" SKIPPED: {reason}"
        return
    rounds = drill.options.cuts or (SHORT_ROUNDS if drill.short else ROUNDS)
    drill.min_acks = min(drill.min_acks, rounds * 50)
    with Stand(drill.folder, drill.seed, {"PIGEON_FAULT": drill.plant} if drill.plant else {}) as stand:
        stand.load.wait_acks(20, 60)
        reader = Reader(stand)
        reader.start()
        for _ in range(1 if drill.short else 4):
            killed_after_a_failed_sync(drill, stand, reader)
        done = [one_round(drill, stand, reader, i + 1) for i in range(rounds)]
        reader.stopping = True
        late, ended = late_acks(stand), sum(f["ended"] for f in done)
        for text in stand.verdict()[:20]:
            drill.fail(text)
        if reader.failed:
            drill.fail(f"{len(reader.failed)} reads refused while storage was there: {reader.failed[:5]}")
        if late:
            drill.fail(f"{late} acknowledged after the first error")
        if ended:
            drill.fail(f"storage ended by itself {ended} times")
        back = sorted(f["back"] for f in done)
        for name, value in {"rounds": rounds, "faults": stand.disk.stats()["faults"], "outages": len(outages(stand.cluster.log("storage"))), "acks_in_fault": stand.acks(),
                            "people_acked": stand.people_acked(), "lost": len(stand.problems), "acks_after_error": late, "ended": ended,
                            "back_p50": f"{back[len(back) // 2]:.1f}s", "back_max": f"{back[-1]:.1f}s", "reads": reader.read, "reads_refused": len(reader.failed)}.items():
            drill.figure(name, value)
