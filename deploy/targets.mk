# Targets that run things; the work is in scripts, so that each can be read and run alone.
.PHONY: sim cluster cluster-down cluster-status bench-store help up down status logs web test lint docs bench-campus drills drills-plants clean security-mutations conformance-java

## make up              installs what is missing, builds, starts Pigeon, waits until it is ready
##                      PIGEON_HTTP_PORT=8080 PIGEON_MQTT_PORT=1883 (0: none) PIGEON_DATA=./var; other PIGEON_* settings: docs/CONFIG.md
##                      PIGEON_PROFILE=pi4-2gb|pi4-4gb|pi4-8gb|pi5|none, else by the machine: docs/PI.md
##                      TLS: PIGEON_HTTPS_PORT=8443 (Nginx), PIGEON_TLS_PORT=8444 PIGEON_MQTTS_PORT=8883 (gateway), docs/TLS.md
up:
	@deploy/install.sh build web run
	@echo "Building ..."
	@$(MAKE) --no-print-directory -s -j$(shell nproc) PROFILE=release services
	@$(MAKE) --no-print-directory -s web
	@deploy/up.sh
## make down            stops it
down:
	@deploy/down.sh
## make status          services, connections, rates
status:
	@PIGEON_DATA=$${PIGEON_DATA:-./var} build/release/pigeon status
## make cluster         three nodes in network namespaces on this machine, Nginx before them (docs/CLUSTER.md)
cluster:
	@deploy/install.sh build web run
	@$(MAKE) --no-print-directory -s -j$(shell nproc) PROFILE=release services
	@$(MAKE) --no-print-directory -s web
	@deploy/cluster.sh up
## make cluster-status  its nodes and services
cluster-status:
	@deploy/cluster.sh status
## make cluster-down    takes all of it away
cluster-down:
	@deploy/cluster.sh down
## make logs            follows all logs; SERVICES="gateway storage" for some
logs:
	@deploy/logs.sh $(SERVICES)
## make web             builds the web client into clients/web/dist
web: clients/web/dist/index.html
clients/web/dist/index.html: $(shell find clients/web -path '*/node_modules' -prune -o -path '*/dist' -prune -o -type f -print 2>/dev/null)
	@deploy/install.sh web
	cd clients/web && npm ci --no-audit --no-fund --loglevel=error && npm run build --silent
	@touch $@
## make test            all tests that fit 20 minutes on 2 cores
test:
	@tests/run.sh
## make bench-store     the embedded store alone, on one core: commits/s, bytes written, history pages
bench-store:
	@$(MAKE) --no-print-directory -s PROFILE=release build/release/bench-store
	taskset -c 0 build/release/bench-store --directory build $(BENCH_ARGS)
## make lint            format, clang-tidy, cppcheck, layers, generated documents
lint:
	@tests/lint/run.sh
## make docs            writes docs/CONFIG.md and docs/METRICS.md anew from their tables
docs:
	@$(MAKE) --no-print-directory -s PROFILE=release build/release/pigeon
	build/release/pigeon config doc > docs/CONFIG.md
	python3 tests/lint/metrics.py
## make bench-campus    4,000 users for 5 minutes: latencies, losses, memory and CPU of the whole
bench-campus:
	@tests/bench/campus.sh
## make bench           Pigeon and its peers in one run, each alone on core 0: docs/BENCHMARKS.md; some 45 minutes
##                      ROUNDS=1 SECS=3 ONLY=P1,P3 PEERS=mosquitto,pigeon-native FULL=1 NOREPORT=1
bench:
	@tests/bench/bench.py
## make bench-quick     three minutes beside mosquitto: fails when a ratio has lost a fifth; RECORD=1 takes the ratios as the ones to hold
##                      PLANT=sleep: builds a millisecond into the send path (build/plant-sleep); must then fail
bench-quick:
	@RECORD="$(RECORD)" PLANT="$(PLANT)" tests/bench/quick.sh
## make bench-instructions   instructions of the hot functions by callgrind, against those recorded; RECORD=1 takes them
bench-instructions:
	@RECORD="$(RECORD)" tests/bench/instructions.sh
