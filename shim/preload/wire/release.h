/* SPDX-License-Identifier: ISC */
/* release: sends what was withheld: bytes that the client has sent, and that the library has not (conn/withheld.h). */
#ifndef HOLDFAST_PRELOAD_RELEASE_H
#define HOLDFAST_PRELOAD_RELEASE_H

#include "preload/conn/withheld.h"

#include <time.h>

/* Locked; released while it connects.  FRESH, LEASED: sends all of it by fd, as it is, because it is no request, or will never
 * be a whole one.  LEASED: puts a fresh connection under the numbers first.  0 or -errno. */
int release_all(struct conn *c, int fd);

/* Locked; released while it connects.  As release_all, before a close, a half-close or fdopen.  If the first send was to
 * connect (c->request.by_send) and nothing was withheld, connects. */
int release_held(struct conn *c, int fd);

/* Locked.  The client waits for an answer.  FRESH, LEASED: sends as much of a head as can go out whatever follows, so that the
 * request can still be adapted.  A head whose body is not whole goes out as it is, and libc alone has the socket.
 * EXCHANGE: the server is told of the client's half-close, if it may listen for it.  0 or -errno. */
int release_some(struct conn *c, int fd);

/* Locked; released while it waits.  Before a receive that blocks: waits for input until what is withheld is due, and then
 * releases it by release_some. */
void release_wait(struct conn *c, int fd);

/* No conn is locked.  A wait in which nothing has happened: releases what is due, of all conns. */
static inline void release_due(void)
{
    withheld_each_due(release_some);
}

/* No conn is locked.  The program is about to sleep for so long; NULL: who knows. */
static inline void release_before_sleep(const struct timespec *time)
{
    if (withheld_any() && (!time || time->tv_sec || time->tv_nsec >= WITHHELD_MS * 1000000L))
        withheld_each(release_some);
}

/* No conn is locked.  The program is about to read something else, and may wait for it. */
void release_before_read(int fd);

#endif
