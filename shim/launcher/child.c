/* SPDX-License-Identifier: ISC */
#define _GNU_SOURCE
#include "launcher/child.h"

#include "launcher/fail.h"

#include <errno.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

/* A terminal's driver sends these to the whole group. */
static bool is_for_group(const siginfo_t *info)
{
    static const int signals[] = { SIGINT, SIGQUIT, SIGTSTP, SIGTTIN, SIGTTOU, SIGHUP, SIGWINCH };

    for (size_t i = 0; i < sizeof(signals) / sizeof(signals[0]); i++)
        if (info->si_signo == signals[i])
            return info->si_code > 0; /* by the kernel, sigaction(2) */
    return false;
}

static void pass_on(pid_t child, const siginfo_t *info)
{
    if (is_for_group(info))
        return;
    if (info->si_code == SI_QUEUE)
        sigqueue(child, info->si_signo, info->si_value);
    else
        kill(child, info->si_signo);
}

/* With the same signal, so that our parent sees which it was. */
static void stop_alike(int signal)
{
    struct sigaction usual = { .sa_handler = SIG_DFL }, before;
    sigset_t one;

    if (signal == SIGSTOP) {
        kill(getpid(), SIGSTOP);
        return;
    }
    sigemptyset(&one);
    sigaddset(&one, signal);
    sigaction(signal, &usual, &before);
    kill(getpid(), signal);
    sigprocmask(SIG_UNBLOCK, &one, NULL);
    sigprocmask(SIG_BLOCK, &one, NULL);
    sigaction(signal, &before, NULL);
}

/* True: it has ended. */
static bool look_after(pid_t child, int *status)
{
    while (waitpid(child, status, WNOHANG | WUNTRACED) == child) {
        if (!WIFSTOPPED(*status))
            return true;
        stop_alike(WSTOPSIG(*status));
    }
    return false;
}

static int wait_for(pid_t child, const sigset_t *all)
{
    siginfo_t info;
    int status;

    for (;;) {
        int signal = sigwaitinfo(all, &info);

        if (signal == SIGCHLD && look_after(child, &status))
            return status;
        if (signal > 0 && signal != SIGCHLD)
            pass_on(child, &info);
    }
}

/* A parent may leave SIGCHLD ignored: then there would be nothing to wait for. */
int child_run(int (*execute)(char **command), char **command)
{
    struct sigaction usual = { .sa_handler = SIG_DFL }, ignored;
    pid_t self = getpid(), child;
    sigset_t all, before;

    sigfillset(&all);
    sigprocmask(SIG_SETMASK, &all, &before);
    sigaction(SIGCHLD, &usual, &ignored);
    child = fork();
    if (child < 0)
        fail("fork", strerror(errno));
    if (child > 0)
        return wait_for(child, &all);
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != self)
        _exit(FAIL_OURS);
    sigaction(SIGCHLD, &ignored, NULL);
    sigprocmask(SIG_SETMASK, &before, NULL);
    _exit(execute(command));
}

void child_end_alike(int status)
{
    const struct rlimit none = { 0, 0 }; /* its core is the one of interest */
    sigset_t one;

    if (WIFEXITED(status))
        exit(WEXITSTATUS(status));
    sigemptyset(&one);
    sigaddset(&one, WTERMSIG(status));
    setrlimit(RLIMIT_CORE, &none);
    signal(WTERMSIG(status), SIG_DFL);
    kill(getpid(), WTERMSIG(status));
    sigprocmask(SIG_UNBLOCK, &one, NULL);
    exit(128 + WTERMSIG(status));
}
