# SPDX-License-Identifier: MIT
# One file builds, tests and installs everything: `make help`.
#
# Sources are found by folder, so a new file needs no line here. Nothing asks pkg-config or the compiler while this file is
# read: on a fresh machine `make deps` comes first, and the variables that ask are expanded only when a recipe needs them.

MAKEFLAGS += --no-builtin-rules
SHELL := /bin/bash
.DEFAULT_GOAL := all
.DELETE_ON_ERROR:
.SUFFIXES:

VERSION := 0.1.0
SONAME := liblarder.so.0

# ---- what the caller may choose --------------------------------------------------------------------------------------

ifeq ($(origin CC),default)
CC := gcc
endif
CFLAGS ?= -O2 -g
ARCH ?= $(if $(findstring aarch64-,$(CC)),aarch64,$(shell uname -m))
SAN ?=
FAILPOINTS ?=
FLAVOUR ?= $(or $(SAN),$(if $(FAILPOINTS),failpoints,release))$(if $(findstring clang,$(notdir $(CC))),-clang)$(if $(findstring aarch64-,$(CC)),-aarch64)
BUILD ?= build/$(FLAVOUR)
TEST_TIMEOUT ?= $(if $(SAN),600,180)

prefix ?= /usr/local
exec_prefix ?= $(prefix)
bindir ?= $(exec_prefix)/bin
sbindir ?= $(exec_prefix)/sbin
libdir ?= $(exec_prefix)/lib
includedir ?= $(prefix)/include
mandir ?= $(prefix)/share/man
sysconfdir ?= /etc
pkgconfigdir ?= $(libdir)/pkgconfig
unitdir ?= $(prefix)/lib/systemd/system
DESTDIR ?=

ifneq ($(filter-out asan ubsan tsan fuzz,$(SAN)),)
$(error SAN=$(SAN) is not known; use one of asan, ubsan, tsan, fuzz)
endif

# clang would replace the 16-byte compare-and-swap by a lock that other processes know nothing of (base/atomics.h).
ifeq ($(SAN)$(findstring clang,$(notdir $(CC))),tsanclang)
$(error SAN=tsan works with gcc only)
endif

# ---- flags -----------------------------------------------------------------------------------------------------------

WARNINGS := -Wall -Wextra -Wpedantic -Wshadow -Wvla -Wstrict-prototypes -Wmissing-prototypes -Wpointer-arith \
            -Wwrite-strings -Wformat-security $(if $(DEVELOPER),-Werror)

is_clang := $(findstring clang,$(notdir $(CC)))
sanitizer_asan := -fsanitize=address -fno-omit-frame-pointer
sanitizer_ubsan := -fsanitize=undefined -fno-sanitize-recover=all
# ThreadSanitizer does not know membarrier(2): the readers are made to use barriers of their own.
sanitizer_tsan := -fsanitize=thread -DLARDER_FORCE_FENCED -Wno-tsan
# What `make fuzz` builds with clang: both sanitizers, and what libFuzzer needs to see which way an input goes.
sanitizer_fuzz := -fsanitize=fuzzer-no-link,address,undefined -fno-omit-frame-pointer -fno-sanitize-recover=all
# gcc's instrumentation hides from gcc that a variable is always set.
SANITIZER := $(if $(SAN),$(sanitizer_$(SAN)) $(if $(is_clang),,-Wno-maybe-uninitialized))

# base/failpoint.h; without it nothing of them is compiled.
DEFINES := $(if $(FAILPOINTS),-DLARDER_FAILPOINTS)

# cmpxchg16b is not in the x86-64 baseline, but every such processor since 2006 has it.
MACHINE := $(if $(filter x86_64,$(ARCH)),-mcx16)

COMPILE_FLAGS = -std=c11 -D_GNU_SOURCE -Ilibshm -I. -pthread -fno-common $(MACHINE) $(WARNINGS) $(DEFINES) $(CPPFLAGS) \
                $(CFLAGS) $(SANITIZER)
LIBRARY_FLAGS := -fvisibility=hidden -ftls-model=initial-exec
LINK_FLAGS = -pthread $(CFLAGS) $(SANITIZER) $(LDFLAGS)
# A sanitizer's runtime is in the program, so a library for it has undefined symbols.
SHARED_FLAGS = -shared -Wl,-soname,$(SONAME) -Wl,--version-script=libshm/larder.map -Wl,-z,nodelete \
               $(if $(SAN),,-Wl,-z,defs)

