"""Runs the suites and counts: the work behind `make test`.

A suite is a command and a way to read its counts. Output goes to build/test/<suite>.log and is shown when the suite
fails. The last line is `N passed, N failed`; the exit code is 1 when anything failed or a suite ran no test.
"""
import glob
import os
import re
import subprocess
import sys
import time
import xml.etree.ElementTree as xml

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
LOGS = os.path.join(ROOT, "build", "test")
PYTEST = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--durations=5"]
JOBS = str(os.cpu_count() or 2)
WEB = ["make", "-s", "-C", ROOT, "web"]
MQTT_JS = ["sh", "-c", "cd tests/mqtt/clients && { cmp -s package-lock.json node_modules/installed || { npm ci --no-audit --no-fund --loglevel=error && cp package-lock.json node_modules/installed; }; }"]


class Suite:
    """One command, or a list of them in turn; `read` gives (passed, failed, skipped) of its output."""

    def __init__(self, name, commands, read, env=None, timeout=600, cwd=".", lines=None):
        self.lines = lines  # gives further lines to print, of the output
        self.name, self.commands, self.read, self.env, self.timeout, self.cwd = name, commands, read, env or {}, timeout, cwd


def read_cmocka(output, code, _name):
    passed = sum(int(n) for n in re.findall(r"\[  PASSED  \] (\d+) test", output))
    failed = sum(int(n) for n in re.findall(r"\[  FAILED  \] (\d+) test", output))
    skipped = sum(int(n) for n in re.findall(r"\[  SKIPPED \] (\d+) test", output))
    return passed, failed or (1 if code else 0), skipped


def read_junit(output, code, name):
    try:
        root = xml.parse(os.path.join(LOGS, name + ".xml")).getroot()
    except (OSError, xml.ParseError):
        return 0, 1, 0
    total = {k: sum(int(s.get(k, 0)) for s in root.iter("testsuite")) for k in ("tests", "failures", "errors", "skipped")}
    failed = total["failures"] + total["errors"]
    return total["tests"] - failed - total["skipped"], failed or (1 if code else 0), total["skipped"]


def read_line(output, code, _name):
    found = re.findall(r"^(?:\w+: )?(\d+) passed, (\d+) failed", output, re.M)
    if not found:
        return 0, 1, 0
    return sum(int(p) for p, _ in found), sum(int(f) for _, f in found) or (1 if code else 0), 0


def read_vitest(output, code, _name):
    line = (re.findall(r"^\s*Tests\s+(.*)$", re.sub(r"\x1b\[[0-9;]*m", "", output), re.M) or [""])[-1]
    count = {word: int(n) for n, word in re.findall(r"(\d+) (passed|failed|skipped)", line)}
    return count.get("passed", 0), count.get("failed", 0) or (1 if code else 0), count.get("skipped", 0)


def by_store(output):
    """Counts of the conformance suite, a line a store."""
    counts, store = {}, None
    for line in output.splitlines():
        found = re.match(r"store: (\w+)$", line)
        store = found.group(1) if found else store
        for word, number in re.findall(r"\[  (PASSED|FAILED)  \] (\d+) test", line):
            counts.setdefault(store, {"PASSED": 0, "FAILED": 0})[word] += int(number)
    names = {"mongodb": "mongodb (FerretDB)"}
    return [f"{names.get(s, s):20} {c['PASSED']:5} passed {c['FAILED']:3} failed" for s, c in counts.items()]


def conformance():
    """The same tests on every store. FerretDB is built once a version, see tests/mongo/ferretdb.py."""
    script = (f"make -s CI=1 PROFILE=debug -j{JOBS} unit-build && status=0; for t in $(ls build/debug/tests/conformance/test_* | grep -v '\\.'); do "
              "echo \"== $t\"; timeout 400 stdbuf -oL $t || { echo \"exit code $? of $t\"; status=1; }; done; exit $status")
    command = [sys.executable, "tests/mongo/ferretdb.py", "run", "sh", "-c", script]
    return Suite("conformance", [command], read_cmocka, timeout=1500, lines=by_store)


def unit(profile):
    """All cmocka binaries of a profile, found after the build."""
    also = "" if profile == "debug" else f"build/{profile}/tests/conformance"
    script = (f"make -s CI=1 PROFILE={profile} -j{JOBS} unit-build && status=0; "
              f"for t in $(find build/{profile}/tests/unit {also} -name 'test_*' -type f -perm -u+x | sort); do "
              "echo \"== $t\"; timeout 180 $t || { echo \"exit code $? of $t\"; status=1; }; done; exit $status")
    return Suite("unit-" + profile, [["sh", "-c", script]], read_cmocka, timeout=900)


