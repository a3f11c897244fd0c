#!/bin/sh
# Sets up what the tests need (packages, Python's environment), then takes out one defence after the other: see take-out.py.
set -eu
cd "$(dirname "$0")/../.."
tests/run.sh --list >/dev/null
exec .venv/bin/python tests/security/take-out.py "$@"
