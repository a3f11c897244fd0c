#!/bin/sh
# Writes what one node needs below its data directory: directories, secrets and pigeon.yaml (each only when missing),
# and the configurations of NATS, Redis, Nginx and the supervisor (anew each time).
#   PIGEON_DATA, PIGEON_HTTP_PORT, PIGEON_BASE_PORT (first of 16 loopback ports), PIGEON_BUILD
#   PIGEON_MQTT_PORT: port of MQTT clients (1883; 0: none; none in a cluster)
#   PIGEON_HTTPS_PORT: port where Nginx ends TLS; PIGEON_TLS_PORT, PIGEON_MQTTS_PORT: ports where the gateway itself does (off when empty
#   or 0); with PIGEON_TLS_CERTIFICATE and PIGEON_TLS_KEY (PEM files; when missing a self-signed one is made). docs/TLS.md
#   PIGEON_PROFILE: one of deploy/profiles, or none; else the one that fits this Raspberry Pi. docs/PI.md
# For a node of a cluster (deploy/cluster.sh sets these):
#   PIGEON_SERVICES, PIGEON_SERVERS (what runs here), PIGEON_CLUSTER_NAME, PIGEON_CLUSTER_ADDRESS (NATS and Redis listen there),
#   PIGEON_CLUSTER_GATEWAYS, PIGEON_CLUSTER_APIS ("address:port ..." behind Nginx), PIGEON_CLUSTER_PROXY (an Nginx before ours),
#   PIGEON_CLUSTER_COMMAND (a store that runs here)
. "$(dirname "$0")/lib.sh"
umask 077

http_port=${http_port:-$(kept HTTP_PORT)}
http_port=${http_port:-8080}
case $http_port in *[!0-9]* | '') fail "PIGEON_HTTP_PORT is \"$http_port\": write a port number from 1 to 65535" ;; esac
[ "$http_port" -ge 1 ] && [ "$http_port" -le 65535 ] || fail "PIGEON_HTTP_PORT is $http_port: write a port number from 1 to 65535"
mkdir -p "$data" 2>/dev/null || fail "cannot make the directory $data: choose another by PIGEON_DATA, or give yourself the right to write there"
[ -w "$data" ] || fail "no right to write in $data: choose another directory by PIGEON_DATA"
for d in secrets run run/sv run/nginx log files store backups; do mkdir -p "$data/$d"; done

# The internal ports are chosen once: a block of 16 below the range that the kernel gives to clients.
base=$(kept BASE_PORT)
base=${base:-${PIGEON_BASE_PORT:-$((10000 + http_port % 1400 * 16))}}
address=${PIGEON_CLUSTER_ADDRESS:-127.0.0.1}
# Further ports: chosen by the environment, then kept; 0 turns one off again.
gateway_env=
further_port() { # KEPT-NAME VALUE-FROM-ENVIRONMENT [SETTING of the gateway, when it passes Nginx by]
    port=${2:-$(kept "$1")}
    case $port in '' | 0) port= ;; *[!0-9]*) fail "PIGEON_$1 is \"$port\": write a port number, or 0 for none" ;; esac
    [ -z "$port" ] || [ -z "${3:-}" ] || gateway_env="$gateway_env $3=$port"
}
mqtt_default=1883
[ -z "${PIGEON_CLUSTER_NAME:-}" ] || mqtt_default=0
mqtt_kept=$(kept MQTT_PORT)
further_port MQTT_PORT "${PIGEON_MQTT_PORT:-${PIGEON_GATEWAY_MQTT_PORT:-${mqtt_kept:-$mqtt_default}}}" PIGEON_GATEWAY_MQTT_PORT && mqtt_port=$port
further_port TLS_PORT "${PIGEON_TLS_PORT:-}" PIGEON_GATEWAY_TLS_PORT && tls_port=$port
further_port MQTTS_PORT "${PIGEON_MQTTS_PORT:-}" PIGEON_GATEWAY_MQTT_TLS_PORT && mqtts_port=$port
further_port HTTPS_PORT "${PIGEON_HTTPS_PORT:-}" && https_port=$port
certificate=${PIGEON_TLS_CERTIFICATE:-$(kept TLS_CERTIFICATE)} key=${PIGEON_TLS_KEY:-$(kept TLS_KEY)}

