# SPDX-License-Identifier: ISC
# make install, uninstall: DESTDIR and the folders below are the caller's.
# make dist: what a release consists of, in $(BUILD)/dist.  make deb: Debian packages, in $(BUILD)/deb.
# make i386, aarch64: the library for 32-bit programs, which the launcher of a 64-bit one finds where it
#     lies; everything for 64-bit Arm, in $(BUILD)/aarch64.
# make portable: launcher and library that can be copied into any root file system, in $(BUILD)/portable.
# make check-package, check-machines: what takes longer than `make check` has time for.

PREFIX      ?= /usr/local
prefix      ?= $(PREFIX)
exec_prefix ?= $(prefix)
DESTDIR     ?=
bindir      ?= $(exec_prefix)/bin
libdir      ?= $(exec_prefix)/lib
datarootdir ?= $(prefix)/share
datadir     ?= $(datarootdir)
mandir      ?= $(datarootdir)/man
docdir      ?= $(datarootdir)/doc/holdfast
unitdir     ?= $(prefix)/lib/systemd/user
# Not exported: what another make gets by its environment it takes for its caller's.
FOLDERS  = DESTDIR='$(DESTDIR)' bindir='$(bindir)' libdir='$(libdir)' datadir='$(datadir)' mandir='$(mandir)' \
           docdir='$(docdir)' unitdir='$(unitdir)'

install: $(LIBRARY) $(TLS_LIBRARY) $(LAUNCHER) $(PRELOADS) $(BROKER)
	@BUILD='$(BUILD)' $(FOLDERS) scripts/packaging/install

uninstall:
	@BUILD='$(BUILD)' $(FOLDERS) scripts/packaging/install --remove

# The archive of the sources, the portable one, and checksums.
dist: portable
	@BUILD='$(BUILD)' CC='$(CC)' scripts/packaging/make-dist

deb:
	@MAKE='$(MAKE)' BUILD='$(BUILD)' scripts/packaging/make-deb

# Code for another machine: an assembler and a linker of its own, and clang for a compiler.
CC_i386    := $(CC) -m32
CC_aarch64 := clang --target=aarch64-linux-gnu

$(BUILD)/i386/libholdfast.so: i386
i386:
	+$(MAKE) --no-print-directory BUILD=$(BUILD)/i386 CC='$(CC_i386)' PRELOADS= lib

aarch64:
	+$(MAKE) --no-print-directory BUILD=$(BUILD)/aarch64 CC='$(CC_aarch64)' AS=aarch64-linux-gnu-as \
	    LD=aarch64-linux-gnu-ld all

# For any root file system of this machine's kind, old or new, glibc's or musl's: a launcher that is linked
# statically, and the library without versions of symbols.  Whoever links with glibc gets those of the glibc
# that he has, and then his library ends programs where it is older; so this one is linked with empty
# libraries of the same names, which have none.  musl knows these names for its own.
PORTABLE    := $(BUILD)/portable
PORTABLE_CC := $(shell command -v musl-gcc || echo '$(CC)')
PORTABLE_IN := $(BUILD)/portable.tmp

portable: musl-headers $(LIB_OBJ) $(TLS_OBJ) $(PRELOADS)
	+$(MAKE) --no-print-directory BUILD=$(PORTABLE_IN) CC='$(PORTABLE_CC)' CPPFLAGS='-idirafter $(MUSL_INCLUDE)' \
	    CFLAGS='-O2' LDFLAGS=-static $(PORTABLE_IN)/holdfast $(PORTABLE_IN)/holdfastd
	$(call say,LD)CC='$(CC)' scripts/packaging/link-unversioned $(PORTABLE_IN) libholdfast.so $(LIB_OBJ)
	$(call say,LD)CC='$(CC)' scripts/packaging/link-unversioned $(PORTABLE_IN) libholdfast-tls.so $(TLS_OBJ)
	@rm -rf $(PORTABLE) && mkdir -p $(PORTABLE) && cp $(addprefix $(PORTABLE_IN)/,holdfast holdfastd libholdfast.so libholdfast-tls.so) $(PORTABLE)
	@for folder in preload preload-32; do [ ! -d $(BUILD)/$$folder ] || cp -RP $(BUILD)/$$folder $(PORTABLE); done

check-package:
	tests/package/e2e_package --full

check-machines:
	tests/package/e2e_machines --full

.PHONY: install uninstall dist deb i386 aarch64 portable check-package check-machines
