/* SPDX-License-Identifier: ISC */
/* socket: which socket lies under a number, and what has become of its connection. */
#ifndef HOLDFAST_PRELOAD_SOCKET_H
#define HOLDFAST_PRELOAD_SOCKET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* SO_COOKIE: tells one socket from all others, under whatever number.  0 for what is no socket. */
uint64_t socket_cookie(int fd);

/* Set errno to 0 before socket_cookie.  True: that failed, but not with EBADF or ENOTSOCK (a policy, say), so
 * the socket may still be there.  False: it is closed, or the number is another thing's. */
bool socket_cookie_unknown(void);

/* Of what a receive gave, 0 or -errno: is the connection at its end?  All else passes (a signal, memory, a
 * policy), and the next call may do. */
bool socket_is_end(ssize_t n);

/* Nothing is left then that a shutdown could end. */
bool socket_was_reset(int fd);

/* Throws away `len` bytes that have arrived.  Returns how many are left: that could not be done. */
size_t socket_discard(int fd, size_t len);

#endif