def pytest(name, profile, paths, before=(), options=()):
    paths = [p for p in paths if glob.glob(os.path.join(ROOT, p))]
    build = ["make", "-s", "CI=1", f"PROFILE={profile}", f"-j{JOBS}", "services"]
    run = PYTEST + [f"--junitxml={LOGS}/{name}.xml", *options, *paths]
    return Suite(name, [build, *before, run], read_junit, env={"PIGEON_BUILD": f"build/{profile}"}, timeout=900)


def sim():
    """Each planted fault is found, the seeds that once found something, and some hundred more; with sanitizers."""
    build = ["make", "-s", "CI=1", "PROFILE=asan", f"-j{JOBS}", "build/asan/pigeon-sim"]
    run = ["sh", "-c", "status=0; for a in --self-test '--file tests/sim/seeds.txt' '--seeds 300'; do build/asan/pigeon-sim $a || status=1; done; exit $status"]
    return Suite("sim-asan", [build, run], read_line, env={"ASAN_OPTIONS": "detect_leaks=0"}, timeout=900)


SUITES = [
    unit("debug"),
    conformance(),
    unit("asan"),
    Suite("web-unit", [WEB, ["npm", "test", "--silent"]], read_vitest, cwd="clients/web", timeout=300),
    pytest("integration-debug", "debug", ["tests/integration", "tests/api", "tests/cli"]),
    pytest("integration-asan", "asan", ["tests/integration", "tests/api", "tests/cli"], options=["--ignore=tests/cli/test_load.py"]),  # its faults are planted in debug
    pytest("security", "debug", ["tests/security"]),
    pytest("mqtt", "debug", ["tests/mqtt"], [MQTT_JS]),
    pytest("mqtt-asan", "asan", ["tests/mqtt"], [MQTT_JS]),
    sim(),
    pytest("stack", "release", ["tests/stack"], [WEB]),
    pytest("cluster", "release", ["tests/cluster"], [WEB]),
    pytest("churn", "debug", ["tests/churn"], [["make", "-s", f"PROFILE={p}", f"-j{JOBS}", f"build/{p}/pigeon-gateway"] for p in ("tsan", "asan")]),
]

EXTRA = {"cluster", "churn", "mqtt-asan"}  # beyond the 20 minutes of `make test`: only when named, as .ci/run does


def run(suite):
    started = time.monotonic()
    output, code = "", 0
    for command in suite.commands:
        try:
            done = subprocess.run(command, cwd=os.path.join(ROOT, suite.cwd), env={**os.environ, **suite.env}, timeout=suite.timeout,
                                  stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace", check=False)
            output, code = output + done.stdout, done.returncode
        except subprocess.TimeoutExpired as late:
            text = late.stdout or b""
            output += text.decode(errors="replace") if isinstance(text, bytes) else text
            output, code = output + f"\nstopped after {suite.timeout} s\n", 124
        if code:
            break
    with open(os.path.join(LOGS, suite.name + ".log"), "w", encoding="utf-8") as log:
        log.write(output)
    passed, failed, skipped = suite.read(output, code, suite.name)
    if not passed and not failed:
        failed = 1
        output += "\nno test was run\n"
    if failed:
        print("\n".join(output.splitlines()[-150:]))
    print(f"{suite.name:20} {passed:5} passed {failed:3} failed {skipped:3} skipped  {time.monotonic() - started:6.1f} s", flush=True)
    for line in suite.lines(output) if suite.lines else ():
        print(f"    {line}", flush=True)
    if skipped or "skipped because" in output:
        reasons = re.findall(r"SKIPPED.*|.*skipped because.*", output)
        print("".join(f"    {r.strip()}\n" for r in reasons[:10]), end="", flush=True)
    return passed, failed


def main():
    names = sys.argv[1:]
    if names == ["--list"]:
        print("\n".join(s.name for s in SUITES))
        return 0
    unknown = set(names) - {s.name for s in SUITES}
    if unknown:
        print(f"no such suite: {', '.join(sorted(unknown))}; tests/run.sh --list names them", file=sys.stderr)
        return 2
    os.makedirs(LOGS, exist_ok=True)
    totals = [run(s) for s in SUITES if (s.name in names if names else s.name not in EXTRA)]
    passed, failed = (sum(t) for t in zip(*totals))
    print(f"{passed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
