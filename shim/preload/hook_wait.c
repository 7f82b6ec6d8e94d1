/* Waiting.  What the kernel says of readiness is true and passes as it is; but a process that waits for long
 * has no use for the idle connections that it kept, and others may.  Only while it keeps some is a wait split:
 * a short one first, and if nothing happens in it they are given away before the rest. */
#define _GNU_SOURCE
#include "preload/hook.h"

#include "preload/shared.h"

#include <poll.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/select.h>
#include <sys/wait.h>
#include <unistd.h>

enum { SHORT_MS = 20, FD_SETS_MOST = 8192 };

static const struct timespec short_time = { .tv_nsec = SHORT_MS * 1000000L };

/* Is a wait of so long one to be split?  Negative: for ever. */
static bool splits(int ms)
{
    return shared_keeps() && (ms < 0 || ms > SHORT_MS);
}

static bool splits_time(const struct timespec *time)
{
    if (!shared_keeps() || !time)
        return shared_keeps();
    return time->tv_nsec >= 0 && time->tv_nsec < 1000000000L &&
           (time->tv_sec > 0 || (time->tv_sec == 0 && time->tv_nsec > short_time.tv_nsec));
}

static struct timespec rest_of(struct timespec time)
{
    time.tv_nsec -= short_time.tv_nsec;
    if (time.tv_nsec < 0) {
        time.tv_sec--;
        time.tv_nsec += 1000000000L;
    }
    return time;
}

int poll(struct pollfd *fds, nfds_t n, int ms)
{
    if (!splits(ms))
        return real.poll(fds, n, ms);
    int result = real.poll(fds, n, SHORT_MS);
    if (result != 0)
        return result;
    shared_give_all();
    return real.poll(fds, n, ms < 0 ? ms : ms - SHORT_MS);
}

/* A fortified program's. */
int __poll_chk(struct pollfd *fds, nfds_t n, int ms, size_t room)
{
    return splits(ms) && room / sizeof *fds >= n ? poll(fds, n, ms) : real.__poll_chk(fds, n, ms, room);
}

int ppoll(struct pollfd *fds, nfds_t n, const struct timespec *time, const sigset_t *mask)
{
    if (!splits_time(time))
        return real.ppoll(fds, n, time, mask);
    int result = real.ppoll(fds, n, &short_time, mask);
    if (result != 0)
        return result;
    shared_give_all();
    struct timespec rest = time ? rest_of(*time) : short_time;
    return real.ppoll(fds, n, time ? &rest : NULL, mask);
}

int epoll_wait(int epfd, struct epoll_event *events, int most, int ms)
{
    if (!splits(ms))
        return real.epoll_wait(epfd, events, most, ms);
    int result = real.epoll_wait(epfd, events, most, SHORT_MS);
    if (result != 0)
        return result;
    shared_give_all();
    return real.epoll_wait(epfd, events, most, ms < 0 ? ms : ms - SHORT_MS);
}

int epoll_pwait(int epfd, struct epoll_event *events, int most, int ms, const sigset_t *mask)
{
    if (!splits(ms))
        return real.epoll_pwait(epfd, events, most, ms, mask);
    int result = real.epoll_pwait(epfd, events, most, SHORT_MS, mask);
    if (result != 0)
        return result;
    shared_give_all();
    return real.epoll_pwait(epfd, events, most, ms < 0 ? ms : ms - SHORT_MS, mask);
}

/* select(2) empties its sets when the time is over, so the short turn works on copies. */
struct sets {
    fd_set *given[3], *copies[3];
    size_t len;
    char room[3][FD_SETS_MOST / 8] __attribute__((aligned(__alignof__(fd_set))));
};

static bool copy_sets(struct sets *sets, int n, fd_set *in, fd_set *out, fd_set *except)
{
    const size_t bits = 8 * sizeof(long);
    fd_set *given[3] = { in, out, except };

    if (n < 0 || n > FD_SETS_MOST)
        return false;
    sets->len = ((size_t)n + bits - 1) / bits * sizeof(long);
    for (int i = 0; i < 3; i++) {
        sets->given[i] = given[i];
        sets->copies[i] = given[i] ? memcpy(sets->room[i], given[i], sets->len) : NULL;
    }
    return true;
}

static void return_sets(const struct sets *sets)
{
    for (int i = 0; i < 3; i++)
        if (sets->copies[i])
            memcpy(sets->given[i], sets->copies[i], sets->len);
}

/* Linux leaves in *time what was not waited: of the short turn that is `left`. */
static void subtract(struct timeval *time, struct timeval left)
{
    time->tv_usec -= (suseconds_t)SHORT_MS * 1000 - left.tv_usec;
    if (time->tv_usec < 0) {
        time->tv_usec += 1000000;
        time->tv_sec--;
    }
}

int select(int n, fd_set *in, fd_set *out, fd_set *except, struct timeval *time)
{
    struct timeval turn = { .tv_usec = (suseconds_t)SHORT_MS * 1000 };
    struct sets sets;

    bool odd = time && (time->tv_sec < 0 || time->tv_usec < 0 || time->tv_usec >= 1000000);
    bool brief = time && time->tv_sec == 0 && time->tv_usec <= turn.tv_usec;

    if (!shared_keeps() || odd || brief ||
        !copy_sets(&sets, n, in, out, except))
        return real.select(n, in, out, except, time);
    int result = real.select(n, sets.copies[0], sets.copies[1], sets.copies[2], &turn);
    if (time)
        subtract(time, turn);
    if (result > 0)
        return_sets(&sets);
    if (result != 0)
        return result;
    shared_give_all();
    return real.select(n, in, out, except, time);
}

int pselect(int n, fd_set *in, fd_set *out, fd_set *except, const struct timespec *time,
            const sigset_t *mask)
{
    struct sets sets;

    if (!splits_time(time) || !copy_sets(&sets, n, in, out, except))
        return real.pselect(n, in, out, except, time, mask);
    int result = real.pselect(n, sets.copies[0], sets.copies[1], sets.copies[2], &short_time, mask);
    if (result > 0)
        return_sets(&sets);
    if (result != 0)
        return result;
    shared_give_all();
    struct timespec rest = time ? rest_of(*time) : short_time;
    return real.pselect(n, in, out, except, time ? &rest : NULL, mask);
}

/* Here nothing can come that would need the connections, or what comes is late anyway. */
static void give_before(void)
{
    if (shared_keeps())
        shared_give_all();
}

int nanosleep(const struct timespec *time, struct timespec *left)
{
    if (splits_time(time))
        shared_give_all();
    return real.nanosleep(time, left);
}

int clock_nanosleep(clockid_t clock, int flags, const struct timespec *time, struct timespec *left)
{
    if (flags & TIMER_ABSTIME ? shared_keeps() : splits_time(time))
        shared_give_all();
    return real.clock_nanosleep(clock, flags, time, left);
}

int usleep(unsigned us)
{
    if (us > SHORT_MS * 1000)
        give_before();
    return real.usleep(us);
}

unsigned sleep(unsigned seconds)
{
    give_before();
    return real.sleep(seconds);
}

int pause(void)
{
    give_before();
    return real.pause();
}

pid_t wait(int *status)
{
    give_before();
    return real.wait(status);
}

pid_t waitpid(pid_t pid, int *status, int options)
{
    if (!(options & WNOHANG))
        give_before();
    return real.waitpid(pid, status, options);
}

pid_t wait4(pid_t pid, int *status, int options, struct rusage *usage)
{
    if (!(options & WNOHANG))
        give_before();
    return real.wait4(pid, status, options, usage);
}
