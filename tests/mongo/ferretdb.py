#!/usr/bin/env python3
"""FerretDB, which speaks MongoDB's protocol, for tests: there is no package of mongod to be had.

    tests/mongo/ferretdb.py build        builds it when this version is not there yet; prints the program's path
    tests/mongo/ferretdb.py start DIR    starts one with its data in DIR; prints its URI
    tests/mongo/ferretdb.py stop DIR
    tests/mongo/ferretdb.py run CMD...   runs a command with PIGEON_MONGO_URI of one that lives as long

Built from its Go module, once a version, into build/ferretdb/. A Go that is too old (Debian 12's 1.19) fetches a newer one as
a module. Only the SQLite backend is of use; it pushes little down: never measure speed on it. It does not sync its files here:
what it acknowledged is there after its process was killed, not after a power cut.
"""
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time

VERSION = "v1.24.2"
MODULE = "github.com/FerretDB/FerretDB"
GO_NEEDED, GO_FETCHED = (1, 24), "v0.0.1-go1.24.13.linux-"
ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
HOME = os.path.join(ROOT, "build", "ferretdb")
PROGRAM = os.path.join(HOME, f"ferretdb-{VERSION}")
START_SECONDS = 30
ENV = {"GOTOOLCHAIN": "local", "GOFLAGS": "-modcacherw -buildvcs=false", "GOWORK": "off", "CGO_ENABLED": "0"}


def _go(go, *args, cwd=HOME):
    done = subprocess.run([go, *args], cwd=cwd, env={**os.environ, **ENV}, stdout=subprocess.PIPE, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"ferretdb.py: `go {' '.join(args)}` failed with code {done.returncode}: {done.stdout[-500:]}")
    return done.stdout


def _module(go, name_and_version):
    """The directory of a module's source, fetched when it is not cached."""
    return json.loads(_go(go, "mod", "download", "-json", name_and_version))["Dir"]


def _recent_go():
    go = shutil.which("go") or next((p for p in ("/usr/local/go/bin/go", "/usr/lib/go/bin/go") if os.path.exists(p)), None)
    if not go:
        raise SystemExit("ferretdb.py: no `go` here; deploy/install.sh mongo installs it")
    found = re.match(r"go(\d+)\.(\d+)", _go(go, "env", "GOVERSION"))
    if found and tuple(map(int, found.groups())) >= GO_NEEDED:
        return go
    own = os.path.join(HOME, "go")
    if not os.path.exists(os.path.join(own, "complete")):
        shutil.rmtree(own, ignore_errors=True)
        shutil.copytree(_module(go, "golang.org/toolchain@" + GO_FETCHED + _go(go, "env", "GOARCH").strip()), own)
        _undo_module_rules(own)
        open(os.path.join(own, "complete"), "w").close()
    return os.path.join(own, "bin", "go")


def _undo_module_rules(tree):
    """A module's files are read-only and not executable, and it holds no second go.mod: they are called _go.mod in it."""
    for folder, _, files in os.walk(tree):
        os.chmod(folder, 0o755)
        program = os.path.basename(folder) == "bin" or "/pkg/tool" in folder
        for name in files:
            path = os.path.join(folder, name)
            os.chmod(path, 0o755 if program else 0o644)
            if name == "_go.mod":
                os.rename(path, os.path.join(folder, "go.mod"))


def build():
    if os.path.exists(PROGRAM):
        return PROGRAM
    os.makedirs(HOME, exist_ok=True)
    print(f"building FerretDB {VERSION} (once) ...", file=sys.stderr, flush=True)
    go, source, made = _recent_go(), os.path.join(HOME, "source"), PROGRAM + f".{os.getpid()}"
    shutil.rmtree(source, ignore_errors=True)
    shutil.copytree(_module(go, f"{MODULE}@{VERSION}"), source)
    for folder in (source, os.path.join(source, "build", "version")):
        os.chmod(folder, 0o755)
    with open(os.path.join(source, "build", "version", "version.txt"), "w", encoding="utf-8") as out:
        out.write(VERSION + "\n")  # it panics at start without
    _go(go, "build", "-trimpath", "-ldflags=-s -w", "-tags=ferretdb_no_postgresql", "-o", made, "./cmd/ferretdb", cwd=source)
    os.rename(made, PROGRAM)
    for folder, _, _ in os.walk(source):
        os.chmod(folder, 0o755)
    shutil.rmtree(source)
    return PROGRAM


