"""From the observers' logs to a verdict on G1-G7; the rules themselves are checker.py's.

Also counts what is no breach but must be told: sends in doubt (error answers, cut connections), of these recovered by a
repeat, and unknown to the end; gaps that clients healed; how long until latency was back.
"""
import collections
import os
import re

import checker

BACK_FLOOR_US, BIN_US = 1000000, 1000000


class Follow:
    """The highest number each reader was shown, read from logs that still grow."""

    def __init__(self, paths):
        self.paths, self.at, self.shown, self.rest = paths, [0] * len(paths), {}, [b""] * len(paths)

    def last(self):
        for i, path in enumerate(self.paths):
            with open(path, "rb") as f:
                f.seek(self.at[i])
                text = self.rest[i] + f.read()
                self.at[i] = f.tell()
            *lines, self.rest[i] = text.split(b"\n")
            for line in lines:
                if line.startswith(b"V "):
                    _, _, user, conv, seq = line.split(b" ", 5)[:5]
                    self.shown[(user.decode(), conv.decode())] = int(seq)
        return self.shown


class History:
    """What the observers wrote down, by kind; a key is "user cid"."""

    def __init__(self, paths=(), lines=None):
        self.sent, self.order, self.acked, self.refused, self.given_up = {}, {}, [], collections.defaultdict(list), set()
        self.shown, self.fetched, self.gaps, self.cut, self.resent, self.again_on_wire = collections.defaultdict(list), [], [], [], {}, 0
        counts = collections.Counter()
        for source in [lines] if lines is not None else [open(p, encoding="utf-8") for p in paths]:
            for line in source:
                self.take(line.split(), counts)
            if hasattr(source, "close"):
                source.close()

    def take(self, f, counts):
        kind = f[0]
        if kind == "V":
            self.shown[(f[2], f[3])].append((int(f[4]), f[5], f"{f[6]} {f[7]}", int(f[1])))
        elif kind == "A":
            self.acked.append((int(f[1]), f"{f[2]} {f[3]}", f[4], int(f[5]), f[6]))
        elif kind == "S":
            key = f"{f[2]} {f[4]}"
            counts[f[2]] += 1
            self.sent[key] = int(f[1])
            self.order[key] = counts[f[2]]
        elif kind == "R":
            self.resent.setdefault(f"{f[2]} {f[3]}", int(f[1]))
        elif kind == "E":
            self.refused[f"{f[2]} {f[3]}"].append((int(f[1]), f[4]))
        elif kind == "N":
            self.given_up.add(f"{f[2]} {f[3]}")
        elif kind == "F":
            self.fetched.append((int(f[1]), int(f[2]), f[3], f[4], int(f[5])))
        elif kind == "G":
            self.gaps.append((int(f[1]), f[2], f[3], int(f[4])))
        elif kind == "X":
            self.again_on_wire += 1
        elif kind in "CD":
            self.cut.append((int(f[1]), f[2], kind))


class Verdict:
    def __init__(self, broken, figures, history):
        self.broken, self.figures, self.history = broken, figures, history

    def kinds(self):
        return {what for what, _ in self.broken}


def stored_of(final):
    """{key: [(conv, seq, id)]} of what stands in the histories; operations of the server's own have no key."""
    stored = collections.defaultdict(list)
    for conv, messages in final.items():
        for m in messages:
            if m["kind"] != "operation" and m.get("client_id"):
                stored[f"{m['from']} {m['client_id']}"].append((conv, m["seq"], m["message_id"]))
    return stored


def judge(history, final, members, windows=(), tails=None):
    """A Verdict. final: {conv: messages as read back}; members: {conv: who must have been shown all of it}."""
    stored = stored_of(final)
    calm_until = min((begin for begin, _ in windows), default=0)
    parts = {
        checker.GAP: checker.gaps(final), checker.LOST: [], checker.TWO_ANSWERS: [], checker.DOUBLED: checker.doubled(stored),
        checker.PHANTOM: [k for k in stored if k not in history.sent], checker.FALSE_NO: [k for k in history.given_up if k in stored],
        checker.FORK: checker.forks_shown(history.shown, final), checker.SHOWN_TWICE: checker.shown_twice(history.shown),
        checker.REGRESSION: checker.regressions(history.shown, history.fetched), checker.STALE_READ: checker.stale_reads(history.acked, history.fetched),
        checker.DISORDER: checker.disorder(history.order, stored, set(history.refused)), checker.MISSING: checker.missing(history.shown, final, members),
        checker.DROPPED: [f"{g}" for g in history.gaps if g[0] < calm_until and not any(k == "D" and t < g[0] for t, u, k in history.cut if u == g[1])],
    }
    lost, two = checker.acknowledged([(k, c, s, i) for _, k, c, s, i in history.acked], stored)
    parts[checker.LOST], parts[checker.TWO_ANSWERS] = lost, two
    for conv, path in (tails or {}).items():
        tail_missing, tail_twice = tail_check(path, final.get(conv, []))
        parts[checker.MISSING] += tail_missing
        parts[checker.SHOWN_TWICE] += tail_twice
    broken = [(what, detail) for what, details in parts.items() for detail in details[:5]]
    return Verdict(broken, figures_of(history, parts, stored, windows), history)


