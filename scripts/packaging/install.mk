# make install, uninstall: PREFIX, DESTDIR, bindir, libdir, datadir and mandir are the caller's.
# make deb: Debian packages, in $(BUILD)/deb.
# make i386, aarch64: the library for 32-bit programs, which the launcher of a 64-bit one finds where it
#     lies; everything for 64-bit Arm, in $(BUILD)/aarch64.
# make check-package, check-machines: what takes longer than `make check` has time for.

PREFIX  ?= /usr/local
DESTDIR ?=
export bindir  ?= $(PREFIX)/bin
export libdir  ?= $(PREFIX)/lib
export datadir ?= $(PREFIX)/share
export mandir  ?= $(datadir)/man
export unitdir ?= $(PREFIX)/lib/systemd/user
export DESTDIR

install: $(LIBRARY) $(LAUNCHER) $(PRELOADS) $(DAEMON)
	@BUILD='$(BUILD)' scripts/packaging/install

uninstall:
	@BUILD='$(BUILD)' scripts/packaging/install --remove

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

check-package:
	tests/e2e_package --full

check-machines:
	tests/e2e_machines --full

.PHONY: install uninstall deb i386 aarch64 check-package check-machines