EVENT_LIBS = $(shell pkg-config --libs libevent_core)
INIH_LIBS = $(shell pkg-config --libs inih)
CHECK_LIBS = $(shell pkg-config --libs check)

# ---- sources ---------------------------------------------------------------------------------------------------------

FLOORS := base arena epoch object index cache client
LIB_SOURCES := $(filter-out $(if $(FAILPOINTS),,libshm/base/failpoint.c),$(foreach floor,$(FLOORS),$(wildcard libshm/$(floor)/*.c)))
DAEMON_SOURCES := $(wildcard daemon/*.c)
TOOL_SOURCES := $(wildcard tools/larder*.c)
DEMO_SOURCES := $(wildcard tools/demo/*.c)
# A driver that needs a library of its own is a shared object, which exists only where pkg-config knows the library.
peer_packages := lmdb=lmdb rte_hash=libdpdk lfht=liburcu-qsbr,liburcu-cds ck_ht=ck,liburcu-qsbr
PEERS := $(foreach peer,$(peer_packages),$(firstword $(subst =, ,$(peer))))
BENCH_SOURCES := $(filter-out $(PEERS:%=bench/drivers/%.c),$(wildcard bench/*.c bench/drivers/*.c))
SUPPORT_SOURCES := $(wildcard tests/support/*.c)
LINEAR_SOURCES := $(wildcard tests/linear/*.c)
FAILPOINT_SOURCES := $(if $(FAILPOINTS),$(wildcard tests/failpoint/*.c))
TORTURE_SOURCES := $(wildcard tests/torture/*.c)
STEP_SOURCES := $(wildcard tests/step/*.c)
UNIT_SOURCES := $(filter-out $(if $(FAILPOINTS),,%/check_failpoint.c),$(wildcard tests/unit/*/check_*.c))
WEAK_SOURCES := $(wildcard tests/weak/*.c)
SYSTEM_SOURCES := $(wildcard tests/system/check_*.c)

comma := ,
objects = $(patsubst %.c,$(BUILD)/obj/%.o,$(1))
LIB_OBJECTS := $(call objects,$(LIB_SOURCES))
LIB_PIC := $(patsubst %.c,$(BUILD)/pic/%.o,$(LIB_SOURCES))
DAEMON_OBJECTS := $(call objects,$(DAEMON_SOURCES))
SUPPORT_OBJECTS := $(call objects,$(SUPPORT_SOURCES))
LINEAR_OBJECTS := $(call objects,$(LINEAR_SOURCES))
FAILPOINT_OBJECTS := $(call objects,$(FAILPOINT_SOURCES))
TORTURE_OBJECTS := $(call objects,$(TORTURE_SOURCES))
STEP_OBJECTS := $(call objects,$(STEP_SOURCES))
ALL_OBJECTS := $(LIB_PIC) $(call objects,$(LIB_SOURCES) $(DAEMON_SOURCES) $(TOOL_SOURCES) $(DEMO_SOURCES) \
               $(BENCH_SOURCES) $(SUPPORT_SOURCES) $(LINEAR_SOURCES) $(FAILPOINT_SOURCES) $(TORTURE_SOURCES) \
               $(STEP_SOURCES) $(UNIT_SOURCES) $(SYSTEM_SOURCES))

STATIC_LIB := $(BUILD)/lib/liblarder.a
SHARED_LIB := $(BUILD)/lib/liblarder.so.$(VERSION)
SHARED_LINKS := $(BUILD)/lib/$(SONAME) $(BUILD)/lib/liblarder.so
LARDERD := $(BUILD)/bin/larderd
LARDER := $(BUILD)/bin/larder
DEMO := $(BUILD)/bin/larder-demo
BENCH := $(BUILD)/bin/larder-bench
LINEAR := $(BUILD)/bin/larder-linear
FAILPOINT := $(BUILD)/bin/larder-failpoint
TORTURE := $(BUILD)/bin/larder-torture
STEP := $(BUILD)/bin/larder-step
WEAK := $(BUILD)/bin/larder-weak

# A program exists as soon as it has a source.
PROGRAMS := $(if $(DAEMON_SOURCES),$(LARDERD)) $(if $(TOOL_SOURCES),$(LARDER)) $(if $(DEMO_SOURCES),$(DEMO)) \
            $(if $(BENCH_SOURCES),$(BENCH))
UNIT_TESTS := $(UNIT_SOURCES:%.c=$(BUILD)/%)
SYSTEM_TESTS := $(SYSTEM_SOURCES:%.c=$(BUILD)/%)
TEST_PROGRAMS := $(UNIT_TESTS) $(SYSTEM_TESTS) $(if $(LINEAR_SOURCES),$(LINEAR)) \
                 $(if $(FAILPOINT_SOURCES),$(FAILPOINT)) $(if $(TORTURE_SOURCES),$(TORTURE)) \
                 $(if $(STEP_SOURCES),$(STEP))

# A fuzz target is linked twice: with the main() of libFuzzer, and with one that replays inputs.
FUZZ_TARGETS := $(wildcard tests/fuzz/fuzz_*.c)
FUZZ_MAINS := $(addprefix tests/fuzz/,replay.c seeds.c storm.c)
FUZZ_OBJECTS := $(call objects,$(filter-out $(FUZZ_TARGETS) $(FUZZ_MAINS),$(wildcard tests/fuzz/*.c)))
FUZZERS := $(FUZZ_TARGETS:%.c=$(BUILD)/%)
REPLAY_TESTS := $(FUZZ_TARGETS:tests/fuzz/fuzz_%.c=$(BUILD)/tests/fuzz/replay_%)
ALL_OBJECTS += $(FUZZ_OBJECTS) $(call objects,$(FUZZ_TARGETS) $(FUZZ_MAINS))
TEST_PROGRAMS += $(REPLAY_TESTS)

# ---- building --------------------------------------------------------------------------------------------------------

comma := ,
quiet = $(if $(V),,@echo "  $(1)	$(@:$(BUILD)/%=%)";)

.PHONY: all lib tests
all: lib $(PROGRAMS) ## Build library and programs into build/release (see the options below)
lib: $(STATIC_LIB) $(SHARED_LIB) $(SHARED_LINKS) ## Build the library only
tests: all $(TEST_PROGRAMS) ## Build the tests as well

# Objects are made anew when compiler or flags change; the file is touched only then.
$(BUILD)/flags: FORCE
	@mkdir -p $(@D); echo '$(CC) $(COMPILE_FLAGS) $(LDFLAGS)' | cmp -s - $@ || echo '$(CC) $(COMPILE_FLAGS) $(LDFLAGS)' >$@

$(LIB_OBJECTS) $(LIB_PIC): MODULE_FLAGS := $(LIBRARY_FLAGS)

$(BUILD)/obj/%.o: %.c $(BUILD)/flags
	@mkdir -p $(@D)
	$(call quiet,CC)$(CC) $(COMPILE_FLAGS) $(MODULE_FLAGS) -MMD -MP -c -o $@ $<

$(BUILD)/pic/%.o: %.c $(BUILD)/flags
	@mkdir -p $(@D)
	$(call quiet,CC)$(CC) $(COMPILE_FLAGS) $(MODULE_FLAGS) -fPIC -MMD -MP -c -o $@ $<

$(STATIC_LIB): $(LIB_OBJECTS)
	@mkdir -p $(@D); rm -f $@
	$(call quiet,AR)$(AR) rcs $@ $^

$(SHARED_LIB): $(LIB_PIC) libshm/larder.map
	@mkdir -p $(@D)
	$(call quiet,LINK)$(CC) $(LINK_FLAGS) $(SHARED_FLAGS) -o $@ $(LIB_PIC)

$(SHARED_LINKS): $(SHARED_LIB)
	@ln -sf $(notdir $<) $@

# Programs take the static library: tools, bench and tests look at what the shared one hides.
define LINK_PROGRAM
@mkdir -p $(@D)
$(call quiet,LINK)$(CC) $(LINK_FLAGS) -o $@ $(filter %.o %.a,$^) $(1)
endef

$(LARDERD): $(DAEMON_OBJECTS) $(STATIC_LIB)
	$(call LINK_PROGRAM,$(EVENT_LIBS) $(INIH_LIBS))

$(LARDER): $(call objects,$(TOOL_SOURCES)) $(STATIC_LIB)
	$(call LINK_PROGRAM)

$(DEMO): $(call objects,$(DEMO_SOURCES)) $(STATIC_LIB)
	$(call LINK_PROGRAM,-lm)

# Its drivers in shared objects use what is in it.
$(BENCH): $(call objects,$(BENCH_SOURCES)) $(BUILD)/obj/daemon.a $(STATIC_LIB)
	$(call LINK_PROGRAM,$(EVENT_LIBS) $(INIH_LIBS) -rdynamic -ldl -lm)

peer_modules = $(subst $(comma), ,$(patsubst $(1)=%,%,$(filter $(1)=%,$(peer_packages))))
# Other people's headers are not held to our warnings.
$(BUILD)/bin/larder-bench-drivers/%.so: bench/drivers/%.c bench/drivers/loops.h bench/drivers/in_process.h bench/driver.h $(BUILD)/flags
	@mkdir -p $(@D)
	$(call quiet,LINK)$(CC) $(COMPILE_FLAGS) $(patsubst -I%,-isystem %,$(shell pkg-config --cflags $(call peer_modules,$*))) \
		-fPIC -shared -o $@ $< $(LDFLAGS) -Wl,--as-needed $(shell pkg-config --libs $(call peer_modules,$*))

.PHONY: peers
peers: $(BENCH) $(LARDERD) ## Build the drivers of larder-bench whose libraries are installed (make bench-deps)
	@$(MAKE) --no-print-directory $(foreach peer,$(PEERS),$$(pkg-config --exists $(call peer_modules,$(peer)) && \
		echo $(BUILD)/bin/larder-bench-drivers/$(peer).so)) $(BENCH)

$(LINEAR): $(LINEAR_OBJECTS) $(SUPPORT_OBJECTS) $(STATIC_LIB)
	$(call LINK_PROGRAM,-lm)

$(FAILPOINT): $(FAILPOINT_OBJECTS) $(SUPPORT_OBJECTS) $(STATIC_LIB)
	$(call LINK_PROGRAM)

$(TORTURE): $(TORTURE_OBJECTS) $(SUPPORT_OBJECTS) $(STATIC_LIB)
	$(call LINK_PROGRAM)

# Bound at once, so that no instruction of the dynamic linker is stepped through.
$(STEP): $(STEP_OBJECTS) $(BUILD)/obj/daemon.a $(SUPPORT_OBJECTS) $(STATIC_LIB)
	$(call LINK_PROGRAM,-Wl$(comma)-z$(comma)now $(EVENT_LIBS) $(INIH_LIBS))

# A unit test of a program's module takes what it needs from an archive of that program's objects, so main() stays out.
$(BUILD)/obj/daemon.a: $(DAEMON_OBJECTS)
$(BUILD)/obj/tools.a: $(call objects,$(TOOL_SOURCES))
$(BUILD)/obj/demo.a: $(call objects,$(DEMO_SOURCES))
$(BUILD)/obj/bench.a: $(call objects,$(BENCH_SOURCES))
$(BUILD)/obj/linear.a: $(LINEAR_OBJECTS)
$(BUILD)/obj/torture.a: $(TORTURE_OBJECTS) $(SUPPORT_OBJECTS)
$(BUILD)/obj/fuzz.a: $(FUZZ_OBJECTS)
$(BUILD)/obj/%.a:
	@mkdir -p $(@D); rm -f $@; $(AR) rcs $@ $^

define UNIT_OF_PROGRAM
$(BUILD)/tests/unit/$(1)/%: $(BUILD)/obj/tests/unit/$(1)/%.o $(BUILD)/obj/$(1).a $(STATIC_LIB)
	$$(call LINK_PROGRAM,$(2) $$(CHECK_LIBS) -lm)
endef
$(eval $(call UNIT_OF_PROGRAM,daemon,$$(EVENT_LIBS) $$(INIH_LIBS)))
$(foreach program,tools demo bench linear torture,$(eval $(call UNIT_OF_PROGRAM,$(program))))

$(BUILD)/tests/unit/%: $(BUILD)/obj/tests/unit/%.o $(STATIC_LIB)
	$(call LINK_PROGRAM,$(CHECK_LIBS))

$(BUILD)/tests/system/%: $(BUILD)/obj/tests/system/%.o $(SUPPORT_OBJECTS) $(STATIC_LIB)
	$(call LINK_PROGRAM,$(CHECK_LIBS))

# larderd as if the layout of shared memory had changed: these are its modules that look at the stamp.
OTHER_LAYOUT := $(BUILD)/tests/larderd-other-layout
OTHER_OBJECTS := $(patsubst %,$(BUILD)/obj-other-layout/%.o,libshm/arena/arena libshm/arena/control daemon/hello \
                 daemon/larderd daemon/upgrade)
ALL_OBJECTS += $(OTHER_OBJECTS)

$(BUILD)/obj-other-layout/%.o: %.c $(BUILD)/flags
	@mkdir -p $(@D)
	$(call quiet,CC)$(CC) $(COMPILE_FLAGS) -DLAYOUT_VERSION=1000 -MMD -MP -c -o $@ $<

$(OTHER_LAYOUT): $(OTHER_OBJECTS) $(BUILD)/obj/daemon.a $(STATIC_LIB)
	$(call LINK_PROGRAM,$(EVENT_LIBS) $(INIH_LIBS))

$(BUILD)/tests/system/check_upgrade $(BUILD)/tests/system/check_arena_file: | $(OTHER_LAYOUT)

# The library, the keeper's reclaiming and the scenarios with gcc's calls to ThreadSanitizer, answered by tests/weak/runtime.c.
# The attribute that keeps the tool from base/atomics.h's 16-byte compare-and-swap is made into nothing.
WEAK_FLAGS := -O1 -fno-builtin -fsanitize=thread --param tsan-instrument-func-entry-exit=0 -Wno-tsan '-Dno_sanitize(tool)=unused'
WEAK_WATCHED := $(patsubst %.c,$(BUILD)/obj-weak/%.o,$(filter-out libshm/client/% libshm/base/failpoint.c,$(LIB_SOURCES)) \
                $(addprefix daemon/,reclaim.c room.c clients.c estimate.c growth.c evacuate.c extents.c policy.c audit.c survey.c stall.c resize.c tenant.c waker.c) $(wildcard tests/weak/scenarios_*.c))
WEAK_OBJECTS := $(call objects,$(filter-out tests/weak/scenarios_%.c,$(WEAK_SOURCES)) daemon/curve.c daemon/quantity.c)
weak_wraps := memcpy memmove memcmp memset clock_gettime platform_barrier platform_futex_wait platform_futex_wake
ALL_OBJECTS += $(WEAK_WATCHED) $(WEAK_OBJECTS)

$(BUILD)/obj-weak/%.o: %.c $(BUILD)/flags
	@mkdir -p $(@D)
	$(call quiet,CC)$(CC) $(COMPILE_FLAGS) $(WEAK_FLAGS) -MMD -MP -c -o $@ $<

$(WEAK): $(WEAK_WATCHED) $(WEAK_OBJECTS)
	$(call LINK_PROGRAM,$(addprefix -Wl$(comma)--wrap=,$(weak_wraps)))

fuzz_parts := $(BUILD)/obj/fuzz.a $(BUILD)/obj/daemon.a $(BUILD)/obj/tools.a $(STATIC_LIB)
fuzz_libs = $(EVENT_LIBS) $(INIH_LIBS) $(addprefix -Wl$(comma)--wrap=,$(fuzz_wraps))
# What a target puts something of its own in the place of.
$(BUILD)/tests/fuzz/%_protocol: fuzz_wraps := peer_admitted peer_pidfd
$(BUILD)/tests/fuzz/%_client: fuzz_wraps := channel_connect

$(BUILD)/tests/fuzz/replay_%: $(BUILD)/obj/tests/fuzz/fuzz_%.o $(BUILD)/obj/tests/fuzz/replay.o $(fuzz_parts)
	$(call LINK_PROGRAM,$(fuzz_libs))

$(BUILD)/tests/fuzz/fuzz_%: $(BUILD)/obj/tests/fuzz/fuzz_%.o $(fuzz_parts)
	$(call LINK_PROGRAM,-fsanitize=fuzzer $(fuzz_libs))

$(BUILD)/tests/fuzz/storm: $(BUILD)/obj/tests/fuzz/storm.o $(fuzz_parts)
	$(call LINK_PROGRAM,$(fuzz_libs))

$(BUILD)/tests/fuzz/seeds: $(BUILD)/obj/tests/fuzz/seeds.o
	$(call LINK_PROGRAM)

# ---- packages --------------------------------------------------------------------------------------------------------

PACKAGES := gcc g++ libc6-dev make pkg-config liburcu-dev libxxhash-dev libsnappy-dev libevent-dev libinih-dev check jq valgrind
CI_PACKAGES := clang libclang-rt-dev clang-format spin mandoc shellcheck \
               $(if $(filter x86_64,$(ARCH)),gcc-aarch64-linux-gnu libc6-dev-arm64-cross)

# What `make bench` compares larder with. Some of them start a service of their own when they are installed.
BENCH_PACKAGES := memcached redis-server liblmdb-dev libdpdk-dev libck-dev liburcu-dev php-cli php-apcu python3

.PHONY: deps deps-ci bench-deps
deps: ## Install the packages that are needed and missing (apt-get)
	@CC='$(CC)' tools/deps.sh $(PACKAGES)
bench-deps: ## Install what `make bench` compares larder with
	@CC='$(CC)' tools/deps.sh $(BENCH_PACKAGES)
deps-ci: ## Install what only .ci/run, `make model` and `make format` need
	@CC='$(CC)' tools/deps.sh $(CI_PACKAGES)

# What promises to work on a fresh machine waits for the packages before it compiles.
ifneq ($(filter check check-unit demo,$(MAKECMDGOALS)),)
$(ALL_OBJECTS) $(BUILD)/flags: | deps
endif

# ---- testing ---------------------------------------------------------------------------------------------------------

LINTS := $(wildcard tools/lint/check_*.sh)
SYSTEM_SCRIPTS := $(wildcard tests/system/test_*.sh)
LINEAR_TEST := $(if $(LINEAR_SOURCES),tests/linear/test_linear.sh)
RELEASE_SCRIPTS := tests/bench/test_instructions.sh tests/bench/test_quick.sh tests/lint/test_lints.sh tests/install/test_install.sh tests/linear/test_mutation.sh \
                   tests/failpoint/test_release.sh

# Some tests expect a fault of the processor, so the sanitizers leave those signals alone.
sanitizer_options := ASAN_OPTIONS=handle_segv=0:handle_sigbus=0 \
                     UBSAN_OPTIONS=handle_segv=0:handle_sigbus=0:print_stacktrace=1 \
                     TSAN_OPTIONS=handle_segv=0:handle_sigbus=0:halt_on_error=1:die_after_fork=0

test_environment = LARDERD=$(CURDIR)/$(LARDERD) LARDER=$(CURDIR)/$(LARDER) LARDER_DEMO=$(CURDIR)/$(DEMO) \
                   LARDER_LINEAR=$(CURDIR)/$(LINEAR) LARDER_TORTURE=$(CURDIR)/$(TORTURE) LARDER_LIB=$(CURDIR)/$(BUILD)/lib CC='$(CC)' CXX='$(CXX)' \
                   $(if $(SAN),CK_TIMEOUT_MULTIPLIER=10 $(sanitizer_options))
# gcc 12's ThreadSanitizer cannot start where the kernel randomises addresses more widely than it knew.
run_tests = $(test_environment) tests/run.sh -t $(TEST_TIMEOUT) $(if $(filter tsan,$(SAN)),-w 'setarch -R') $(BUILD)/logs

.PHONY: failpoints failpoint-cases failpoint-stall check check-unit check-programs stress torture rcutorture weak mutate lint format model bench bench-quick bench-memory demo
check: deps tests ## Install what is missing, build, and run every lint and test
	@$(run_tests) $(LINTS) $(UNIT_TESTS) $(SYSTEM_TESTS) $(REPLAY_TESTS) $(LINEAR_TEST) $(SYSTEM_SCRIPTS) \
		$(if $(SAN),,$(RELEASE_SCRIPTS) $(if $(SYSTEM_TESTS),--huge $(SYSTEM_TESTS)))
check-unit: deps tests ## Run the unit tests only
	@$(run_tests) $(UNIT_TESTS)
check-programs: tests ## Run unit and system tests without lints (for the sanitizers)
	@$(run_tests) $(UNIT_TESTS) $(SYSTEM_TESTS) $(REPLAY_TESTS) $(LINEAR_TEST)
stress: tests ## Look for violations of linearizability for a minute or so (ROUNDS=20)
	@$(test_environment) $(LINEAR_TEST) $(or $(ROUNDS),20) 2000000
torture: $(TORTURE) $(LARDERD) ## Kill and stop clients and keeper at random for a while (DURATION=60 SEED=1 TORTURE_OPTIONS=)
	@$(test_environment) $(TORTURE) --duration $(or $(DURATION),60) --seed $(or $(SEED),1) $(TORTURE_OPTIONS)
rcutorture: $(TORTURE) ## Torture grace periods, whole and with parts left out (DURATION=20 SEED=1)
	@$(test_environment) tests/torture/test_grace.sh $(or $(DURATION),20) $(or $(SEED),1)
weak: $(WEAK) ## Search the executions that weakly ordered processors allow, on the code itself
	@JOBS=$(or $(JOBS),$(shell nproc)) $(WEAK)
mutate: ## Make one thing wrong after another and see it noticed (PATTERN= PART=1/3 RECORD=no)
	@PART='$(PART)' RECORD='$(RECORD)' JOBS='$(JOBS)' tests/mutate/run.sh '$(PATTERN)'
# The rules for the fuzzers hold in their own flavour only.
.PHONY: fuzz fuzz-seeds
ifeq ($(SAN),fuzz)
fuzz: $(FUZZERS) $(BUILD)/tests/fuzz/storm
	@tests/fuzz/run.sh $(or $(SECONDS),60) $^
else
fuzz: ## Look for inputs, messages and scribbles that do harm, with clang (SECONDS=60 for each kind)
	@$(MAKE) --no-print-directory CC=clang SAN=fuzz FLAVOUR=fuzz BUILD=build/fuzz fuzz
endif
fuzz-seeds: $(BUILD)/tests/fuzz/seeds ## Make the inputs anew from which the fuzzers begin
	@mkdir -p $(FUZZ_TARGETS:tests/fuzz/fuzz_%.c=tests/fuzz/corpus/%) && $<
.PHONY: step
step: $(STEP) ## Kill a process after every instruction, and see what it leaves (POINTS=100000 SEED=1 STEP_OPTIONS=)
	@$(STEP) --points $(or $(POINTS),0) --seed $(or $(SEED),1) $(STEP_OPTIONS)
lint: lib ## Run the lints
	@$(run_tests) $(LINTS)
failpoints: ## Kill and stop a process at every failpoint (two minutes)
	@$(MAKE) --no-print-directory FAILPOINTS=1 failpoint-cases
failpoint-stall: ## Measure what a stopped client costs the writes of others (SIZE=16M)
	@$(MAKE) --no-print-directory FAILPOINTS=1 build/failpoints/bin/larder-failpoint build/failpoints/bin/larderd
	@build/failpoints/bin/larder-failpoint --stall $(or $(SIZE),16M)
failpoint-cases: $(FAILPOINT) $(LARDERD) $(BUILD)/tests/unit/base/check_failpoint
	@$(BUILD)/tests/unit/base/check_failpoint
	@$(FAILPOINT) $(FAILPOINT_OPTIONS)
# The two headers that people read most are laid out by hand.
format: ## Put the sources into the house's form (clang-format)
	find libshm daemon tools bench tests -name '*.[ch]' ! -name larder.h ! -name layout.h ! -path 'tests/model/*' -exec clang-format -i {} +
model: ## Check the models of the protocols (spin)
	@tests/model/run.sh
RESULTS := $(BUILD)/bench
bench: peers ## Measure everything at length, and make a page of it (half an hour; BENCH_OPTIONS=--quick: some minutes)
	@mkdir -p $(RESULTS)
	$(BENCH) quick --json $(BENCH_OPTIONS) >$(RESULTS)/quick.json
	$(BENCH) scaling --json $(BENCH_OPTIONS) >$(RESULTS)/scaling.json
	$(BENCH) full --json $(BENCH_OPTIONS) >$(RESULTS)/full.json
	tools/bench_report.py $(RESULTS)/quick.json $(RESULTS)/scaling.json $(RESULTS)/full.json >$(RESULTS)/report.html
	@echo 'see $(RESULTS)/report.html'
bench-quick: peers ## Measure larder beside the systems that are installed, in less than a minute (BENCH_OPTIONS=)
	$(BENCH) quick $(BENCH_OPTIONS)
bench-memory: $(BENCH) $(LARDERD) ## Measure how memory is used and comes back (BENCH_OPTIONS='--quick', '--full')
	$(BENCH) memory $(BENCH_OPTIONS)
demo: deps $(DEMO) $(LARDERD) ## Install what is missing, build, and show what larder does (TRACE=file)
	@LARDERD=$(CURDIR)/$(LARDERD) $(DEMO) $(if $(TRACE),--trace '$(TRACE)')

# ---- installing ------------------------------------------------------------------------------------------------------

MAN_PAGES = $(wildcard docs/man/*.[1-8])
UNITS = $(wildcard daemon/*.service daemon/*.socket)
CONFIG = $(wildcard daemon/larderd.conf)
fill = sed $(foreach word,prefix exec_prefix bindir sbindir libdir includedir sysconfdir,-e 's|@$(word)@|$($(word))|g') \
       -e 's|@version@|$(VERSION)|g'

.PHONY: install uninstall clean
install: all ## Install into $(DESTDIR)$(prefix)
	install -d $(addprefix '$(DESTDIR)',$(bindir) $(sbindir) $(libdir) $(includedir) $(pkgconfigdir))
	install -m 644 libshm/larder.h '$(DESTDIR)$(includedir)/larder.h'
	install -m 755 $(SHARED_LIB) '$(DESTDIR)$(libdir)/'
	ln -sf $(notdir $(SHARED_LIB)) '$(DESTDIR)$(libdir)/$(SONAME)'
	ln -sf $(SONAME) '$(DESTDIR)$(libdir)/liblarder.so'
	install -m 644 $(STATIC_LIB) '$(DESTDIR)$(libdir)/'
	$(fill) libshm/larder.pc.in >'$(DESTDIR)$(pkgconfigdir)/larder.pc'
	$(if $(DAEMON_SOURCES),install -m 755 $(LARDERD) '$(DESTDIR)$(sbindir)/')
	$(if $(TOOL_SOURCES),install -m 755 $(LARDER) '$(DESTDIR)$(bindir)/')
	@set -e; for page in $(MAN_PAGES); do \
		install -D -m 644 $$page "$(DESTDIR)$(mandir)/man$${page##*.}/$${page##*/}"; done
	@set -e; for unit in $(UNITS); do \
		install -d '$(DESTDIR)$(unitdir)'; $(fill) $$unit >"$(DESTDIR)$(unitdir)/$${unit##*/}"; done
	@set -e; for file in $(CONFIG); do \
		[ -e "$(DESTDIR)$(sysconfdir)/$${file##*/}" ] || install -D -m 644 $$file "$(DESTDIR)$(sysconfdir)/$${file##*/}"; done
	$(if $(DESTDIR),,@ldconfig 2>/dev/null || true)

uninstall: ## Remove what install put there, except the configuration
	rm -f $(addprefix '$(DESTDIR)',$(includedir)/larder.h $(libdir)/$(notdir $(SHARED_LIB)) $(libdir)/$(SONAME) \
		$(libdir)/liblarder.so $(libdir)/liblarder.a $(pkgconfigdir)/larder.pc $(sbindir)/larderd $(bindir)/larder)
	@for page in $(MAN_PAGES); do rm -f "$(DESTDIR)$(mandir)/man$${page##*.}/$${page##*/}"; done
	@for unit in $(UNITS); do rm -f "$(DESTDIR)$(unitdir)/$${unit##*/}"; done

clean: ## Remove build/
	rm -rf build

.SECONDARY: $(ALL_OBJECTS)
-include $(ALL_OBJECTS:.o=.d)

.PHONY: FORCE
FORCE:

.PHONY: help
help: ## Say what can be made, and with which options
	@awk -F ':[^#]*## ' '/^[a-z-]+:.*## / { printf "  make %-15s %s\n", $$1, $$2 }' Makefile
	@echo
	@echo '  CC=clang           another compiler (its output goes to build/<flavour>-clang)'
	@echo '  SAN=asan           with a sanitizer: asan, ubsan or tsan (build/asan ...)'
	@echo '  FAILPOINTS=1       with places at which tests kill and stop processes (build/failpoints)'
	@echo '  DEVELOPER=1        warnings are errors'
	@echo '  V=1                show every command'
	@echo '  CFLAGS= CPPFLAGS= LDFLAGS=   flags of your own'
	@echo '  prefix= libdir= ... DESTDIR=  where make install puts things (prefix: $(prefix))'
