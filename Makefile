# Fabric: build, demo, check, bench, install. `make help` lists the targets.
#
# Everything that is built lands in build/ (or build/VARIANT/ with VARIANT=debug|asan|tsan|clang|fuzz).

# The release is written in one place: core/include/fabric/version.h.
VERSION   := $(shell sed -n 's/^\#define FABRIC_VERSION_[A-Z]* \([0-9]*\)$$/\1/p' core/include/fabric/version.h | paste -sd.)
SOVERSION := 0
PREFIX    ?= /usr/local
DESTDIR   ?=
# These are taken from the command line only, because in an environment other programs use the same names.
VARIANT   :=
B         := build$(if $(VARIANT),/$(VARIANT))
BROKERS   ?= 1
STORE     ?= $(if $(filter 1,$(BROKERS)),sqlite,mysql)

ifeq ($(origin CC),default)
CC        := gcc
endif
# V=1 shows the commands.
Q         := $(if $(V),,@)
OPTIMIZE  := -O2
HARDEN    := -fstack-protector-strong -fstack-clash-protection \
             $(if $(filter x86_64 i686,$(shell uname -m)),-fcf-protection)
# The builder may choose another level, and some compilers have a default of their own.
FORTIFY   := $(if $(findstring _FORTIFY_SOURCE,$(CPPFLAGS) $(CFLAGS)),,-U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=2)
LDHARDEN  := -Wl,-z,relro,-z,now,-z,noexecstack,-z,separate-code
LDPIE     := -pie
SANITIZE  :=
ifeq ($(VARIANT),clang)
CC        := clang
endif
ifneq ($(filter debug asan tsan fuzz,$(VARIANT)),)
FORTIFY   := -U_FORTIFY_SOURCE
endif
ifeq ($(VARIANT),debug)
OPTIMIZE  := -O0
HARDEN    := -DFABRIC_TEST_BUILD
endif
# Test programs that are to be fast: crash points, and no hardening.
ifeq ($(VARIANT),sim)
OPTIMIZE  := -O2
HARDEN    := -DFABRIC_TEST_BUILD
FORTIFY   := -U_FORTIFY_SOURCE
endif
ifeq ($(VARIANT),asan)
OPTIMIZE  := -O1
HARDEN    := -DFABRIC_TEST_BUILD
SANITIZE  := -fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer
endif
ifeq ($(VARIANT),tsan)
OPTIMIZE  := -O1
HARDEN    := -DFABRIC_TEST_BUILD
SANITIZE  := -fsanitize=thread -fno-omit-frame-pointer
endif

WARN      := -Wall -Wextra -Wshadow -Wconversion -Wswitch-enum -Wstrict-prototypes -Wmissing-prototypes \
             -Wvla -Wformat=2 -Werror
# The fuzzers' own archives are instrumented for coverage; only a fuzzer brings libFuzzer's main.
ifeq ($(VARIANT),fuzz)
CC        := clang
OPTIMIZE  := -O1
HARDEN    := -DFABRIC_TEST_BUILD
SANITIZE  := -fsanitize=fuzzer-no-link,address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer
endif

INCLUDES  := -I. -Icore/include -Ilibfabric_client/include -Iworker/include
PACKAGES  := libzmq libczmq jansson libxxhash libsodium sqlite3 libmariadb
CPPFLAGS_ALL = -D_GNU_SOURCE $(INCLUDES) $(PKG_CFLAGS) $(CPPFLAGS)
CFLAGS_ALL = -std=c11 -g $(OPTIMIZE) $(HARDEN) $(SANITIZE) $(WARN) -fPIC -fvisibility=hidden -pthread $(CFLAGS) $(FORTIFY)
LDFLAGS_ALL = $(SANITIZE) $(LDHARDEN) -pthread -rdynamic $(LDFLAGS)

PKG_CFLAGS  = $(shell pkg-config --cflags $(PACKAGES) 2>/dev/null | sed 's/-I/-isystem /g')
LIBS_CORE   = $(shell pkg-config --libs libczmq libzmq jansson libxxhash libsodium 2>/dev/null) -lm
LIBS_LIBRARY = $(shell pkg-config --libs libzmq jansson 2>/dev/null) -lm
LIBS_SQLITE = $(shell pkg-config --libs sqlite3 2>/dev/null)
LIBS_MYSQL  = $(shell pkg-config --libs libmariadb 2>/dev/null)
# MYSQL_CLIENT=DIR links with the MySQL client library of another Debian's files in DIR, and runs with its loader.
ifneq ($(MYSQL_CLIENT),)
PACKAGES    := $(filter-out libmariadb,$(PACKAGES))
INCLUDES    += -isystem $(B)/include -isystem $(B)/include/mysql
# The headers of MySQL without the other headers of that system.
$(shell mkdir -p $(B)/include && ln -sfn $(MYSQL_CLIENT)/usr/include/mysql $(B)/include/mysql)
MYSQL_LIBRARIES := $(firstword $(wildcard $(MYSQL_CLIENT)/usr/lib/*-linux-gnu))
LIBS_MYSQL  = $(MYSQL_LIBRARIES)/libmysqlclient.so -Wl,--allow-shlib-undefined -Wl,--disable-new-dtags \
              -Wl,-rpath,$(MYSQL_LIBRARIES) -Wl,--dynamic-linker,$(firstword $(wildcard $(MYSQL_CLIENT)/lib*/ld-linux-*.so.*))
