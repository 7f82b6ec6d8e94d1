/* SPDX-License-Identifier: ISC */
/* departure: another program begins, in this process or beside it: exec, posix_spawn, system, popen.  What it may need
 * of ours goes with it: an exchange under way (handover.h), the queues (share/handdown.h), an environment that it can do
 * with (reach.h).  What the real call does not use is taken back.
 *
 *     DEPARTURE(d, env, .way = DEPARTURE_EXEC, .file = path, .named = path, .program = path);
 *     real.execve(path, argv, d.env);
 *     departure_end(&d);
 *
 * What of it is larger than its caller's stack may be lies in room.h; `environ` never points there: see lend.h. */
#ifndef HOLDFAST_PRELOAD_DEPARTURE_H
#define HOLDFAST_PRELOAD_DEPARTURE_H

#include "preload/life/lend.h"

#include <stdbool.h>
#include <stddef.h>

enum departure_way {
    DEPARTURE_EXEC,  /* the program takes this one's place, if the call succeeds */
    DEPARTURE_SPAWN, /* a child runs it */
    DEPARTURE_SHELL, /* a child runs a shell, with `environ` */
};

struct departure {
    enum departure_way way;
    const char *file;    /* where it is known: the file as the kernel will open it; else NULL */
    const char *named;   /* as the caller calls it, for the trace; NULL: not traced */
    const char *program; /* whose it is to be that gets the queues; NULL: nobody gets them */
    bool rearranged;     /* file actions may hand down fds that are close-on-exec here */
    char *const *env;    /* what the program is to be given: as the caller has it until departure_begin */

    char *const *reached; /* the rest is departure.c's own */
    const void *room;
    struct lend lend;
    bool left;
};

#define DEPARTURE(d, given, ...)                            \
    struct departure d = { .env = (given), __VA_ARGS__ }; \
    departure_begin(&(d))

/* Right before the real call.  errno is left alone. */
void departure_begin(struct departure *d);

/* Right behind the call; of a real exec only when that has failed.  errno is left alone. */
void departure_end(struct departure *d);

/* How long the name of a file can be that departure_find finds, its end included. */
size_t departure_longest(const char *file);

/* The file that execvp(3) finds; NULL: none, or nobody needs to know (with HOLDFAST=0, say).  `name`: of departure_longest
 * bytes.  errno is left alone. */
const char *departure_find(const char *file, char *name);

#endif
