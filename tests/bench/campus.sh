#!/bin/sh
# The headline run (P5): a node of its own on core 0, pigeon-load on core 1; prints the run's JSON line and what the whole of Pigeon
# needed: memory (PSS summed over all its processes, Nginx's told apart) and CPU (user and system seconds per second).
#   tests/bench/campus.sh [USERS] [MINUTES] [nginx|tls|plain]      4000 5 nginx; report in build/bench/campus.html
# nginx: through Nginx, plain; tls: TLS ended by the gateway, Nginx idle beside it; plain: straight to the gateway.
set -eu
cd "$(dirname "$0")/../.."
users=${1:-4000} minutes=${2:-5} way=${3:-nginx}
out=$(pwd)/build/bench
mkdir -p "$out"
work=$(mktemp -d)
export PIGEON_DATA="$work/var" PIGEON_HTTP_PORT="${PIGEON_HTTP_PORT:-8190}" PIGEON_MQTT_PORT=0 PIGEON_CPUS=0
tls_port=$((PIGEON_HTTP_PORT + 1))
if [ "$way" = tls ]; then
    openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=localhost -keyout "$work/key.pem" -out "$work/certificate.pem" 2>/dev/null
    export PIGEON_TLS_PORT=$tls_port PIGEON_TLS_CERTIFICATE="$work/certificate.pem" PIGEON_TLS_KEY="$work/key.pem"
fi
make -s PROFILE=release -j"$(nproc)" services
deploy/up.sh >"$out/up.txt"
trap 'deploy/down.sh >/dev/null 2>&1; rm -rf "$work"' EXIT
trap 'exit 143' INT TERM

case $way in
nginx) url=ws://127.0.0.1:$PIGEON_HTTP_PORT ;;
tls) url=wss://127.0.0.1:$tls_port ;;
plain) url=ws://127.0.0.1:$(($(sed -n 's/BASE_PORT=//p' "$PIGEON_DATA/run/ports") + 2)) ;;
*) echo "campus.sh: \"$way\": nginx, tls or plain" >&2; exit 2 ;;
esac
supervisor=$(cat "$PIGEON_DATA/run/supervisor.pid")
family() { # PID: it and all below it
    echo "$1"
    for child in $(cat "/proc/$1/task/$1/children" 2>/dev/null); do family "$child"; done
}
pss() { for p in $(family "$supervisor"); do awk -v name="$(cat "/proc/$p/comm" 2>/dev/null)" '/^Pss:/ {print name, $2}' "/proc/$p/smaps_rollup" 2>/dev/null; done; }
ticks() { for p in $(family "$supervisor"); do awk -v name="$(cat "/proc/$p/comm" 2>/dev/null)" '{sub(/.*\) /, ""); print name, $12 + $13}' "/proc/$p/stat" 2>/dev/null; done; }
by_name() { awk '{s[$1] += $2; t += $2} END {for (n in s) printf "\"%s\":%d,", n, s[n]; printf "\"all\":%d", t}'; }

awk -v n="$users" 'BEGIN {print "user,name"; for (i = 0; i < n; i++) printf "u%d,User %d\n", i, i}' >"$work/users.csv"
build/release/pigeon user import "$work/users.csv" --tokens "$work/tokens.csv" >&2
printf '{"memory_kib_before":{%s}}\n' "$(pss | by_name)"
taskset -c 1 build/release/pigeon-load campus --url "$url/v1/ws" --tokens "$work/tokens.csv" --users "$users" \
    --minutes "$minutes" --json --html "$out/campus.html" >"$out/campus.json" 2>"$out/campus.log" &
load=$!
sleep $((minutes * 30)) # half-way
ticks >"$work/t0"
sleep 20
ticks >"$work/t1"
printf '{"memory_kib_under_load":{%s}}\n' "$(pss | by_name)"
awk 'NR == FNR {a[$1] += $2; next} {b[$1] += $2} END {printf "{\"cpu_percent_of_a_core\":{"; for (n in b) {d = (b[n] - a[n]) / 20; t += d; printf "\"%s\":%.1f,", n, d} printf "\"all\":%.1f}}\n", t}' "$work/t0" "$work/t1"
status=0
wait $load || status=$?
cat "$out/campus.json"
exit $status
