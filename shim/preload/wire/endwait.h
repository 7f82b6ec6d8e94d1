/* SPDX-License-Identifier: ISC */
/* endwait: clients that are to be told of the end of an answer before they have received its bytes: those that ask for
 * POLLRDHUP or EPOLLRDHUP, and those that have ended their sending side and are told POLLHUP, whatever they ask for.
 * Directly the server's FIN tells them; under holdfast none comes.  So the answer is looked at: if it lies whole in the
 * kernel, it is taken into the conn, the connection is given back, and what lies under the fd then says that the end has
 * come, in each wait and to each thread.
 *
 * Who also asks for POLLIN is woken by the bytes: then is the time to look.  Who does not waits in turns.  An answer that
 * is longer than EXCHANGE_HEAD_MAX is left where it is: its end shows when the client has received the rest.
 *
 * An edge-triggered registration that was told of the end with the bytes gets no edge more for another socket under the
 * number. */
#ifndef HOLDFAST_PRELOAD_ENDWAIT_H
#define HOLDFAST_PRELOAD_ENDWAIT_H

#include "preload/conn/conn.h"

#include <poll.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/epoll.h>

enum { ENDWAIT_TURN_MS = 20 };

/* No conn is locked.  True: one of these waits for an end alone, and the end has not come yet.  Exchanges whose answer lies
 * whole in the kernel are ended first. */
bool endwait_poll(struct pollfd *fds, nfds_t n);

/* No conn is locked.  poll has said `told`; what the client asks for is in `fds`.  True: one of those that have bytes shows its
 * end by now: call poll again, it has more to say. */
bool endwait_ended(const struct pollfd *fds, const struct pollfd *told, nfds_t n);

/* Locked.  Ends the exchange if its answer lies whole in the kernel; where another process may read it (`copied`), ends the
 * receiving side behind it.  True: what lies under the numbers shows the end now. */
bool endwait_settle(struct conn *c);

/* Whether somebody is to be told of an end in an epoll set: nobody (0); with the bytes; without asking for them. */
enum endwait_sets { ENDWAIT_NONE, ENDWAIT_WITH_BYTES, ENDWAIT_ALONE };
extern _Atomic uint8_t endwait_sets;

/* Locked.  The client registers c for these events, or ends its sending side (0). */
void endwait_note(struct conn *c, uint32_t events);

static inline bool endwait_any(enum endwait_sets least)
{
    return __builtin_expect(atomic_load_explicit(&endwait_sets, memory_order_relaxed) >= least, 0);
}

/* No conn is locked.  As endwait_poll, for what is registered in the epoll set epfd. */
bool endwait_look(int epfd);
static inline bool endwait_epoll(int epfd)
{
    return endwait_any(ENDWAIT_ALONE) && endwait_look(epfd);
}

/* No conn is locked.  epoll_wait is about to tell the client of bytes by this event of the set epfd: adds EPOLLRDHUP or
 * EPOLLHUP to it, if the end has come and the client is to be told of it. */
void endwait_tell(int epfd, struct epoll_event *event);

#endif
