"""Drill 9: slow readers and slowloris beside honest users (G8), then one user at 50 times the rate of the others (G9).

G8: what the gateway grew by, divided by the connections that never read, is at most 256 KB. The slowloris sockets are closed.
G9: the others' p99 at most twice that of the calm before (of 50 ms at least: below that it is the machine's noise), and every send
of the greedy user is answered, with OK or an error.
"""
import threading
import time

from client import Client
import judge
import raw
from drill import now_us

TITLE = "slow readers, slowloris, one greedy user"
SLOW, LORIS, MEMORY_KIB, RATE, FLOOR_MS, BUSY_MS, BODY = 40, 100, 256, 40, 50, 300, 15000


def memory_kib(pid):
    with open(f"/proc/{pid}/smaps_rollup", encoding="ascii") as f:
        return next(int(line.split()[1]) for line in f if line.startswith("Pss:"))


class Greedy(threading.Thread):
    """Sends at its rate until told to stop; then every send must have got an answer."""

    def __init__(self, url, token, rate, to):
        super().__init__(daemon=True)
        self.client, self.rate, self.to, self.stopping, self.asked = Client(url, token), rate, to, False, []
        self.start()

    def run(self):
        due = time.monotonic()
        while not self.stopping and not self.client.closed:
            for _ in range(20):
                self.asked.append(self.client.post_text(self.to, "greed"))
            due = max(due + 20 / self.rate, time.monotonic() - 0.1)
            time.sleep(max(0, due - time.monotonic()))  # the pace

    def end(self):
        """(sent, OK, refused, without an answer)"""
        self.stopping = True
        self.join(10)
        try:
            self.client.wait(lambda: all(n in self.client.answers for n in self.asked), 20, "all answers")
        except AssertionError:
            pass
        answers = [self.client.answers.get(n) for n in self.asked]
        self.client.close()
        return len(answers), sum(bool(a and "ok" in a) for a in answers), sum(bool(a and "error" in a) for a in answers), sum(a is None for a in answers)


def slow_part(drill, cluster, tokens, seconds):
    port, gateway = cluster.gateway_port, cluster.processes["gateway"].pid
    names = sorted(n for n in tokens if n.startswith("slow"))
    with Client(cluster.ws_url, tokens["loud"]) as loud:
        conv = loud.call("create", kind="group", title="loud", members=names)["conv"]
        before = memory_kib(gateway)
        deaf = [raw.never_reads(port, tokens[n]) for n in names]
        loris = [raw.slowloris(port) for _ in range(LORIS)]
        worst, told, until = 0, 0, time.monotonic() + seconds
        while time.monotonic() < until:  # more than the kernel's buffers hold: what follows waits in the gateway, or is dropped
            posted = [loud.post_text(conv, "y" * BODY) for _ in range(8)]
            loud.wait(lambda: all(n in loud.answers for n in posted), 20, "the answers")  # noqa: B023 - called here only
            told += sum("ok" in loud.answers[n] for n in posted)
            worst = max(worst, memory_kib(gateway) - before)
        late = [s for s in loris if not raw.closed(s)]
        for s in deaf + loris:
            s.close()
    drill.figure("kib_a_slow_reader", max(round(worst / SLOW, 1), drill.figures.get("kib_a_slow_reader", 0)))
    drill.figure("mb_for_each", round(told * BODY / 1e6, 1))
    drill.figure("slowloris_open", len(late))
    if worst / SLOW > MEMORY_KIB:
        drill.fail(f"{worst / SLOW:.0f} KiB a connection that never reads")
    if late:
        drill.fail(f"{len(late)} unfinished upgrades are open after {seconds} s")


def greedy_part(drill, cluster, token, seconds):
    """The span of time in which one user wrote too much."""
    begin = now_us()
    greedy = Greedy(cluster.ws_url, token, RATE * 50, "victim")
    time.sleep(seconds)  # how long it goes on
    sent, ok, refused, silent = greedy.end()
    drill.figure("greedy", f"{sent}/{ok}/{refused}/{silent}")
    if silent:
        drill.fail(f"{silent} sends of the greedy user were never answered")
    return begin, now_us()


def run(drill):
    cluster = drill.cluster({"PIGEON_LIMITS_USER_MESSAGES_S": str(RATE * 2), "PIGEON_LIMITS_USER_MESSAGES_BURST": str(RATE * 4)})
    tokens = cluster.add_users("loud", "greedy", "victim", *[f"slow{i}" for i in range(SLOW)])
    drill.load(rate=RATE * 16, window=24)
    drill.wait_acks(3000)
    calm, spans, seconds = (now_us() - 4000000, now_us()), [], 10 if drill.short else drill.seconds / 2
    with drill.fault():
        while drill.more():
            slow_part(drill, cluster, tokens, seconds)
            spans.append(greedy_part(drill, cluster, tokens["greedy"], seconds))
    drill.wait_acks(1000)
    drill.judge()
    before, under = judge.p99_ms(drill.verdict.history, *calm), max(judge.p99_ms(drill.verdict.history, *span) for span in spans)
    drill.figure("p99_before_ms", before)
    drill.figure("p99_beside_greedy_ms", under)
    if before > BUSY_MS:
        drill.void(f"p99 was {before} ms before anybody was greedy: the machine is too busy to measure what greed does")
    elif under > 2 * max(before, FLOOR_MS):
        drill.fail(f"the others' p99 went from {before} to {under} ms")
