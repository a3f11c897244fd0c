#!/bin/sh
# The work behind `make bench-instructions`: builds the hot functions in release and counts their instructions.
set -eu
cd "$(dirname "$0")/../.."
deploy/install.sh build instructions
dir=${HOT_BUILD:-build/release}
make -s PROFILE=release B="$dir" -j"$(nproc)" "$dir/hot"
exec python3 tests/bench/instructions.py "$dir/hot" ${RECORD:+--record}