.PHONY: bench bench-quick bench-instructions
## make sim             the simulation: SEEDS=1000 FIRST=1, or SEED=n alone; VERBOSE=1 tells what happens (docs/SIMULATION.md)
##                      PLANT=ack-before-commit|dedup-off|drop-publish|seq-reset|version-off|sync-off: must then fail
sim:
	@deploy/install.sh build
	@$(MAKE) --no-print-directory -s PROFILE=sim -j$(shell nproc) build/sim/pigeon-sim
	@build/sim/pigeon-sim $(if $(SEED),--seed $(SEED),--seeds $(or $(SEEDS),1000)) $(if $(FIRST),--first $(FIRST)) \
		$(if $(PLANT),--plant $(PLANT)) $(if $(VERBOSE),--verbose)
## make conformance-java   the stores' suite on mongo-java-server, a second server that speaks MongoDB's protocol
conformance-java:
	@tests/mongo/java_server.sh
## make drills          the ten drills of docs/RELIABILITY.md, a line each; ONLY=1,5 SEED=7 SHORT=1 KILLS=1000
##                      PLANT=ack-before-commit|dedup-off|seq-from-redis|sync-off|drop-publish: must then fail
drills:
	@tests/drills/run.sh $(if $(ONLY),--only $(ONLY)) $(if $(SEED),--seed $(SEED)) $(if $(SHORT),--short) $(if $(PLANT),--plant $(PLANT)) \
		$(if $(KILLS),--kills $(KILLS)) $(if $(CUTS),--cuts $(CUTS)) $(if $(SECONDS),--seconds $(SECONDS)) $(if $(KEEP),--keep)
## make security-mutations   takes out each defence of docs/SECURITY.md in a copy and sees its test fail; ONLY="word ..."
security-mutations:
	@tests/security/take-out.sh $(ONLY)
## make autobahn        RFC 6455 by Autobahn's test suite (docs/AUTOBAHN.md); CASES="1.* 7.*" for some
autobahn:
	@deploy/install.sh build run
	@$(MAKE) --no-print-directory -s -j$(shell nproc) PROFILE=debug services
	@tests/autobahn/setup.sh
	@PIGEON_BUILD=build/debug CASES="$(or $(CASES),*)" python3 tests/autobahn/run.py
## make churn           takeover and subscribe under a sanitizer: SANITIZER=tsan|asan SECONDS=1200 SEED=7
churn:
	@tests/run.sh --list >/dev/null
	@$(MAKE) --no-print-directory -s -j$(shell nproc) PROFILE=debug services
	@$(MAKE) --no-print-directory -s -j$(shell nproc) PROFILE=$(or $(SANITIZER),tsan) build/$(or $(SANITIZER),tsan)/pigeon-gateway
	@PIGEON_BUILD=build/debug CHURN_GATEWAY=build/$(or $(SANITIZER),tsan) .venv/bin/python tests/churn/churn.py $(or $(SECONDS),1200) $(SEED)
.PHONY: autobahn churn
## make drills-plants   each planted fault is found by its drill: some 5 minutes
drills-plants:
	@tests/drills/run.sh --only 0 >/dev/null 2>&1 || true # sets up only
	@PIGEON_BUILD=$${PIGEON_BUILD:-build/debug} .venv/bin/python -m pytest -q -p no:cacheprovider tests/drills/test_plants.py
## make arm64-test      everything built for arm64, its unit and conformance tests under qemu-user; SUITE=bookworm|trixie
arm64-test:
	@tests/roots/arm64.sh $(or $(SUITE),bookworm)
## make debian13-test   unit and conformance tests in a bare Debian 13; debian12-test; debian13-up, debian12-up: make up and make down there
debian12-test debian12-up:
	@tests/roots/debian.sh bookworm $(@:debian12-%=%)
debian13-test debian13-up:
	@tests/roots/debian.sh trixie $(@:debian13-%=%)
## make pages16k-test   stores and units on pages of 16 KiB, as a Raspberry Pi 5 has them
pages16k-test:
	@tests/roots/pages16k.sh
.PHONY: pages16k-test arm64-test debian12-test debian12-up debian13-test debian13-up
help:
	@sed -n 's/^## //p' $(MAKEFILE_LIST)
## make clean           removes build/
clean:
	rm -rf build
