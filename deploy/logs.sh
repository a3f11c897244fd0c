#!/bin/sh
# Follows the logs of all services, or of those named: logs.sh [SERVICE ...]
. "$(dirname "$0")/lib.sh"
[ -d "$data/log" ] || fail "there are no logs at $data: start with make up, or set PIGEON_DATA"
[ $# -gt 0 ] || set -- $services nats redis nginx
files=
for s in "$@"; do
    [ -e "$data/log/$s/current" ] || fail "no log of \"$s\" at $data/log"
    files="$files $data/log/$s/current"
done
exec tail -n "${LINES_EACH:-20}" ${FOLLOW--F} $files