# What the machine bears: a profile's YAML goes into pigeon.yaml when that is made, the rest of it (its .env) counts at each start.
profile=${PIGEON_PROFILE:-$(kept PROFILE)}
if [ -z "$profile" ]; then
    fitting_profile
    profile=$fits
    [ "$profile" = none ] || say "Profile:           $profile, as this is a $model with $mib MiB (another one: PIGEON_PROFILE)"
fi
redis_memory=64mb nats_pending=268435456 nats_memory='' arenas='' most_mib=''
if [ "$profile" != none ]; then
    [ -e "$root/deploy/profiles/$profile.env" ] ||
        fail "there is no profile \"$profile\": $(cd "$root/deploy/profiles" && echo *.env | sed 's/\.env//g'), or none"
    . "$root/deploy/profiles/$profile.env"
fi
printf '%s\n' "PROFILE=$profile" "BASE_PORT=$base" "HTTP_PORT=$http_port" "HTTPS_PORT=$https_port" "MQTT_PORT=${mqtt_port:-0}" "TLS_PORT=$tls_port" "MQTTS_PORT=$mqtts_port" \
    "TLS_CERTIFICATE=$certificate" "TLS_KEY=$key" >"$data/run/ports"
nats_port=$base redis_port=$((base + 1)) gateway_port=$((base + 2)) api_port=$((base + 3))

secret() { # NAME: makes it when missing
    [ -s "$data/secrets/$1" ] || head -c 24 /dev/urandom | base64 | tr '+/' '-_' >"$data/secrets/$1"
    cat "$data/secrets/$1"
}
for s in gateway message presence storage api cli; do secret "nats-$s" >/dev/null; done
for s in presence api; do secret "redis-$s" >/dev/null; done

if [ -n "$tls_port$mqtts_port$https_port" ]; then
    secret tls-tickets >/dev/null
    if [ -z "$certificate$key" ]; then
        certificate=$data/tls/certificate.pem key=$data/tls/key.pem
        if [ ! -s "$key" ]; then
            mkdir -p "$data/tls"
            openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 3650 -subj "/CN=$(hostname)" -addext "subjectAltName=DNS:$(hostname),DNS:localhost,IP:127.0.0.1" \
                -out "$certificate" -keyout "$key" 2>/dev/null || fail "openssl could not make a certificate in $data/tls"
            say "No PIGEON_TLS_CERTIFICATE and PIGEON_TLS_KEY: a self-signed certificate is in $data/tls. Browsers will not trust it."
        fi
    fi
    [ -r "$certificate" ] && [ -r "$key" ] || fail "PIGEON_TLS_CERTIFICATE=$certificate and PIGEON_TLS_KEY=$key must both name files that can be read"
    [ -z "$tls_port$mqtts_port" ] || gateway_env="$gateway_env PIGEON_GATEWAY_TLS_CERTIFICATE=\"$certificate\" PIGEON_GATEWAY_TLS_KEY=\"$key\""
fi
[ -z "$gateway_env" ] || gateway_env="env PIGEON_GATEWAY_DIRECT_ADDRESS=${PIGEON_GATEWAY_DIRECT_ADDRESS:-0.0.0.0}$gateway_env"

