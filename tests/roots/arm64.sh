#!/bin/sh
# Builds everything for arm64 and runs the unit and conformance tests (memory and embedded stores) there, under qemu-user:
#   tests/roots/arm64.sh [SUITE] [PROFILE]          bookworm debug
# The compiler is this machine's, cross; the libraries are those of a Debian root for arm64 whose packages are unpacked only, so that
# nothing of it needs to run before. Servers that the tests start (NATS, Redis) are this machine's. Programs that start themselves need
# the kernel to know what to run arm64 programs with (binfmt_misc): it is told when nobody has, and told to forget it at the end.
. "$(dirname "$0")/lib.sh"
suite=${1:-bookworm} profile=${2:-debug}
needs_root
deploy/install.sh build run units
if [ "$(uname -m)" = aarch64 ]; then # nothing to emulate
    make -s CI=1 PROFILE="$profile" -j"$(nproc)" services unit-build
    exec tests/roots/units.sh "build/$profile"
fi
deploy/install.sh roots arm64

libraries=$(deploy/install.sh list build units | tr -s ' ' '\n' | grep -E '^(lib.*|zlib1g)-dev$' | grep -v '^libc6-dev$')
make_root "arm64-$suite" "$suite" arm64 extract "libc6-dev $libraries"
[ -e "$root/lib" ] || ln -s usr/lib "$root/lib" # Debian 13's packages rely on it

triple=aarch64-linux-gnu build=build/arm64-$suite-$profile
export PKG_CONFIG_SYSROOT_DIR="$root" PKG_CONFIG_LIBDIR="$root/usr/lib/$triple/pkgconfig:$root/usr/share/pkgconfig" QEMU_LD_PREFIX="$root"
export QEMU_CPU=cortex-a72 # a Pi 4's: no LSE, no SVE (whose memory functions in glibc 2.41 would take qemu for ever)
echo "Building for arm64 ..."
make -s CI=1 PROFILE="$profile" B="$build" CC="$triple-gcc --sysroot=$root" AR="$triple-ar" -j"$(nproc)" services unit-build

binfmt=/proc/sys/fs/binfmt_misc ours=pigeon-arm64 said=
forget() {
    [ -z "$said" ] || echo -1 >"$binfmt/$ours"
    said=
}
trap forget EXIT
trap 'exit 130' INT TERM
[ -e $binfmt/register ] || mount -t binfmt_misc binfmt_misc $binfmt 2>/dev/null || true
# An ELF file, 64 bit, little-endian, an executable or a shared object for machine 183. F: found now, so that it works in any root.
if [ -w $binfmt/register ] && ! grep -lqs '^magic 7f454c460201010000000000000000000200b700' $binfmt/*; then
    printf '%s' ":$ours:M::"'\x7fELF\x02\x01\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x02\x00\xb7\x00:\xff\xff\xff\xff\xff\xff\xff\x00\xff\xff\xff\xff\xff\xff\xff\xff\xfe\xff\xff\xff:'"$(command -v qemu-aarch64-static qemu-aarch64 | head -n 1):F" >$binfmt/register
    said=1
fi
"$build/pigeon" --version >/dev/null || fail "this kernel cannot be told how to run arm64 programs (no binfmt_misc): nothing was tested"
for service in "$build"/pigeon-*; do
    case $service in */pigeon-load | *.d) continue ;; esac
    "$service" --version
done
tests/roots/units.sh "$build" 1500 # the random ones take their time under qemu
