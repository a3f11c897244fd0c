"""What the benchmarks need of the machine: processes of a server, their memory and CPU, waiting, and ending what was started.

Everything here works on process ids that this run has started; nothing is looked for by name.
"""
import os
import signal
import socket
import subprocess
import time

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
SERVER_CORE, LOAD_CORE = os.environ.get("SERVER_CORE", "0"), os.environ.get("LOAD_CORE", "1")
TICK = os.sysconf("SC_CLK_TCK")
PAGE = os.sysconf("SC_PAGESIZE")


def on_core(core, command):
    return ["taskset", "-c", core, *command]


def children(pid):
    """It and all below it."""
    found = [pid]
    try:
        for task in os.listdir(f"/proc/{pid}/task"):
            with open(f"/proc/{pid}/task/{task}/children", encoding="ascii") as f:
                for child in f.read().split():
                    found += children(int(child))
    except OSError:
        pass
    return found


def session(sid):
    """All processes of a session, also those whose parents are gone."""
    found = []
    for name in os.listdir("/proc"):
        if name.isdigit():
            try:
                if os.getsid(int(name)) == sid:
                    found.append(int(name))
            except OSError:
                pass
    return found


def pss_bytes(pids):
    total = 0
    for pid in pids:
        try:
            with open(f"/proc/{pid}/smaps_rollup", encoding="ascii") as f:
                total += next((int(line.split()[1]) for line in f if line.startswith("Pss:")), 0) * 1024
        except OSError:
            pass
    return total


def pss_by_name(pids):
    found = {}
    for pid in pids:
        name = name_of(pid)
        found[name] = found.get(name, 0) + pss_bytes([pid])
    return found


def cpu_us(pids):
    """User and system time of all their threads so far."""
    total = 0
    for pid in pids:
        try:
            with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as f:
                fields = f.read().rpartition(")")[2].split()
            total += int(fields[11]) + int(fields[12])
        except (OSError, IndexError):
            pass
    return total * 1000000 // TICK


def name_of(pid):
    try:
        with open(f"/proc/{pid}/comm", encoding="utf-8") as f:
            return f.read().strip()
    except OSError:
        return ""


def listening(port):
    with socket.socket() as s:
        s.settimeout(1)
        return s.connect_ex(("127.0.0.1", port)) == 0


def free_port():
    """Below the range that the kernel gives to clients, so that no connection of a load takes it meanwhile."""
    for port in range(21000 + os.getpid() % 4000, 32000):
        with socket.socket() as s:
            try:
                s.bind(("127.0.0.1", port))
            except OSError:
                continue
            if not listening(port):
                return port
    raise RuntimeError("no free port")


def wait_for(condition, seconds, what):
    until = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > until:
            raise RuntimeError(f"waited {seconds} s for {what}")
        time.sleep(0.05)


def end(process, patience=15):
    """Ends a process started in a session of its own, and what it left in that session."""
    if process is None:
        return
    if process.poll() is None:
        process.terminate()
        try:
            process.wait(patience)
        except subprocess.TimeoutExpired:
            pass
    for _ in range(20):
        left = session(process.pid)
        if not left:
            break
        for pid in left:
            try:
                os.kill(pid, signal.SIGKILL)
            except OSError:
                pass
        time.sleep(0.05)
    process.poll()


def start(command, core, log, **options):
    with open(log, "ab") as out:
        return subprocess.Popen(on_core(core, command), stdin=subprocess.DEVNULL, stdout=out, stderr=out, start_new_session=True, **options)


def description():
    """One line on the machine, for the report."""
    model = "unknown processor"
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as f:
            model = next((line.split(":", 1)[1].strip() for line in f if line.startswith(("model name", "Model"))), model)
    except OSError:
        pass
    memory = os.sysconf("SC_PHYS_PAGES") * PAGE / 2**30
    return f"{os.uname().machine}, {model}, {os.cpu_count()} cores, {memory:.0f} GB, Linux {os.uname().release.split('-')[0]}"


def load_average():
    return os.getloadavg()[0]
