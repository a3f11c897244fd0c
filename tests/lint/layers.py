"""An include points only to the left: base <- io <- svc, bus, kv <- proto <- services; and some headers have one includer."""
import re
import subprocess
import sys

RANK = {"base": 0, "io": 1, "svc": 2, "bus": 2, "kv": 2, "proto": 3}
ONLY = {"nats.h": "common/bus/", "nats/nats.h": "common/bus/", "civetweb.h": "common/svc/", "hiredis.h": "common/kv/",
        "hiredis/hiredis.h": "common/kv/", "rocksdb/c.h": "services/storage/", "sqlite3.h": "services/storage/", "yaml.h": "common/svc/"}


def rank(path):
    parts = path.split("/")
    return RANK[parts[1]] if parts[0] == "common" else 9


def main():
    wrong = []
    files = subprocess.run(["git", "ls-files", "common/*.[ch]", "services/*.[ch]"], capture_output=True, text=True, check=True).stdout.split()
    for path in files:
        for number, line in enumerate(open(path, encoding="utf-8"), 1):
            found = re.match(r'\s*#\s*include\s+[<"]([^">]+)[">]', line)
            if not found:
                continue
            name = found.group(1)
            if name in ONLY and not path.startswith(ONLY[name]):
                wrong.append(f"{path}:{number}: only {ONLY[name]} includes {name}")
            if name.endswith(".pb-c.h") and rank(path) < RANK["proto"]:
                wrong.append(f"{path}:{number}: {path.split('/')[1]} is left of proto and cannot know {name}")
            if name.startswith("common/") and rank(name) > rank(path):
                wrong.append(f"{path}:{number}: {name} is to the right of {'/'.join(path.split('/')[:2])}")
            if name.startswith("services/") and name.split("/")[:2] != path.split("/")[:2]:
                wrong.append(f"{path}:{number}: a service (or common) includes {name} of another one; what two need is in common/")
    print("\n".join(wrong))
    return 1 if wrong else 0


sys.exit(main())
