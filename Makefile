# Pigeon. `make up` and `make test` are the two commands; `make help` lists the others.
#
# PROFILE=release|debug|asan|tsan|coverage|fuzz   chooses flags and build/<profile>/
# A service is its folder: services/<name>/*.c becomes pigeon-<name>. common/ is one static library.

PROFILE ?= release
B := build/$(PROFILE)
VERSION := 0.1.0

# ---- flags ----

PKGS_COMMON := libprotobuf-c jansson yaml-0.1 libsodium hiredis libnats libxxhash
PKG = $(shell pkg-config --$(1) $(2) 2>/dev/null)
WARN := -Wall -Wextra -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wvla -Wformat=2 -Wcast-qual -Wwrite-strings \
        -Wundef -Wconversion -Wswitch-enum -fno-common
ifneq ($(CI),)
ifneq ($(PROFILE),fuzz) # clang also warns of protobuf-c's own switch values and macros; gcc's builds are held to all of WARN
WARN += -Werror
endif
endif
CPPFLAGS := -D_GNU_SOURCE -DPGN_VERSION='"$(VERSION)"' -I. -isystem $(B)/gen $(call PKG,cflags,$(PKGS_COMMON) sqlite3 rocksdb) $(patsubst -I%,-isystem %,$(call PKG,cflags,libmongoc-1.0))
CFLAGS_release := -O2 -g -fstack-protector-strong -D_FORTIFY_SOURCE=2 -fPIE -fstack-clash-protection
LDFLAGS_release := -pie -Wl,-z,relro,-z,now
CFLAGS_debug := -O1 -g -DPGN_TEST_FAULTS
CFLAGS_asan := -O1 -g -fno-omit-frame-pointer -fsanitize=address,undefined -fno-sanitize-recover=undefined -DPGN_TEST_FAULTS
CFLAGS_sim := -O2 -g -DPGN_TEST_FAULTS
CFLAGS_tsan := -O1 -g -fsanitize=thread -DPGN_TEST_FAULTS
CFLAGS_coverage := -O0 -g --coverage -DPGN_TEST_FAULTS
CFLAGS_fuzz := -O1 -g -fno-omit-frame-pointer -fsanitize=address,undefined,fuzzer-no-link -fno-sanitize-recover=undefined -DPGN_FUZZ
LDFLAGS_debug :=
LDFLAGS_asan := -fsanitize=address,undefined
LDFLAGS_tsan := -fsanitize=thread
LDFLAGS_coverage := --coverage
LDFLAGS_fuzz := -fsanitize=address,undefined
ifeq ($(PROFILE),fuzz)
CC := clang-14
WARN += -Wno-cast-qual -Wno-switch-enum
endif
CFLAGS := -std=gnu11 $(WARN) $(CFLAGS_$(PROFILE)) -pthread
LDFLAGS := $(LDFLAGS_$(PROFILE)) -pthread -Wl,--as-needed
LIBS := $(call PKG,libs,$(PKGS_COMMON)) -lcivetweb -lm -ldl
LIBS_gateway := -lssl -lcrypto
LIBS_storage := -lrocksdb $(call PKG,libs,sqlite3 libmongoc-1.0 libzstd)
LIBS_pigeon := -lz
LIBS_load := -lssl -lcrypto

# ---- sources ----

