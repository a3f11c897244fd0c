#!/bin/sh
# Installs what is missing from Debian: install.sh build|run|web|test|lint ...   (install.sh list build ...: only names what belongs to it)
# Prints nothing when all is there. Daemons that come with a package are not started by it.
. "$(dirname "$0")/lib.sh"

packages_for() {
    case $1 in
    build) echo "gcc make pkg-config libc6-dev protobuf-compiler protobuf-c-compiler libprotobuf-c-dev libnats-dev libhiredis-dev
                 librocksdb-dev libsqlite3-dev libcivetweb-dev libjansson-dev libyaml-dev libsodium-dev libxxhash-dev zlib1g-dev libssl-dev libmongoc-dev libzstd-dev" ;;
    run) echo "nats-server redis-server nginx runit curl iproute2 procps openssl" ;;
    web) command -v npm >/dev/null 2>&1 || echo "nodejs npm" ;;
    test) echo "libcmocka-dev libfuse3-dev python3-venv chromium prometheus slowhttptest nats-server redis-server nginx runit curl fonts-noto-cjk
                 mosquitto-clients libpaho-mqtt-dev" ;;
    lint) echo "clang-format-14 clang-tidy-14 cppcheck" ;;
    mongo) command -v go >/dev/null 2>&1 || echo "golang-go ca-certificates" ;;
    units) echo "libcmocka-dev libfuse3-dev nats-server redis-server" ;;
    autobahn | roots) echo "mmdebstrap" ;;
    arm64) echo "gcc-aarch64-linux-gnu libc6-dev-arm64-cross qemu-user-static" ;;
    bench) echo "mosquitto ejabberd erlang-p1-sqlite3 prosody lua-dbi-sqlite3 sqlite3 postgresql gcc libc6-dev util-linux iproute2" ;;
    bench-quick) echo "mosquitto gcc libc6-dev util-linux iproute2" ;;
    instructions) echo "valgrind" ;;
    fuzz) echo "clang-14 libclang-rt-14-dev llvm-14" ;;
    *) fail "install.sh: unknown set of packages: $1" ;;
    esac
}

if [ "${1:-}" = list ]; then
    shift
    for set in "$@"; do packages_for "$set"; done
    exit 0
fi
missing=
for set in "$@"; do
    for p in $(packages_for "$set"); do
        case $(dpkg-query -W -f '${Status}' "$p" 2>/dev/null) in
        "install ok installed") ;;
        *) missing="$missing $p" ;;
        esac
    done
done
[ -n "$missing" ] || exit 0

command -v apt-get >/dev/null || fail "needs Debian packages that apt-get would install:$missing"
sudo=
if [ "$(id -u)" -ne 0 ]; then
    command -v sudo >/dev/null || fail "missing packages:$missing. Run this as root, or install sudo"
    sudo="sudo -n"
    sudo -n true 2>/dev/null || sudo="sudo"
fi
say "Installing from Debian:$missing"
# Pigeon starts its own servers with its own settings; the packages' units stay stopped.
guard=/usr/sbin/policy-rc.d
made=
if [ ! -e $guard ]; then
    printf '#!/bin/sh\nexit 101\n' | $sudo tee $guard >/dev/null && $sudo chmod 755 $guard && made=1
fi
log=$(mktemp)
trap '[ -z "$made" ] || $sudo rm -f $guard; rm -f "$log"' EXIT
run_apt() { $sudo env DEBIAN_FRONTEND=noninteractive apt-get -q "$@" </dev/null >>"$log" 2>&1; }
{ run_apt update && run_apt install -y --no-install-recommends $missing; } || {
    tail -n 20 "$log" >&2
    fail "apt-get could not install:$missing (its last lines are above)"
}
