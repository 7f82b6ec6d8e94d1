/* endwait: clients that wait for the end of an answer and do not ask for its bytes: POLLRDHUP, or EPOLLRDHUP, without
 * POLLIN.  Directly the server's FIN wakes them; under holdfast none comes.  So while such a wait lasts the answer is
 * looked at: if it lies whole in the kernel, it is taken into the conn, the connection is given back, and what lies
 * under the fd then says that the end has come. */
#ifndef HOLDFAST_PRELOAD_ENDWAIT_H
#define HOLDFAST_PRELOAD_ENDWAIT_H

#include "preload/wire/readiness.h"

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

/* As ppoll and epoll_pwait, for as long as somebody waits so, in turns; `meanwhile` after each.  0: nobody does any more,
 * or the time is over; readiness_left says how much of it is left. */
int endwait_ppoll(struct pollfd *fds, nfds_t n, struct readiness_time *t, const sigset_t *mask, void (*meanwhile)(void));
struct endwait_set {
    int epfd;
    struct epoll_event *events;
    int most;
};
int endwait_pwait(struct endwait_set set, struct readiness_time *t, const sigset_t *mask, void (*meanwhile)(void));

#endif
