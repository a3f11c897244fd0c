#!/usr/bin/env python3
"""Builds the peers that Debian does not have, from their Go modules, once a version, into build/peers/.

Says which were built; one that cannot be had here is named with the reason, and `make bench` goes on without it.
"""
import os
import subprocess
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.insert(0, os.path.join(ROOT, "tests", "mongo"))
import ferretdb  # noqa: E402  how a recent Go is had

HOME = os.path.join(ROOT, "build", "peers")
TINODE = "github.com/tinode/chat@v0.22.13"
PEERS = {
    "centrifugo": ("github.com/centrifugal/centrifugo/v5@v5.4.9", ".", []),
    "tinode": (TINODE, "./server", ["-tags=postgres"]),
    "tinode-db": (TINODE, "./tinode-db", ["-tags=postgres"]),  # makes its tables
}


def build(name):
    module, package, tags = PEERS[name]
    program = os.path.join(HOME, name)
    if os.path.exists(program):
        return
    go = ferretdb._recent_go()
    source = ferretdb._module(go, module)
    made = f"{program}.{os.getpid()}"
    done = subprocess.run([go, "build", "-p", "2", "-trimpath", "-ldflags=-s -w", *tags, "-o", made, package], cwd=source, env={**os.environ, **ferretdb.ENV},
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False, timeout=1500)
    if done.returncode:
        raise RuntimeError(done.stdout[-500:])
    os.rename(made, program)


def main():
    os.makedirs(HOME, exist_ok=True)
    os.makedirs(ferretdb.HOME, exist_ok=True)
    for name in sys.argv[1:] or PEERS:
        try:
            build(name)
            print(f"{name}: built")
        except (Exception, SystemExit) as why:
            print(f"{name}: not built: {why}")
            with open(os.path.join(HOME, name + ".why"), "w", encoding="utf-8") as f:
                f.write(str(why)[-300:])


main()
