/* SPDX-License-Identifier: ISC */
#define _GNU_SOURCE
#include "broker/broker.h"

#include "base/log.h"

#include <limits.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <time.h>
#include <unistd.h>

enum { EVENTS_AT_ONCE = 256 };

uint64_t broker_now_ms(void)
{
    struct timespec now;

    clock_gettime(CLOCK_BOOTTIME, &now); /* the clients' clock */
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

bool broker_watch(struct broker *b, int fd, uint32_t events, uint64_t data)
{
    struct epoll_event event = { .events = events, .data.u64 = data };

    return epoll_ctl(b->epoll, EPOLL_CTL_ADD, fd, &event) == 0;
}

static void read_signal(struct broker *b)
{
    struct signalfd_siginfo info;

    if (read(b->signals, &info, sizeof info) != sizeof info)
        return;
    if (info.ssi_signo == SIGHUP) {
        log_printf("SIGHUP: what is known of servers is forgotten");
        evidence_table_clear(&b->tree.board->evidence);
        return;
    }
    log_printf("ended by signal %u", info.ssi_signo);
    b->ending = true;
}

static void dispatch(struct broker *b, const struct epoll_event *event)
{
    uint64_t number = event->data.u64 / EVENT_KINDS, kind = event->data.u64 % EVENT_KINDS;

    if (kind == EVENT_LINE)
        lines_read(b, (struct line *)(uintptr_t)(event->data.u64 - EVENT_LINE), event->events);
    else if (kind == EVENT_ENTRY)
        hoard_look(&b->hoard, event->data.ptr);
    else if (number == EVENT_LISTENER)
        lines_accept(b);
    else if (number == EVENT_SIGNAL)
        read_signal(b);
    else
        sweep_wake(b, (unsigned)number);
}

/* Nobody who could want something, and nothing that could be wanted. */
static bool is_idle(const struct broker *b)
{
    return b->lines_count == 0 && b->hoard.table.entries == 0 && b->next_sweep_ms == UINT64_MAX;
}

static uint64_t least(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

static void do_what_is_due(struct broker *b, uint64_t now_ms)
{
    if (b->next_sweep_ms <= now_ms)
        sweep(b, now_ms);
    if (b->hoard.next_look_ms <= now_ms)
        hoard_expire(&b->hoard, now_ms);
}

/* For epoll_wait: how long nothing is due. */
static int time_left(const struct broker *b, uint64_t now_ms, uint64_t exit_ms)
{
    uint64_t next = least(exit_ms, least(b->next_sweep_ms, b->hoard.next_look_ms));

    if (next == UINT64_MAX)
        return -1;
    return next <= now_ms ? 0 : next - now_ms > INT_MAX ? INT_MAX : (int)(next - now_ms);
}

void loop(struct broker *b)
{
    struct epoll_event events[EVENTS_AT_ONCE];
    uint64_t now_ms = broker_now_ms(), idle_since_ms = now_ms;

    while (!b->ending) {
        uint64_t exit_ms = UINT64_MAX;
        do_what_is_due(b, now_ms);
        if (!is_idle(b))
            idle_since_ms = now_ms;
        else if (b->options.idle_exit_s)
            exit_ms = idle_since_ms + b->options.idle_exit_s * UINT64_C(1000);
        if (exit_ms <= now_ms) {
            log_printf("idle for %u s: it ends", b->options.idle_exit_s);
            return;
        }
        int n = epoll_wait(b->epoll, events, EVENTS_AT_ONCE, time_left(b, now_ms, exit_ms));
        for (int i = 0; i < n; i++)
            dispatch(b, &events[i]);
        now_ms = broker_now_ms();
    }
}
