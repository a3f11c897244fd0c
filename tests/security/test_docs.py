"""The list of defences stays true: every edit of mutations.py fits the source, every defence and test stands in docs/SECURITY.md."""
import os

from cluster import ROOT
from mutations import MUTATIONS


def read(path):
    with open(os.path.join(ROOT, path), encoding="utf-8") as f:
        return f.read()


def test_each_mutation_still_fits_the_source():
    gone = [f"{m.name}: {path} no longer has {old!r}" for m in MUTATIONS for path, old, _ in m.edits if old is not None and old not in read(path)]
    assert not gone, "\n".join(gone)


def test_the_table_names_each_defence_and_its_test():
    rows = [line for line in read("docs/SECURITY.md").splitlines() if line.startswith("| ")]
    for m in MUTATIONS:
        path = m.tests[0].split("[")[0].rsplit("/", 1)[-1].replace("::", " ").split(" ")[-1]
        assert [r for r in rows if r.startswith(f"| {m.point} |") and m.name in r and path in r], f"docs/SECURITY.md has no row for {m.name} ({path})"


def test_the_tests_exist():
    for m in MUTATIONS:
        for test in m.tests:
            file, _, name = test.partition("::")
            file = file if file.endswith(".py") else file + ".c"
            assert not name or f"def {name.split('[')[0]}(" in read(file), test
