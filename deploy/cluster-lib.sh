# The parts of deploy/cluster.sh. Sourced, not run.
#   $data/made         what has been made and is to be taken away, written before it is made: "bridge NAME", "namespace NAME"
#   $data/chosen       what was chosen at the first start: "net X.Y.Z", "node n1", "http_port N", "store NAME"
#   $data/{n1,...}     a node's data directory, as make-config.sh fills it; files/ and secrets/ are links to the shared ones
#   $data/store        what exists once: Redis, and the store
#   $data/front        Nginx, and the settings of the command line

base_port=4200 # in the namespaces; every node has the same ports

is_root() { [ "$(id -u)" -eq 0 ] || fail "network namespaces need root: run with sudo"; }

needs() {
    is_root
    ip netns list >/dev/null 2>&1 || fail "this kernel has no network namespaces: one node runs with make up"
    for tool in openssl nats-server redis-server nginx runsvdir; do
        command -v "$tool" >/dev/null || fail "$tool is missing: deploy/install.sh run"
    done
    mkdir -p "$data" || fail "cannot make the directory $data: choose another by PIGEON_DATA"
}

note() { grep -qxF "$2" "$1" 2>/dev/null || printf '%s\n' "$2" >>"$1"; }
made() { note "$data/made" "$1"; }
choose() { note "$data/chosen" "$1"; }
lines() { sed -n "s/^$2 //p" "$1" 2>/dev/null || true; }
chosen() { lines "$data/chosen" "$1"; }

# What is chosen once: names, addresses, the store. The id keeps clusters of other directories apart.
settle() {
    is_root
    id=$(printf '%s' "$data" | cksum | cut -d ' ' -f 1)
    id=$(printf '%05x' $((id % 1048576)))
    net=$(chosen net)
    if [ -z "$net" ]; then
        store=$(choose_store)
        net=${PIGEON_CLUSTER_NET:-}
        last=0x$(printf '%s' "$id" | cut -c 4-5)
        for i in $(seq 0 255); do
            [ -z "$net" ] || break
            try=198.18.$(((last + i) % 256))
            ip -4 route show | grep -qF "$try.0/24" || net=$try
        done
        [ -n "$net" ] || fail "no free network in 198.18.0.0/16: choose one by PIGEON_CLUSTER_NET=10.20.30"
        choose "net $net"
        for n in n1 n2 n3; do choose "node $n"; done
        choose "http_port ${http_port:-8080}"
        choose "store $store"
    fi
    http_port=${http_port:-$(chosen http_port)}
    store=$(chosen store)
    bridge=pgn$id
}
nodes() { chosen node | tr '\n' ' '; }
is_node() { case " store $(nodes) " in *" $1 "*) ;; *) fail "no node \"$1\": $(nodes)" ;; esac; }
namespace() { echo "pigeon-$id-$1"; }
address_of() {
    case $1 in
    front) echo "$net.1" ;;
    store) echo "$net.2" ;;
    *) echo "$net.$((10 + ${1#n}))" ;;
    esac
}
at_node() { # NODE IP-ARGUMENTS...: ip in the node's namespace; front is this machine itself
    case $1 in
    front) shift; ip "$@" ;;
    *) ns=$(namespace "$1"); shift; ip -n "$ns" "$@" ;;
    esac
}
device_of() { case $1 in front) echo "$bridge" ;; *) echo eth0 ;; esac; }

# ---- the network ----

make_bridge() {
    if ! ip link show "$bridge" >/dev/null 2>&1; then
        made "bridge $bridge"
        ip link add "$bridge" type bridge
    elif [ -z "$(lines "$data/made" bridge)" ]; then
        fail "there is a network interface $bridge that this cluster did not make"
    fi
    ip addr replace "$net.1/24" dev "$bridge"
    ip link set "$bridge" up
}

