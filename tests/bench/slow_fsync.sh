#!/bin/sh
# Group commit where fsync is slow: rate and acknowledgement times with so many milliseconds added to each fsync of all of Pigeon
# (tests/bench/slow_fsync.c). A node of its own on core 0, pigeon-load pairs on core 1, closed loop, straight to the gateway.
#   tests/bench/slow_fsync.sh [DELAYS] [USERS] [SECONDS] [SETTING=VALUES ...]
#   tests/bench/slow_fsync.sh "0 5 20 50" "200 4000" 10
#   tests/bench/slow_fsync.sh "20" "200" 10 gateway.partitions="1 2 4 16" storage.commit_gap_ms="0 5"      each with each
# Prints a line a run as a table of Markdown; raw results in build/bench/slow_fsync.jsonl. ROUNDS=3: each so often, interleaved, and medians.
# A run in which anything was lost or doubled ends it.
set -eu
cd "$(dirname "$0")/../.."
delays=${1:-0 5 20 50} users=${2:-200 4000} secs=${3:-10} rounds=${ROUNDS:-1}
[ $# -lt 3 ] || shift 3
out=$PWD/build/bench
mkdir -p "$out"
: >"$out/slow_fsync.jsonl"
build=${PIGEON_BUILD:-$PWD/build/release}
[ -n "${PIGEON_BUILD:-}" ] || make -s PROFILE=release -j"$(nproc)" services
cc -O2 -Wall -Wextra -Werror -D_GNU_SOURCE -shared -fPIC -o "$out/slow_fsync.so" tests/bench/slow_fsync.c

work=$(mktemp -d)
export PIGEON_BUILD="$build" PIGEON_DATA="$work/var" PIGEON_HTTP_PORT="${PIGEON_HTTP_PORT:-8197}" PIGEON_SERVERS="nats redis" PIGEON_CPUS=0 PIGEON_MQTT_PORT=0
export PIGEON_LIMITS_USER_MESSAGES_S=100000 PIGEON_LIMITS_USER_MESSAGES_BURST=100000 PIGEON_LIMITS_USER_OPS_S=100000 \
    PIGEON_LIMITS_USER_OPS_BURST=100000 PIGEON_LIMITS_ADDRESS_CONNECTS_S=100000 PIGEON_LIMITS_ADDRESS_UNAUTHENTICATED=20000
trap 'deploy/down.sh >/dev/null 2>&1; rm -rf "$work"' EXIT
trap 'exit 130' INT TERM
echo 0 >"$work/delay"

most=0
for n in $users; do [ "$n" -le "$most" ] || most=$n; done
awk -v n="$most" 'BEGIN {print "user,name"; for (i = 0; i < n; i++) printf "u%d,User %d\n", i, i}' >"$work/users.csv"

metric() { curl -fsS "http://127.0.0.1:$storage_port/metrics" | awk -v m="$1" '$1 == m {print $2}'; }
run() { # SETTING DELAY USERS
    echo "$2" >"$work/delay"
    commits=$(metric pigeon_storage_commits_total) messages=$(metric pigeon_storage_messages_total)
    taskset -c 1 "$build/pigeon-load" pairs --url "ws://127.0.0.1:$gateway_port/v1/ws" --tokens "$work/tokens.csv" --users "$3" --secs "$secs" \
        --json --quiet >"$work/result" || { cat "$work/result" >&2; exit 1; }
    echo 0 >"$work/delay"
    python3 - "$work/result" "$1" "$2" "$(($(metric pigeon_storage_commits_total) - commits))" "$(($(metric pigeon_storage_messages_total) - messages))" \
        >>"$out/slow_fsync.jsonl" <<-'PYTHON'
	import json, sys
	result, setting, delay, commits, messages = json.load(open(sys.argv[1])), *sys.argv[2:]
	print(json.dumps({"setting": setting, "delay_ms": float(delay), "users": result["users"], "rate": result["acked_per_s"],
	                  "p50": result["latency_ms"]["ack"]["p50"], "p99": result["latency_ms"]["ack"]["p99"],
	                  "commits": int(commits), "a_commit": int(messages) / max(1, int(commits))}))
	PYTHON
}
measure() { # SETTING...: NAME=VALUE each
    for s in "$@"; do export "PIGEON_$(echo "${s%%=*}" | tr a-z. A-Z_)=${s#*=}"; done
    LD_PRELOAD="$out/slow_fsync.so" PIGEON_FSYNC_DELAY="$work/delay" deploy/up.sh >"$work/up.txt" 2>&1 || { cat "$work/up.txt" >&2; exit 1; }
    . "$PIGEON_DATA/run/ports"
    gateway_port=$((BASE_PORT + 2)) storage_port=$((BASE_PORT + 7))
    [ -e "$work/tokens.csv" ] || "$build/pigeon" user import "$work/users.csv" --tokens "$work/tokens.csv" >/dev/null
    for d in $delays; do for n in $users; do run "$*" "$d" "$n"; done; done
    deploy/down.sh >/dev/null
}
each() { # DONE... -- SETTING="VALUES" ...: every combination
    case $1 in
    --) shift; done= ;;
    *) done=$1; shift 2 ;;
    esac
    [ $# -gt 0 ] || { measure $done; return; }
    name=${1%%=*} values=${1#*=}
    shift
    for v in $values; do (each "$done $name=$v" -- "$@") || exit 1; done
}
for _ in $(seq "$rounds"); do
    if [ $# -gt 0 ]; then each -- "$@"; else measure; fi
done
python3 - "$out/slow_fsync.jsonl" <<'PYTHON'
import json, statistics, sys
runs = {}
for line in open(sys.argv[1]):
    r = json.loads(line)
    runs.setdefault((r["setting"], r["delay_ms"], r["users"]), []).append(r)
print("| settings | added to each fsync | users | acknowledged/s | p50 ms | p99 ms | messages a commit |\n|---|---|---|---|---|---|---|")
for (setting, delay, users), rs in sorted(runs.items(), key=lambda k: (k[0][1], k[0][2], k[0][0])):
    m = {k: statistics.median(r[k] for r in rs) for k in ("rate", "p50", "p99", "a_commit")}
    print(f"| {setting or 'as shipped'} | {delay:g} ms | {users:,} | {m['rate']:,.0f} | {m['p50']:.0f} | {m['p99']:.0f} | {m['a_commit']:.0f} |")
PYTHON
