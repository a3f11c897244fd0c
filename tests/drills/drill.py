"""What every drill stands on: a seed, real servers, load from independent observers, a fault window, figures, the verdict.

A drill is a module d<NN>_<word>.py beside this file with TITLE (a line) and run(drill). run does the damage; run.py calls
drill.judge() afterwards, unless run did, and prints the line. What run may use:

  drill.rng, drill.seed      randomness of this run; everything random comes from it
  drill.short, drill.seconds CI's length (one minute in all) or the full one; seconds: how long the faults go on
  drill.options              everything of the command line (kills, plant, ...)
  drill.cluster(settings, ...)   servers that are up (tests/integration/cluster.py); drill.adopt(cluster) takes one made elsewhere
  drill.load(users=, rate=, ...) starts the observers (load.py): they write, read, reconnect and log until the verdict
  drill.wait_acks(n)         until n more sends were acknowledged
  with drill.fault():        the fault window; may be entered several times: acks inside are counted, latency is judged after the last
  while drill.more():        until the time is over and enough was acknowledged
  drill.figure(name, value)  one more figure on the line
  drill.fail(text)           a promise of this drill's own that was broken
  drill.void(text)           this run shows nothing (a machine too busy to measure latency): INVALID
  drill.judge()              stops the load, reads everything back, checks; the rest of run can look at drill.verdict

Passed: nothing broken, no sanitizer report, latency back within BACK_S, MIN_ACKS acknowledged inside the window (else INVALID).
A drill without load() sets drill.min_acks = 0.
"""
import contextlib
import os
import random
import shutil
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
for folder in (os.path.join(HERE, "../integration"), HERE):
    if folder not in sys.path:
        sys.path.insert(0, folder)

from cluster import Cluster, wait_until  # noqa: E402, F401 - wait_until for the drills

MIN_ACKS, BACK_S = 10000, 30
PASS, FAIL, INVALID = "pass", "FAIL", "INVALID"
# Under a planted fault nobody waits for the figures of a healthy run.
PLANTS = {
    "ack-before-commit": ("storage", [1]), "dedup-off": ("storage", [1]), "seq-from-redis": ("storage", [5]),
    "sync-off": ("storage", [3]), "drop-publish": ("storage", [1]),
}


def now_us():
    return time.monotonic_ns() // 1000


class Drill:
    def __init__(self, number, title, options):
        self.number, self.title, self.options = number, title, options
        self.seed, self.short, self.plant = options.seed, options.short, options.plant
        self.rng = random.Random(f"{self.seed}/{number}")
        self.seconds = 25 if self.short else options.seconds
        self.min_acks = MIN_ACKS
        self.folder = tempfile.mkdtemp(prefix=f"pigeon-drill{number:02}-")
        self.servers, self.crowd, self.verdict = None, None, None
        self.figures, self.failures, self.windows, self.marks = {}, [], [], []
        self.began, self.voids = None, []

    # ---- servers ----

    def cluster(self, settings=None, prepare=None, kind=Cluster, **options):
        """Servers that run. prepare(cluster) is called before they start; kind: Cluster or a class made from it."""
        settings = {"PIGEON_LOG_LEVEL": "info", **({"PIGEON_FAULT": self.plant} if self.plant else {}), **(settings or {})}
        made = kind(os.path.join(self.folder, "node"), settings, **options)
        if prepare:
            prepare(made)
        self.adopt(made)
        return made.up()

    def adopt(self, cluster):
        """From now on this is stopped, and looked through for sanitizer reports, when the drill is over."""
        self.servers = cluster

    # ---- load ----

    def load(self, **options):
        """See load.Crowd for the options."""
        from crowd import Crowd
        self.crowd = Crowd(self, **options)
        self.crowd.start()
        return self.crowd

    def wait_acks(self, more, timeout=60):
        goal = self.crowd.acks() + more
        wait_until(lambda: self.crowd.acks() >= goal, timeout, f"{more} acknowledgements; {self.crowd.acks()} so far")

    # ---- what is written down ----

    @contextlib.contextmanager
    def fault(self):
        begin = now_us()
        try:
            yield self
        finally:
            self.windows.append((begin, now_us()))

    def more(self):
        """Whether the faults shall go on: for self.seconds, and up to twice as long until min_acks were acknowledged meanwhile."""
        at = time.monotonic()
        if self.began is None:
            self.began = (at, self.crowd.acks())
        enough = self.crowd.acks() - self.began[1] >= self.min_acks * 1.05
        return at - self.began[0] < self.seconds * (1 if enough else 2)

    def mark(self, text):
        """A moment of the history: kept beside it."""
        self.marks.append((now_us(), text))

    def figure(self, name, value):
        self.figures[name] = value

    def fail(self, text):
        self.failures.append(text)

    def void(self, text):
        """This run shows nothing of what it should: INVALID."""
        self.voids.append(text)

    # ---- the end ----

    def judge(self):
        if self.verdict is None and self.crowd:
            self.verdict = self.crowd.judge()
            self.failures += [f"{what}: {detail}" for what, detail in self.verdict.broken]
            if self.figures.get("back_s", 0) > BACK_S:
                self.fail(f"latency was not back within {BACK_S} s")
        return self.verdict

    def close(self):
        """Everything this drill started ends."""
        if self.crowd:
            self.crowd.close()
        if self.servers:
            try:
                self.servers.down()
            except AssertionError as problem:
                self.fail(str(problem)[:3000])

    def result(self):
        if self.failures:
            return FAIL
        if self.voids or self.figures.get("acks_in_fault", self.min_acks) < self.min_acks:
            return INVALID
        return PASS

    def keep(self):
        with open(os.path.join(self.folder, "drill.txt"), "w", encoding="utf-8") as f:
            print(f"drill {self.number} {self.title}, seed {self.seed}, plant {self.plant}", file=f)
            for begin, end in self.windows:
                print("window", begin, end, file=f)
            for at, text in self.marks:
                print("mark", at, text, file=f)
            print(*self.failures, sep="\n", file=f)
        return self.folder

    def forget(self):
        shutil.rmtree(self.folder, ignore_errors=True)