class Ferret:
    """One running FerretDB. `stop` and `start` again keep the data and the address."""

    def __init__(self, directory):
        self.directory, self.address, self.process = os.path.abspath(directory), "127.0.0.1:0", None
        self.start()

    @property
    def uri(self):
        return f"mongodb://{self.address}/"

    def start(self):
        program, data = build(), os.path.join(self.directory, "data")
        os.makedirs(data, exist_ok=True)
        log = os.path.join(self.directory, "log")
        args = [program, "--handler=sqlite", f"--sqlite-url=file:{data}/?_pragma=synchronous(off)", f"--state-dir={self.directory}", "--telemetry=disable",
                f"--listen-addr={self.address}", "--debug-addr=-", "--log-format=json", "--log-level=INFO"]
        with open(log, "wb") as out:
            self.process = subprocess.Popen(args, stdin=subprocess.DEVNULL, stdout=out, stderr=out, start_new_session=True,
                                            env={**os.environ, "DO_NOT_TRACK": "1"})
        until = time.monotonic() + START_SECONDS
        while time.monotonic() < until and self.process.poll() is None:
            with open(log, encoding="utf-8", errors="replace") as text:
                found = re.search(r"Listening on TCP ([0-9.]+:\d+)", text.read())
            if found:
                self.address = found.group(1)
                return self
            time.sleep(0.02)
        self.kill()
        with open(log, encoding="utf-8", errors="replace") as text:
            raise RuntimeError("FerretDB did not start: " + text.read()[-800:])

    def stop(self):
        if self.process and self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(10)
            except subprocess.TimeoutExpired:
                self.kill()

    def kill(self):
        if self.process and self.process.poll() is None:
            self.process.kill()
            self.process.wait()


def stop(directory):
    with open(os.path.join(directory, "pid"), encoding="utf-8") as text:
        pid = int(text.read())
    try:
        with open(f"/proc/{pid}/cmdline", encoding="utf-8") as text:
            if directory in text.read():
                os.kill(pid, signal.SIGTERM)
        while os.path.exists(f"/proc/{pid}") and "(ferretdb" in open(f"/proc/{pid}/stat", encoding="utf-8").read().split()[1]:
            time.sleep(0.02)
    except OSError:
        pass  # gone


def run(command):
    """Without FerretDB the command runs all the same, and says itself what it leaves out."""
    shm = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
    with tempfile.TemporaryDirectory(prefix="pigeon-ferretdb-", dir=shm) as directory:
        try:
            one = Ferret(directory)
        except (Exception, SystemExit) as why:  # no network, no Go, no room
            print(f"FerretDB skipped because it cannot be had here: {why}", flush=True)
            return subprocess.call(command)
        try:
            return subprocess.call(command, env={**os.environ, "PIGEON_MONGO_URI": one.uri})
        finally:
            one.stop()


def main():
    verb, directory = (sys.argv + ["", ""])[1:3]
    if verb == "build":
        print(build())
    elif verb == "start" and directory:
        one = Ferret(directory)
        with open(os.path.join(directory, "pid"), "w", encoding="utf-8") as out:
            out.write(str(one.process.pid))
        print(one.uri)
    elif verb == "stop" and directory:
        stop(directory)
    elif verb == "run" and directory:
        sys.exit(run(sys.argv[2:]))
    else:
        raise SystemExit(__doc__)


if __name__ == "__main__":
    main()
