#!/bin/sh
# The work behind `make bench-quick`: builds, and compares with what is recorded. PLANT=sleep: a build with a fault, which must then fail.
set -eu
cd "$(dirname "$0")/../.."
deploy/install.sh build run bench-quick
dir=build/release
case ${PLANT:-} in
"") ;;
sleep) dir=build/plant-sleep ;;
*) echo "bench-quick: there is no plant $PLANT; sleep is the one" >&2; exit 2 ;;
esac
make -s PROFILE=release B="$dir" -j"$(nproc)" services "$dir/imload"
PIGEON_BUILD=$dir
export PIGEON_BUILD
exec python3 tests/bench/quick.py ${RECORD:+--record}
