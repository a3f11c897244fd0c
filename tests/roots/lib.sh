# Debian roots in build/roots, made with mmdebstrap from the mirror that this machine's own apt uses. Sourced, not run.
set -eu
cd "$(dirname "$0")/../.."
here=$PWD
roots=$here/build/roots

fail() { printf '%s\n' "$*" >&2; exit 2; }
needs_root() { [ "$(id -u)" -eq 0 ] || fail "making a Debian root needs root: run with sudo"; }

# Where this machine gets Debian from; empty: mmdebstrap's own choice.
mirror() {
    apt-get indextargets --format '$(ORIGIN) $(COMPONENT) $(CREATED_BY) $(CODENAME) $(REPO_URI)' 2>/dev/null |
        awk '$1 == "Debian" && $2 == "main" && $3 == "Packages" && $4 !~ /-/ {print $5; exit}'
}

# make_root NAME SUITE ARCHITECTURE VARIANT PACKAGES: as it was when it was made with the same words.
make_root() {
    root=$roots/$1
    words="$2 $3 $4 $5"
    [ "$(cat "$root.made" 2>/dev/null)" != "$words" ] || return 0
    from=$(mirror)
    echo "Making a root of Debian $2 for $3 ..."
    mkdir -p "$roots"
    rm -rf "$root" "$root.made"
    mmdebstrap --quiet --variant="$4" --architectures="$3" --include="$(echo "$5" | tr -s ' \n' ',,' | sed 's/,$//')" "$2" "$root" \
        ${from:+"deb $from $2 main"}
    echo "$words" >"$root.made"
}

# in_root ROOT COMMAND...: with a process tree of its own and /proc, /sys, /dev and the network of this machine.
# When the command ends, nothing of it is left: no process, no mount.
in_root() {
    inside=$1
    shift
    cp -L /etc/resolv.conf /etc/hosts "$inside/etc/"
    unshare --mount --pid --fork --kill-child --propagation private sh -c '
        at=$1; shift
        mount -t proc proc "$at/proc" && mount --rbind /sys "$at/sys" && mount --rbind /dev "$at/dev" || exit 2
        exec chroot "$at" env -i HOME=/root TERM=dumb LANG=C.UTF-8 PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin "$@"' \
        in_root "$inside" "$@" </dev/null
}

# What is committed, in /pigeon of the root, and nothing that was built there before.
put_source() {
    rm -rf "$1/pigeon"
    mkdir -p "$1/pigeon"
    git archive HEAD | tar -x -C "$1/pigeon"
}
