#!/bin/sh
# P7: many connected users on one machine, by several gateways (a process may open some 20,000 files) and several generators; prints the
# generator's JSON line, and memory by process before and with all of them silent and while they write.
#   tests/bench/scale.sh [USERS] [MESSAGES_A_SECOND] [SECONDS]      100000 1000 60
# The gateways share one port (SO_REUSEPORT); the generators use several loopback addresses, as one has only some 28,000 ports.
set -eu
cd "$(dirname "$0")/../.."
users=${1:-100000} rate=${2:-1000} secs=${3:-60} each=17000
work=$(mktemp -d)
export PIGEON_DATA="$work/var" PIGEON_HTTP_PORT="${PIGEON_HTTP_PORT:-8195}" PIGEON_MQTT_PORT=0
export PIGEON_LIMITS_ADDRESS_CONNECTS_S=100000 PIGEON_LIMITS_ADDRESS_UNAUTHENTICATED=20000
gateways=$(((users + each - 1) / each))
more=
finish() {
    for p in $more; do kill "$p" 2>/dev/null || true; done
    deploy/down.sh >/dev/null 2>&1 || true
    rm -rf "$work"
}
trap finish EXIT
trap 'exit 143' INT TERM
make -s PROFILE=release -j"$(nproc)" services
deploy/up.sh >"$work/up.txt" || { cat "$work/up.txt" >&2; exit 1; }
base=$(sed -n 's/^BASE_PORT=//p' "$PIGEON_DATA/run/ports")
n=1
while [ "$n" -lt "$gateways" ]; do
    PIGEON_GATEWAY_ADMIN_PORT=0 build/release/pigeon-gateway --config "$PIGEON_DATA/pigeon.yaml" >"$work/gateway$n.log" 2>&1 &
    more="$more $!"
    n=$((n + 1))
done

supervisor=$(cat "$PIGEON_DATA/run/supervisor.pid")
family() { # PID: it and all below it
    echo "$1"
    for child in $(cat "/proc/$1/task/$1/children" 2>/dev/null); do family "$child"; done
}
all() { family "$supervisor"; for p in $more; do echo "$p"; done; }
pss() { for p in $(all); do awk -v name="$(cat "/proc/$p/comm" 2>/dev/null)" '/^Pss:/ {print name, $2}' "/proc/$p/smaps_rollup" 2>/dev/null; done | awk '{s[$1] += $2; t += $2} END {for (n in s) printf "\"%s\":%d,", n, s[n]; printf "\"all\":%d", t}'; }
ticks() { for p in $(all); do awk '{sub(/.*\) /, ""); t += $12 + $13} END {print t}' "/proc/$p/stat" 2>/dev/null; done | awk '{t += $1} END {print t}'; }
kernel() { awk '/^TCP:/ {print $3, $NF * 4}' /proc/net/sockstat; } # sockets, KiB of their buffers

awk -v n="$users" 'BEGIN {print "user,name"; for (i = 0; i < n; i++) printf "u%d,User %d\n", i, i}' >"$work/users.csv"
build/release/pigeon user import "$work/users.csv" --tokens "$work/tokens.csv" >&2
# A few people first, so that what the first user costs is not counted for each.
build/release/pigeon-load idle --url "ws://127.0.0.1:$((base + 2))/v1/ws" --tokens "$work/tokens.csv" --users 2000 --secs 15 --addresses 20 --quiet >/dev/null 2>&1 &
few=$!
sleep 10
pss >"$work/m0"
wait "$few" || true
sleep 3
printf '{"gateways":%d,"memory_kib_2000":{%s}}\n' "$gateways" "$(cat "$work/m0")"
build/release/pigeon-load idle --url "ws://127.0.0.1:$((base + 2))/v1/ws" --tokens "$work/tokens.csv" --users "$users" --processes "$((gateways * 2))" --secs 120 \
    --addresses 100 --connect-rate 4000 --json >"$work/idle.json" 2>"$work/idle.log" &
load=$!
until grep -qE "[^0-9]$users online" "$work/idle.log"; do
    kill -0 $load 2>/dev/null || { tail -n 5 "$work/idle.log" >&2; exit 1; }
    sleep 2
done
sleep 10
t0=$(ticks)
sleep 30
printf '{"online":%d,"memory_kib":{%s},"cpu_us_per_user_s":%s,"kernel_sockets_kib":"%s"}\n' "$users" "$(pss)" \
    "$(awk -v a="$t0" -v b="$(ticks)" -v n="$users" 'BEGIN {printf "%.3f", (b - a) * 10000 / 30 / n}')" "$(kernel)"
wait $load || true
cat "$work/idle.json"
build/release/pigeon-load pairs --url "ws://127.0.0.1:$((base + 2))/v1/ws" --tokens "$work/tokens.csv" --users "$users" --processes "$((gateways * 2))" --rate "$rate" \
    --secs "$secs" --addresses 100 --connect-rate 4000 --json >"$work/pairs.json" 2>"$work/pairs.log" &
load=$!
until grep -qE "[^0-9]$users online" "$work/pairs.log"; do
    kill -0 $load 2>/dev/null || { tail -n 5 "$work/pairs.log" >&2; exit 1; }
    sleep 2
done
sleep $((${secs%.*} / 2))
printf '{"writing":%d,"memory_kib":{%s}}\n' "$rate" "$(pss)"
status=0
wait $load || status=$?
cat "$work/pairs.json"
exit $status
