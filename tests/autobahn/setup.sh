#!/bin/sh
# Prepares Autobahn's test suite, which needs Python 2.7, in build/autobahn and writes build/autobahn/wstest, the command to run.
# Python 2.7 is $PYTHON27, or python2.7 where there is one with pip, else that of Debian 11 in a root of its own (mmdebstrap, as root).
set -eu
cd "$(dirname "$0")/../.."
here=$PWD
dir=$here/build/autobahn
stamp=$dir/installed
wanted=$(cat tests/autobahn/requirements.txt)
[ ! -e "$stamp" ] || [ "$(cat "$stamp")" != "$wanted" ] || exit 0
mkdir -p "$dir"
launch="import site; site.addsitedir('SITE'); from autobahntestsuite import wstest; wstest.run()"
warn="DEPRECATION|Python 2.7|WARNING"

python=${PYTHON27:-python2.7}
if "$python" -m pip --version >/dev/null 2>&1; then
    echo "Installing Autobahn's test suite for $("$python" --version 2>&1) ..."
    rm -rf "$dir/site" "$dir/root"
    "$python" -m pip install -q --no-deps --target "$dir/site" --only-binary=cryptography -r tests/autobahn/requirements.txt 2>&1 | grep -vE "$warn" || true
    printf '#!/bin/sh\nexec "%s" -W ignore -c "%s" "$@"\n' "$(command -v "$python")" "$(echo "$launch" | sed "s,SITE,$dir/site,")" >"$dir/wstest"
else
    [ "$(id -u)" -eq 0 ] || { echo "Python 2.7 is not there, and making a Debian 11 root for it needs root: set PYTHON27" >&2; exit 2; }
    deploy/install.sh autobahn
    root=$dir/root
    echo "Making a Debian 11 root with Python 2.7 (a few minutes) ..."
    rm -rf "$root"
    mmdebstrap --quiet --variant=minbase --include=python2.7,python2.7-dev,gcc,libc6-dev,python-setuptools,python-pip-whl,ca-certificates bullseye "$root"
    cp -L /etc/resolv.conf /etc/hosts "$root/etc/"
    cp -L /etc/ssl/certs/ca-certificates.crt "$root/etc/ssl/certs/ca-certificates.crt"
    cp tests/autobahn/requirements.txt "$root/requirements.txt"
    echo "Installing Autobahn's test suite into it ..."
    chroot "$root" sh -c 'PYTHONPATH=$(ls /usr/share/python-wheels/pip-*.whl) python2.7 -m pip install -q --no-deps --no-cache-dir --target /site \
        --only-binary=cryptography -r /requirements.txt' 2>&1 | grep -vE "$warn" || true
    printf '#!/bin/sh\nexec chroot "%s" /usr/bin/python2.7 -W ignore -c "%s" "$@"\n' "$root" "$(echo "$launch" | sed "s,SITE,/site,")" >"$dir/wstest"
fi
chmod +x "$dir/wstest"
"$dir/wstest" --autobahnversion
echo "$wanted" >"$stamp"
