#!/usr/bin/env python3
"""Takes out one defence after the other and sees its test fail: `make security-mutations`.

Each mutation is applied to a copy of the source tree in a temporary directory, built there, and its tests are run there:
they must fail, by an assertion, not by a service that does not start. Before that every test must pass on the copy as it is.
  take-out.py [--tree DIRECTORY] [--jobs N] [WORD ...]     only those of these points, or whose name has one of the words
--tree keeps the copy there and uses it again: the next run builds only what changes.
"""
import argparse
import os
import re
import subprocess
import sys
import tempfile
import time

from mutations import MUTATIONS

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))


class Copy:
    """The tree as it is committed, with a build of its own."""

    def __init__(self, folder, jobs):
        self.root, self.jobs = folder, jobs
        if not os.path.exists(os.path.join(folder, "Makefile")):
            archive = subprocess.run(["git", "archive", "HEAD"], cwd=ROOT, capture_output=True, check=True).stdout
            subprocess.run(["tar", "-x", "-C", folder], input=archive, check=True)

    def make(self, tests):
        goals = {"services"} if any(t.startswith("tests/") and ".py" in t for t in tests) else set()
        goals |= {"build/debug/" + t for t in tests if t.startswith("tests/") and ".py" not in t}
        if not goals:
            return ""
        done = subprocess.run(["make", "-s", "PROFILE=debug", f"-j{self.jobs}", *sorted(goals)], cwd=self.root, capture_output=True, text=True, check=False)
        return (done.stdout + done.stderr)[-1500:] if done.returncode else ""

    def run(self, test):
        """(passed, failed by an assertion, output)"""
        if ".py" not in test:
            command = ["build/debug/" + test]
        elif "/test_" in test:
            command = [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", test]
        else:
            command = [sys.executable, test]
        done = subprocess.run(command, cwd=self.root, env={**os.environ, "PIGEON_BUILD": "build/debug"}, capture_output=True, text=True, timeout=200, check=False)
        text = done.stdout + done.stderr
        if "-m" in command:
            failed = done.returncode == 1 and re.search(r"^\d+ failed", text.splitlines()[-1] if text else "")
        else:
            failed = done.returncode not in (0, 126, 127)
        skipped = "-m" in command and " skipped" in text.splitlines()[-1]
        return done.returncode == 0 and not skipped, bool(failed), text


def change(copy, edits):
    """Applies the edits; gives what undoes them, or says which one no longer fits the source."""
    before = {}
    for path, old, new in edits:
        full = os.path.join(copy.root, path)
        text = open(full, encoding="utf-8").read() if os.path.exists(full) else None
        before.setdefault(full, text)
        if old is not None and (text is None or old not in text):
            undo(before)
            raise LookupError(f"{path} no longer has {old!r}: mend mutations.py")
        os.makedirs(os.path.dirname(full), exist_ok=True)
        with open(full, "w", encoding="utf-8") as f:
            f.write(new if old is None else text.replace(old, new))
    return before


def undo(before):
    for path, text in before.items():
        if text is None:
            os.unlink(path)
        else:
            with open(path, "w", encoding="utf-8") as f:
                f.write(text)


def table():
    """The rows of docs/SECURITY.md."""
    for m in MUTATIONS:
        files = ", ".join(f"`{p}`" for p in dict.fromkeys(p for p, _, _ in m.edits))
        tests = [t.split("::") for t in m.tests]
        names = ", ".join("`" + " ".join(["/".join(t[0].split("/")[1:])] + [n.split("[")[0] for n in t[1:]]) + "`" for t in tests)
        print(f"| {m.point} | {m.name} | {files} | {names} |")


def try_one(copy, mutation):
    """'' when the test saw it, else what went wrong."""
    try:
        before = change(copy, mutation.edits)
    except LookupError as gone:
        return str(gone)
    try:
        problem = copy.make(mutation.tests)
        if problem:
            return "does not build:\n" + problem
        for test in mutation.tests:
            passed, failed, text = copy.run(test)
            if not failed:
                return f"{test} {'passed all the same' if passed else 'broke'}:\n{text[-1500:]}"
        return ""
    finally:
        undo(before)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--tree")
    parser.add_argument("--table", action="store_true", help="the rows of docs/SECURITY.md, and nothing else")
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("words", nargs="*")
    args = parser.parse_args()
    if args.table:
        table()
        return 0
    chosen = [m for m in MUTATIONS if not args.words or any(w == str(m.point) if w.isdigit() else w in m.name for w in args.words)]
    bad = 0
    with tempfile.TemporaryDirectory(prefix="pigeon-take-out-") as folder:
        copy = Copy(args.tree or folder, args.jobs)
        tests = sorted({t for m in chosen for t in m.tests})
        problem = copy.make(tests)
        if problem:
            print("the tree itself does not build:\n" + problem)
            return 2
        for test in tests:
            passed, _, text = copy.run(test)
            if not passed:
                print(f"fails or is skipped with all defences in place: {test}\n{text[-1500:]}")
                bad += 1
        print(f"{len(tests)} tests, {len(tests) - bad} pass with all defences in place", flush=True)
        for m in chosen:
            started = time.monotonic()
            problem = try_one(copy, m)
            bad += bool(problem)
            print(f"{'seen  ' if not problem else 'MISSED'} {m.point:>2}  {m.name:58} {m.edits[0][0]:38} {', '.join(m.tests)}  {time.monotonic() - started:.0f} s", flush=True)
            if problem:
                print("    " + problem.replace("\n", "\n    "), flush=True)
    print(f"{len(chosen)} defences taken out, {bad} not seen")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
