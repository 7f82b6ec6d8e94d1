/* SPDX-License-Identifier: ISC */
/* readiness_kinds: what the kinds of waits have in common: readiness.c, readiness_select.c, readiness_epoll.c. */
#ifndef HOLDFAST_PRELOAD_READINESS_KINDS_H
#define HOLDFAST_PRELOAD_READINESS_KINDS_H

#include <stdbool.h>

/* Not locked.  May the kernel say of the connection under this number what is not the client's business (c->borrowed)? */
bool readiness_is_borrowed(int fd);

/* Not locked.  The client is about to wait for input from a borrowed number: see incoming_awaits_end. */
void readiness_before_read(int fd);

enum readiness_sight {
    SIGHT_TRUE,     /* what the kernel says is true */
    SIGHT_HUNG_UP,  /* ... but for POLLHUP, which comes of the library's own half-close */
    SIGHT_WRITABLE, /* the client can write, and nothing else is true: the idle connection under the number is dead */
    SIGHT_NOTHING,  /* there is no input for the client, and nothing else is untrue: lookahead_takes_all */
    SIGHT_REPLACED, /* another socket lies under the number now, or will: ask the kernel again */
};

/* Not locked.  The kernel says that a borrowed number is ready.  `writing`: the client waits to write, too.  `told`: the events
 * of poll(2) that it says. */
enum readiness_sight readiness_look(int fd, bool writing, uint32_t told);

#endif