# Namespace, link and configuration of a node; what is there stays.
make_node() {
    ns=$(namespace "$1") link=$bridge$1
    case $1 in store) link=${bridge}s ;; esac
    if [ ! -e "/run/netns/$ns" ]; then
        made "namespace $ns"
        ip netns add "$ns"
    elif ! grep -qxF "namespace $ns" "$data/made"; then
        fail "there is a network namespace $ns that this cluster did not make"
    fi
    if ! ip -n "$ns" link show eth0 >/dev/null 2>&1; then
        grep -qxF "link $link" "$data/made" || made "link $link"
        ip link add "$link" type veth peer name eth0 netns "$ns"
        ip link set "$link" master "$bridge" up
    fi
    ip -n "$ns" link set lo up
    ip -n "$ns" addr replace "$(address_of "$1")/24" dev eth0
    ip -n "$ns" link set eth0 up
    # A peer that has lost its power is noticed in 15 s, not in 15 minutes.
    ip netns exec "$ns" sysctl -qw net.ipv4.tcp_retries2=5 net.ipv4.tcp_syn_retries=2 2>/dev/null || true
    write_node "$1"
}

# A no longer reaches B: frames for B go to an address that nobody has. Nothing answers, nothing is refused.
deafen() {
    at_node "$1" neigh replace "$(address_of "$2")" lladdr 02:00:00:00:00:01 dev "$(device_of "$1")" nud permanent
}
heal() {
    for n in front store $(nodes); do
        [ "$n" = front ] || [ -e "/run/netns/$(namespace "$n")" ] || continue
        at_node "$n" neigh show nud permanent dev "$(device_of "$n")" | while read -r at _; do
            at_node "$n" neigh del "$at" dev "$(device_of "$n")"
        done
    done
}

unmake() {
    for l in $(lines "$data/made" link); do # with its namespace it would go too, but the kernel takes its time
        ! ip link show "$l" >/dev/null 2>&1 || ip link del "$l"
    done
    for ns in $(lines "$data/made" namespace); do
        [ -e "/run/netns/$ns" ] || continue
        for p in $(ip netns pids "$ns"); do kill -KILL "$p" 2>/dev/null || true; done
        ip netns del "$ns"
    done
    for b in $(lines "$data/made" bridge); do
        ! ip link show "$b" >/dev/null 2>&1 || ip link del "$b"
    done
    rm -f "$data/made" # what was chosen stays for the next start
}

# ---- secrets and certificates ----

# One authority for this cluster; a certificate a server. nats.c checks the name nats.pigeon, routes check each other's certificate.
make_secrets() {
    (
        umask 077
        mkdir -p "$data/secrets" "$data/files" "$data/ca"
        [ -s "$data/secrets/nats-route" ] || head -c 24 /dev/urandom | base64 | tr '+/' '-_' >"$data/secrets/nats-route"
        [ -s "$data/ca/ca.pem" ] || openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 3650 \
            -subj "/CN=Pigeon cluster $id" -keyout "$data/ca/ca.key" -out "$data/ca/ca.pem" 2>/dev/null
    )
}

make_certificate() { # NODE
    [ ! -s "$data/$1/tls.pem" ] || return 0
    (
        umask 077
        openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj "/CN=nats.pigeon" -keyout "$data/$1/tls.key" \
            -out "$data/$1/tls.csr" 2>/dev/null
        printf 'subjectAltName=DNS:nats.pigeon,IP:%s\nextendedKeyUsage=serverAuth,clientAuth\n' "$(address_of "$1")" >"$data/$1/tls.ext"
        openssl x509 -req -in "$data/$1/tls.csr" -CA "$data/ca/ca.pem" -CAkey "$data/ca/ca.key" -set_serial "0x$(openssl rand -hex 8)" \
            -days 3650 -extfile "$data/$1/tls.ext" -out "$data/$1/tls.pem" 2>/dev/null
        rm -f "$data/$1/tls.csr" "$data/$1/tls.ext"
    )
}

# ---- configuration ----

nats_urls() { # NODE: its own first
    urls=
    for n in $1 $(nodes); do
        case "$n,$urls" in store,* | front,* | *"$(address_of "$n"):"*) continue ;; esac
        urls="$urls,tls://$(address_of "$n"):$base_port"
    done
    echo "${urls#,}"
}