endif
# msgpack's C library is msgpack or, from its release 6 on, msgpack-c.
LIBS_CHECK  = $(shell pkg-config --libs cmocka 2>/dev/null; pkg-config --libs msgpack-c 2>/dev/null || pkg-config --libs msgpack 2>/dev/null)
# Evaluated once, and only when something is compiled.
PKG_CFLAGS  := $(PKG_CFLAGS)

# ---- sources: the tree is the list ----------------------------------------------------------------------------
lib_sources = $(filter-out %_main.c,$(wildcard $(1)/*.c))
objects     = $(patsubst %.c,$(B)/obj/%.o,$(1))

CORE_OBJ    := $(call objects,$(foreach area,core core/journal core/sql,$(call lib_sources,$(area))))
CLIENT_OBJ  := $(call objects,$(call lib_sources,libfabric_client/src))
WORKER_OBJ  := $(call objects,$(call lib_sources,worker))
BROKER_OBJ  := $(call objects,$(foreach area,broker broker/router broker/mesh broker/store broker/coordinator,$(call lib_sources,$(area))))
MYSQL_OBJ   := $(call objects,$(call lib_sources,mysql))
SQLITE_OBJ  := $(call objects,$(call lib_sources,sqlite))
CLI_OBJ     := $(call objects,$(call lib_sources,cli))
BENCH_OBJ   := $(call objects,$(call lib_sources,bench))
# The harness starts brokers, workers and databases for bench and tests.
HARNESS_OBJ := $(call objects,$(call lib_sources,tests/harness))
# Of the harness, what bench and demo use too. It needs no test library: `make demo` installs none.
CLUSTER_OBJ := $(call objects,$(patsubst %,tests/harness/%.c,cluster cluster_status database folder mariadb mariadb_server process standing stop))
# The files that the rings of tests share. Programs end in _test.c or _fuzz.c, modules in _module.c.
TESTLIB_OBJ := $(call objects,$(filter-out %_test.c %_module.c %_entity.c %_main.c,$(wildcard $(addprefix tests/,unit/*.c memory/*.c conformance/*.c \
               simulation/*.c checker/*.c))))

# The libraries do not contain the reader of configuration files, which needs czmq, and nothing of the store.
LIBRARY_CORE_OBJ   := $(filter-out $(B)/obj/core/config% $(B)/obj/core/journal/% $(B)/obj/core/sql/%,$(CORE_OBJ)) \
                      $(B)/obj/core/journal/events.o $(B)/obj/core/journal/outgoing.o
LIBRARY_WORKER_OBJ := $(filter-out %/worker_config.o,$(WORKER_OBJ))

A_CORE    := $(B)/lib/libcore.a
A_CLIENT  := $(B)/lib/libclient.a
A_WORKER  := $(B)/lib/libworker.a
A_BROKER  := $(B)/lib/libbroker.a
A_MYSQL   := $(B)/lib/libmysql.a
A_SQLITE  := $(B)/lib/libsqlite.a
A_HARNESS := $(B)/lib/libharness.a
A_CLUSTER := $(B)/lib/libcluster.a
A_TEST    := $(B)/lib/libtest.a

PROGRAMS  := $(addprefix $(B)/bin/,fabric-broker fabric-worker fabricctl fabric-bench)
LIBRARIES := $(B)/lib/libfabric_client.so $(B)/lib/libfabric_client.a $(B)/lib/libfabric_worker.so $(B)/lib/libfabric_worker.a
EXAMPLES  := $(patsubst examples/%_entity.c,$(B)/examples/%.so,$(wildcard examples/*/*_entity.c)) \
             $(patsubst examples/%_client.c,$(B)/examples/%_client,$(wildcard examples/*/*_client.c)) \
             $(patsubst examples/%_test.c,$(B)/examples/%_test,$(wildcard examples/*/*_test.c))
