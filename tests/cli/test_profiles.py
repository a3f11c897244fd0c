"""Profiles of Raspberry Pis (docs/PI.md): each is valid, chosen by model and memory, merged into pigeon.yaml; its limits are in force."""
import glob
import os
import re
import subprocess

import pytest

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BUILD = os.path.join(ROOT, os.environ.get("PIGEON_BUILD", "build/debug"))
PROFILES = sorted(os.path.basename(p)[:-5] for p in glob.glob(os.path.join(ROOT, "deploy/profiles/*.yaml")))
GIB = 1024 * 1024  # in /proc/meminfo's kB


def make_config(data, check=True, **env):
    env = {**{k: v for k, v in os.environ.items() if not k.startswith("PIGEON_")}, "PIGEON_DATA": str(data), "PIGEON_BUILD": BUILD, **env}
    done = subprocess.run([os.path.join(ROOT, "deploy/make-config.sh")], env=env, capture_output=True, text=True, check=check)
    return done


def settings(path):
    rows, section = {}, ""
    for line in open(path, encoding="utf-8"):
        line = line.split(" #")[0].rstrip()
        if re.match(r"[a-z]", line):
            section = line.rstrip(":")
        elif re.match(r" +[a-z]", line):
            key, value = line.strip().split(": ", 1)
            assert (section, key) not in rows, f"{section}.{key} twice in {path}"
            rows[section, key] = value
    return rows


def config_check(path):
    done = subprocess.run([os.path.join(BUILD, "pigeon"), "config", "check", str(path)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_there_are_the_four():
    assert PROFILES == ["pi4-2gb", "pi4-4gb", "pi4-8gb", "pi5"]


@pytest.mark.parametrize("profile", PROFILES)
def test_a_profile_is_valid_and_merged_whole(profile, tmp_path):
    fragment = os.path.join(ROOT, "deploy/profiles", profile + ".yaml")
    config_check(fragment)
    make_config(tmp_path / "var", PIGEON_PROFILE=profile)
    config_check(tmp_path / "var/pigeon.yaml")
    merged = settings(tmp_path / "var/pigeon.yaml")
    assert settings(fragment).items() <= merged.items()
    assert merged["api", "accel"] == "true"
    text = (tmp_path / "var/run/redis.conf").read_text() + (tmp_path / "var/run/nats.conf").read_text()
    assert "@" not in text.replace("@127", "")
    for name in ("nats", "redis", "gateway", "message", "presence", "storage", "api"):
        assert re.search(r"chpst -P -d [1-9]\d+ ", (tmp_path / "var/run/sv" / name / "run").read_text()), name
    assert "GOMEMLIMIT=" in (tmp_path / "var/run/sv/nats/run").read_text()


@pytest.mark.parametrize("model, kib, profile", [
    ("Raspberry Pi 4 Model B Rev 1.4", 1.8 * GIB, "pi4-2gb"), ("Raspberry Pi 4 Model B Rev 1.5", 3.7 * GIB, "pi4-4gb"),
    ("Raspberry Pi 400 Rev 1.0", 3.7 * GIB, "pi4-4gb"), ("Raspberry Pi Compute Module 4 Rev 1.1", 7.6 * GIB, "pi4-8gb"),
    ("Raspberry Pi 5 Model B Rev 1.0", 7.8 * GIB, "pi5"), ("Raspberry Pi 5 Model B Rev 1.1", 1.9 * GIB, "pi4-2gb"),
    ("Raspberry Pi 500 Rev 1.0", 7.8 * GIB, "pi5"), ("Raspberry Pi 3 Model B Plus Rev 1.3", 0.9 * GIB, "none"), ("Rock 5", 8 * GIB, "none"),
])
def test_the_one_that_fits_is_chosen_and_kept(model, kib, profile, tmp_path):
    (tmp_path / "model").write_bytes(model.encode() + b"\0")
    (tmp_path / "meminfo").write_text(f"MemTotal:        {int(kib)} kB\nMemFree: 1 kB\n")
    said = make_config(tmp_path / "var", PIGEON_MODEL=str(tmp_path / "model"), PIGEON_MEMINFO=str(tmp_path / "meminfo")).stdout
    assert said.count("\n") == (profile != "none") and (profile == "none" or said.startswith(f"Profile:           {profile}, as this is a {model} with"))
    assert f"PROFILE={profile}\n" in (tmp_path / "var/run/ports").read_text()
    assert make_config(tmp_path / "var").stdout == "", "kept, though this machine is none"
    assert f"PROFILE={profile}\n" in (tmp_path / "var/run/ports").read_text()


def test_what_is_there_stays(tmp_path):
    make_config(tmp_path / "var")
    before = (tmp_path / "var/pigeon.yaml").read_text()
    said = make_config(tmp_path / "var", PIGEON_PROFILE="pi5").stdout
    assert "stays as it is" in said and "deploy/profiles/pi5.yaml" in said
    assert (tmp_path / "var/pigeon.yaml").read_text() == before
    refused = make_config(tmp_path / "var", check=False, PIGEON_PROFILE="pi6")
    assert refused.returncode == 1 and "pi4-2gb pi4-4gb pi4-8gb pi5, or none" in refused.stderr


def test_doctor_names_it(node):
    path = os.path.join(node.data, "run", "ports")
    before = open(path, encoding="utf-8").read()
    try:
        with open(path, "w", encoding="utf-8") as ports:
            ports.write(re.sub("PROFILE=.*", "PROFILE=pi4-2gb", before))
        assert "profile: pi4-2gb" in node.pigeon("doctor", check=False).stdout
    finally:
        with open(path, "w", encoding="utf-8") as ports:
            ports.write(before)
