# SPDX-License-Identifier: ISC
# holdfast.  Needs GNU make and a C compiler; `make check` needs what scripts/deps lists.
#
#   make            what is installed, and what `make demo` runs, in build/
#   make all        that, and the programs that the tests run
#   make check      everything that is checked: see scripts/check
#   make musl       library, launcher and broker for musl, in build/musl/
#   make fuzz       the fuzzers, FUZZ_SECONDS (900) for each; a short run is in `make check`: scripts/fuzz
#   make bench      against proxies and against the client's own keep-alive: scripts/bench/bench
#   make install, make uninstall, make dist, make deb, make i386, make aarch64: scripts/packaging/install.mk
#   make demo, make lint, make layers, make clean
#
# CC, CFLAGS, LDFLAGS, BUILD, WERROR=1, DEBUG=1 (shim/base/debug.h) and V=1 (show commands) are the caller's.

BUILD   ?= build
READELF ?= readelf
CFLAGS  ?= -O2 -g
WERROR  ?= 0

say = $(if $(V),,@echo '  $(1)	$@';)

# No _GNU_SOURCE and no _FILE_OFFSET_BITS here: a file that defines hooks must not have them.
STD      := -std=gnu11 -fPIC -fvisibility=hidden -pthread -Ishim $(if $(filter 1,$(DEBUG)),-DHOLDFAST_DEBUG)
WARN     := -Wall -Wextra -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wold-style-definition \
            -Wpointer-arith -Wwrite-strings -Wvla -Wundef -Wformat=2 -Wno-unused-parameter \
            -Werror=implicit-function-declaration
WARN     += $(if $(filter 1,$(WERROR)),-Werror)
# A musl program that inherits a fortified library dies of a symbol that musl lacks.  -Wp: what distributions say by
# -Wp comes behind all -D and -U.
UNFORTIFY := -U_FORTIFY_SOURCE -Wp,-U_FORTIFY_SOURCE,-D_FORTIFY_SOURCE=0
# Nor does a loader before musl 1.2.4 or glibc 2.36 know relocations that are packed so.
UNPACKED   = $(filter-out -Wl$(comma)-z$(comma)pack-relative-relocs,$(LDFLAGS))
FUZZ_CC  ?= clang
SANITIZE := -fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer -DHOLDFAST_DEBUG
DEPS     := -MMD -MP
comma    := ,

