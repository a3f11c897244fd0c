#!/bin/sh
# A bare Debian in a root of its own (minimal packages, make, certificates), with what is committed here in /pigeon:
#   tests/roots/debian.sh SUITE test    installs, builds, runs the unit and conformance tests (memory and embedded stores)
#   tests/roots/debian.sh SUITE up      make up, the web client, a message from one user to another, make down, nothing left running
# SUITE: bookworm (12), trixie (13). PIGEON_HTTP_PORT: a free one otherwise; MQTT's is a free one. The root stays in build/roots for the next time;
# FRESH=1 makes it anew.
. "$(dirname "$0")/lib.sh"
suite=${1:-trixie} what=${2:-test}
needs_root
deploy/install.sh roots
[ -z "${FRESH:-}" ] || rm -f "$roots/$suite-$what.made"
make_root "$suite-$what" "$suite" "$(dpkg --print-architecture)" minbase "make ca-certificates"
put_source "$root"
# How this machine reaches the registries counts inside too.
[ ! -e /etc/ssl/certs/ca-certificates.crt ] || cp -L /etc/ssl/certs/ca-certificates.crt "$root/etc/ssl/certs/"
[ ! -e "$HOME/.npmrc" ] || cp -L "$HOME/.npmrc" "$root/etc/npmrc"
npm_settings=$(env | grep -iE '^(npm_config_|https?_proxy=|no_proxy=)' || true)

case $what in
test)
    in_root "$root" sh -euc 'cd /pigeon
        . /etc/os-release
        echo "$PRETTY_NAME: installing and building ..."
        deploy/install.sh build units
        make -s CI=1 PROFILE=debug -j"$(nproc)" services unit-build
        tests/roots/units.sh build/debug'
    ;;
up)
    free='import socket; s = socket.socket(); s.bind(("", 0)); print(s.getsockname()[1])'
    port=${PIGEON_HTTP_PORT:-$(python3 -c "$free")}
    in_root "$root" env $npm_settings PIGEON_HTTP_PORT="$port" PIGEON_MQTT_PORT="$(python3 -c "$free")" PIGEON_DATA=/var/lib/pigeon-try sh -euc 'cd /pigeon
        . /etc/os-release
        echo "$PRETTY_NAME: make up ..."
        rm -rf "$PIGEON_DATA"
        make up
        at=http://127.0.0.1:$PIGEON_HTTP_PORT
        curl -fsS "$at/" | grep -q "<div id=" || { echo "no web client at $at"; exit 1; }
        make up | grep "running already"
        printf "user,name\nann,Ann\nben,Ben\n" >/tmp/two.csv
        build/release/pigeon user import /tmp/two.csv --tokens /tmp/tokens.csv
        build/release/pigeon-load pairs --url "ws://127.0.0.1:$PIGEON_HTTP_PORT/v1/ws" --tokens /tmp/tokens.csv --users 2 --secs 3 --quiet
        build/release/pigeon doctor || true
        make down
        ! ps -e -o pid=,comm= | grep -E " (pigeon-|nats-server|redis-server|nginx|runsv|svlogd)" || { echo "something is left running"; exit 1; }
        echo "1 passed, 0 failed"'
    ;;
*) fail "tests/roots/debian.sh SUITE test|up" ;;
esac
