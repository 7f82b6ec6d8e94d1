/* SPDX-License-Identifier: ISC */
/* readiness_kinds: what the kinds of waits have in common: readiness.c, readiness_select.c, readiness_epoll.c. */
#ifndef HOLDFAST_PRELOAD_READINESS_KINDS_H
#define HOLDFAST_PRELOAD_READINESS_KINDS_H

#include <stdbool.h>

/* Does a connection lie under the number of which the kernel may say what is not the client's business? */
bool readiness_is_borrowed(int fd);

/* The client waits to read from a borrowed number, where nothing more may come: exchange_awaits_end. */
void readiness_before_read(int fd);

/* What the kernel says of a number that is ready is true; or it can be written to, and nothing else; or another socket lies
 * there now. */
enum readiness_sight { SIGHT_TRUE, SIGHT_HUNG_UP, SIGHT_WRITABLE, SIGHT_REPLACED };

/* `writing`: the client waits to write, too.  `told`: what the wait says of it, 0: select. */
enum readiness_sight readiness_look(int fd, bool writing, uint32_t told);

#endif
