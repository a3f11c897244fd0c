"""The file system that can lose its power (tests/powerfs): mounted, cut, switched on again, made to fail, from a test."""
import os
import socket
import subprocess
import time

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
MODES = ("drop", "random", "torn", "reorder", "keep")


def binary(build):
    """The program, made when it is missing; None when it cannot be (no libfuse3)."""
    path = os.path.join(build, "powerfs")
    if not os.access(path, os.X_OK):
        path = os.path.join(ROOT, "build/powerfs/powerfs")
        subprocess.run(["make", "-s", "-C", ROOT, "PROFILE=release", "B=build/powerfs", "powerfs"], stdout=subprocess.DEVNULL, check=False)
    return path if os.access(path, os.X_OK) else None


def why_not(build):
    """Why it cannot run here, or None."""
    if not os.path.exists("/dev/fuse"):
        return "no /dev/fuse"
    if os.geteuid() != 0:
        return "mounting needs root"
    if not binary(build):
        return "powerfs cannot be built: deploy/install.sh test"
    with open("/proc/self/status", encoding="ascii") as f:
        caps = next(int(line.split()[1], 16) for line in f if line.startswith("CapEff"))
    return None if caps >> 21 & 1 else "mounting needs CAP_SYS_ADMIN"


class PowerFs:
    """with PowerFs(build, folder) as fs: fs.path is mounted. cut() freezes it until on(); kill who has files open in between."""

    def __init__(self, build, folder, sync_delay_us=500):
        self.path, self.control = os.path.join(folder, "disk"), os.path.join(folder, "powerfs.sock")
        os.makedirs(self.path, exist_ok=True)
        self.process = subprocess.Popen([binary(build), self.path, self.control])
        deadline = time.monotonic() + 10
        self.socket = socket.socket(socket.AF_UNIX)
        while self.socket.connect_ex(self.control):
            if self.process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"powerfs did not start: {self.process.poll()}")
            time.sleep(0.01)
        self.stream = self.socket.makefile("r")
        self.ask(f"delay {sync_delay_us}")
        self.on()

    def ask(self, line):
        """{figure: number}"""
        self.socket.sendall(line.encode() + b"\n")
        answer = self.stream.readline().strip()
        if not answer.startswith("ok"):
            raise RuntimeError(f"powerfs: {line}: {answer or 'it is gone'}")
        return {k: int(v) for k, v in (word.split("=") for word in answer.split()[1:])}

    def cut(self, mode, seed):
        return self.ask(f"cut {mode} {seed}")

    def on(self):
        return self.ask("on")

    def fault(self, op, error=0, skip=0, count=-1, match=""):
        return self.ask(f"fault {op} {error} {skip} {count} {match}".rstrip())

    def mend(self):
        return self.ask("fault clear")

    def limit(self, size):
        return self.ask(f"limit {size}")

    def stats(self):
        return self.ask("stats")

    def close(self):
        try:
            self.ask("quit")
            self.process.wait(10)
        except (RuntimeError, OSError, subprocess.TimeoutExpired):
            self.process.kill()
            self.process.wait()
        subprocess.run(["umount", "-l", self.path], stderr=subprocess.DEVNULL, check=False)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()
