"""docs/METRICS.md from the tables services/*/*_metrics.h: `metrics.py` writes it, `metrics.py --check` fails on drift."""
import glob
import re
import sys

OUT = "docs/METRICS.md"
ROW = re.compile(r'PGN_METRIC\(\s*(\w+)\s*,\s*(\w+)\s*,\s*"([^"]+)"\s*,\s*"([^"]*)"\s*,\s*((?:"[^"]*"\s*)+)\)', re.S)


def document():
    lines = ["# Metrics", "", "Generated from the tables `*_metrics.h`; `make docs` writes it anew. Every service shows its own at `/metrics` on its admin port.", ""]
    for path in sorted(glob.glob("common/*/*_metrics.h") + glob.glob("services/*/*_metrics.h")):
        rows = [r for r in ROW.findall(open(path, encoding="utf-8").read()) if r[0] != "id"]  # the comment that explains the columns
        if not rows:  # metrics.h beside the table that it explains
            continue
        lines += [f"## {path.split('/')[1]}", "", "| name | kind | unit | |", "|---|---|---|---|"]
        for _, kind, name, unit, text in rows:
            text = "".join(re.findall(r'"([^"]*)"', text))
            lines.append(f"| `pigeon_{name}` | {kind.replace('PGN_', '').lower()} | {unit} | {text} |")
        lines.append("")
    return "\n".join(lines)


def main():
    text = document()
    if "--check" not in sys.argv:
        open(OUT, "w", encoding="utf-8").write(text)
        return 0
    if open(OUT, encoding="utf-8").read() != text:
        print(f"{OUT} is not what the tables say: run make docs")
        return 1
    return 0


sys.exit(main())