MODULES   := $(patsubst bench/%_module.c,$(B)/bench/%_module.so,$(wildcard bench/*_module.c))
BASELINES := $(patsubst bench/baselines/%_main.c,$(B)/bench/baseline-%,$(wildcard bench/baselines/*_main.c))
PROBES    := $(patsubst tests/harness/%_module.c,$(B)/tests/%_module.so,$(wildcard tests/harness/*_module.c))
BENCH_OBJ := $(filter-out %_module.o,$(BENCH_OBJ))
HARNESS_OBJ := $(filter-out %_module.o,$(HARNESS_OBJ))

UNIT        := $(patsubst %.c,$(B)/%,$(wildcard tests/unit/*_test.c))
CONFORMANCE := $(patsubst %.c,$(B)/%,$(wildcard tests/conformance/*_test.c))
SIMULATION  := $(patsubst %.c,$(B)/%,$(wildcard tests/simulation/*_test.c))
INTEGRATION := $(patsubst %.c,$(B)/%,$(wildcard tests/integration/*_test.c))
FAULTS      := $(patsubst %.c,$(B)/%,$(wildcard tests/faults/*_test.c))
FUZZERS     := $(patsubst %.c,$(B)/%,$(wildcard tests/fuzz/*_fuzz.c))

# `make help` has a line for each of these (tests/tidy checks it); the second list is for other targets only.
.PHONY: all everything check-asan check-tsan check-mysql check-sid help demo check check-unit check-conformance check-simulation check-integration check-faults tests bench fuzz fuzzers soak analyse tidy format \
        format-check install uninstall docs clean
.PHONY: packages run-tests crash-programs test-programs # internal
.DELETE_ON_ERROR:
.SECONDARY:

all: packages
	@$(MAKE) --no-print-directory B=$(B) VARIANT=$(VARIANT) everything
everything: $(PROGRAMS) $(B)/bin/fabric-demo $(LIBRARIES) $(EXAMPLES) $(MODULES) $(BASELINES)

help:
	@sed -n 's/^## //p' $(MAKEFILE_LIST)

# ---- compiling and linking ------------------------------------------------------------------------------------
$(B)/obj/%.o: %.c Makefile
	@mkdir -p $(@D)
	$(if $(V),,@echo "CC   $<")
	$(Q)$(CC) $(CPPFLAGS_ALL) $(CFLAGS_ALL) -MMD -MP -c $< -o $@

# cmocka 2 deprecates functions that have no other name in cmocka 1, such as assert_in_range.
$(B)/obj/tests/%.o: WARN += -Wno-deprecated-declarations

define archive
@mkdir -p $(@D)
@rm -f $@
$(Q)ar qcs $@ $^
endef
$(A_CORE): $(CORE_OBJ)
	$(archive)
$(A_CLIENT): $(CLIENT_OBJ)
	$(archive)
$(A_WORKER): $(WORKER_OBJ)
	$(archive)
$(A_BROKER): $(BROKER_OBJ)
	$(archive)
$(A_MYSQL): $(MYSQL_OBJ)
	$(archive)
$(A_SQLITE): $(SQLITE_OBJ)
	$(archive)
$(A_HARNESS): $(HARNESS_OBJ)
	$(archive)
$(A_CLUSTER): $(CLUSTER_OBJ)
	$(archive)
$(A_TEST): $(TESTLIB_OBJ)
	$(archive)
$(B)/lib/libfabric_client.a: $(CLIENT_OBJ) $(LIBRARY_CORE_OBJ)
	$(archive)
$(B)/lib/libfabric_worker.a: $(LIBRARY_WORKER_OBJ) $(CLIENT_OBJ) $(LIBRARY_CORE_OBJ)
	$(archive)

define shared_library
$(Q)mkdir -p $(@D)
$(Q)$(CC) -shared $(if $(SANITIZE),,-Wl,-z,defs) -Wl,-z,nodelete -Wl,-soname,$(@F).$(SOVERSION) -Wl,--version-script=$(filter %.map,$^) $(filter %.o,$^) $(LDFLAGS_ALL) $(LIBS_LIBRARY) -o $@.$(VERSION)
@ln -sf $(@F).$(VERSION) $@.$(SOVERSION)
@ln -sf $(@F).$(SOVERSION) $@
endef
$(B)/lib/libfabric_client.so: $(CLIENT_OBJ) $(LIBRARY_CORE_OBJ) libfabric_client/fabric_client.map
	$(shared_library)
$(B)/lib/libfabric_worker.so: $(LIBRARY_WORKER_OBJ) $(CLIENT_OBJ) $(LIBRARY_CORE_OBJ) worker/fabric_worker.map
	$(shared_library)

define program
@mkdir -p $(@D)
$(if $(V),,@echo "LINK $@")
$(Q)$(CC) $(LDPIE) $(filter %.o,$^) -Wl,--start-group $(filter %.a,$^) -Wl,--end-group $(LDFLAGS_ALL) $(1) -ldl -o $@
endef
$(B)/bin/fabric-broker: $(B)/obj/broker/broker_main.o $(A_BROKER) $(A_MYSQL) $(A_SQLITE) $(A_CORE)
	$(call program,$(LIBS_MYSQL) $(LIBS_SQLITE) $(LIBS_CORE))
$(B)/bin/fabric-worker: $(B)/obj/worker/worker_main.o $(WORKER_OBJ) $(CLIENT_OBJ) $(CORE_OBJ) $(A_MYSQL)
	$(call program,$(LIBS_MYSQL) $(LIBS_CORE))
$(B)/bin/fabricctl: $(B)/obj/cli/fabricctl_main.o $(CLI_OBJ) $(A_CLIENT) $(A_MYSQL) $(A_SQLITE) $(A_CORE)
	$(call program,$(LIBS_MYSQL) $(LIBS_SQLITE) $(LIBS_CORE))
$(B)/bin/fabric-bench: $(B)/obj/bench/bench_main.o $(BENCH_OBJ) $(A_CLUSTER) $(A_CLIENT) $(A_MYSQL) $(A_SQLITE) $(A_CORE)
	$(call program,$(LIBS_MYSQL) $(LIBS_SQLITE) $(LIBS_CORE))

$(B)/bin/fabric-demo: $(B)/obj/bench/demo_main.o $(BENCH_OBJ) $(A_CLUSTER) $(A_CLIENT) $(A_MYSQL) $(A_SQLITE) $(A_CORE)
	$(call program,$(LIBS_MYSQL) $(LIBS_SQLITE) $(LIBS_CORE))

$(B)/bench/baseline-%: $(B)/obj/bench/baselines/%_main.o $(B)/obj/bench/histogram.o $(A_CLUSTER) $(A_MYSQL) $(A_CORE)
	$(call program,$(LIBS_MYSQL) $(LIBS_CORE))

# Modules resolve fabric_* symbols in the program that loads them.
define module
@mkdir -p $(@D)
$(if $(V),,@echo "LINK $@")
$(Q)$(CC) -shared $(filter %.o,$^) $(LDFLAGS_ALL) -o $@
endef
$(B)/examples/%.so: $(B)/obj/examples/%_entity.o
	$(module)
$(B)/bench/%_module.so: $(B)/obj/bench/%_module.o
	$(module)
$(B)/tests/%_module.so: $(B)/obj/tests/harness/%_module.o
	$(module)
$(B)/tests/probe_module.so: $(addprefix $(B)/obj/tests/,checker/fold_entity.o checker/history.o harness/padding.o)
$(B)/examples/order/order.so $(B)/examples/order/order_test: $(B)/obj/examples/order/order_shop.o
$(B)/examples/%_client: $(B)/obj/examples/%_client.o $(A_CLIENT) $(A_CORE)
	$(call program,$(LIBS_CORE))

$(B)/examples/%_test: $(B)/obj/examples/%_test.o $(B)/obj/examples/%_entity.o $(A_WORKER) $(A_CLIENT) $(A_CORE)
	$(call program,$(LIBS_CORE))

# Tests: the first word of a unit test's name decides what the test may link.
$(B)/tests/unit/core_connector_test $(B)/tests/faults/host_names_test: $(B)/obj/tests/harness/fake_names_module.o
$(B)/tests/unit/core_%: $(B)/obj/tests/unit/core_%.o $(A_TEST) $(A_HARNESS) $(A_CORE)
	$(call program,$(LIBS_CHECK) $(LIBS_CORE))
$(B)/tests/unit/broker_%: $(B)/obj/tests/unit/broker_%.o $(A_BROKER) $(A_TEST) $(A_HARNESS) $(A_CORE)
	$(call program,$(LIBS_CHECK) $(LIBS_CORE))
$(B)/tests/unit/worker_%: $(B)/obj/tests/unit/worker_%.o $(A_WORKER) $(A_CLIENT) $(A_TEST) $(A_HARNESS) $(A_CORE)
	$(call program,$(LIBS_CHECK) $(LIBS_CORE))
$(B)/tests/unit/client_%: $(B)/obj/tests/unit/client_%.o $(A_CLIENT) $(A_TEST) $(A_HARNESS) $(A_CORE)
	$(call program,$(LIBS_CHECK) $(LIBS_CORE))
$(B)/tests/unit/cli_%: $(B)/obj/tests/unit/cli_%.o $(CLI_OBJ) $(A_CLIENT) $(A_TEST) $(A_HARNESS) $(A_CORE)
	$(call program,$(LIBS_CHECK) $(LIBS_CORE))
$(B)/tests/unit/bench_%: $(B)/obj/tests/unit/bench_%.o $(BENCH_OBJ) $(A_CLIENT) $(A_TEST) $(A_HARNESS) $(A_MYSQL) $(A_SQLITE) $(A_CORE)
	$(call program,$(LIBS_CHECK) $(LIBS_MYSQL) $(LIBS_SQLITE) $(LIBS_CORE))
$(B)/tests/unit/checker_%: $(B)/obj/tests/unit/checker_%.o $(A_TEST) $(A_HARNESS) $(A_CORE)
	$(call program,$(LIBS_CHECK) $(LIBS_CORE))
$(B)/tests/conformance/%: $(B)/obj/tests/conformance/%.o $(A_TEST) $(A_HARNESS) $(A_MYSQL) $(A_SQLITE) $(A_CORE)
	$(call program,$(LIBS_CHECK) $(LIBS_MYSQL) $(LIBS_SQLITE) $(LIBS_CORE))
$(B)/tests/simulation/%: $(B)/obj/tests/simulation/%.o $(A_TEST) $(A_HARNESS) $(A_BROKER) $(A_WORKER) $(A_CLIENT) $(A_CORE)
	$(call program,$(LIBS_CHECK) $(LIBS_CORE))
$(B)/tests/simulation/sim: $(B)/obj/tests/simulation/sim_main.o $(A_TEST) $(A_HARNESS) $(A_BROKER) $(A_WORKER) $(A_CLIENT) $(A_CORE)
	$(call program,$(LIBS_CHECK) $(LIBS_CORE))
$(B)/tests/integration/%: $(B)/obj/tests/integration/%.o $(A_TEST) $(A_HARNESS) $(A_CLIENT) $(A_MYSQL) $(A_SQLITE) $(A_CORE)
	$(call program,$(LIBS_CHECK) $(LIBS_MYSQL) $(LIBS_SQLITE) $(LIBS_CORE))

$(B)/tests/faults/%: $(B)/obj/tests/faults/%.o $(BENCH_OBJ) $(A_TEST) $(A_HARNESS) $(A_CLIENT) $(A_MYSQL) $(A_SQLITE) $(A_CORE)
	$(call program,$(LIBS_CHECK) $(LIBS_MYSQL) $(LIBS_SQLITE) $(LIBS_CORE))

# A fuzzer is built with VARIANT=fuzz; it may link everything.
FUZZ_OBJ := $(call objects,$(filter-out %_fuzz.c,$(wildcard tests/fuzz/*.c)))
$(B)/tests/fuzz/%: $(B)/obj/tests/fuzz/%.o $(FUZZ_OBJ) $(A_TEST) $(A_HARNESS) $(A_BROKER) $(A_WORKER) $(A_CLIENT) $(A_MYSQL) $(A_SQLITE) $(A_CORE)
	$(call program,-fsanitize=fuzzer $(LIBS_CHECK) $(LIBS_MYSQL) $(LIBS_SQLITE) $(LIBS_CORE))

fuzzers: $(FUZZERS)

# Tests of crash points start programs of a test build: this build's own, or else a debug build's.
CRASH_PROGRAMS := $(addprefix $(B)/$(if $(filter debug asan tsan,$(VARIANT)),,debug/)bin/,fabric-broker fabric-worker)
ifeq ($(filter debug asan tsan,$(VARIANT)),)
crash-programs:
	@$(MAKE) --no-print-directory B=$(B)/debug VARIANT=debug $(CRASH_PROGRAMS)
else
crash-programs: $(CRASH_PROGRAMS)
endif

test-programs: $(UNIT) $(CONFORMANCE) $(SIMULATION) $(INTEGRATION) $(FAULTS) $(PROBES)
tests: crash-programs test-programs

# ---- targets for people ---------------------------------------------------------------------------------------
## make                  optimised programs into build/bin (VARIANT=debug|asan|tsan|clang: into build/VARIANT/bin); V=1 shows commands
## make all, everything  the same; everything does not look for packages
## make help             this list
packages:
	@sh .ci/packages build

## make demo             the main job on SQLite (STORE=mysql: on a private MariaDB): workers, a client, a kill -9, nothing lost
##                       (BROKERS=3: three brokers on a private MariaDB, one of which is killed, too)
demo: packages
	@sh .ci/packages $(if $(filter mysql,$(STORE)),check,build)
	@$(MAKE) --no-print-directory -j2 B=$(B) everything
	@$(B)/bin/fabric-demo --store $(STORE) --brokers $(BROKERS)

## make check            all tests, on a private MariaDB where they need one; TEST_JOBS (6) programs at a time
## make tests            builds them; fuzzers with VARIANT=fuzz: make fuzzers
## make check-unit, check-conformance, check-simulation, check-integration, check-faults
##                       one ring of them
check:
	@sh .ci/packages check
	@$(MAKE) --no-print-directory -j2 B=$(B) VARIANT=$(VARIANT) everything tests
	@TEST_JOBS=$${TEST_JOBS:-6} TEST_TABLE=$(if $(filter file,$(origin TESTS)),yes) $(MAKE) --no-print-directory B=$(B) VARIANT=$(VARIANT) run-tests
TESTS ?= $(FAULTS) $(INTEGRATION) $(SIMULATION) $(CONFORMANCE) $(UNIT)
run-tests:
	@FABRIC_BUILD=$(B) sh tests/run $(TESTS)
check-unit check-conformance check-simulation check-integration check-faults: check-%: everything tests
	@FABRIC_BUILD=$(B) sh tests/run $($(shell echo $* | tr a-z A-Z))
## make check-conformance-full  the cases of docs/conformance.md that real processes show, each on SQLite and on MariaDB with one and three brokers
.PHONY: check-conformance-full
CASES := $(patsubst %.c,$(B)/%,$(shell grep -l '[^ a-z]test_[a-z0-9]*_[0-9]' tests/integration/*_test.c))
check-conformance-full:
	@sh .ci/packages check
	@$(MAKE) --no-print-directory -j2 B=$(B) VARIANT=$(VARIANT) everything tests
	@FABRIC_CONFORMANCE=full TEST_JOBS=$${TEST_JOBS:-2} $(MAKE) --no-print-directory B=$(B) VARIANT=$(VARIANT) run-tests TESTS="$(CASES)"
## make check-all        the same, the long forms of tests that repeat faults, and all that the targets below check (hours)
# PROGRAM=N: that program with FABRIC_FAULT_REPEAT=N
LONG_FORMS := $(addprefix faults/,takeover_test=30 crash_point_test=5 kill_test=10 mass_kill_test=20 freeze_test=5 partition_test=3 \
              retention_test=10 parked_test=10 backlog_test=10 disk_full_test=1 overload_test=60 broker_loss_test=30 sums_test=10) integration/worker_kill_test=30
.PHONY: check-all
check-all: check
	@for form in $(LONG_FORMS); do \
	    FABRIC_FAULT_REPEAT=$${form#*=} TEST_DEADLINE_S=3600 $(MAKE) --no-print-directory B=$(B) run-tests TESTS=$(B)/tests/$${form%=*} || exit 1; \
	done
	@for target in check-asan check-tsan check-mysql check-mariadb-client check-sid; do \
	    $(MAKE) --no-print-directory $$target || exit 1; \
	done
## make check-asan       every test under the address and undefined-behaviour sanitizers, leaks included (QUICK=1: what CI runs)
# install_test builds programs outside the tree without sanitizers.
# bench_test leaves calls open on purpose, which count as leaks.
SANITIZED  := $(filter-out %/install_test %/bench_test,$(INTEGRATION))
QUICK      ?=
# With QUICK=1 each integration program runs under one sanitizer: those in which processes come and go under load under the thread
# sanitizer, the others, which try what a process is given, under the address sanitizer; first_light_test under both.
COMING_AND_GOING := $(addprefix $(B)/tests/integration/,broker_kill_test brokers_test health_test instance_test mesh_test operations_test \
                    poison_test rebalance_test standby_test types_test worker_kill_test)
ASAN_TESTS := $(if $(QUICK),$(filter-out $(COMING_AND_GOING),$(SANITIZED)),$(FAULTS) $(SANITIZED)) $(SIMULATION) $(CONFORMANCE) $(UNIT)
check-asan:
	@sh .ci/packages check
	@$(MAKE) --no-print-directory -j2 VARIANT=asan everything $(patsubst $(B)/%,build/asan/%,$(ASAN_TESTS) $(PROBES))
	@$(if $(QUICK),FABRIC_SIMULATION_SEEDS=$${FABRIC_SIMULATION_SEEDS:-100}) \
	    TEST_DEADLINE_S=$${TEST_DEADLINE_S:-900} TEST_JOBS=$${TEST_JOBS:-2} \
	    $(MAKE) --no-print-directory VARIANT=asan run-tests TESTS="$(patsubst $(B)/%,build/asan/%,$(ASAN_TESTS))"

## make check-tsan       the tests with threads, real processes too, under the thread sanitizer (QUICK=1: what CI runs)
TSAN_UNIT  := $(addprefix $(B)/tests/unit/,broker_pipe_test core_poll_test client_link_test client_open_test worker_zmq_test)
TSAN_TESTS := $(if $(QUICK),$(COMING_AND_GOING) $(B)/tests/integration/first_light_test,$(FAULTS) $(SANITIZED)) $(TSAN_UNIT)
check-tsan:
	@sh .ci/packages check
	@$(MAKE) --no-print-directory -j2 VARIANT=tsan everything $(patsubst $(B)/%,build/tsan/%,$(TSAN_TESTS) $(PROBES))
	@TEST_DEADLINE_S=$${TEST_DEADLINE_S:-900} TEST_JOBS=$${TEST_JOBS:-2} \
	    $(MAKE) --no-print-directory VARIANT=tsan run-tests TESTS="$(patsubst $(B)/%,build/tsan/%,$(TSAN_TESTS))"

## make check-mysql      the tests that need a server, on a genuine MySQL 9 (MYSQL_ROOT=DIR: a tree that is there already)
MYSQL_ROOT ?= $(HOME)/.cache/fabric/mysql
check-mysql:
	@sh .ci/packages check
	@$(MAKE) --no-print-directory -j2 B=$(B) everything tests
	@sh tests/check-mysql $(B) $(MYSQL_ROOT)

## make check-mariadb-client  the MySQL suite with the oldest MariaDB client library that apt offers (MARIADB_CLIENT=DIR: its files)
MARIADB_CLIENT ?= $(HOME)/.cache/fabric/mariadb-client
.PHONY: check-mariadb-client
check-mariadb-client:
	@sh .ci/packages check
	@$(MAKE) --no-print-directory -j2 B=$(B) everything tests
	@sh tests/check-mariadb-client $(B) $(MARIADB_CLIENT)

## make check-sid        everything built and tested in a Debian unstable, with its newer compiler and libraries (SID_ROOT=DIR, as root)
SID_ROOT ?= $(HOME)/.cache/fabric/sid
check-sid:
	@sh tests/check-sid $(SID_ROOT)

## make fuzz             every fuzzer for SECONDS (default 60), two at a time; inputs that break something are kept (SEED=S: the same inputs each time, as far as libFuzzer can)
SECONDS ?= 60
fuzz:
	@sh .ci/packages analyse
	@$(MAKE) --no-print-directory -j2 VARIANT=fuzz fuzzers
	@SECONDS_EACH=$(SECONDS) FUZZ_SEED=$(SEED) sh tests/fuzz/run $(patsubst $(B)/%,build/fuzz/%,$(FUZZERS))

## make sim              SEEDS (default 2000) runs of the whole simulated cluster, each with 1,000 messages and 20 faults (SEED=S: that one; TRACE=1)
SEEDS ?= 2000
SEED  ?=
TRACE ?=
SIM_VARIANT := $(or $(VARIANT),sim)
.PHONY: sim
sim:
	@sh .ci/packages check
	@$(MAKE) --no-print-directory -j2 VARIANT=$(SIM_VARIANT) build/$(SIM_VARIANT)/tests/simulation/sim
	@FABRIC_SIM_SEED=$(SEED) FABRIC_SIM_TRACE=$(TRACE) build/$(SIM_VARIANT)/tests/simulation/sim $(SEEDS)

## make crash            processes die at each crash point, KILLS (default 50) times more than make check has it (an hour; TEST_FILTER='broker_dies_mysql')
KILLS ?= 50
.PHONY: crash
crash:
	@sh .ci/packages check
	@$(MAKE) --no-print-directory -j2 B=$(B) VARIANT=$(VARIANT) everything crash-programs $(B)/tests/faults/crash_point_test $(PROBES)
	@FABRIC_BUILD=$(B) FABRIC_FAULT_REPEAT=$(KILLS) TEST_SHOW=yes TEST_DEADLINE_S=$$(($(KILLS) * 200 + 900)) sh tests/run $(B)/tests/faults/crash_point_test

## make soak             MINUTES (default 5) of load, kills and reconnects; fails when memory, descriptors or threads grow (STORE=sqlite)
MINUTES ?= 5
soak:
	@sh .ci/packages check
	@$(MAKE) --no-print-directory -j2 B=$(B) VARIANT=$(VARIANT) everything $(B)/tests/faults/soak $(PROBES)
	@FABRIC_BUILD=$(B) FABRIC_SOAK_MINUTES=$(MINUTES) TEST_SHOW=yes TEST_DEADLINE_S=$$(($(MINUTES) * 60 + 300)) \
	    TEST_FILTER='*_$(if $(filter command environment,$(origin STORE)),$(STORE),mysql)' sh tests/run $(B)/tests/faults/soak

## make analyse          clang-tidy and cppcheck over the product's sources, by .clang-tidy and tests/cppcheck.supp (QUICK=1: what CI runs)
analyse:
	@sh .ci/packages analyse
	@QUICK=$(QUICK) sh tests/analyse

## make bench            the figures of bench/README.md and the baselines, on a private MariaDB, one after another (a few minutes)
bench:
	@sh .ci/packages check
	@$(MAKE) --no-print-directory -j2 B=$(B) everything
	@for what in "ask --durable --inflight 1024" "ask --volatile --inflight 1024" "ask --durable --inflight 1" \
	    "ask --volatile --inflight 1" "tell --durable --inflight 1024" "tell --volatile --inflight 1024"; do \
	    $(B)/bin/fabric-bench $$what --entities 1000 --size 100 --duration 10 --spawn mysql || exit 1; \
	done
	@for n in 1000 64 1; do $(B)/bench/baseline-rows mysql $$n 5 || exit 1; done
	@$(B)/bench/baseline-forwarder 1000 5 && $(B)/bench/baseline-forwarder 1 5
## make bench-store      the tables of the store in bench/README.md (hours; ROUNDS=1 and others: see bench/store-figures; BEFORE=DIR, MYSQL_ROOT=DIR)
.PHONY: bench-store
bench-store:
	@sh .ci/packages check
	@$(MAKE) --no-print-directory -j2 B=$(B) everything
	@MYSQL_ROOT="$(if $(filter file,$(origin MYSQL_ROOT)),,$(MYSQL_ROOT))" sh bench/store-figures $(B)

## make bench-brokers    the table of several brokers in bench/README.md (half an hour; ROUNDS=1 and others: see bench/broker-figures)
.PHONY: bench-brokers
bench-brokers:
	@sh .ci/packages check
	@$(MAKE) --no-print-directory -j2 B=$(B) everything
	@sh bench/broker-figures $(B)

## make tidy             the rules of the house; make format: clang-format; make format-check: whether all is formatted
tidy:
	@sh tests/tidy/tidy
format:
	@git ls-files --cached --others --exclude-standard '*.c' '*.h' | xargs clang-format -i
format-check:
	@git ls-files --cached --others --exclude-standard '*.c' '*.h' | xargs clang-format --dry-run -Werror

## make docs             the API reference from the public headers (doxygen), into build/docs
docs:
	@sh .ci/packages check
	@mkdir -p $(B)/docs
	@(cat docs/Doxyfile; echo OUTPUT_DIRECTORY=$(B)/docs; echo PROJECT_NUMBER=$(VERSION)) | doxygen -
	@grep -q fabric_client_open $(B)/docs/html/index.html || { echo "docs: the main page is empty" >&2; exit 1; }
	@for error in $$(sed -n 's/^FABRIC_ERROR_ROW([0-9]*, \([A-Z_0-9]*\),.*/\1/p' schemas/errors.def); do \
	    grep -q "FABRIC_ERROR_$$error" $(B)/docs/html/error_8h.html || { echo "docs: $$error is missing" >&2; exit 1; }; \
	done

## make install          PREFIX (default /usr/local) and DESTDIR, which may hold spaces; make uninstall takes it away again
# The shell gets both from the environment, so that nothing in them needs quoting. As root, make install tells the loader about the new
# libraries; otherwise it prints what is left to do.
INCLUDE_FILES := $(notdir $(wildcard core/include/fabric/*.h libfabric_client/include/fabric/*.h worker/include/fabric/*.h))
LDCONFIG      ?= ldconfig
define tell_loader
PATH="$$PATH:/usr/sbin:/sbin"; library=libfabric_client.so.$(SOVERSION); \
[ "$$(id -u)" != 0 ] || $(LDCONFIG) || true; \
$(LDCONFIG) -p 2>/dev/null | sed -n "s|^[[:space:]]*$$library .*=> ||p" | { \
    while read -r file; do [ "$$file" -ef "$$INSTALL_PREFIX/lib/$$library" ] && exit 0; done; exit 1; } || \
printf '%s\n' "The loader does not find the libraries in $$INSTALL_PREFIX/lib yet. Run ldconfig as root; where that is not enough," \
    "write the folder's name into a file in /etc/ld.so.conf.d before, or run programs with LD_LIBRARY_PATH=$$INSTALL_PREFIX/lib."
endef
install uninstall: export INSTALL_PREFIX = $(PREFIX)
install uninstall: export INSTALL_TO = $(DESTDIR)$(PREFIX)
install: all
	install -d "$$INSTALL_TO/bin" "$$INSTALL_TO/lib/pkgconfig" "$$INSTALL_TO/include/fabric/schemas"
	install -m 755 $(PROGRAMS) "$$INSTALL_TO/bin"
	install -m 644 core/include/fabric/*.h libfabric_client/include/fabric/*.h worker/include/fabric/*.h "$$INSTALL_TO/include/fabric"
	install -m 644 schemas/errors.def "$$INSTALL_TO/include/fabric/schemas"
	for name in client worker; do \
	    install -m 644 $(B)/lib/libfabric_$$name.a "$$INSTALL_TO/lib" && \
	    install -m 755 $(B)/lib/libfabric_$$name.so.$(VERSION) "$$INSTALL_TO/lib" && \
	    ln -sf libfabric_$$name.so.$(VERSION) "$$INSTALL_TO/lib/libfabric_$$name.so.$(SOVERSION)" && \
	    ln -sf libfabric_$$name.so.$(SOVERSION) "$$INSTALL_TO/lib/libfabric_$$name.so" && \
	    { printf 'prefix=%s\n' "$$INSTALL_PREFIX"; \
	      sed -e 's|@VERSION@|$(VERSION)|; s|@LIBS@|$(strip $(LIBS_LIBRARY))|' $$([ $$name = client ] && echo libfabric_client || echo worker)/fabric_$$name.pc.in; } \
	        >"$$INSTALL_TO/lib/pkgconfig/fabric_$$name.pc" || exit 1; \
	done
	@[ "$$INSTALL_TO" != "$$INSTALL_PREFIX" ] || { $(tell_loader); }
uninstall:
	rm -f $(addprefix "$$INSTALL_TO"/bin/,$(notdir $(PROGRAMS)))
	rm -f "$$INSTALL_TO"/lib/libfabric_client.* "$$INSTALL_TO"/lib/libfabric_worker.*
	rm -f "$$INSTALL_TO"/lib/pkgconfig/fabric_client.pc "$$INSTALL_TO"/lib/pkgconfig/fabric_worker.pc
	rm -f $(addprefix "$$INSTALL_TO"/include/fabric/,$(INCLUDE_FILES)) "$$INSTALL_TO"/include/fabric/schemas/errors.def
	-rmdir "$$INSTALL_TO"/include/fabric/schemas "$$INSTALL_TO"/include/fabric 2>/dev/null

## make clean            removes build/
clean:
	rm -rf build

-include $(shell find $(B)/obj -name '*.d' 2>/dev/null)
