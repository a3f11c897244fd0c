#!/bin/sh
# Starts one node and waits until it is ready. Again is harmless.
. "$(dirname "$0")/lib.sh"

running=$(supervisor_pid)
if [ -z "$running" ]; then
    "$root/deploy/make-config.sh"
    http_port=$(kept HTTP_PORT)
    base=$(kept BASE_PORT)
    # One clear line for each port that is taken, before anything starts.
    taken=
    wanted=
    ! has nginx || wanted="$http_port $(kept HTTPS_PORT)"
    mqtt_port=$(kept MQTT_PORT)
    ! has gateway || wanted="$wanted $(printf '%s' "$mqtt_port" | sed 's/^0$//') $(kept TLS_PORT) $(kept MQTTS_PORT)"
    [ -z "$services" ] || wanted="$wanted $(seq "$base" $((base + 8)))"
    for p in $wanted; do
        if [ -n "$(ss -ltnH "sport = :$p")" ]; then
            who=$(ss -ltnpH "sport = :$p" | sed -n 's/.*users:(("\([^"]*\)",pid=\([0-9]*\).*/ by \1 (process \2)/p' | head -n 1)
            taken="$taken $p$who"
        fi
    done
    if [ -n "$taken" ]; then
        first=${taken# }
        case ${first%% *} in
        "$http_port") fail "port$taken is in use: choose another with PIGEON_HTTP_PORT=8090 make up" ;;
        "$(kept HTTPS_PORT)") fail "port$taken is in use, and wanted for HTTPS: choose another with PIGEON_HTTPS_PORT=8453 make up, or none with 0" ;;
        "$mqtt_port") fail "port$taken is in use, and wanted for MQTT: choose another with PIGEON_MQTT_PORT=1884 make up, or none with 0" ;;
        "$(kept TLS_PORT)") fail "port$taken is in use, and wanted for TLS: choose another with PIGEON_TLS_PORT=8444 make up, or none with 0" ;;
        "$(kept MQTTS_PORT)") fail "port$taken is in use, and wanted for MQTT over TLS: choose another with PIGEON_MQTTS_PORT=8884 make up, or none with 0" ;;
        *) fail "the internal port$taken is in use: choose another block of 16 with PIGEON_BASE_PORT=12000 make up (first start of $data only)" ;;
        esac
    fi
    if [ "$http_port" -lt 1024 ] && [ "$(id -u)" -ne 0 ]; then fail "port $http_port needs root: run with sudo, or choose one above 1023 by PIGEON_HTTP_PORT"; fi
    setsid runsvdir -P "$data/run/sv" </dev/null >"$data/log/supervisor.log" 2>&1 &
    echo $! >"$data/run/supervisor.pid"
else
    say "Pigeon is running already (supervisor $running)."
    http_port=$(kept HTTP_PORT)
    base=$(kept BASE_PORT)
fi

ready() { curl -fsS -m 2 -o /dev/null "http://127.0.0.1:$1/readyz" 2>/dev/null; }
waiting=
for _ in $(seq 300); do
    waiting=
    for s in gateway:4 message:5 presence:6 storage:7 api:8; do
        has "${s%:*}" || continue
        ready $((base + ${s#*:})) || waiting="$waiting ${s%:*}"
    done
    [ -n "$waiting" ] || ! has nginx || ready "$http_port" || waiting=" nginx"
    [ -n "$waiting" ] || break
    sleep 0.2
done
if [ -n "$waiting" ]; then
    for s in $waiting; do
        say "---- last lines of $s ($data/log/$s/current)"
        tail -n 5 "$data/log/$s/current" 2>/dev/null | cut -c 1-300 || true
    done >&2
    fail "not ready after 60 s:$waiting. More: make logs"
fi

[ -z "${PIGEON_CLUSTER_NAME:-}" ] || exit 0 # the cluster says the rest
export PIGEON_DATA="$data"
address=$(ip -4 -o addr show scope global 2>/dev/null | awk '{sub(/\/.*/, "", $4); print $4; exit}')
https_port=$(kept HTTPS_PORT)
if [ -n "$https_port" ]; then
    say "Pigeon is ready:   https://${address:-localhost}:$https_port"
else
    say "Pigeon is ready:   http://${address:-localhost}:$http_port   (not encrypted; PIGEON_HTTPS_PORT=8443: docs/TLS.md)"
fi
case $(kept MQTT_PORT) in '' | 0) ;; *) say "MQTT:              mosquitto_sub -h ${address:-localhost} -p $(kept MQTT_PORT) -u USER -P PASSWORD -q 1 -t 'inbox/#'   (docs/MQTT.md)" ;; esac
[ -z "$(kept TLS_PORT)" ] || say "TLS:               wss://${address:-localhost}:$(kept TLS_PORT)/v1/ws (docs/TLS.md)"
[ -z "$(kept MQTTS_PORT)" ] || say "MQTT over TLS:     mqtts://${address:-localhost}:$(kept MQTTS_PORT)"
first_administrator "$data/run/admin-made"
say "Next:              log in there, then Administration > Invitations to let people in;"
say "                   $(realpath --relative-to="$(pwd)" "$build/pigeon" 2>/dev/null || echo "$build/pigeon") help    what the command line can do"
say "                   make status, make logs, make down"