write_nats() { # NODE
    routes=
    for n in $(nodes); do
        [ "$n" = "$1" ] || routes="$routes, \"nats://route:$(cat "$data/secrets/nats-route")@$(address_of "$n"):$((base_port + 9))\""
    done
    cat >"$data/$1/run/nats-node.conf" <<-CONF
	# Written by deploy/cluster.sh; changes here are lost. Clients and routes are encrypted; routes also show a certificate of ours.
	# Who does not answer for some 6 s is gone: until then every third batch goes there, and once more elsewhere.
	write_deadline: "2s"
	ping_interval: "2s"
	ping_max: 2
	tls { cert_file: "$data/$1/tls.pem", key_file: "$data/$1/tls.key", timeout: 5 }
	cluster {
	  name: pigeon
	  listen: "$(address_of "$1"):$((base_port + 9))"
	  authorization { user: route, password: "$(cat "$data/secrets/nats-route")", timeout: 5 }
	  tls { cert_file: "$data/$1/tls.pem", key_file: "$data/$1/tls.key", ca_file: "$data/ca/ca.pem", verify: true, timeout: 5 }
	  routes: [${routes#,} ]
	  no_advertise: true
	  connect_retries: 10
	}
	CONF
}

write_yaml() { # NODE
    at=$(address_of "$1")
    cat >"$data/$1/pigeon.yaml" <<-YAML
	# Written by deploy/cluster.sh at each start. All settings: docs/CONFIG.md.
	node:
	  name: Pigeon
	  data: "$data/$1"
	bus:
	  url: "$(nats_urls "$1")"
	  tls_ca: "$data/ca/ca.pem"
	cache:
	  host: $(address_of store)
	  port: $((base_port + 1))
	gateway:
	  address: $at
	  port: $((base_port + 2))
	  admin_port: $((base_port + 4))
	  trusted_proxies: "127.0.0.1,$(address_of front)"
	  heartbeat_s: 10
	message:
	  admin_port: $((base_port + 5))
	presence:
	  admin_port: $((base_port + 6))
	  linger_ms: 15000 # longer than it takes to notice that a node has lost its power, and to come back to another
	storage:
	  admin_port: $((base_port + 7))
	$(store_settings)
	api:
	  port: $((base_port + 3))
	  admin_port: $((base_port + 8))
	  registration: invite
	  accel: true
	YAML
}

write_node() { # NODE
    mkdir -p "$data/$1/run"
    [ -e "$data/$1/files" ] || ln -s ../files "$data/$1/files"
    [ -e "$data/$1/secrets" ] || ln -s ../secrets "$data/$1/secrets"
    (umask 077 && write_yaml "$1")
    case $1 in store | front) return 0 ;; esac
    make_certificate "$1"
    (umask 077 && write_nats "$1")
    [ -e "$data/$1/run/ports" ] || : >"$data/$1/behind-nginx" # new: Nginx may have it
}

# ---- the store ----

# FerretDB speaks MongoDB's protocol and stands in for it in tests; it is slow, and one process. tests/mongo/ferretdb.py builds it.
choose_store() {
    case ${PIGEON_CLUSTER_STORE:-embedded} in
    embedded) echo embedded ;;
    ferretdb) [ -n "$(ferretdb)" ] && echo ferretdb || fail "there is no FerretDB here: tests/mongo/ferretdb.py build" ;;
    *) fail "PIGEON_CLUSTER_STORE is \"$PIGEON_CLUSTER_STORE\": embedded or ferretdb" ;;
    esac
}
ferretdb() { find "$root/build/ferretdb" -maxdepth 1 -type f -name 'ferretdb-v*' -perm -u+x 2>/dev/null | sort | tail -n 1; }
store_text() {
    case $store in
    embedded) say "embedded, one storage service in the namespace \"store\". IT IS THE PART THAT CANNOT FAIL HERE: nothing stands in for it." ;;
    ferretdb) say "FerretDB in the namespace \"store\", a storage service on each node. FERRETDB IS THE PART THAT CANNOT FAIL HERE: a MongoDB replica set would stand in for itself." ;;
    esac
}
store_settings() {
    case $store in
    embedded) echo "  engine: embedded" ;;
    ferretdb) printf '  engine: mongodb\n  mongo_uri: "mongodb://%s:%s/"\n' "$(address_of store)" "$((base_port + 11))" ;;
    esac
}
store_command() { # NODE: what runs there besides
    case $1,$store in
    store,ferretdb)
        mkdir -p "$data/store/mongo"
        echo "\"$(ferretdb)\" --handler=sqlite \"--sqlite-url=file:$data/store/mongo/?_pragma=synchronous(off)\" \"--state-dir=$data/store/mongo\" --listen-addr=$(address_of store):$((base_port + 11)) --debug-addr=- --telemetry=disable"
        ;;
    esac
}
services_of() { # NODE
    case $1,$store in
    front,*) ;;
    store,embedded) echo storage ;;
    store,*) ;;
    *,embedded) echo "message presence gateway api" ;;
    *) echo "storage message presence gateway api" ;;
    esac
}
servers_of() {
    case $1 in
    front) echo nginx ;;
    store) echo redis ;;
    *) echo "nats nginx" ;; # its Nginx has the api, which listens on loopback only, and the files
    esac
}

