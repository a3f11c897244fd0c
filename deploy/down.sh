#!/bin/sh
# Stops one node: clients are sent away politely, then services, then the servers below them. Returns when all have ended.
. "$(dirname "$0")/lib.sh"
pid=$(supervisor_pid)
if [ -z "$pid" ]; then say "Pigeon is not running at $data."; exit 0; fi
runsvs=$(cat "/proc/$pid/task/$pid/children")
export SVDIR="$data/run/sv"
for group in "gateway api" "message presence" "storage" "nginx redis nats"; do
    sv -w 30 force-stop $group >/dev/null 2>&1 || true
done
kill -HUP "$pid" # it ends, and tells the runsv below it to
for p in $pid $runsvs; do tail --pid="$p" -f /dev/null 2>/dev/null || true; done
rm -f "$data/run/supervisor.pid"
say "Pigeon is stopped."
