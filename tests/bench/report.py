"""From raw lines to what is read: the table on the screen, docs/BENCHMARKS.md between its marks, plots beside the raw lines."""
import json
import os
import re

import goals
import machine
import svg
from goals import number

PAGE = os.path.join(machine.ROOT, "docs", "BENCHMARKS.md")
PLOTS = os.path.join(machine.ROOT, "docs", "bench")
ORDER = ["pigeon-native", "pigeon-mqtt", "mosquitto", "ejabberd-xmpp", "ejabberd-mqtt", "prosody", "centrifugo", "tinode"]
# One row a figure: goal, how the run's name begins, key, its title, unit, whether more is better.
FIGURES = [
    ("P1", "silent", "bytes_per_user", "memory of a silent user", "bytes", False),
    ("P2", "storm", "logins_per_s", "logins of 10,000", "1/s", True),
    ("P2", "storm", "cpu_us_per_login", "CPU a login", "us", False),
    ("P3", "pairs 200", "delivered_per_s", "1:1, 200 users", "messages/s", True),
    ("P3", "pairs 4000", "delivered_per_s", "1:1, 4,000 users", "messages/s", True),
    ("P3", "pairs 200", "cpu_us_per_delivery", "CPU a message, 1:1, 200 users", "us", False),
    ("P3", "pairs 4000", "cpu_us_per_delivery", "CPU a message, 1:1, 4,000 users", "us", False),
    ("P3", "pairs 200 at 80%", "p99_us", "p99 at 80 % of the rate, 200 users", "us", False),
    ("P3", "pairs 4000 at 80%", "p99_us", "p99 at 80 % of the rate, 4,000 users", "us", False),
    ("P4", "fanout 4000 at 5/s", "last_p99_us", "last of 4,000 readers p99, 5 posts/s", "us", False),
    ("P4", "fanout 4000 at 10/s", "last_p99_us", "last of 4,000 readers p99, 10 posts/s", "us", False),
    ("P4", "fanout 4000 at 40/s", "delivered_per_s", "deliveries to 4,000, 40 posts/s", "1/s", True),
    ("P4", "fanout 4000 at 80/s", "delivered_per_s", "deliveries to 4,000, 80 posts/s (who keeps pace at 40)", "1/s", True),
    ("P4", "fanout 4000 at 160/s", "delivered_per_s", "deliveries to 4,000, 160 posts/s (who keeps pace at 80)", "1/s", True),
    ("P4", "fanout 4000 at 40/s", "cpu_us_per_delivery", "CPU a delivery, 40 posts/s", "us", False),
    ("P6", "resync", "delivered_per_s", "missed messages drained", "messages/s", True),
    ("P8", "silent", "cpu_us_per_user_s", "CPU of a silent user", "us/s", False),
]
PLOTTED = {("P1", "bytes_per_user"): 819.2, ("P2", "logins_per_s"): None, ("P3", "delivered_per_s"): None, ("P4", "delivered_per_s"): None, ("P6", "delivered_per_s"): None}


def load(paths):
    """(heads, results, failures). A goal is taken whole from the last file that has it: what stands side by side was measured in one run."""
    heads, results, failed, known = [], [], [], set()
    for path in reversed(paths):
        with open(path, encoding="utf-8") as f:
            lines = [json.loads(line) for line in f]
        new = {r["goal"] for r in lines if r["kind"] == "result"} - known
        known |= new
        shown = new | ({"P8"} if "P1" in new else set())  # of the same silent users
        heads += [{**r, "goals": sorted(shown, key=lambda g: int(g[1:]))} for r in lines if r["kind"] == "run"]
        results += [r for r in lines if r["kind"] == "result" and r["goal"] in new]
        failed += [r for r in lines if r["kind"] == "failed" and (r["goal"] in new or r["goal"] not in known)]
    return heads, results, failed


