"""What must not be in a committed file: unfinished marks, places of one machine, keys."""
import re
import subprocess
import sys

BANNED = [
    (re.compile(r"\b(TO" r"DO|FIX" r"ME|X" r"XX)\b"), "an unfinished mark: finish it or open an issue"),
    (re.compile(r"(/wo" r"rk/|/ro" r"ot/|/ho" r"me/\w)"), "a path of one machine"),
    (re.compile(r"registry\.npm|pypi\.org|deb\.debian\.org|proxy\.golang|crates\.io|repo\.maven"), "a registry's host"),
    (re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY"), "a private key"),
]


def main():
    files = subprocess.run(["git", "ls-files"], capture_output=True, text=True, check=True).stdout.split("\n")
    wrong = []
    for path in filter(None, files):
        if path.endswith((".png", ".ico", ".woff2")) or path.startswith("tests/fuzz/corpus/") or path == "tests/lint/text.py":
            continue
        try:
            for number, line in enumerate(open(path, encoding="utf-8"), 1):
                wrong += [f"{path}:{number}: {why}: {line.strip()[:100]}" for pattern, why in BANNED if pattern.search(line)]
        except UnicodeDecodeError:
            wrong.append(f"{path}: not UTF-8 text; binaries do not go into the repository")
        except FileNotFoundError:
            continue
    print("\n".join(wrong))
    return 1 if wrong else 0


sys.exit(main())
