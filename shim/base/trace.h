/* SPDX-License-Identifier: ISC */
/* trace: what happened in the processes under `holdfast --explain`, a line each, in a file that the
 * launcher makes for one run and reads when the command has ended.  Format and parser; pure.
 *
 *     holdfast-trace-1 EVENT REASON PID PLACE PROGRAM
 *
 * PLACE is an address and port, or "-".  PROGRAM is the rest of the line; whatever is not printable ASCII
 * in it is '?', so that no name can forge a line, or say something to a terminal. */
#ifndef HOLDFAST_BASE_TRACE_H
#define HOLDFAST_BASE_TRACE_H

#include "base/reason.h"

#include <stdbool.h>
#include <stddef.h>

/* The environment names the file by it. */
#define TRACE_VARIABLE "HOLDFAST_EXPLAIN"

/* The file has this bit of its mode if a process of its owner could not write all that it had to say (a full disk,
 * RLIMIT_FSIZE, no descriptor left). */
#define TRACE_INCOMPLETE 0001

enum { TRACE_PLACE = 64, TRACE_PROGRAM = 256, TRACE_LINE = 512 };

/* X(name) */
#define TRACE_EVENTS(X)                                                     \
    X(start)    /* a program began, with the library in it */               \
    X(left)     /* ... which the settings leave alone */                    \
    X(alone)    /* ... which shares connections with no other process */    \
    X(exec)     /* PROGRAM is about to be executed */                       \
    X(bare)     /* ... with an environment that does not load the library */ \
    X(off)      /* ... with HOLDFAST=0 */                                   \
    X(user)     /* ... by a user who may not write to the file */           \
    X(away)     /* ... where the file is not: another root directory */     \
    X(connect)  /* a socket is to be connected */                           \
    X(lease)    /* ... and gets an idle connection */                       \
    X(return)   /* which was not used after all */                          \
    X(open)     /* a connection was really made, or begun */                \
    X(fail)     /* ... and came to nothing */                               \
    X(adapted)  /* a request is sent adapted */                             \
    X(observed) /* a first request is sent, of a client that persists */    \
    X(more)     /* ... a further one, on the same connection */             \
    X(direct)   /* a connection that was not used yet is left to libc */    \
    X(parked)   /* a connection was kept after its exchange */              \
    X(reason)   /* why something was not to be: REASON */                   \
    X(cut)      /* the process has said more than is recorded */

enum trace_event {
#define X(name) TRACE_##name,
    TRACE_EVENTS(X)
#undef X
    TRACE_COUNT
};

struct trace {
    enum trace_event event;
    enum reason reason;
    long pid;
    char place[TRACE_PLACE];
    char program[TRACE_PROGRAM];
};

/* The line, with its newline but without a NUL; its length. */
size_t trace_format(const struct trace *trace, char out[TRACE_LINE]);

/* Whatever is longer than there is room for is cut, what is not printable becomes '?'. */
void trace_set_program(struct trace *trace, const char *program);

/* A line without its newline.  False: it is none of ours. */
bool trace_parse(const char *line, size_t len, struct trace *trace);

#endif
