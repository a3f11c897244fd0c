# Shared by the scripts of deploy/: where things are, how to say and to fail. Sourced, not run.
set -eu

root=$(cd "$(dirname "$0")/.." && pwd)
data=${PIGEON_DATA:-$root/var}
case $data in /*) ;; *) data=$(pwd)/$data ;; esac
http_port=${PIGEON_HTTP_PORT:-}
build=${PIGEON_BUILD:-$root/build/release}
# What runs here. A node of a cluster runs a part of it (deploy/cluster.sh).
services=${PIGEON_SERVICES-storage message presence gateway api}
servers=${PIGEON_SERVERS-nats redis nginx}
has() { case " $services $servers " in *" $1 "*) return 0 ;; esac; return 1; }

say() { printf '%s\n' "$*"; }
fail() { printf 'pigeon: %s\n' "$*" >&2; exit 1; }

# Paths go into configurations of Nginx, Redis and NATS, and through sed.
case $root$data in *[[:space:]\"\'\;\{\}\$\|\&\\\#]*)
    fail "a path has a blank, a quote or one of ; { } \$ | & # \\ in it, which Nginx's configuration does not bear: $root (sources), $data (PIGEON_DATA): choose another" ;;
esac

# The process id of this directory's supervisor, or nothing.
supervisor_pid() {
    pid=$(cat "$data/run/supervisor.pid" 2>/dev/null) || return 0
    if [ -n "$pid" ] && [ "$(cat "/proc/$pid/comm" 2>/dev/null)" = runsvdir ]; then echo "$pid"; fi
}

# $fits: the profile of deploy/profiles for this machine, or none; $model, $mib. PIGEON_MODEL, PIGEON_MEMINFO: other files, for tests.
fitting_profile() {
    fits=none mib=0
    model=$({ tr -d '\0' <"${PIGEON_MODEL:-/proc/device-tree/model}"; } 2>/dev/null) || model=
    mib=$(($(sed -n 's/^MemTotal: *\([0-9]*\) kB/\1/p' "${PIGEON_MEMINFO:-/proc/meminfo}") / 1024))
    case $model in
    "Raspberry Pi 4"* | "Raspberry Pi Compute Module 4"*)
        if [ $mib -lt 3000 ]; then fits=pi4-2gb; elif [ $mib -lt 6000 ]; then fits=pi4-4gb; else fits=pi4-8gb; fi
        ;;
    "Raspberry Pi 5"* | "Raspberry Pi Compute Module 5"*) if [ $mib -lt 3000 ]; then fits=pi4-2gb; else fits=pi5; fi ;;
    esac
}

# A setting that was chosen at the first start: kept NAME
kept() { sed -n "s/^$1=//p" "$data/run/ports" 2>/dev/null || true; }

# Makes the first administrator and shows the one-time password; the file MARKER says that it was done. What fails is said, and tried again
# at the next start.
first_administrator() { # MARKER
    [ ! -e "$1" ] || return 0
    if answer=$("$build/pigeon" user add admin --name Administrator --admin --one-time 2>&1); then
        say "Administrator:     admin"
        say "One-time password: $(printf '%s' "$answer" | sed -n 's/.*[Oo]ne-time password[^:]*: *//p')   (shown only now; you choose your own at the first login)"
    else
        case $answer in
        *" already"*) say "Administrator:     admin is there already; a new password: pigeon user passwd admin --one-time" ;;
        *)
            say "Administrator:     could not be made ($answer); make up tries it again"
            return 0
            ;;
        esac
    fi
    : >"$1"
}