profile_rows() { # SECTION: what the profile sets there
    [ "$profile" = none ] || awk -v s="$1:" '/^[a-z]/ {inside = $1 == s; next} inside' "$root/deploy/profiles/$profile.yaml"
}
profile_section() { # SECTION that the file below has not
    [ -z "$(profile_rows "$1")" ] || printf '%s:\n%s\n' "$1" "$(profile_rows "$1")"
}
if [ ! -e "$data/pigeon.yaml" ]; then
    sed '/^$/d' >"$data/pigeon.yaml" <<-YAML
	# Pigeon on this node. All settings with their defaults: docs/CONFIG.md. Check a change with
	#   pigeon config check $data/pigeon.yaml
	# and bring it into force with make down, make up.
	# Profile: $profile
	node:
	  name: Pigeon
	  data: "$data"
	bus:
	  url: nats://127.0.0.1:$nats_port
	$(profile_rows bus)
	cache:
	  port: $redis_port
	gateway:
	  port: $gateway_port
	  admin_port: $((base + 4))
	$(profile_rows gateway)
	message:
	  admin_port: $((base + 5))
	$(profile_rows message)
	presence:
	  admin_port: $((base + 6))
	storage:
	  admin_port: $((base + 7))
	$(profile_rows storage)
	api:
	  port: $api_port
	  admin_port: $((base + 8))
	  registration: invite
	  accel: true
	$(profile_rows api)
	$(profile_section limits)
	YAML
elif [ -n "${PIGEON_PROFILE:-}" ] && ! grep -qx "# Profile: $PIGEON_PROFILE" "$data/pigeon.yaml"; then
    say "$data/pigeon.yaml is there already and stays as it is: compare it with deploy/profiles/$PIGEON_PROFILE.yaml"
fi

# What a cluster sets otherwise (deploy/cluster.sh): routes, TLS, how soon a peer without power is noticed.
[ -n "${PIGEON_CLUSTER_NAME:-}" ] || printf 'write_deadline: "5s"\nping_interval: "20s"\n' >"$data/run/nats-node.conf"
upstream() { # SERVERS PARAMETERS: the servers of an Nginx upstream, on one line
    for at in $1; do printf 'server %s%s; ' "$at" "$2"; done
}
# More than one: who does not answer is left out for a while. One: it is always asked.
many= next=off
case ${PIGEON_CLUSTER_GATEWAYS:-} in *" "*) many=" max_fails=2 fail_timeout=3s" next="error timeout http_503" ;; esac
gateway_servers=$(upstream "${PIGEON_CLUSTER_GATEWAYS:-127.0.0.1:$gateway_port}" "$many")
api_servers=$(upstream "${PIGEON_CLUSTER_APIS:-127.0.0.1:$api_port}" "$many")
proxy=
[ -z "${PIGEON_CLUSTER_PROXY:-}" ] || proxy="set_real_ip_from $PIGEON_CLUSTER_PROXY; real_ip_header X-Forwarded-For;"
gateway_wait=2h
[ -z "$many" ] || gateway_wait=${PIGEON_CLUSTER_WAIT:-15s}
# Whoever comes without TLS is sent to it; readiness is asked from this machine.
https=
[ -z "$https_port" ] || https="listen $https_port ssl backlog=4096 sndbuf=128k; ssl_certificate \"$certificate\"; ssl_certificate_key \"$key\"; ssl_protocols TLSv1.2 TLSv1.3; ssl_session_cache shared:tls:2m; if (\$plain) { return 308 https://\$host:$https_port\$request_uri; }"
user_line=
[ "$(id -u)" -ne 0 ] || user_line="user $(id -un) $(id -gn);"
files=$(ulimit -Hn)
case $files in unlimited) files=65536 ;; esac
file_bytes=${PIGEON_LIMITS_FILE_BYTES:-$(sed -n 's/^ *file_bytes: *\([0-9]*\).*/\1/p' "$data/pigeon.yaml")}
render() { # TEMPLATE FILE
    sed -e "s|@DATA@|$data|g" -e "s|@HTTP_PORT@|$http_port|g" -e "s|@NATS_PORT@|$nats_port|g" -e "s|@REDIS_PORT@|$redis_port|g" \
        -e "s|@ADDRESS@|$address|g" -e "s|@NODE_NAME@|${PIGEON_CLUSTER_NAME:-pigeon}|g" \
        -e "s|@GATEWAYS@|$gateway_servers|" -e "s|@APIS@|$api_servers|" -e "s|@PROXY@|$proxy|" -e "s|@HTTPS@|$https|" -e "s|@NEXT@|$next|" -e "s|@GATEWAY_WAIT@|$gateway_wait|" -e "s|@WEB@|${PIGEON_WEB:-$root/clients/web/dist}|g" \
        -e "s|@REDIS_MEMORY@|$redis_memory|" -e "s|@NATS_PENDING@|$nats_pending|" -e "s|@USER_LINE@|$user_line|" -e "s|@FILES@|$files|" -e "s|@FILE_BYTES@|${file_bytes:-52428800}|" \
        -e "s|@NATS_GATEWAY@|$(secret nats-gateway)|" -e "s|@NATS_MESSAGE@|$(secret nats-message)|" \
        -e "s|@NATS_PRESENCE@|$(secret nats-presence)|" -e "s|@NATS_STORAGE@|$(secret nats-storage)|" \
        -e "s|@NATS_API@|$(secret nats-api)|" -e "s|@NATS_CLI@|$(secret nats-cli)|" \
        -e "s|@REDIS_PRESENCE@|$(secret redis-presence)|" -e "s|@REDIS_API@|$(secret redis-api)|" "$root/deploy/templates/$1" >"$2.new"
    mv "$2.new" "$2"
}
render nats.conf.in "$data/run/nats.conf"
render redis.conf.in "$data/run/redis.conf"
render redis.acl.in "$data/run/redis.acl"
render nginx.conf.in "$data/run/nginx/nginx.conf"