LIB_SRC      := $(wildcard shim/base/*.c shim/http/*.c shim/pool/*.c shim/preload/*/*.c)
PURE_SRC     := $(filter-out shim/preload/%,$(LIB_SRC))
LAUNCHER_SRC := $(wildcard shim/launcher/*.c)
TLS_SRC      := $(wildcard shim/tls/*.c)
BROKER_SRC   := $(wildcard shim/broker/*.c)
# tests/unit/ROOM/NAME.c is the program unit_ROOM_NAME; tests/assume/NAME.c is assume_NAME, tests/fuzz/NAME.c fuzz_NAME.
UNIT_ROOMS   := $(patsubst tests/unit/%/,%,$(sort $(dir $(wildcard tests/unit/*/*.c))))
ASSUME_SRC   := $(wildcard tests/assume/*.c)
FUZZ_SRC     := $(wildcard tests/fuzz/*.c)
# What the tests run.  A folder with a source of its own name is one program (tests/surface/surface.c); elsewhere
# NAME_*.c are parts of the program NAME.c.
HELPER_ALL   := $(filter-out tests/assume/% tests/fuzz/% tests/fault/% tests/e2e/widen.c tests/e2e/pretend.c,$(wildcard tests/*/*.c))
HELPER_WHOLE := $(foreach name,$(basename $(notdir $(HELPER_ALL))),$(if $(wildcard tests/$(name)/$(name).c),$(name)))
HELPER_PARTS := $(foreach src,$(HELPER_ALL),$(wildcard $(src:.c=)_*.c)) \
                $(filter-out $(foreach name,$(HELPER_WHOLE),tests/$(name)/$(name).c),$(wildcard $(HELPER_WHOLE:%=tests/%/*.c)))
HELPER_SRC   := $(filter-out $(HELPER_PARTS),$(HELPER_ALL))

LIB_OBJ      := $(LIB_SRC:%.c=$(BUILD)/obj/%.o)
# Threads, coroutines and signal handlers may have small stacks.
$(LIB_OBJ): WARN += -Wframe-larger-than=1536
# What the library for TLS has of the other folders: http/ is pure, and has no memory of its own.
TLS_OBJ      := $(TLS_SRC:%.c=$(BUILD)/obj/%.o) $(patsubst %.c,$(BUILD)/obj/%.o,$(wildcard shim/http/*.c) shim/base/reason.c shim/base/quiet.c)
# What the launcher has in common with the library.
COMMON_OBJ   := $(filter $(BUILD)/obj/shim/base/% $(BUILD)/obj/shim/pool/%,$(LIB_OBJ))
LAUNCHER_OBJ := $(LAUNCHER_SRC:%.c=$(BUILD)/obj/%.o)
BROKER_OBJ   := $(BROKER_SRC:%.c=$(BUILD)/obj/%.o)
# What unit tests and fuzzers can be linked with.
TESTED_SRC   := $(PURE_SRC) $(filter-out shim/broker/holdfastd.c,$(BROKER_SRC))
ASAN_OBJ     := $(TESTED_SRC:%.c=$(BUILD)/asan/obj/%.o)
# Tests of these rooms of shim/preload (tests/unit/fds/...) have a `real` of their own: tests/unit/preload/fake_real.h.
FAKED_ROOMS  := self fds share conn wire life
ROOM_SRC     := $(filter-out shim/preload/libc/real.c,$(wildcard shim/preload/libc/*.c) $(wildcard $(FAKED_ROOMS:%=shim/preload/%/*.c)))
ROOM_OBJ     := $(ROOM_SRC:%.c=$(BUILD)/asan/obj/%.o)
HELPERS      := $(addprefix $(BUILD)/tests/,$(basename $(notdir $(HELPER_SRC))))
# A library that makes real calls fail, and the client that is put to that test: tests/fault/fault.h.
CLIENT_OBJ   := $(patsubst %.c,$(BUILD)/obj/%.o,$(wildcard tests/fault/client*.c))
FAULT_OBJ    := $(filter-out $(CLIENT_OBJ),$(patsubst %.c,$(BUILD)/obj/%.o,$(wildcard tests/fault/*.c)))
FAULTS       := $(BUILD)/tests/fault.so $(BUILD)/tests/fault_client $(BUILD)/tests/widen.so $(BUILD)/tests/pretend.so
ASSUMES      := $(ASSUME_SRC:tests/assume/%.c=$(BUILD)/tests/assume_%)
UNITS        := $(foreach room,$(UNIT_ROOMS),$(patsubst tests/unit/$(room)/%.c,$(BUILD)/asan/tests/unit_$(room)_%,$(wildcard tests/unit/$(room)/*.c)))
# Tools for tests and measurements.
WIRE_OBJ     := $(patsubst %.c,$(BUILD)/obj/%.o,$(wildcard scripts/delay-wire/*.c))
FUZZERS      := $(FUZZ_SRC:tests/fuzz/%.c=$(BUILD)/fuzz/bin/fuzz_%)
FUZZ_OBJ     := $(TESTED_SRC:%.c=$(BUILD)/fuzz/obj/%.o)
# Builds as distributions make them: minutes, so a target of their own.
RELEASE      := tests/package/e2e_roots tests/package/e2e_dist tests/package/e2e_flags
# Executable scripts; not C sources, headers or data that share the name.
E2E          := $(filter-out $(RELEASE),$(shell find tests -maxdepth 2 -name 'e2e_*' -type f -perm -u+x 2>/dev/null | sort))

LIBRARY  := $(BUILD)/libholdfast.so
TLS_LIBRARY := $(BUILD)/libholdfast-tls.so
LAUNCHER := $(BUILD)/holdfast
BROKER   := $(BUILD)/holdfastd
WIRE     := $(BUILD)/delay-wire
# What loaders find under the names that they know their machine by: see shim/launcher/preload.c.
X86_64   := $(filter x86_64-%,$(shell $(CC) -dumpmachine 2>/dev/null))
PRELOADS := $(if $(X86_64),$(BUILD)/preload/i386 $(BUILD)/preload-32/x86_64)
# Debian's libraries lie in a folder of this name.
MULTIARCH := $(shell $(CC) -print-multiarch 2>/dev/null)

DEMO     := $(BUILD)/tests/origin $(BUILD)/tests/prober

programs: $(LIBRARY) $(TLS_LIBRARY) $(LAUNCHER) $(BROKER) $(PRELOADS) $(DEMO)
.DEFAULT_GOAL := programs

all: programs $(HELPERS) $(FAULTS) $(WIRE)

lib: $(LIBRARY) $(TLS_LIBRARY)

$(LIBRARY): $(LIB_OBJ)
	@mkdir -p $(@D)
	$(call say,LD)$(CC) -shared -pthread -Wl,-soname,libholdfast.so -Wl,-z,defs -Wl,-z,relro,-z,now $(CFLAGS) $(UNPACKED) \
	    -o $@ $(LIB_OBJ) -ldl
	@READELF='$(READELF)' scripts/check-library $@

$(TLS_LIBRARY): $(TLS_OBJ)
	@mkdir -p $(@D)
	$(call say,LD)$(CC) -shared -pthread -Wl,-soname,libholdfast-tls.so -Wl,-z,defs -Wl,-z,relro $(CFLAGS) $(UNPACKED) \
	    -o $@ $(TLS_OBJ) -ldl
	@READELF='$(READELF)' scripts/check-library $@

$(LAUNCHER): $(LAUNCHER_OBJ) $(COMMON_OBJ)
	@mkdir -p $(@D)
	$(call say,LD)$(CC) -pthread $(CFLAGS) $(LDFLAGS) -o $@ $^

$(BROKER): $(BROKER_OBJ) $(COMMON_OBJ)
	@mkdir -p $(@D)
	$(call say,LD)$(CC) -pthread $(CFLAGS) $(LDFLAGS) -o $@ $^

$(WIRE): $(WIRE_OBJ)
	@mkdir -p $(@D)
	$(call say,LD)$(CC) -pthread $(CFLAGS) $(LDFLAGS) -o $@ $^

# What 64-bit loaders may call the machine, and 32-bit ones.  musl's take $PLATFORM for a name: where there is one.
NAMES_64 := x86_64 haswell xeon_phi $(if $(wildcard /lib/ld-musl-*.so.1),$$PLATFORM)
LINK_64   = for name in $(NAMES_64:%='%'); do \
                mkdir $(@D)/$$name && for library in libholdfast libholdfast-tls; do \
                    ln -s ../../$$library.so $(@D)/$$name/$$library.so; done; done
NAMES_32 := i386 i486 i586 i686

# An empty library for 32-bit programs.  binutils can; where they cannot, there is none.
$(BUILD)/preload/i386: Makefile
	@rm -rf $(@D) && mkdir -p $@
	$(call say,LD)if $(AS) --32 --noexecstack -o $(@D)/empty.o /dev/null && \
	    $(LD) -m elf_i386 -shared -soname libholdfast.so -o $@/libholdfast.so $(@D)/empty.o && \
	    $(LD) -m elf_i386 -shared -soname libholdfast-tls.so -o $@/libholdfast-tls.so $(@D)/empty.o; then \
	    for name in $(filter-out i386,$(NAMES_32)); do ln -s i386 $(@D)/$$name; done; \
	    $(LINK_64); \
	fi; rm -f $(@D)/empty.o

# The library for 32-bit programs, if it is there: `make i386`.
$(BUILD)/preload-32/x86_64: Makefile
	@rm -rf $(@D) && mkdir -p $(@D) && \
	for name in $(NAMES_32); do ln -s ../i386 $(@D)/$$name; done && \
	$(LINK_64)

$(BUILD)/obj/shim/launcher/%.o $(BUILD)/obj/shim/broker/%.o: UNFORTIFY :=
$(BUILD)/obj/shim/launcher/%.o: CPPFLAGS += $(if $(MULTIARCH),-DHOLDFAST_MULTIARCH='"$(MULTIARCH)"')
# The launcher knows where `make install` puts the library, and is compiled anew where that is another place.
$(BUILD)/obj/shim/launcher/preload.o: CPPFLAGS += -DHOLDFAST_BINDIR='"$(bindir)"' -DHOLDFAST_LIBDIR='"$(libdir)"'
$(BUILD)/obj/shim/launcher/preload.o: $(BUILD)/obj/folders
$(BUILD)/obj/folders: FORCE
	@mkdir -p $(@D) && echo '$(bindir):$(libdir)' | cmp -s - $@ || echo '$(bindir):$(libdir)' >$@
FORCE:
$(BUILD)/obj/shim/%.o: shim/%.c Makefile
	@mkdir -p $(@D)
	$(call say,CC)$(CC) $(STD) $(WARN) $(DEPS) -ftls-model=initial-exec $(CPPFLAGS) $(CFLAGS) $(UNFORTIFY) -c -o $@ $<

$(BUILD)/obj/scripts/%.o: scripts/%.c Makefile
	@mkdir -p $(@D)
	$(call say,CC)$(CC) $(STD) $(WARN) $(DEPS) $(CPPFLAGS) $(CFLAGS) -c -o $@ $<

$(BUILD)/obj/tests/%.o: tests/%.c Makefile
	@mkdir -p $(@D)
	$(call say,CC)$(CC) $(STD) -iquote tests $(WARN) $(DEPS) $(CPPFLAGS) $(CFLAGS) -c -o $@ $<

# The objects of the program NAME.
helper_main = $(filter %/$(1).c,$(HELPER_SRC))
helper_src  = $(if $(filter $(1),$(HELPER_WHOLE)),$(wildcard tests/$(1)/*.c),$(helper_main) $(wildcard $(helper_main:.c=_*.c)))
helper_obj  = $(patsubst %.c,$(BUILD)/obj/%.o,$(helper_src))

.SECONDEXPANSION:
$(HELPERS): $(BUILD)/tests/%: $$(call helper_obj,$$*) $$(if $$(filter $$*,$$(LINKED)),$$(BUILD)/library.o)
	@mkdir -p $(@D)
	$(call say,LD)$(CC) -pthread $(CFLAGS) $(LDFLAGS) -o $@ $^ -ldl

$(ASSUMES): $(BUILD)/tests/assume_%: $(BUILD)/obj/tests/assume/%.o
	@mkdir -p $(@D)
	$(call say,LD)$(CC) -pthread $(CFLAGS) $(LDFLAGS) -o $@ $^ -ldl -lrt

# What gets nothing of ours.
$(BUILD)/tests/spy: LDFLAGS += -static
# The sanitizers' libraries are not for that.
$(BUILD)/tests/spy: override CFLAGS := $(filter-out -fsanitize% -fno-sanitize% -static-lib%,$(CFLAGS))

# The library as one object, whose own names are nobody else's.
$(BUILD)/library.o: $(LIB_OBJ)
	$(call say,LD)$(LD) -r -o $@ $(LIB_OBJ) && objcopy --localize-hidden $@

$(BUILD)/tests/fault.so: $(FAULT_OBJ)
	@mkdir -p $(@D)
	$(call say,LD)$(CC) -shared -pthread $(CFLAGS) $(LDFLAGS) -o $@ $^ -ldl

$(BUILD)/tests/widen.so $(BUILD)/tests/pretend.so: $(BUILD)/tests/%.so: $(BUILD)/obj/tests/e2e/%.o
	@mkdir -p $(@D)
	$(call say,LD)$(CC) -shared $(CFLAGS) $(LDFLAGS) -o $@ $^ -ldl

$(BUILD)/tests/fault_client: $(CLIENT_OBJ)
	@mkdir -p $(@D)
	$(call say,LD)$(CC) -pthread $(CFLAGS) $(LDFLAGS) -o $@ $^ -ldl

$(FAULT_OBJ) $(CLIENT_OBJ) $(BUILD)/obj/tests/e2e/widen.o $(BUILD)/obj/tests/e2e/pretend.o: CFLAGS += -U_FORTIFY_SOURCE

# They measure parts of shim/, and are linked with them.
$(BUILD)/tests/treecost $(BUILD)/tests/poolcost $(BUILD)/tests/parsecount $(BUILD)/tests/brokerbench: $(PURE_SRC:%.c=$(BUILD)/obj/%.o)

$(BUILD)/asan/obj/shim/%.o: shim/%.c Makefile
	@mkdir -p $(@D)
	$(call say,CC)$(CC) $(STD) $(WARN) $(DEPS) $(CPPFLAGS) $(CFLAGS) $(UNFORTIFY) $(SANITIZE) -c -o $@ $<

# An archive: what a test does not use may need what is not there.
$(BUILD)/asan/rooms.a: $(ROOM_OBJ)
	@rm -f $@
	$(call say,AR)$(AR) rcs $@ $^

$(BUILD)/asan/obj/tests/%.o: tests/%.c Makefile
	@mkdir -p $(@D)
	$(call say,CC)$(CC) $(STD) -iquote tests $(WARN) $(DEPS) $(CPPFLAGS) $(CFLAGS) $(UNFORTIFY) $(SANITIZE) -c -o $@ $<

define unit_rule
$(BUILD)/asan/tests/unit_$(1)_%: $(BUILD)/asan/obj/tests/unit/$(1)/%.o $(2) $(ASAN_OBJ)
	@mkdir -p $$(@D)
	$$(call say,LD)$$(CC) $$(CFLAGS) $$(SANITIZE) $$(LDFLAGS) $(3) -o $$@ $$< $(2) $$(ASAN_OBJ) -lcmocka -ldl
endef
$(foreach room,$(filter-out $(FAKED_ROOMS),$(UNIT_ROOMS)),$(eval $(call unit_rule,$(room))))
$(foreach room,$(filter $(FAKED_ROOMS),$(UNIT_ROOMS)),$(eval $(call unit_rule,$(room),$(BUILD)/asan/rooms.a,-Wl$(comma)--wrap=clock_gettime)))

# Only shim/ is instrumented: its coverage is what steers, and what is reported.
FUZZ_CFLAGS = $(STD) $(WARN) $(DEPS) -O1 -g $(UNFORTIFY) $(SANITIZE)
$(BUILD)/fuzz/obj/shim/%.o: shim/%.c Makefile
	@mkdir -p $(@D)
	$(call say,CC)$(FUZZ_CC) $(FUZZ_CFLAGS) -fsanitize=fuzzer-no-link -c -o $@ $<

$(BUILD)/fuzz/obj/tests/%.o: tests/%.c Makefile
	@mkdir -p $(@D)
	$(call say,CC)$(FUZZ_CC) $(FUZZ_CFLAGS) -iquote tests -c -o $@ $<

# An archive: what a target does not use does not count as not covered.
$(BUILD)/fuzz/shim.a: $(FUZZ_OBJ)
	@rm -f $@
	$(call say,AR)$(AR) rcs $@ $^

$(FUZZERS): $(BUILD)/fuzz/bin/fuzz_%: $(BUILD)/fuzz/obj/tests/fuzz/%.o $(BUILD)/fuzz/shim.a
	@mkdir -p $(@D)
	$(call say,LD)$(FUZZ_CC) -pthread $(SANITIZE) -fsanitize=fuzzer -o $@ $^ -lcmocka -ldl

# Where the fuzzers begin: the tables of the unit tests, see tests/unit/http/seed.h.
SEEDERS := $(filter $(BUILD)/asan/tests/unit_http_%,$(UNITS))
$(BUILD)/fuzz/seeds: $(SEEDERS)
	@mkdir -p $@
	@for test in $(SEEDERS); do FUZZ_SEEDS=$@ $$test >/dev/null 2>&1 || { echo "$$test fails"; exit 1; }; done
	@touch $@

fuzzers: $(FUZZERS) $(BUILD)/fuzz/seeds

fuzz:
	+MAKE='$(MAKE)' BUILD='$(BUILD)' scripts/fuzz --long

fuzz-short:
	+MAKE='$(MAKE)' BUILD='$(BUILD)' scripts/fuzz

.PHONY: fuzzers fuzz fuzz-short
-include $(FUZZ_OBJ:.o=.d) $(FUZZ_SRC:%.c=$(BUILD)/fuzz/obj/%.d)

units: $(UNITS)
assumes: $(ASSUMES)

# What a second processor can do while the first one runs tests that mind the time.
BESIDE := make:werror scripts/fuzz make:lint tests/e2e/e2e_layers tests/e2e/e2e_figures $(addprefix tests/package/e2e_,install package readme machines) \
    $(addprefix tests/launcher/e2e_,check entrypoint imports launcher settings) $(UNITS)
ALONE  := tests/cost/e2e_counts tests/cost/e2e_bench

# Each verdict is one line of scripts/check; `make:X` runs `make X`.
check:
	scripts/deps
	+$(MAKE) --no-print-directory all units assumes
	+MAKE='$(MAKE)' BUILD='$(BUILD)' BESIDE='$(BESIDE)' ALONE='$(ALONE)' scripts/check make:layers make:werror $(UNITS) $(ASSUMES) scripts/fuzz $(E2E) \
	    make:musl make:lint

# Random programs of socket calls, with and without the library: tests/calls/calls_fuzz.
# CALLS_PROGRAMS=200000 takes half an hour; it goes on where it was interrupted, if nothing has changed.
CALLS_PROGRAMS ?= 2000
CALLS_SEED ?= 1
fuzz-calls: all
	tests/calls/calls_fuzz --programs $(CALLS_PROGRAMS) --seed $(CALLS_SEED) --state $(BUILD)/calls.state

# The same with a player and a library for musl, and with 32-bit ones.
fuzz-calls-musl: musl
	+$(MAKE) --no-print-directory BUILD=$(BUILD)/musl CC=musl-gcc CPPFLAGS='-idirafter $(MUSL_INCLUDE)' PRELOADS= \
	    $(BUILD)/musl/tests/calls
	CALLS=$(abspath $(BUILD))/musl/tests/calls HOLDFAST_UNDER_TEST=$(abspath $(BUILD))/musl/holdfast \
	    tests/calls/calls_fuzz --programs $(CALLS_PROGRAMS) --seed $(CALLS_SEED) --state $(BUILD)/musl/calls.state

fuzz-calls-i386: all i386
	+$(MAKE) --no-print-directory BUILD=$(BUILD)/i386 CC='$(CC_i386)' PRELOADS= $(BUILD)/i386/tests/calls
	CALLS=$(abspath $(BUILD))/i386/tests/calls tests/calls/calls_fuzz --programs $(CALLS_PROGRAMS) --seed $(CALLS_SEED) \
	    --state $(BUILD)/i386/calls.state

# What it costs, as counts that repeat; some of them are compared with what is recorded by tests/cost/e2e_counts.
bench-count: all
	scripts/bench/bench-count

# Faults of every kind and broken connections, at length: some 20 minutes.
CHAOS_SEED ?= 1
chaos: all
	tests/chaos/e2e_replay --requests 100000 --seed $(CHAOS_SEED)
	tests/chaos/e2e_chaos --exchanges 100000 --seed $(CHAOS_SEED)

# All clients against all servers; a third of it is in `make check`.
check-matrix: all
	scripts/deps --matrix
	tests/matrix/check_matrix

# Sharing between processes, with thousands of them; a small version is in `make check`.
check-tree: all
	tests/tree/e2e_tree --full

# All of a user's programs and the broker; a small version is in `make check`.
check-broker: all
	tests/broker/e2e_broker --full

# Archives and packages, other distributions' flags, a root of another distribution.
check-release: all
	+MAKE='$(MAKE)' BUILD='$(BUILD)' scripts/check $(RELEASE)

# Every real call made to fail, everywhere; `make check` does a part.
faults: all
	tests/fault/e2e_fault --all

# The library and the client of tests/threads/e2e_threads with ThreadSanitizer; everything with UBSan.  Both can be
# preloaded; a library with AddressSanitizer cannot.
TSAN_FLAGS  := -O1 -g -fsanitize=thread -fno-omit-frame-pointer
UBSAN_FLAGS := -O1 -g -fsanitize=undefined -fno-sanitize-recover=all -fno-omit-frame-pointer -static-libubsan
tsan:
	+$(MAKE) --no-print-directory BUILD=$(BUILD)/tsan CFLAGS='$(TSAN_FLAGS)' lib $(BUILD)/tsan/tests/threads

ubsan:
	+$(MAKE) --no-print-directory BUILD=$(BUILD)/ubsan CFLAGS='$(UBSAN_FLAGS)' all

# With AddressSanitizer the library is linked into the client.  tests/lib/linked_launcher runs these.
LINKED      :=
CLIENTS     := prober surface threads
asan:
	+$(MAKE) --no-print-directory BUILD=$(BUILD)/linked CFLAGS='-O1 -g $(SANITIZE)' LINKED='$(CLIENTS)' \
	    $(CLIENTS:%=$(BUILD)/linked/tests/%)

# The long runs of all these.
sanitize:
	MAKE='$(MAKE)' BUILD='$(BUILD)' scripts/sanitize

layers:
	scripts/check-layers

werror:
	+$(MAKE) --no-print-directory BUILD=$(BUILD)/werror WERROR=1 all assumes

# musl-gcc hides /usr/include; the kernel's own headers do no harm.
MUSL_INCLUDE = $(BUILD)/musl/include
musl: musl-headers
	+$(MAKE) --no-print-directory BUILD=$(BUILD)/musl CC=musl-gcc CPPFLAGS='-idirafter $(MUSL_INCLUDE)' PRELOADS= \
	    lib $(BUILD)/musl/holdfast $(BUILD)/musl/holdfastd $(BUILD)/musl/tests/launched

musl-headers:
	@mkdir -p $(MUSL_INCLUDE)
	@multiarch=$$($(CC) -print-multiarch 2>/dev/null); \
	for dir in linux asm-generic asm; do \
	    for from in /usr/include/$$multiarch/$$dir /usr/include/$$dir; do \
	        if [ -d $$from ]; then ln -sfn $$from $(MUSL_INCLUDE)/$$dir; break; fi; \
	    done; \
	done

demo: programs
	scripts/demo

# clang-tidy is slow: a file is looked at again only when it, or what it includes, changed.
TIDY_SRC := $(LIB_SRC) $(TLS_SRC) $(LAUNCHER_SRC) $(BROKER_SRC)
TIDY_OK  := $(TIDY_SRC:%.c=$(BUILD)/lint/%.ok)

lint: $(TIDY_OK)
	cppcheck --quiet --std=c11 --enable=warning,performance,portability --inline-suppr \
	    --suppress=missingIncludeSystem --suppress=unknownMacro --error-exitcode=1 -Ishim $(TIDY_SRC)

$(BUILD)/lint/%.ok: %.c .clang-tidy $(wildcard shim/*/*.h shim/*/*/*.h shim/*/*.def shim/*/*/*.def)
	@mkdir -p $(@D)
	$(call say,TIDY)clang-tidy --quiet $< -- $(STD) -Wall -Wextra -Wno-unused-parameter
	@touch $@

# A quarter of an hour; BENCH_OPTIONS=--quick: half of that.  BENCH_ROUNDS: how often in each cell.
bench: all
	scripts/deps --bench
	BUILD='$(BUILD)' scripts/bench/bench $(BENCH_OPTIONS)

include scripts/packaging/install.mk

clean:
	rm -rf $(BUILD)

.PHONY: all check-release programs FORCE fuzz-calls bench bench-count lib units assumes check chaos check-matrix check-tree check-broker faults layers werror musl musl-headers demo lint clean tsan ubsan asan sanitize
.DELETE_ON_ERROR:
.SUFFIXES:
# Keep objects that only a pattern mentions.
.SECONDARY:

-include $(LIB_OBJ:.o=.d) $(TLS_OBJ:.o=.d) $(LAUNCHER_OBJ:.o=.d) $(BROKER_OBJ:.o=.d) $(WIRE_OBJ:.o=.d) $(ASAN_OBJ:.o=.d) $(ROOM_OBJ:.o=.d) \
         $(patsubst %.c,$(BUILD)/obj/%.d,$(HELPER_ALL) $(ASSUME_SRC)) $(wildcard $(BUILD)/asan/obj/tests/unit/*/*.d) \
         $(FAULT_OBJ:.o=.d) $(CLIENT_OBJ:.o=.d) $(BUILD)/obj/tests/e2e/widen.d $(BUILD)/obj/tests/e2e/pretend.d