def figures_of(history, parts, stored, windows):
    first = {}
    for t, key, *_ in history.acked:
        first.setdefault(key, t)
    in_fault = sum(1 for t in first.values() if any(b <= t <= e for b, e in windows))
    doubt = {k for k, t in history.resent.items() if first.get(k, t + 1) > t} | {k for k, errors in history.refused.items() if any(code == "uncertain" for _, code in errors)}
    unknown = [k for k in history.sent if k not in first and k not in history.given_up and not (history.refused.get(k) and history.refused[k][-1][1] not in ("uncertain", "unavailable", "overloaded", "rate_limited", "internal"))]
    figures = {"acks": len(first), "acks_in_fault": in_fault, "lost": len(parts[checker.LOST]), "doubled": len(parts[checker.DOUBLED]), "shown_twice": len(parts[checker.SHOWN_TWICE]),
               "missing": len(parts[checker.MISSING]), "gaps": len(parts[checker.GAP]), "forks": len(parts[checker.FORK]), "regressions": len(parts[checker.REGRESSION]),
               "disorder": len(parts[checker.DISORDER]), "stale_reads": len(parts[checker.STALE_READ]), "false_no": len(parts[checker.FALSE_NO]), "in_doubt": len(doubt),
               "recovered": sum(k in first for k in doubt), "unknown": len(unknown), "unknown_stored": sum(k in stored for k in unknown), "reads": len(history.fetched)}
    if windows:
        figures["back_s"] = latency_back(history.sent, first, windows)
    figures["worst_ack_s"] = round(max((t - history.sent[k] for k, t in first.items() if k in history.sent), default=0) / 1e6, 1)
    return figures


def latency_back(sent, first, windows):
    """Seconds from the last fault's end until sends are answered in time again: p99 of a second's sends at most three times the
    p99 before the faults (never judged below a second). None: not by the end of the history."""
    begin, end = windows[0][0], windows[-1][1]
    before = sorted(first[k] - t for k, t in sent.items() if t < begin and k in first)
    limit = max(BACK_FLOOR_US, 3 * before[len(before) * 99 // 100]) if before else BACK_FLOOR_US
    bins = collections.defaultdict(list)
    for key, t in sent.items():
        if t >= end:
            bins[(t - end) // BIN_US].append(first.get(key, t + 10**9) - t)
    back = 0
    for n in sorted(bins):
        times = sorted(bins[n])
        if times[len(times) * 99 // 100] > limit:
            back = n + 1
    return int(back)


def p99_ms(history, begin, end):
    """Of what was sent in [begin, end) and acknowledged; 0 when nothing was."""
    first = {}
    for t, key, *_ in history.acked:
        first.setdefault(key, t)
    times = sorted(first[k] - t for k, t in history.sent.items() if begin <= t < end and k in first)
    return round(times[len(times) * 99 // 100] / 1000, 1) if times else 0


def tail_check(path, messages):
    """`pigeon tail` prints each message of a conversation once: its texts begin with "user number"."""
    if not os.path.exists(path):
        return [], []
    with open(path, encoding="utf-8", errors="replace") as f:
        printed = collections.Counter(re.findall(r"\b(w\d+ \d+) x", f.read()))
    wanted = {k for k in (" ".join(m["body"]["text"].split()[:2]) for m in messages if m["kind"] == "text") if re.fullmatch(r"w\d+ \d+", k)}
    lost = sorted(wanted - set(printed))
    return [f"pigeon tail never printed {k}" for k in lost[:50]], [f"pigeon tail printed {k} {n} times" for k, n in printed.items() if n > 1]
