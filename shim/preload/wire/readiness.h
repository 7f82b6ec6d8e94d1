/* readiness: the waits of libc, less what the kernel says of a reused connection that ended before a byte of an
 * answer came.  Another connection takes its place, the request goes out once more, and the wait goes on for the
 * rest of its time: the client sees only what the fresh connection brings.  One that was not asked anything yet
 * can be written to: what is written goes out on another one.
 *
 * What the kernel says of all else is true and passes as it is, without a system call more: such an end shows
 * itself by POLLERR, POLLHUP or POLLRDHUP, which is asked for besides (registrations.h).  Only select(2) cannot
 * be told apart: there a reused connection is looked at, once for each exchange. */
#ifndef HOLDFAST_PRELOAD_READINESS_H
#define HOLDFAST_PRELOAD_READINESS_H

#include "preload/conn/conn.h"

#include <poll.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/select.h>
#include <time.h>

/* Each as the function of libc; a process without a reused connection pays one load. */
int readiness_poll(struct pollfd *fds, nfds_t n, int ms);
int readiness_ppoll(struct pollfd *fds, nfds_t n, const struct timespec *time, const sigset_t *mask);
int readiness_select(int n, fd_set *in, fd_set *out, fd_set *except, struct timeval *time);
int readiness_pselect(int n, fd_set *in, fd_set *out, fd_set *except, const struct timespec *time,
                      const sigset_t *mask);
int readiness_epoll_wait(int epfd, struct epoll_event *events, int most, int ms);
int readiness_epoll_pwait(int epfd, struct epoll_event *events, int most, int ms, const sigset_t *mask);
int readiness_epoll_pwait2(int epfd, struct epoll_event *events, int most, const struct timespec *time,
                           const sigset_t *mask);

/* What is left of a wait. */
struct readiness_time {
    bool for_ever;
    struct timespec until, left;
};

/* NULL: for ever. */
void readiness_begin(struct readiness_time *t, const struct timespec *time);
const struct timespec *readiness_left(struct readiness_time *t);

/* The same in milliseconds; negative: for ever. */
const struct timespec *readiness_time(int ms, struct timespec *room);
int readiness_ms(const struct timespec *time);

static inline bool readiness_any(void)
{
    return __builtin_expect(atomic_load_explicit(&conn_borrowed, memory_order_relaxed) != 0, 0);
}

#endif
