/* SPDX-License-Identifier: ISC */
/* poll MS SLOT EVENTS [SLOT EVENTS]     ppoll, poll_chk, ppoll_chk, __poll, __select likewise     select MS SLOT WHICH [...]: WHICH of r, w, x
 * epmake SET [old], epadd SET SLOT EVENTS, epmod, epdel, epwait SET MS, epclose SET
 * EVENTS: hexadecimal, as poll(2) and epoll(7) have them.  Events are printed in the order of the slots. */
#define _GNU_SOURCE
#include "calls.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/select.h>
#include <time.h>
#include <unistd.h>

#include "lib/older_libc.h"

#ifdef __GLIBC__
extern int other_poll(struct pollfd *fds, nfds_t n, int ms) __asm__("__poll");
extern int other_select(int n, fd_set *in, fd_set *out, fd_set *except, struct timeval *time) __asm__("__select");
/* By these names programs call that are compiled with _FORTIFY_SOURCE. */
extern int checked_poll(struct pollfd *fds, nfds_t n, int ms, size_t room) __asm__("__poll_chk");
extern int checked_ppoll(struct pollfd *fds, nfds_t n, const struct timespec *time, const sigset_t *mask,
                         size_t room) __asm__("__ppoll_chk");
#else
#define other_poll poll
#define other_select select
#define checked_poll(fds, n, ms, room) poll(fds, n, ms)
#define checked_ppoll(fds, n, time, mask, room) ppoll(fds, n, time, mask)
#define epoll_pwait2(set, events, most, time, mask) ((void)(time), epoll_pwait(set, events, most, ms, mask))
#endif

static int sets[SETS] = { -1, -1, -1 };

static int *set_of(const struct call *call)
{
    return &sets[(unsigned long)call_number(call, 1) % SETS];
}

static struct timespec time_of(long ms)
{
    return (struct timespec){ .tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000L };
}

static void do_poll(const struct call *call)
{
    struct pollfd fds[2];
    nfds_t n = 0;
    long ms = call_number(call, 1);
    struct timespec time = time_of(ms);

    for (int i = 2; i + 1 < call->argc && n < 2; i += 2)
        fds[n++] = (struct pollfd){ .fd = *slot_of(call, i), .events = (short)call_number(call, i + 1), .revents = 0 };
    const char *name = call->argv[0];
    struct timespec *limit = ms < 0 ? NULL : &time;
    say_result(strcmp(name, "ppoll") == 0       ? ppoll(fds, n, limit, NULL)
               : strcmp(name, "poll_chk") == 0  ? checked_poll(fds, n, (int)ms, sizeof fds)
               : strcmp(name, "__poll") == 0    ? other_poll(fds, n, (int)ms)
               : strcmp(name, "ppoll_chk") == 0 ? checked_ppoll(fds, n, limit, NULL, sizeof fds)
                                                : poll(fds, n, (int)ms));
    for (nfds_t i = 0; i < n; i++)
        say(" %x", (unsigned)(unsigned short)fds[i].revents);
}

static void do_select(const struct call *call)
{
    fd_set of[3];
    long ms = call_number(call, 1);
    struct timeval time = { .tv_sec = ms / 1000, .tv_usec = ms % 1000 * 1000 };
    struct timespec precise = time_of(ms);
    int most = -1;

    for (int k = 0; k < 3; k++)
        FD_ZERO(&of[k]);
    for (int i = 2; i + 1 < call->argc; i += 2) {
        int fd = *slot_of(call, i);
        if (fd < 0 || fd >= FD_SETSIZE)
            continue;
        for (int k = 0; k < 3; k++)
            if (strchr(call_word(call, i + 1), "rwx"[k]))
                FD_SET(fd, &of[k]);
        most = fd > most ? fd : most;
    }
    int result = call->argv[0][0] == 'p' ? pselect(most + 1, &of[0], &of[1], &of[2], ms < 0 ? NULL : &precise, NULL)
                 : call->argv[0][0] == '_' ? other_select(most + 1, &of[0], &of[1], &of[2], ms < 0 ? NULL : &time)
                                         : select(most + 1, &of[0], &of[1], &of[2], ms < 0 ? NULL : &time);
    say_result(result);
    for (int i = 2; result >= 0 && i + 1 < call->argc; i += 2) {
        int fd = *slot_of(call, i);
        say(" ");
        for (int k = 0; k < 3 && fd >= 0 && fd < FD_SETSIZE; k++)
            if (FD_ISSET(fd, &of[k]))
                say("%c", "rwx"[k]);
    }
}

static void do_epmake(const struct call *call)
{
    *set_of(call) = strcmp(call_word(call, 2), "old") == 0 ? epoll_create(1) : epoll_create1(EPOLL_CLOEXEC);
    say_result(*set_of(call));
}

static void do_epctl(const struct call *call)
{
    const char *name = call->argv[0];
    int op = strcmp(name, "epadd") == 0 ? EPOLL_CTL_ADD : strcmp(name, "epmod") == 0 ? EPOLL_CTL_MOD : EPOLL_CTL_DEL;
    struct epoll_event event = { .events = (uint32_t)call_number(call, 3),
                                 .data.u64 = (uint64_t)call_number(call, 2) % SLOTS };

    say_result(epoll_ctl(*set_of(call), op, *slot_of(call, 2), &event));
}

static void do_epwait(const struct call *call)
{
    struct epoll_event events[SLOTS];
    int ms = (int)call_number(call, 2);
    struct timespec time = time_of(ms);
    const char *how = call_word(call, 3);
    int n = strcmp(how, "pwait") == 0    ? epoll_pwait(*set_of(call), events, SLOTS, ms, NULL)
            : strcmp(how, "pwait2") == 0 ? epoll_pwait2(*set_of(call), events, SLOTS, ms < 0 ? NULL : &time, NULL)
                                         : epoll_wait(*set_of(call), events, SLOTS, ms);

    say_result(n);
    for (unsigned slot = 0; slot < SLOTS; slot++)
        for (int i = 0; i < n; i++)
            if (events[i].data.u64 == slot)
                say(" %u:%x", slot, events[i].events);
}

static void do_epclose(const struct call *call)
{
    say_result(close(*set_of(call)));
    *set_of(call) = -1;
}

void wait_forget(void)
{
    for (int i = 0; i < SETS; i++)
        sets[i] = -1;
}

do_call wait_find(const char *name)
{
    static const struct call_entry table[] = {
        { "poll", do_poll },   { "ppoll", do_poll }, { "poll_chk", do_poll }, { "ppoll_chk", do_poll }, { "__poll", do_poll },
        { "__select", do_select },  { "select", do_select }, { "pselect", do_select },
        { "epmake", do_epmake }, { "epadd", do_epctl }, { "epmod", do_epctl },   { "epdel", do_epctl },
        { "epwait", do_epwait }, { "epclose", do_epclose },
    };

    return call_find(table, sizeof table / sizeof table[0], name);
}
