#!/bin/sh
# The stores' conformance tests and the unit tests that start no server, on pages of 16 KiB (pages16k.c), as a Raspberry Pi 5 has them.
#   tests/roots/pages16k.sh [BUILD]      build/debug
set -eu
cd "$(dirname "$0")/../.."
deploy/install.sh build units
build=${1:-build/debug}
make -s CI=1 PROFILE=debug B="$build" -j"$(nproc)" unit-build
shim=$PWD/$build/pages16k.so
cc -O2 -Wall -Wextra -Werror -D_GNU_SOURCE -shared -fPIC -o "$shim" tests/roots/pages16k.c
# A mapping that begins on a page of 4 KiB is refused, else this test could not fail.
odd='import mmap, tempfile; f = tempfile.TemporaryFile(); f.truncate(65536); mmap.mmap(f.fileno(), 4096, offset=4096)'
python3 -c "$odd"
if LD_PRELOAD=$shim python3 -c "$odd" 2>/dev/null; then echo "pages16k.so is not in force" >&2; exit 2; fi
# Without those that start servers: this machine's Redis has a jemalloc built for its own pages, and says so and ends.
LD_PRELOAD=$shim UNITS_WITHOUT='kv/test_kv$|bus/test_bus$|proto/test_rpc$|presence/test_service$|svc/test_svc$' tests/roots/units.sh "$build"
