"""RFC 6455 by Autobahn's test suite: its fuzzing client against a gateway's echo route, the codec that clients use.

`make autobahn` runs it. The last line is `N passed, N failed`; any case that failed, or whose closing was wrong, makes the exit code 1.
CASES="1.* 7.*" runs some, KEEP=1 keeps the suite's reports (build/autobahn/report).
"""
import collections
import json
import os
import shutil
import subprocess
import sys
import tempfile

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.insert(0, os.path.join(ROOT, "tests/integration"))
from cluster import Cluster  # noqa: E402

WORK = os.path.join(ROOT, "build/autobahn")
WORDS = ["OK", "NON-STRICT", "INFORMATIONAL", "UNIMPLEMENTED", "FAILED"]
CHAPTERS = {1: "framing", 2: "pings and pongs", 3: "reserved bits", 4: "opcodes", 5: "fragmentation", 6: "UTF-8", 7: "closing", 9: "limits and performance",
            10: "auto-fragmentation", 12: "compression, one connection", 13: "compression, parameters"}


def suite_folder():
    """Where the suite reads and writes: inside its own root when it has one. (path here, path as the suite sees it)"""
    inner = os.path.join(WORK, "root")
    here = os.path.join(inner if os.path.isdir(inner) else WORK, "report")
    shutil.rmtree(here, ignore_errors=True)
    os.makedirs(here)
    return here, "/report" if os.path.isdir(inner) else here


def run_suite(url, cases):
    here, seen = suite_folder()
    spec = {"outdir": seen, "servers": [{"agent": "Pigeon", "url": url, "options": {"version": 18}}], "cases": cases, "exclude-cases": [], "exclude-agent-cases": {}}
    with open(os.path.join(here, "spec.json"), "w", encoding="utf-8") as f:
        json.dump(spec, f)
    with open(os.path.join(WORK, "wstest.log"), "w", encoding="utf-8") as log:
        subprocess.run([os.path.join(WORK, "wstest"), "-m", "fuzzingclient", "-s", seen + "/spec.json"], stdout=log, stderr=log, timeout=1800, check=False)
    with open(os.path.join(here, "index.json"), encoding="utf-8") as f:
        return json.load(f)["Pigeon"]


def word_of(result):
    """One word for a case: how it was answered and how it was closed, the worse of them."""
    if "FAILED" in (result["behavior"], result["behaviorClose"]) or result["behaviorClose"] in ("WRONG CODE", "UNCLEAN", "FAILED BY CLIENT"):
        return "FAILED"
    return result["behavior"]


def order(case):
    return [int(n) for n in case.split(".")]


def report(results):
    counts = collections.Counter()
    chapters = collections.defaultdict(collections.Counter)
    for case in sorted(results, key=order):
        word = word_of(results[case])
        assert word in WORDS, (case, results[case])
        counts[word] += 1
        chapters[order(case)[0]][word] += 1
        if word == "FAILED":
            print(f"case {case}: {results[case]['behavior']}, closing {results[case]['behaviorClose']} (code {results[case].get('remoteCloseCode')})")
    print("| chapter | " + " | ".join(WORDS) + " |\n" + "|---" * (len(WORDS) + 1) + "|")
    for number, row in sorted(chapters.items()):
        print(f"| {number} {CHAPTERS.get(number, '')} | " + " | ".join(str(row[w]) for w in WORDS) + " |")
    print("| all | " + " | ".join(str(counts[w]) for w in WORDS) + " |")
    return counts


def main():
    folder = tempfile.mkdtemp(prefix="pgn-autobahn-")
    cluster = Cluster(folder, {"PIGEON_LOG_LEVEL": "warn"}, services=("storage", "gateway"))  # a gateway is ready when storage is
    try:
        cluster.up()
        results = run_suite(f"ws://127.0.0.1:{cluster.gateway_port}/echo", os.environ.get("CASES", "*").split())
        counts = report(results)
    finally:
        cluster.down()
        shutil.rmtree(folder, ignore_errors=True)
    passed, failed = len(results) - counts["FAILED"], counts["FAILED"]
    print("Compression (permessage-deflate) is off: its cases are not implemented, and counted as neither." if counts["UNIMPLEMENTED"] else "")
    print(f"{passed - counts['UNIMPLEMENTED']} passed, {failed} failed")
    return 1 if failed or not passed else 0


if __name__ == "__main__":
    sys.exit(main())