# ---- running ----

# deploy/up.sh for one node, in its namespace.
node_env() { # NODE COMMAND...
    n=$1 gateways='' apis='' trusted=$(address_of front) port=$((base_port + 10))
    shift
    if [ "$n" = front ]; then
        gateways=$(behind "$((base_port + 2))") apis=$(behind "$port") trusted='' port=$http_port
    elif [ "$n" != store ]; then
        gateways=$(address_of "$n"):$((base_port + 2))
    fi
    env PIGEON_DATA="$data/$n" PIGEON_BASE_PORT="$base_port" PIGEON_HTTP_PORT="$port" PIGEON_BUILD="$build" \
        PIGEON_SERVICES="$(services_of "$n")" PIGEON_SERVERS="$(servers_of "$n")" PIGEON_CLUSTER_NAME="$n" \
        PIGEON_CLUSTER_ADDRESS="$(address_of "$n")" PIGEON_CLUSTER_GATEWAYS="$gateways" PIGEON_CLUSTER_APIS="$apis" \
        PIGEON_CLUSTER_PROXY="$trusted" PIGEON_CLUSTER_COMMAND="$(store_command "$n")" "$@"
}
behind() { # PORT: the nodes that Nginx sends people to
    list=
    for b in $(nodes); do [ ! -e "$data/$b/behind-nginx" ] || list="$list $(address_of "$b"):$1"; done
    echo "${list# }"
}
running_at() { # DATA: the supervisor's process id, or nothing
    p=$(cat "$1/run/supervisor.pid" 2>/dev/null) || return 0
    if [ -n "$p" ] && [ "$(cat "/proc/$p/comm" 2>/dev/null)" = runsvdir ]; then echo "$p"; fi
}
start_node() { # NODE: without waiting
    [ -z "$(running_at "$data/$1")" ] || return 0
    node_env "$1" ip netns exec "$(namespace "$1")" "$root/deploy/up.sh" >"$data/$1/up.log" 2>&1 || true
}
node_ready() {
    node_env "$1" ip netns exec "$(namespace "$1")" "$root/deploy/up.sh" >"$data/$1/up.log" 2>&1 || { cat "$data/$1/up.log" >&2; return 1; }
}
start_front() {
    write_node front
    node_env front "$root/deploy/up.sh" >"$data/up.log" 2>&1 || { cat "$data/up.log" >&2; fail "Nginx is not ready"; }
}
reload_front() {
    [ -n "$(running_at "$data/front")" ] || return 0
    for n in front store $(nodes); do [ ! -e "$data/$n/run" ] || write_node "$n"; done
    node_env front "$root/deploy/make-config.sh"
    SVDIR=$data/front/run/sv sv hup nginx >/dev/null
}
administrator() {
    (export PIGEON_DATA="$data/front"; first_administrator "$data/admin-made")
}
