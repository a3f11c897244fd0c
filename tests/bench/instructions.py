"""Counts the instructions of the hot functions by callgrind and compares them with tests/bench/instructions.json.

    tests/bench/instructions.py PROGRAM [--record]

A count depends on the architecture, the compiler's and the libraries' versions: each such combination has its own record; on one that
has none the counts are only printed. Unlike times they hardly vary, so a fifth more is a loss for certain.
"""
import json
import os
import platform
import re
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
RECORDED = os.path.join(HERE, "instructions.json")
MORE = 1.25  # a fifth slower: four fifths of the rate


def here():
    """The combination that counts hold for."""
    compiler = subprocess.run(["cc", "-dumpfullversion"], stdout=subprocess.PIPE, text=True, check=True).stdout.strip()
    libc = platform.libc_ver()[1]
    return f"{platform.machine()} gcc {compiler} glibc {libc}"


def count(program):
    with tempfile.TemporaryDirectory(prefix="pigeon-hot-") as work:
        done = subprocess.run(["valgrind", "--tool=callgrind", f"--callgrind-out-file={work}/out", program], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, check=False)
        if done.returncode:
            raise SystemExit(f"instructions: {program} under valgrind ended with {done.returncode}:\n{done.stderr[-1500:]}")
        calls = {name: int(n) for name, n, _ in re.findall(r"^(\w+) (\d+) ([\d.]+)$", done.stdout, re.M)}
        found = {}
        for name in sorted(os.listdir(work)):
            with open(os.path.join(work, name), encoding="utf-8", errors="replace") as f:
                part = f.read()
            title = re.search(r"^desc: Trigger: Client Request: (\w+)", part, re.M)
            total = re.search(r"^(?:totals|summary): (\d+)", part, re.M)
            if title and total:
                found[title.group(1)] = round(int(total.group(1)) / calls[title.group(1)])
        missing = set(calls) - set(found)
        if missing or not calls:
            raise SystemExit(f"instructions: no counts of {sorted(missing)}")
        return {name: found[name] for name in calls}


def main():
    counts, key = count(sys.argv[1]), here()
    records = {}
    if os.path.exists(RECORDED):
        with open(RECORDED, encoding="utf-8") as f:
            records = json.load(f)
    if "--record" in sys.argv:
        records[key] = counts
        with open(RECORDED, "w", encoding="utf-8") as f:
            json.dump(records, f, indent=2)
            f.write("\n")
    old, worse = records.get(key), []
    for name, n in counts.items():
        before = (old or {}).get(name)
        print(f"{name:24} {n:9,} instructions a call" + (f", recorded {before:,}: {n / before * 100:.1f} %" if before else ", nothing recorded"))
        if before and n > before * MORE:
            worse.append(name)
    if old is None:
        print(f"bench-instructions skipped because nothing is recorded for {key}")
    elif worse:
        print(f"bench-instructions: FAILED, a fifth slower than recorded ({key}): {', '.join(worse)}")
    else:
        print(f"bench-instructions: nothing has lost a fifth ({key})")
    return 1 if worse else 0


if __name__ == "__main__":
    sys.exit(main())
