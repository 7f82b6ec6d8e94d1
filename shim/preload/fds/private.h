/* SPDX-License-Identifier: ISC */
/* private: fds of our own inside somebody else's program.  They are close-on-exec, lie above the soft
 * RLIMIT_NOFILE where the hard one and the kernel's table allow it, and the program has made no thread that could see
 * the limit raised for the moment; else high but around 1024.  They are at most an eighth of the limit, and answer
 * EBADF to the program. */
#ifndef HOLDFAST_PRELOAD_PRIVATE_H
#define HOLDFAST_PRELOAD_PRIVATE_H

#include <stdbool.h>

/* Another number for the socket (or file) under fd; -1: none left.  The caller owns it. */
int private_dup(int fd);

/* Moves fd itself: closes the old number.  -1, and fd stays open, if there is none left. */
int private_move(int fd);

/* Closes one; harmless for -1 and for a number that is not ours any more.  private_forget: somebody else has closed it already. */
void private_close_own(int fd);
static inline void private_close(int fd)
{
    if (fd >= 0)
        private_close_own(fd);
}
void private_forget(int fd);

/* Hides a number that was inherited and is ours. */
void private_adopt(int fd);

/* Is it a number of ours? */
bool private_is(int fd);

/* Held while the limit is raised for a moment: no child is born with it (base/lock_order.h). */
struct lock;
extern struct lock private_raising;

/* How many there may be: an eighth of the limit. */
unsigned private_limit(void);

#endif