def value(m, goal, run, key, contender):
    goal = "P1" if goal == "P8" else goal
    if goal == "P3" and "80%" not in run:
        values = sorted(f[key] for f in m.rows.get((goal, contender, run), []) if not f.get("void") and isinstance(f.get(key), (int, float)))
        return None if not values else values[len(values) // 2] if len(values) % 2 else (values[len(values) // 2 - 1] + values[len(values) // 2]) / 2
    return m.of(goal, contender, run, key)


def present(m):
    return [c for c in ORDER if any(k[1] == c for k in m.rows)]


def figure_rows(m):
    """[(title, unit, {contender: value}, ratios of Pigeon's better protocol to each)]"""
    for goal, run, key, title, unit, more in FIGURES:
        found = {c: value(m, goal, run, key, c) for c in present(m)}
        if any(v is not None for v in found.values()):
            yield goal, run, key, title, unit, more, found


def markdown(m):
    names = present(m)
    lines = ["| | | " + " | ".join(names) + " |", "|---|---|" + "---|" * len(names)]
    for goal, _run, _key, title, unit, _more, found in figure_rows(m):
        lines.append(f"| {goal} | {title}, {unit} | " + " | ".join(number(found[c]) for c in names) + " |")
    return "\n".join(lines)


def ratios(m):
    """How many times better than each peer: over 1 is better, whatever is measured."""
    peers = [c for c in present(m) if not c.startswith("pigeon")]
    lines = ["| | | Pigeon by | " + " | ".join(peers) + " |", "|---|---|---|" + "---|" * len(peers)]
    for goal, _run, _key, title, _unit, more, found in figure_rows(m):
        for own in goals.PIGEONS:
            mine = found.get(own)
            if mine is None or not any(found.get(p) for p in peers):
                continue
            cells = []
            for p in peers:
                r = goals.ratio(mine, found[p]) if more else goals.ratio(found[p], mine)
                cells.append("-" if r is None else f"{r:.2f}" if r < 10 else f"{r:,.0f}")
            lines.append(f"| {goal} | {title} | {own.split('-')[1]} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def goal_table(m):
    return "\n".join(["| | workload | goal | measured | |", "|---|---|---|---|---|"] + [f"| {g} | {w} | {aim} | {got} | {verdict} |" for g, w, aim, got, verdict in goals.rows(m)])


def about(heads, m, failed, paths):
    lines = []
    for h in heads:
        versions = ", ".join(f"{n} {v}" for n, v in h["versions"].items())
        lines.append(f"- {', '.join(h['goals'])}: {h['at']}, {h['machine']}; {h['rounds']} round{'s' * (h['rounds'] != 1)} of {h['secs']} s a run; load of the machine before: {h['load_before']:.1f}. {versions}.")
        lines += [f"- {n} was left out: {why}." for n, why in h["missing"].items()]
    lines += [f"- Void, not counted: {g} {c} {name}: {why}." for g, c, name, why in m.voids()]
    lines += [f"- Failed: {f['goal']} {f['contender']}, round {f['round']}: {f['why'][:160]}." for f in failed]
    lines.append("- Raw lines: " + ", ".join(f"[{os.path.basename(p)}](bench/{os.path.basename(p)})" for p in paths) + ".")
    return "\n".join(lines)


def plots(m):
    made = []
    for goal, run, key, title, unit, _more, found in figure_rows(m):
        if (goal, key) not in PLOTTED or sum(v is not None for v in found.values()) < 2:
            continue
        name = f"{goal}-{run}".lower().replace(" ", "-").replace("/", "-per-") + ".svg"
        with open(os.path.join(PLOTS, name), "w", encoding="utf-8") as f:
            f.write(svg.bars(title, unit, list(found.items()), PLOTTED[goal, key]))
        made.append(f"![{title}](bench/{name})")
    return "\n".join(made)


def replace(text, mark, new):
    pattern = re.compile(rf"(<!-- {mark} -->\n).*?(<!-- end of {mark} -->)", re.S)
    if not pattern.search(text):
        raise SystemExit(f"docs/BENCHMARKS.md has no marks for {mark}")
    return pattern.sub(lambda found: found.group(1) + new + "\n" + found.group(2), text)


def table(paths):
    """On the screen."""
    _, results, failed = load(paths)
    m = goals.Medians(results)
    for part in (markdown(m), ratios(m), goal_table(m)):
        print(part + "\n")
    for g, c, name, why in m.voids():
        print(f"void: {g} {c} {name}: {why}")
    for f in failed:
        print(f"failed: {f['goal']} {f['contender']}: {f['why']}")


def write(paths):
    heads, results, failed = load(paths)
    m = goals.Medians(results)
    with open(PAGE, encoding="utf-8") as f:
        text = f.read()
    for mark, new in (("goals", goal_table(m)), ("figures", markdown(m)), ("ratios", ratios(m)), ("about", about(heads, m, failed, paths)), ("plots", plots(m))):
        text = replace(text, mark, new)
    with open(PAGE, "w", encoding="utf-8") as f:
        f.write(text)
    print(f"written: {os.path.relpath(PAGE, machine.ROOT)}")
