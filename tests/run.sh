#!/bin/sh
# All tests that fit 20 minutes on 2 cores: sets itself up, runs every suite, ends in "N passed, N failed".
#   tests/run.sh [SUITE ...]      only these; tests/run.sh --list names them
set -eu
cd "$(dirname "$0")/.."
deploy/install.sh build run web test mongo
venv=.venv
if ! cmp -s tests/requirements.txt $venv/requirements.txt 2>/dev/null; then
    echo "Setting up Python's test packages ..."
    python3 -m venv $venv
    $venv/bin/pip install -q --disable-pip-version-check -r tests/requirements.txt
    cp tests/requirements.txt $venv/requirements.txt
fi
exec $venv/bin/python tests/run.py "$@"
