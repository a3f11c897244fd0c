"""pigeon doctor: what would die here of an illegal instruction is said before it does."""
import json
import os

import pytest

CPUS = {
    "pi4": "processor\t: 0\nBogoMIPS\t: 108.00\nFeatures\t: fp asimd evtstrm crc32 cpuid\nCPU implementer\t: 0x41\nCPU part\t: 0xd08\n",
    "pi5": "processor\t: 0\nFeatures\t: fp asimd evtstrm aes pmull sha1 sha2 crc32 atomics fphp asimdhp cpuid\nCPU part\t: 0xd0b\n",
    "celeron": "processor\t: 0\nflags\t\t: fpu vme sse sse2 ssse3 sse4_1 sse4_2 popcnt\n",
    "server": "processor\t: 0\nflags\t\t: fpu vme sse sse2 avx avx2\n",
}


@pytest.fixture
def doctor(node, tmp_path):
    def ask(cpu, *args, nats="2.11.16"):
        (tmp_path / "cpuinfo").write_text(CPUS[cpu])
        node.env.update(PIGEON_CPUINFO=str(tmp_path / "cpuinfo"), PIGEON_NATS_VERSION=nats)
        try:
            done = node.pigeon("doctor", "--json", *args, check=False)
        finally:
            del node.env["PIGEON_CPUINFO"], node.env["PIGEON_NATS_VERSION"]
        return done.returncode, {line["text"].split(":")[0].split(" ")[0]: line for line in map(json.loads, done.stdout.splitlines())}
    return ask


@pytest.mark.parametrize("cpu, image, verdict", [
    ("pi4", "mongo:7.0", "bad"), ("pi4", "mongo:5.0.31", "bad"), ("pi4", "mongo:4.4.19", "bad"), ("pi4", "mongo", "bad"),
    ("pi4", "registry:5000/mongo:latest", "bad"), ("pi4", "mongo:4.4.18", "ok"), ("pi4", "mongo:4.2", "ok"),
    ("pi5", "mongo:7.0", "ok"), ("server", "mongo:7.0", "ok"), ("celeron", "mongo:5.0", "bad"), ("celeron", "mongo:4.4.29", "ok"),
])
def test_a_mongodb_that_would_die_is_named(doctor, cpu, image, verdict):
    code, lines = doctor(cpu, "--mongo-image", image)
    assert lines["processor"]["verdict"] == verdict, lines["processor"]
    assert (code == 1) == (verdict == "bad")
    assert verdict == "ok" or "SIGILL" in lines["processor"]["text"]


def test_a_pi_4_without_mongodb_is_only_a_note(doctor):
    code, lines = doctor("pi4")
    assert code == 0 and lines["processor"]["verdict"] == "note" and "4.4.18" in lines["processor"]["text"]


@pytest.mark.parametrize("version, verdict", [
    ("nats-server: v2.9.10", "note"), ("v2.10.27", "note"), ("v2.11.15", "note"), ("v2.11.16", "ok"), ("v2.12.6", "note"), ("v2.12.7", "ok"), ("v2.14.0", "ok"),
])
def test_nats_servers_with_open_routes_are_named(doctor, version, verdict):
    code, lines = doctor("server", nats=version)
    assert code == 0 and lines["nats-server"]["verdict"] == verdict


def test_everything_is_looked_at(doctor):
    assert {"processor", "nats-server", "disk", "clock", "civetweb", "open", "secrets", "ports"} <= set(doctor("server")[1])


def test_this_machine_has_a_processor(node):
    assert os.path.exists("/proc/cpuinfo")
    assert "processor:" in node.pigeon("doctor", check=False).stdout
