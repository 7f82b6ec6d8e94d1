/* SPDX-License-Identifier: ISC */
/* Two hundred children while exchanges are open and connections idle: nothing is inherited that should
 * not be, and no connection is used by two. */
#define _GNU_SOURCE
#include "surface.h"

#include <errno.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

enum { STORM = 200, CONNECTIONS = 100000 };

static char one[] = "1", lists[] = "lists";
static char *arguments[] = { NULL, one, lists, NULL };

static pid_t start(int how)
{
    pid_t pid;

    arguments[0] = run.self;
    switch (how) {
    case 0:
        pid = fork();
        if (pid == 0) {
            execv(run.self, arguments);
            _exit(99);
        }
        return pid;
    case 1:
        pid = vfork();
        if (pid == 0) {
            execv(run.self, arguments);
            _exit(99);
        }
        return pid;
    default:
        errno = posix_spawn(&pid, run.self, NULL, NULL, arguments, environ);
        return errno ? -1 : pid;
    }
}

/* The status of a child is the number of descriptors that it was given: those of our own that are open
 * for all to see. */
void op_storm(struct talk *t)
{
    static struct talk open[3];
    int counts[256] = { 0 };

    for (int i = 0; i < 3; i++) {
        talk_init(&open[i]);
        talk_reach(&open[i], i == 2 ? STATE_SENT : STATE_MIDDLE);
    }
    for (int i = 0; i < STORM; i++) {
        int status = 0;
        pid_t pid = start(i % 3);
        if (pid < 0 || waitpid(pid, &status, 0) != pid)
            said("child", -1);
        else if (WIFEXITED(status))
            counts[WEXITSTATUS(status)]++;
        else
            say("signal %d", WTERMSIG(status));
    }
    for (int i = 0; i < 256; i++)
        if (counts[i])
            say("%d children with %d descriptors", counts[i], i);
    for (int i = 0; i < 3; i++)
        talk_end(&open[i]);
    talk_end(t);
}

static pid_t *owners;

/* One exchange, and whether its connection was somebody else's. */
static int exchange(void)
{
    struct talk t;
    pid_t none = 0;
    int bad = 0;

    talk_init(&t);
    talk_reach(&t, STATE_ENDED);
    if (t.connection <= 0 || t.connection >= CONNECTIONS)
        bad = 1;
    else if (!__atomic_compare_exchange_n(&owners[t.connection], &none, getpid(), false, __ATOMIC_SEQ_CST,
                                          __ATOMIC_SEQ_CST))
        bad = none != getpid();
    bad |= t.body != (size_t)run.size;
    if (close(t.fd) != 0)
        bad = 1;
    return bad;
}

void op_storm_requests(struct talk *t)
{
    int bad = 0, children_bad = 0;

    run.size = 500;
    owners =
        mmap(NULL, CONNECTIONS * sizeof *owners, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    for (int i = 0; i < STORM; i++) {
        bad += exchange();
        pid_t pid = fork();
        if (pid == 0) {
            int mine = exchange() + exchange();
            _exit(mine);
        }
        if (i % 2)
            bad += exchange();
        int status = 0;
        waitpid(pid, &status, 0);
        children_bad += status != 0;
    }
    said("bad", bad);
    said("children with bad ones", children_bad);
    run.size = BODY_BYTES;
    talk_end(t);
}
