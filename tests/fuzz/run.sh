#!/bin/sh
# Builds every libFuzzer target with ASan and UBSan, runs its corpus, then fuzzes it for FUZZ_SECONDS (45).
#   tests/fuzz/run.sh [TARGET ...]     two targets at a time
# A finding stays in build/fuzz/findings/; after the fix its input goes to tests/fuzz/corpus/<target>/.
set -eu
cd "$(dirname "$0")/../.."
deploy/install.sh build fuzz
[ $# -gt 0 ] || set -- $(ls tests/fuzz/fuzz_*.c | sed 's,.*/fuzz_\(.*\)\.c,\1,')
make -s PROFILE=fuzz -j"$(nproc)" fuzz-build
mkdir -p build/fuzz/findings
one() {
    corpus=build/fuzz/corpus/$1
    mkdir -p "$corpus" "tests/fuzz/corpus/$1"
    bin=build/fuzz/tests/fuzz/fuzz_$1
    log=build/fuzz/$1.log
    if "$bin" -runs=0 "tests/fuzz/corpus/$1" >"$log" 2>&1 &&
        "$bin" -max_total_time="${FUZZ_SECONDS:-45}" -rss_limit_mb=1024 -timeout=10 -artifact_prefix="build/fuzz/findings/$1-" -print_final_stats=1 \
            "$corpus" "tests/fuzz/corpus/$1" >>"$log" 2>&1; then
        echo "fuzz $1: ok, $(sed -n 's/stat::number_of_executed_units: *//p' "$log" | tail -n 1) executions"
    else
        tail -n 40 "$log"
        echo "fuzz $1: FAILED, input kept in build/fuzz/findings"
        return 1
    fi
}
status=0
pids=
for t in "$@"; do
    one "$t" &
    pids="$pids $!"
    if [ "$(echo $pids | wc -w)" -ge "$(nproc)" ]; then
        for p in $pids; do wait "$p" || status=1; done
        pids=
    fi
done
for p in $pids; do wait "$p" || status=1; done
exit $status
