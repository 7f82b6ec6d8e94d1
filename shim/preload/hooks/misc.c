/* SPDX-License-Identifier: ISC */
/* What changes the process as a whole: threads, forks that run no handlers, seccomp, its end. */
#define _GNU_SOURCE
#include "preload/hooks/hook.h"

#include "preload/fds/confined.h"
#include "preload/conn/deferred.h"
#include "preload/life/exit.h"
#include "preload/life/fork.h"
#include "preload/self/self.h"

#include <stdarg.h>
#include <sys/prctl.h>
#include <unistd.h>

/* A filter may kill us for a call that it does not expect. */
int prctl(int option, ...)
{
    unsigned long a[4];
    REAL_WORDS(a, option);
    if (option == PR_SET_SECCOMP && self.active && self_is_ours())
        exit_retire();
    if (option == PR_SET_NO_NEW_PRIVS)
        confined_note();
    return real.prctl(option, a[0], a[1], a[2], a[3]);
}

/* libc puts /dev/null under 0 to 2 where we do not see it. */
int daemon(int nochdir, int noclose)
{
    int result = real.daemon(nochdir, noclose);

    for (int fd = 0; fd <= STDERR_FILENO && result == 0 && !noclose; fd++) {
        struct conn *c;
        if (hook_enter(fd, NEED_ALL, &c) != ENTERED)
            continue;
        conn_drop_fd(c, fd);
        conn_leave(c);
    }
    return result;
}

int pthread_create(pthread_t *thread, const pthread_attr_t *attributes, void *(*start)(void *),
                   void *arg)
{
    self.threaded = true;
    deferred_before_wait();
    return real.pthread_create(thread, attributes, start, arg);
}

int thrd_create(thrd_t *thread, thrd_start_t start, void *arg)
{
    self.threaded = true;
    deferred_before_wait();
    return real.thrd_create(thread, start, arg);
}

/* A fork that runs no handlers (POSIX.1-2024). */
pid_t _Fork(void)
{
    if (!self.active || !self_is_ours())
        return real._Fork();
    fork_before();
    pid_t pid = real._Fork();
    if (pid == 0)
        fork_repair_child();
    else
        fork_after();
    return pid;
}

/* Its handlers may still connect: what they park is given away at once. */
void quick_exit(int status)
{
    exit_process();
    for (;;)
        real.quick_exit(status);
}

void _exit(int status)
{
    exit_process();
    for (;;)
        real._exit(status);
}

void _Exit(int status)
{
    exit_process();
    for (;;)
        real._Exit(status);
}
