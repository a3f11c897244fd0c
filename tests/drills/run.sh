#!/bin/sh
# Sets up what the drills need (packages, Python, npm's ws, debug build with test faults), then runs them: see run.py.
set -eu
cd "$(dirname "$0")/../.."
tests/run.sh --list >/dev/null # the packages and Python's environment
[ -d clients/web/node_modules/ws ] || (cd clients/web && npm ci --no-audit --no-fund --loglevel=error)
PIGEON_BUILD=${PIGEON_BUILD:-build/debug}
export PIGEON_BUILD
[ "$PIGEON_BUILD" != build/debug ] || make -s PROFILE=debug -j"$(nproc)" services powerfs
exec .venv/bin/python tests/drills/run.py "$@"