SERVICES := $(patsubst services/%/main.c,%,$(wildcard services/*/main.c))
PROTO := client internal api export
GEN_C := $(PROTO:%=$(B)/gen/%.pb-c.c)
COMMON_SRC := $(wildcard common/*/*.c)
COMMON_OBJ := $(COMMON_SRC:%.c=$(B)/%.o) $(GEN_C:.c=.o)
COMMON_LIB := $(B)/libpigeon.a
SVC_OBJ = $(patsubst %.c,$(B)/%.o,$(wildcard services/$(1)/*.c))
BINS := $(SERVICES:%=$(B)/pigeon-%) $(if $(wildcard clients/cli/*.c),$(B)/pigeon) $(if $(wildcard loadtest/*.c),$(B)/pigeon-load)
UNIT_SRC := $(wildcard tests/unit/*/test_*.c tests/unit/*/*/test_*.c tests/conformance/test_*.c)
UNIT_BIN := $(UNIT_SRC:%.c=$(B)/%)
UNIT_SUPPORT := $(patsubst %.c,$(B)/%.o,$(wildcard tests/unit/support/*.c))
FUZZ_SRC := $(wildcard tests/fuzz/fuzz_*.c)
FUZZ_BIN := $(FUZZ_SRC:%.c=$(B)/%)

.PHONY: all services unit fuzz-build
all: $(BINS)
services: $(BINS)
unit-build: $(UNIT_BIN)
fuzz-build: $(FUZZ_BIN)

# ---- rules ----

$(B)/gen/%.pb-c.c $(B)/gen/%.pb-c.h: common/proto/%.proto common/proto/client.proto
	@mkdir -p $(B)/gen
	cd common/proto && protoc --c_out=$(abspath $(B))/gen $*.proto

# Kept: as intermediates they would be removed and made again each time.
.SECONDARY: $(GEN_C) $(GEN_C:.c=.h)

# Generated code is not held to our warnings.
$(B)/gen/%.o: $(B)/gen/%.c $(GEN_C:.c=.h)
	$(CC) -std=gnu11 -w $(CPPFLAGS) $(CFLAGS_$(PROFILE)) -pthread -MMD -MP -c -o $@ $<

$(B)/%.o: %.c $(GEN_C:.c=.h) | $(GEN_C)
	@mkdir -p $(@D)
	$(CC) $(CPPFLAGS) $(CFLAGS) $(CFLAGS_EXTRA) -MMD -MP -c -o $@ $<

$(COMMON_LIB): $(COMMON_OBJ)
	@rm -f $@
	$(AR) rcs $@ $^

# The fault of `make bench-quick PLANT=sleep`, in a build directory of its own name and nowhere else.
ifeq ($(notdir $(B)),plant-sleep)
PLANT_gateway := $(B)/tests/bench/plant_sleep.o -Wl,--wrap=gw_batch_take
$(B)/pigeon-gateway: $(B)/tests/bench/plant_sleep.o
endif

.SECONDEXPANSION:
$(SERVICES:%=$(B)/pigeon-%): $(B)/pigeon-%: $$(call SVC_OBJ,$$*) $(COMMON_LIB)
	$(CC) $(CFLAGS) $(LDFLAGS) -o $@ $(filter-out %/plant_sleep.o,$^) $(PLANT_$*) $(LIBS_$*) $(LIBS)

$(B)/pigeon: $(patsubst %.c,$(B)/%.o,$(wildcard clients/cli/*.c)) $(COMMON_LIB)
	$(CC) $(CFLAGS) $(LDFLAGS) -o $@ $^ $(LIBS_pigeon) $(LIBS)

$(B)/pigeon-load: $(patsubst %.c,$(B)/%.o,$(wildcard loadtest/*.c)) $(COMMON_LIB)
	$(CC) $(CFLAGS) $(LDFLAGS) -o $@ $^ $(LIBS_load) $(LIBS)

# A unit test mirrors the tree: tests/unit/common/... needs the library, tests/unit/<service>/ also that service's
# objects but main.o; tests/conformance/ needs the storage service's.
test_svc = $(filter $(notdir $(wildcard services/*)),$(if $(filter tests/conformance/%,$(1)),storage,$(word 3,$(subst /, ,$(1)))))
test_obj = $(foreach s,$(call test_svc,$(1)),$(filter-out $(B)/services/$(s)/main.o,$(call SVC_OBJ,$(s)))) \
           $(if $(filter tests/unit/loadtest/%,$(1)),$(filter-out %/main.o,$(patsubst %.c,$(B)/%.o,$(wildcard loadtest/*.c)))) \
           $(if $(filter tests/unit/powerfs/%,$(1)),$(B)/tests/powerfs/disk.o $(B)/tests/powerfs/cut.o) \
           $(if $(filter tests/conformance/%,$(1)),$(patsubst %.c,$(B)/%.o,$(wildcard tests/conformance/support/*.c)))
# Objects that a fuzz target needs from a service: its first line says  // needs: services/<name>
fuzz_svc = $(patsubst services/%,%,$(shell sed -n '1s,^// needs: ,,p' $(1)))
fuzz_obj = $(foreach s,$(call fuzz_svc,$(1)),$(filter-out $(B)/services/$(s)/main.o,$(call SVC_OBJ,$(s))))

$(UNIT_BIN): $(B)/%: $(B)/%.o $$(call test_obj,$$*) $(UNIT_SUPPORT) $(COMMON_LIB)
	$(CC) $(CFLAGS) $(LDFLAGS) -o $@ $^ $(foreach s,$(call test_svc,$*),$(LIBS_$(s))) $(if $(filter tests/unit/loadtest/%,$*),$(LIBS_load)) -lcmocka $(LIBS)

$(FUZZ_BIN): $(B)/%: $(B)/%.o $$(call fuzz_obj,$$*.c) $(COMMON_LIB)
	$(CC) $(CFLAGS) $(LDFLAGS) -fsanitize=fuzzer -o $@ $^ $(foreach s,$(call fuzz_svc,$*.c),$(LIBS_$(s))) $(LIBS)

# The load generator for Pigeon's peers and its MQTT.
$(B)/imload: $(patsubst %.c,$(B)/%.o,$(wildcard tests/bench/imload/*.c))
	$(CC) $(CFLAGS) $(LDFLAGS) -o $@ $^

$(B)/bench-store: $(B)/tests/bench/bench_store.o $(filter-out %/main.o,$(call SVC_OBJ,storage)) $(COMMON_LIB)
	$(CC) $(CFLAGS) $(LDFLAGS) -o $@ $^ $(LIBS_storage) $(LIBS)

# The simulation: of the services' objects only those are taken that tests/sim does not stand in for.
SIM_SERVICES := storage message gateway
SIM_WRAP := recv sendmsg close shutdown getpeername usleep
$(B)/libsim.a: $(foreach s,$(SIM_SERVICES),$(filter-out %/main.o,$(call SVC_OBJ,$(s))))
	@rm -f $@
	$(AR) rcs $@ $^
$(B)/pigeon-sim: $(patsubst %.c,$(B)/%.o,$(wildcard tests/sim/*.c)) $(B)/libsim.a $(COMMON_LIB)
	$(CC) $(CFLAGS) $(LDFLAGS) $(SIM_WRAP:%=-Wl,--wrap=%) -o $@ $^ $(foreach s,$(SIM_SERVICES),$(LIBS_$(s))) $(LIBS)

# The hot functions, for callgrind (make bench-instructions).
HOT_LIB := $(B)/libhot.a
$(HOT_LIB): $(foreach s,storage message gateway,$(filter-out %/main.o,$(call SVC_OBJ,$(s))))
	@rm -f $@
	ar rcs $@ $^
$(B)/hot: $(B)/tests/bench/hot.o $(HOT_LIB) $(COMMON_LIB)
	$(CC) $(CFLAGS) $(LDFLAGS) -o $@ $^ $(foreach s,storage message gateway,$(LIBS_$(s))) $(LIBS)

# The file system that forgets what was not synced (drills 3 and 4).
$(B)/tests/powerfs/%.o: CFLAGS_EXTRA += $(call PKG,cflags,fuse3)
$(B)/powerfs: $(patsubst %.c,$(B)/%.o,$(wildcard tests/powerfs/*.c))
	$(CC) $(CFLAGS) $(LDFLAGS) -o $@ $^ $(call PKG,libs,fuse3)
.PHONY: powerfs
powerfs: $(B)/powerfs

-include $(shell find $(B) -name '*.d' 2>/dev/null)

# ---- everything that is not compiling ----

include deploy/targets.mk
