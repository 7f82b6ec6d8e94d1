/* SPDX-License-Identifier: ISC */
/* departure: another program begins, in this process or beside it: exec, posix_spawn, system, popen.  What it may need
 * of ours goes with it: an exchange under way (handover.h), the queues (share/handdown.h), an environment that it can do
 * with (reach.h).  What the real call does not use is taken back.
 *
 *     DEPARTURE(d, env, .way = DEPARTURE_EXEC, .file = path, .named = path, .program = path);
 *     real.execve(path, argv, d.env);
 *     departure_end(&d);
 *
 * All of it lies on the caller's stack: a vfork child must not leave memory behind.  But `environ` never points there:
 * see lend.h. */
#ifndef HOLDFAST_PRELOAD_DEPARTURE_H
#define HOLDFAST_PRELOAD_DEPARTURE_H

#include "preload/life/lend.h"

#include <limits.h>
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
    char **rooms[2], *text;
    struct lend lend;
    bool left;
};

/* How many entries each of `rooms` has for this environment. */
size_t departure_entries(char *const *env);

/* How many bytes `text` has. */
size_t departure_text(char *const *env);

#define DEPARTURE(d, given, ...)                                                                              \
    char *departure_rooms[2][departure_entries(given)], departure_room[departure_text(given)];               \
    struct departure d = {                                                                                    \
        .env = (given), .rooms = { departure_rooms[0], departure_rooms[1] }, .text = departure_room, __VA_ARGS__ \
    };                                                                                                        \
    departure_begin(&(d))

/* Right before the real call.  errno is left alone. */
void departure_begin(struct departure *d);

/* Right behind the call; of a real exec only when that has failed.  errno is left alone. */
void departure_end(struct departure *d);

/* The file that execvp(3) finds; NULL: none, or nobody needs to know (with HOLDFAST=0, say).  errno is left alone. */
const char *departure_find(const char *file, char room[PATH_MAX]);

#endif
