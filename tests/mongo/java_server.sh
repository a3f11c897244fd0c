#!/bin/sh
# The conformance suite on mongo-java-server, a second implementation of MongoDB's protocol (in memory, from Maven). It calls itself
# MongoDB 4.0: first Pigeon must refuse it as too old, then the suite runs with that check off. Not part of `make test`.
#   make conformance-java
set -eu
cd "$(dirname "$0")/../.."
deploy/install.sh build test
command -v java >/dev/null && command -v mvn >/dev/null || apt-get install -y -qq --no-install-recommends openjdk-17-jdk-headless maven >/dev/null
home=build/mongo-java-server
mkdir -p $home
[ -e $home/lib ] || mvn -q -B -f tests/mongo/pom.xml dependency:copy-dependencies -DoutputDirectory="$PWD/$home/lib"
make -s CI=1 PROFILE=debug -j"$(nproc)" unit-build
rm -f $home/uri $home/input
mkfifo $home/input
java -Xmx1g -cp "$home/lib/*" tests/mongo/MongoJavaServer.java <$home/input >$home/uri 2>$home/log &
server=$!
exec 3>$home/input # its input stays open as long as this script runs
trap 'exec 3>&-; kill $server 2>/dev/null || true' EXIT
until [ -s $home/uri ]; do
    kill -0 $server || { cat $home/log; exit 1; }
    sleep 0.2
done
PIGEON_MONGO_URI=$(cat $home/uri)
export PIGEON_MONGO_URI
status=0
if build/debug/tests/conformance/test_store_mongo 2>&1 | grep -q "this is MongoDB 4.0.0: too old"; then
    echo "an old server is refused: ok"
else
    echo "an old server is refused: FAILED"
    status=1
fi
export PIGEON_MONGO_ANY_VERSION=1
for t in test_store_mongo test_store test_store_groups test_store_directory test_store_random; do
    if timeout 300 build/debug/tests/conformance/$t >$home/$t.log 2>&1; then
        echo "$t: ok, $(sed -n '/store: mongodb/,$s/.*PASSED.*\] //p' $home/$t.log | tail -n 1)"
    else
        grep -E "ERROR|FAILED|LINE" $home/$t.log | head -n 20
        echo "$t: FAILED, see $home/$t.log"
        status=1
    fi
done
exit $status
