"""pigeon export and import: from the embedded store to MongoDB (FerretDB) and back, with the services."""
import os
import shutil
import signal
import subprocess
import sys

import pytest

from cluster import ROOT

sys.path.insert(0, os.path.join(ROOT, "tests", "mongo"))
from ferretdb import Ferret  # noqa: E402


@pytest.fixture
def mongo(tmp_path):
    try:
        one = Ferret(tmp_path / "ferretdb")
    except (RuntimeError, SystemExit, OSError) as why:
        pytest.skip(f"FerretDB skipped because it cannot be had here: {why}")
    yield {"PIGEON_STORAGE_ENGINE": "mongodb", "PIGEON_STORAGE_MONGO_URI": one.uri, "PIGEON_STORAGE_MONGO_DATABASE": "moved"}
    one.stop()


def stop_storage(cluster):
    cluster.kill("storage", signal.SIGTERM)  # waits for its end


def lines(path):
    """Frames are zstd's: any tool reads them. Here the library that is there."""
    return subprocess.run(["zstd", "-dc", path], capture_output=True, check=True).stdout.decode().splitlines() if shutil.which("zstd") else []


def test_there_and_back(fresh, mongo, tmp_path):
    cluster = fresh()
    cluster.add_users("mv-a", "mv-b")
    for i in range(30):
        cluster.pigeon("send", "mv-a", "mv-b", f"before {i}")
    files = [str(tmp_path / f"{i}.jsonl.zst") for i in range(3)]
    running = cluster.pigeon("export", files[0], check=False)
    assert running.returncode == 1 and "Stop it first" in running.stderr and not os.path.exists(files[0])
    stop_storage(cluster)
    assert "Exported" in cluster.pigeon("export", files[0]).stdout
    assert os.stat(files[0]).st_mode & 0o77 == 0
    again = cluster.pigeon("export", files[0], check=False)
    assert again.returncode == 1 and "exists" in again.stderr
    full = cluster.pigeon("import", files[0], check=False)
    assert full.returncode == 1 and "not empty" in full.stderr

    cluster.env.update(mongo)
    assert "store mongodb" in cluster.pigeon("import", files[0]).stdout
    cluster.pigeon("export", files[1])
    cluster.start("storage")
    assert "before 29" in cluster.pigeon("history", "d:mv-a:mv-b").stdout
    stop_storage(cluster)

    for name in mongo:
        del cluster.env[name]
    shutil.rmtree(os.path.join(cluster.data, "store"))
    cluster.pigeon("import", files[1])
    cluster.pigeon("export", files[2])
    cluster.start("storage")
    assert "before 29" in cluster.pigeon("history", "d:mv-a:mv-b").stdout
    cluster.pigeon("send", "mv-b", "mv-a", "after")
    assert "after" in cluster.pigeon("history", "d:mv-a:mv-b").stdout
    first, second, third = (open(f, "rb").read() for f in files)
    assert first == second == third
    text = lines(files[0])
    assert not text or (text[0].startswith('{"head"') and text[-1].startswith('{"end"') and any("before 7" in t for t in text))


def test_damage_is_named(fresh, tmp_path):
    cluster = fresh()
    cluster.add_users("mv-a", "mv-b")
    cluster.pigeon("send", "mv-a", "mv-b", "one")
    stop_storage(cluster)
    path = str(tmp_path / "x.zst")
    cluster.pigeon("export", path)
    shutil.rmtree(os.path.join(cluster.data, "store"))
    whole = open(path, "rb").read()
    for wrong, text in ((whole[:-1], "did not finish"), (whole[:40] + bytes([whole[40] ^ 0xff]) + whole[41:], "cannot be imported"), (b"{}\n", "cannot be unpacked")):
        open(path, "wb").write(wrong)
        done = cluster.pigeon("import", path, check=False)
        assert done.returncode == 1 and text in done.stderr, done.stderr
    open(path, "wb").write(whole)
    cluster.pigeon("import", path)
