#!/bin/sh
# Runs every unit and conformance test of a build (memory and embedded stores) and counts: units.sh BUILD [SECONDS-EACH]
# UNITS_WITHOUT: a pattern of those that are left out. The last line is `N passed, N failed, N skipped`; exit code 1 when anything failed or nothing ran.
set -u
build=$1 limit=${2:-180}
tests=$(find "$build/tests/unit" "$build/tests/conformance" -name 'test_*' -type f -perm -u+x | grep -vE "${UNITS_WITHOUT:-^$}" | sort)
log=$(mktemp)
trap 'rm -f "$log"' EXIT
passed=0 failed=0 skipped=0
count() { sed -n "s/^\[  $1 *\] \([0-9]*\) test.*/\1/p" "$log" | awk '{n += $1} END {print n + 0}'; }
for t in $tests; do
    code=0
    timeout "$limit" "$t" >"$log" 2>&1 || code=$?
    ok=$(count PASSED) bad=$(count FAILED)
    [ "$code" -eq 0 ] || [ "$bad" -gt 0 ] || bad=1 # it ended without saying which
    passed=$((passed + ok)) failed=$((failed + bad)) skipped=$((skipped + $(count SKIPPED)))
    printf '%-60s %3d passed %d failed\n' "${t#"$build"/tests/}" "$ok" "$bad"
    grep 'skipped because' "$log" | sort -u | sed 's/^/    /'
    [ "$bad" -eq 0 ] || tail -n 40 "$log"
done
echo "$passed passed, $failed failed, $skipped skipped"
[ "$failed" -eq 0 ] && [ "$passed" -gt 0 ]