supervised() { # NAME COMMAND...: a runit service with its log
    name=$1; shift
    dir=$data/run/sv/$name
    mkdir -p "$dir/log" "$data/log/$name"
    # A process group of its own: what a killed parent leaves behind (nginx's worker holds the port) goes with it.
    # A profile's cap is on what a process has for itself (RLIMIT_DATA): one that runs wild ends, and is started again.
    most=$(printf '%s\n' $most_mib | sed -n "s/^$name=//p")
    {
        printf '#!/bin/sh\nexec 2>&1\nulimit -n "$(ulimit -Hn)"\n'
        [ -z "$arenas" ] || echo "export MALLOC_ARENA_MAX=$arenas"
        [ -z "$nats_memory" ] || [ "$name" != nats ] || echo "export GOMEMLIMIT=$nats_memory"
        printf 'echo $$ >"%s/group"\nexec chpst -P %s%s\n' "$dir" "${most:+-d $((most * 1048576)) }" "$*"
    } >"$dir/run"
    printf '#!/bin/sh\nkill -KILL "-$(cat "%s/group")" 2>/dev/null\nexit 0\n' "$dir" >"$dir/finish"
    printf '#!/bin/sh\nexec svlogd -tt "%s"\n' "$data/log/$name" >"$dir/log/run"
    printf 's1000000\nn5\n' >"$data/log/$name/config"
    chmod 700 "$dir/run" "$dir/finish" "$dir/log/run"
}
cpu=${PIGEON_CPUS:+taskset -c $PIGEON_CPUS}
! has nats || supervised nats $cpu nats-server -c "\"$data/run/nats.conf\""
! has redis || supervised redis $cpu redis-server "\"$data/run/redis.conf\""
! has nginx || supervised nginx $cpu nginx -e stderr -p "\"$data/run/nginx\"" -c "\"$data/run/nginx/nginx.conf\""
[ -z "${PIGEON_CLUSTER_COMMAND:-}" ] || supervised mongo "$PIGEON_CLUSTER_COMMAND"
for s in $services; do
    before=
    [ "$s" != gateway ] || before=$gateway_env
    supervised "$s" $before $cpu "\"$build/pigeon-$s\"" --config "\"$data/pigeon.yaml\""
done
