"""Runs the drills and prints a line each: the work behind `make drills`.

    run.py [--only 1,5] [--seed N] [--short] [--plant FAULT] [--keep] [--seconds S] [--kills N]

Exit status: 0 all passed, 1 something failed or is invalid. With --plant the drills that must catch the fault are run (or
those of --only), and the exit status is 1 as it should be: tests/drills/test_plants.py expects that.
Histories are kept, and their folder is printed, when a drill does not pass or with --keep.
"""
import argparse
import glob
import importlib
import os
import random
import re
import signal
import sys
import time
import traceback

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

from drill import HERE, PASS, PLANTS, Drill  # noqa: E402


def drills():
    """{number: module name}"""
    names = sorted(os.path.basename(p)[:-3] for p in glob.glob(os.path.join(HERE, "d[0-9][0-9]_*.py")))
    return {int(re.match(r"d(\d+)_", n).group(1)): n for n in names}


def arguments():
    parser = argparse.ArgumentParser(description="Pigeon's drills")
    parser.add_argument("--only", default="", help="numbers, separated by commas")
    parser.add_argument("--seed", type=int, default=0, help="0: a new one")
    parser.add_argument("--short", action="store_true", help="CI's length: at most a minute each")
    parser.add_argument("--plant", default="", choices=["", *PLANTS], help="a planted fault: the drill must fail")
    parser.add_argument("--keep", action="store_true", help="keep the history of passed drills, too")
    parser.add_argument("--seconds", type=int, default=60, help="how long faults go on in a full drill")
    parser.add_argument("--kills", type=int, default=0, help="drill 1: so many kills instead of --seconds")
    parser.add_argument("--acks", type=int, default=0, help="drill 1: and so many acknowledgements")
    parser.add_argument("--cuts", type=int, default=0, help="drills 3 and 4: so many rounds")
    options = parser.parse_args()
    options.seed = options.seed or random.randrange(1, 1 << 30)
    return options


def line(drill, took_s):
    figures = " ".join(f"{k}={v}" for k, v in drill.figures.items())
    return f"drill {drill.number:2} {drill.title}: {drill.result()}  seed={drill.seed} {figures} took={took_s:.0f}s"


def run_one(number, name, options):
    module = importlib.import_module(name)
    drill = Drill(number, module.TITLE, options)
    started = time.monotonic()
    try:
        module.run(drill)
        drill.judge()
    except Exception as problem:  # noqa: BLE001 - told on the line
        drill.fail(f"{type(problem).__name__}: {problem}")
        traceback.print_exc()
    finally:
        drill.close()
    passed = drill.result() == PASS
    print(line(drill, time.monotonic() - started), flush=True)
    for text in drill.failures[:20] + drill.voids:
        print("   ", text[:600], flush=True)
    if passed and not options.keep:
        drill.forget()
    else:
        print(f"    history: {drill.keep()}", flush=True)
    return passed


def main():
    options, known = arguments(), drills()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # what was started ends, too
    wanted = [int(n) for n in options.only.split(",") if n] or (PLANTS[options.plant][1] if options.plant else sorted(n for n in known if n <= 10))
    missing = [n for n in wanted if n not in known]
    if missing:
        print(f"no such drill: {missing}; there are {sorted(known)}", file=sys.stderr)
        return 2
    results = [run_one(n, known[n], options) for n in wanted]
    print(f"{sum(results)} passed, {len(results) - sum(results)} failed")
    return 0 if all(results) else 1


if __name__ == "__main__":
    sys.exit(main())
