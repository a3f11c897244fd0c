#!/bin/sh
# A cluster on one machine: three nodes, each in a network namespace of its own with its own NATS, gateway, message, presence
# and api, a bridge between them, and Nginx before all of them on PIGEON_HTTP_PORT. See docs/CLUSTER.md.
#   cluster.sh up | down | status         again is harmless; down also takes away a half start, and nothing else
#   cluster.sh add                        one more node
#   cluster.sh drain NODE                 away from Nginx, its clients sent away politely, stopped
#   cluster.sh kill NODE                  link down, then kill -9 for every process of it: a node that lost its power
#   cluster.sh start NODE                 brings back what was killed or drained
#   cluster.sh cut A B | one-way A B | heal     A and B no longer hear each other | B no longer hears A | all hear all again
#   PIGEON_DATA (./var-cluster), PIGEON_HTTP_PORT (8080), PIGEON_BUILD,
#   PIGEON_CLUSTER_STORE=embedded|ferretdb (chosen at the first start), PIGEON_CLUSTER_NET=198.18.77 (first three numbers of its addresses)
export PIGEON_DATA="${PIGEON_DATA:-$(cd "$(dirname "$0")/.." && pwd)/var-cluster}"
. "$(dirname "$0")/lib.sh"
. "$root/deploy/cluster-lib.sh"

up() {
    needs
    settle
    make_bridge
    make_secrets
    for n in store $(nodes); do make_node "$n"; done
    say "Store: $(store_text)"
    for n in store $(nodes); do start_node "$n" & done # each waits for the others
    wait
    for n in store $(nodes); do node_ready "$n" || fail "$n is not ready: look into $data/$n/log"; done
    start_front
    administrator
    say "Cluster is ready:  http://localhost:$http_port ($(nodes | wc -w) nodes behind it)"
    say "Command line:      PIGEON_DATA=$data/front $build/pigeon status"
    say "                   make cluster-status, make cluster-down"
}

down() {
    if [ ! -e "$data/made" ]; then say "No cluster at $data."; return 0; fi
    settle
    PIGEON_DATA=$data/front "$root/deploy/down.sh" >/dev/null
    for n in $(nodes); do PIGEON_DATA=$data/$n "$root/deploy/down.sh" >/dev/null & done
    wait
    PIGEON_DATA=$data/store "$root/deploy/down.sh" >/dev/null
    unmake
    say "The cluster is stopped; its data stays in $data."
}

status() {
    [ -e "$data/made" ] || fail "no cluster at $data: make cluster"
    settle
    say "Store: $(store_text)"
    for n in front store $(nodes); do
        pid=$(running_at "$data/$n")
        line=
        for d in "$data/$n"/run/sv/*; do
            [ -d "$d" ] || continue
            line="$line $(basename "$d"):$( [ -n "$pid" ] && sv status "$d" 2>/dev/null | sed -n 's/^\([a-z]*\):.*/\1/p' || echo stopped)"
        done
        printf '%-6s %-15s%s\n' "$n" "$(address_of "$n")" "$line"
    done
    PIGEON_DATA=$data/front "$build/pigeon" status || true
}

add() {
    settle
    count=$(nodes | wc -w)
    [ "$count" -lt 16 ] || fail "16 nodes are the most that one machine is given"
    n=n$((count + 1))
    choose "node $n"
    make_node "$n"
    start_node "$n"
    node_ready "$n" || fail "$n is not ready: look into $data/$n/log"
    : >"$data/$n/behind-nginx"
    reload_front
    say "$n has joined."
}

drain() {
    is_node "$1"
    settle
    rm -f "$data/$1/behind-nginx"
    reload_front
    PIGEON_DATA=$data/$1 "$root/deploy/down.sh" >/dev/null
    say "$1 is drained."
}

kill_node() {
    is_node "$1"
    settle
    ip -n "$(namespace "$1")" link set eth0 down
    # All at once, the supervisor too, again for what was just being started.
    while pids=$(ip netns pids "$(namespace "$1")") && [ -n "$pids" ]; do
        for p in $pids; do kill -KILL "$p" 2>/dev/null || true; done
    done
    rm -f "$data/$1/run/supervisor.pid"
    say "$1 is dead."
}

start() {
    is_node "$1"
    settle
    make_node "$1"
    start_node "$1"
    node_ready "$1" || fail "$1 is not ready: look into $data/$1/log"
    if [ "$1" != store ] && [ ! -e "$data/$1/behind-nginx" ]; then
        : >"$data/$1/behind-nginx"
        reload_front
    fi
    say "$1 is back."
}

case ${1:-} in
up | down | status | add) "$1" ;;
drain | start) [ $# -eq 2 ] || fail "cluster.sh $1 NODE"; "$1" "$2" ;;
kill) [ $# -eq 2 ] || fail "cluster.sh kill NODE"; kill_node "$2" ;;
cut) [ $# -eq 3 ] || fail "cluster.sh cut A B"; settle; deafen "$2" "$3"; deafen "$3" "$2" ;;
one-way) [ $# -eq 3 ] || fail "cluster.sh one-way A B"; settle; deafen "$2" "$3" ;;
heal) settle; heal ;;
*) sed -n '2,13s/^# \{0,1\}//p' "$0"; exit 2 ;;
esac
