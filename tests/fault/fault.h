/* SPDX-License-Identifier: ISC */
/* fault: a library that makes the real calls of one program fail, one at a time, as told.
 *
 * Preloaded behind libholdfast.so it gets what the shim calls through its table of real symbols, and
 * what it calls past the table (mmap, poll, open...); preloaded alone it gets what the client calls.
 *
 *   core.c     the plan, the record, what to do with a call
 *   calls.c    a wrapper for every symbol of symbols.def; those of special.c take precedence
 *   special.c  calls that can fall short, that take effect although they fail, variadic ones,
 *              and those that are not in symbols.def
 *   client*.c  a client for scripted exchanges that says which call it is in (fault_mark)
 *
 * FAULT_PLAN=WHERE:NAME:NTH:WHAT:TIMES
 *   WHERE   the client's call (see fault_mark); 0: before main
 *   NAME    the real call, `*` for any, `@CLASS` for any of a class (fault_class)
 *   NTH     the how-manieth real call of that name inside of it, from 0; -1: any
 *   WHAT    an errno; or `one`, `half`: a short count; `eof`: a receive finds the end; `gone`: the fd was
 *           closed behind the caller's back
 *   TIMES   once, or ever: from there on, every call of the class.  With NTH -1: from WHERE on, whatever was called there.
 * FAULT_RECORD=FILE   of sizeof(struct fault_record_file): what was called, and what was injected
 * FAULT_START=N       the place of what runs before main (after an exec), instead of 0
 *
 * What is called outside of any client's call is neither recorded nor made to fail. */
#ifndef FAULT_H
#define FAULT_H

#include "base/raw.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { FAULT_RECORDS = 8192, FAULT_NONE = -1 };

struct fault_record {
    int32_t where, nth, first; /* the first argument, often an fd */
    int32_t injected;          /* an errno, or -enum fault_what, or 0 */
    char name[24];
};

struct fault_record_file {
    _Atomic uint32_t count, fired, reached, unused;
    struct fault_record records[FAULT_RECORDS];
};

enum fault_what { FAULT_NOTHING, FAULT_ERRNO, FAULT_ONE, FAULT_HALF, FAULT_EOF, FAULT_GONE };

struct fault {
    enum fault_what what;
    int error;
};

/* A system call past every library: neither seen by the shim nor made to fail.  -errno as it comes. */
#define FAULT_KERNEL(number, ...) fault_kernel(number, (long[6]){ __VA_ARGS__ })
static inline long fault_kernel(long number, const long a[6])
{
    return raw_syscall(number, a[0], a[1], a[2], a[3], a[4], a[5]);
}

/* For the client: the calls of this thread belong to place `where` from now on; FAULT_NONE: to none. */
__attribute__((visibility("default"))) void fault_mark(int where);

/* What is to happen to this call.  FAULT_GONE was done already.  `table`: a symbol that the shim replaces;
 * others are looked at only if the shim is their caller, or there is none. */
struct fault fault_meet(const char *name, long first, bool table, const void *caller);

/* The next definition of a symbol. */
void *fault_next(const char *name);

/* After an error that a broken connection gives: the socket really is broken then. */
void fault_break(int fd, int error);

/* After an EAGAIN that is not true: the event will come all the same, as an edge. */
void fault_rearm(int fd);
void fault_note_registration(int epfd, int op, int fd, const void *event);

#endif
