"""What is measured once a run and has no peer to stand beside: the campus (P5), TLS (P9), the store alone (P10), 100,000 connected (P7)."""
import json
import os
import re
import signal
import subprocess
import sys
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
        if process.poll() is None:  # late, or we are interrupted: it takes down what it has started itself
            for pid in machine.session(process.pid):
                os.kill(pid, signal.SIGTERM)
        machine.end(process, 90)
    if process.returncode:
        run.put(kind="failed", round=1, goal=goal, contender="pigeon", why=f"exit code {process.returncode}: {out[-300:]}")
        say(f"{goal}: exit code {process.returncode}: {out[-300:]}")
    return out, time.monotonic() - begun


def campus(run, way):
    """way: nginx, or tls (ended by the gateway)."""
    minutes = "30" if run.o.full else "5"
    out, took = _script(run, "P5", ["tests/bench/campus.sh", "4000", minutes, way])
    merged = {}
    for line in out.splitlines():
        if line.startswith("{"):
            merged.update(json.loads(line))
    if "latency_ms" not in merged:
        return
    cpu, memory, delivery = merged["cpu_percent_of_a_core"], merged["memory_kib_under_load"], merged["latency_ms"]["delivery"]
    figures = {"minutes": int(minutes), "cores": round(cpu["all"] / 100, 3), "cores_by": cpu, "cores_nginx": round(cpu.get("nginx", 0) / 100, 3), "memory_mb": round(memory["all"] / 1024, 1),
               "memory_mb_without_nginx": round((memory["all"] - memory.get("nginx", 0)) / 1024, 1), "memory_kib_by": memory, "delivered": merged["delivered"],
               "delivered_per_s": round(merged["delivered_per_s"]), "sent": merged["sent"], "lost": merged["lost"], "doubled": merged["doubled"],
               "p50_us": round(delivery["p50"] * 1000), "p99_us": round(delivery["p99"] * 1000), "p999_us": round(delivery["p99_9"] * 1000),
               "void": None if merged["verdict"] == "passed" else merged["verdict"]}
    if figures["delivered_per_s"]:
        figures["cpu_us_per_delivery"] = round(figures["cores"] * 1e6 / figures["delivered_per_s"], 2)
    run.result(1, "P5", "pigeon", f"campus {way} 4000, {minutes} min", figures, took)


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


def _lines(out):
    return [json.loads(line) for line in out.splitlines() if line.startswith("{")]


def scale(run):
    """P7: 100,000 connected to several gateways; memory as the slope from 2,000."""
    out, took = _script(run, "P7", ["tests/bench/scale.sh"])
    lines = _lines(out)
    few, full = next((x for x in lines if "memory_kib_2000" in x), None), next((x for x in lines if "online" in x), None)
    talk = next((x for x in lines if x.get("mode") == "pairs"), None)
    if not few or not full or not talk:
        return
    more = (full["memory_kib"]["all"] - few["memory_kib_2000"]["all"]) * 1024
    run.result(1, "P7", "pigeon", "connected", {
        "connected": full["online"], "gateways": few["gateways"], "bytes_per_user": round(more / (full["online"] - 2000)), "cpu_us_per_user_s": full["cpu_us_per_user_s"],
        "acked_per_s": round(talk["acked_per_s"]), "lost": talk["lost"], "doubled": talk["doubled"], "p99_us": round(talk["latency_ms"]["delivery"]["p99"] * 1000),
        "void": None if talk["verdict"] == "passed" else talk["verdict"]}, took)


def tls(run):
    """P9: what TLS adds to a silent socket, at the gateway and in Nginx."""
    out, took = _script(run, "P9", [sys.executable, "tests/bench/tls.py", "memory"])
    seen = {x["way"]: x for x in _lines(out) if x.get("figure") == "memory"}
    if "plain" not in seen or "tls" not in seen:
        return
    figures = {"bytes_per_user_over_plain": round((seen["tls"]["gateway_kb_a_user"] - seen["plain"]["gateway_kb_a_user"]) * 1024), "void": None}
    if "nginx-tls" in seen:
        figures["nginx_bytes_per_user"] = round(seen["nginx-tls"]["nginx_kb_a_user"] * 1024)
    run.result(1, "P9", "pigeon", "silent over TLS", figures, took)


def all_of(run):
    chosen = not run.o.peers or any(p.startswith("pigeon") for p in run.o.peers)
    if not chosen:
        return
    if run.o.wants("P5"):
        campus(run, "nginx")
        campus(run, "tls")
    if run.o.full or "P9" in run.o.only:
        tls(run)
    if run.o.wants("P10"):
        store(run)
    if run.o.full or "P7" in run.o.only:
        scale(run)
