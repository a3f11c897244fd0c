#!/bin/sh
# Everything that is checked without running Pigeon. Prints what is wrong; exit code 1 when anything is.
set -u
cd "$(dirname "$0")/../.."
deploy/install.sh build lint || exit 1
status=0
step() { printf '%-14s' "$1"; shift; if out=$("$@" 2>&1); then echo ok; else echo FAILED; printf '%s\n' "$out" | head -n 60; status=1; fi; }
sources=$(git ls-files '*.c' '*.h' | grep -v '_table\.h$\|_metrics\.h$\|_schema\.h$')
step format clang-format-14 --dry-run -Werror $sources
step layers python3 tests/lint/layers.py
step subjects python3 tests/lint/subjects.py
step text python3 tests/lint/text.py
step machine python3 tests/lint/machine.py
make -s CI=1 PROFILE=debug -j"$(nproc)" services unit-build >/dev/null || status=1
step documents sh -c 'build/debug/pigeon config doc | diff -u docs/CONFIG.md - && python3 tests/lint/metrics.py --check'
step cppcheck cppcheck -q -j"$(nproc)" --std=c11 --enable=warning,performance,portability --inline-suppr --error-exitcode=1 \
    --suppressions-list=tests/lint/cppcheck.txt -I. -Ibuild/debug/gen -D_GNU_SOURCE -UPGN_FUZZ \
    -DPROTOBUF_C_VERSION_NUMBER=1004001 -DPROTOBUF_C_MIN_COMPILER_VERSION=1000000 common services clients/cli loadtest
mongo=$(pkg-config --cflags-only-I libmongoc-1.0 | sed 's/-I/-isystem /g')
export mongo
tidy() {
    git ls-files 'common/*.c' 'services/*.c' 'clients/cli/*.c' 'loadtest/*.c' | xargs -P"$(nproc)" -n 6 sh -c \
        'clang-tidy-14 --quiet "$@" -- -std=gnu11 -D_GNU_SOURCE -DPGN_VERSION="\"lint\"" -I. -isystem build/debug/gen $mongo 2>/dev/null' tidy
}
step tidy tidy
exit $status
