"""What is measured once a run and has no peer to stand beside: the campus (P5), TLS (P9), the store alone (P10), 100,000 connected (P7)."""
import json
import os
import re
import subprocess
import time

import machine
from servers import Pigeon, say


def _script(run, goal, command, env=None, limit=2700):
    say(f"{goal}: {' '.join(command)}")
    begun = time.monotonic()
    process = subprocess.Popen(command, cwd=machine.ROOT, env={**os.environ, **(env or {})}, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                               text=True, start_new_session=True, preexec_fn=lambda: os.sched_setaffinity(0, range(os.cpu_count())))
    try:
        out, _ = process.communicate(timeout=limit)
    except subprocess.TimeoutExpired:
        out = ""
    finally:
        machine.end(process, 60)
    if process.returncode:
        run.put(kind="failed", round=1, goal=goal, contender="pigeon", why=f"exit code {process.returncode}: {out[-300:]}")
        say(f"{goal}: exit code {process.returncode}: {out[-300:]}")
    return out, time.monotonic() - begun


def campus(run):
    minutes = "30" if run.o.full else "5"
    out, took = _script(run, "P5", ["tests/bench/campus.sh", "4000", minutes])
    merged = {}
    for line in out.splitlines():
        if line.startswith("{"):
            merged.update(json.loads(line))
    if "latency_ms" not in merged:
        return
    cpu, memory, delivery = merged["cpu_percent_of_a_core"], merged["memory_kib_under_load"], merged["latency_ms"]["delivery"]
    figures = {"minutes": int(minutes), "cores": round(cpu["all"] / 100, 3), "cores_by": cpu, "memory_mb": round(memory["all"] / 1024, 1),
               "memory_mb_without_nginx": round((memory["all"] - memory.get("nginx", 0)) / 1024, 1), "memory_kib_by": memory, "delivered": merged["delivered"],
               "delivered_per_s": round(merged["delivered_per_s"]), "sent": merged["sent"], "lost": merged["lost"], "doubled": merged["doubled"],
               "p50_us": round(delivery["p50"] * 1000), "p99_us": round(delivery["p99"] * 1000), "p999_us": round(delivery["p99_9"] * 1000),
               "void": None if merged["verdict"] == "passed" else merged["verdict"]}
    if figures["delivered_per_s"]:
        figures["cpu_us_per_delivery"] = round(figures["cores"] * 1e6 / figures["delivered_per_s"], 2)
    run.result(1, "P5", "pigeon", f"campus 4000, {minutes} min", figures, took)


def store(run):
    program = os.path.join(Pigeon.build, "bench-store")
    if not os.path.exists(program):
        say("P10: bench-store is not built")
        return
    out, took = _script(run, "P10", ["taskset", "-c", machine.SERVER_CORE, program, "--directory", run.work])
    figures = {"void": None}
    for batch, rate, cpu, written in re.findall(r"^ *(\d+) a commit: +(\d+) messages/s, +([\d.]+) us CPU each, +(\d+) bytes", out, re.M):
        figures.update({f"committed_per_s_{batch}": int(rate), f"cpu_us_{batch}": float(cpu), f"bytes_{batch}": int(written)})
    found = re.search(r"bare engine.*: (\d+)/s", out)
    figures.update({"bare_per_s": int(found.group(1))} if found else {})
    found = re.search(r"page of .*: ([\d.]+) ms on average, ([\d.]+) ms", out)
    figures.update({"page_ms": float(found.group(1)), "page_worst_ms": float(found.group(2))} if found else {})
    if len(figures) > 1:
        run.result(1, "P10", "pigeon", "store alone", figures, took)


def own_script(run, goal, path):
    """A script of its own that prints one JSON line last: P7 (many gateways), P9 (TLS). Its figures are taken as they are."""
    if not os.path.exists(os.path.join(machine.ROOT, path)):
        say(f"{goal}: no {path} here; left out")
        return
    out, took = _script(run, goal, [path])
    lines = [line for line in out.splitlines() if line.startswith("{")]
    if lines:
        figures = json.loads(lines[-1])
        run.result(1, goal, "pigeon", os.path.basename(path), {"void": None, **figures}, took)


def all_of(run):
    chosen = not run.o.peers or any(p.startswith("pigeon") for p in run.o.peers)
    if not chosen:
        return
    if run.o.wants("P5"):
        campus(run)
    if run.o.wants("P9"):
        own_script(run, "P9", "tests/bench/tls.sh")
    if run.o.wants("P10"):
        store(run)
    if run.o.full or "P7" in run.o.only:
        own_script(run, "P7", "tests/bench/scale.sh")
