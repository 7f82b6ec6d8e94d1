/* endwait: clients that wait for the end of an answer and do not ask for its bytes: POLLRDHUP, or EPOLLRDHUP, without
 * POLLIN.  Directly the server's FIN wakes them; under holdfast none comes.  So while such a wait lasts the answer is
 * looked at: if it lies whole in the kernel, it is taken into the conn, the connection is given back, and what lies
 * under the fd then says that the end has come. */
#ifndef HOLDFAST_PRELOAD_ENDWAIT_H
#define HOLDFAST_PRELOAD_ENDWAIT_H

#include <poll.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

enum { ENDWAIT_TURN_MS = 20 };

/* Does any of these wait so?  What can be ended at once is. */
bool endwait_poll(struct pollfd *fds, nfds_t n);

/* A tracked fd is registered in a set for these events. */
extern atomic_bool endwait_registered;
static inline void endwait_note(uint32_t events)
{
    const uint32_t in = POLLIN | POLLRDNORM;

    if (events & POLLRDHUP && !(events & in))
        atomic_store_explicit(&endwait_registered, true, memory_order_relaxed);
}

/* The same for what is registered in a set. */
bool endwait_look(int epfd);
static inline bool endwait_epoll(int epfd)
{
    return __builtin_expect(atomic_load_explicit(&endwait_registered, memory_order_relaxed), 0) && endwait_look(epfd);
}

#endif
