#!/bin/sh
# Stops one node: clients are sent away politely, then services, then the servers below them.
. "$(dirname "$0")/lib.sh"
pid=$(supervisor_pid)
if [ -z "$pid" ]; then say "Pigeon is not running at $data."; exit 0; fi
cd "$data/run/sv"
for group in "gateway api" "message presence" "storage" "nginx redis nats"; do
    sv -w 30 force-stop $group >/dev/null 2>&1 || true
done
kill -HUP "$pid"
tail --pid="$pid" -f /dev/null 2>/dev/null || true
rm -f "$data/run/supervisor.pid"
say "Pigeon is stopped."
