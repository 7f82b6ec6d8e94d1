/* SPDX-License-Identifier: ISC */
/* A filter of system calls that knows what this program does, and not what a preloaded library does. */
#define _GNU_SOURCE
#include "surface.h"

#include <errno.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <stddef.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { FILTER_MAX = 64 };

/* A filter that does `otherwise` for what is not in the list, `listed` for what is. */
static struct sock_fprog make(const int *numbers, size_t n, uint32_t listed, uint32_t otherwise)
{
    static struct sock_filter filter[FILTER_MAX];
    unsigned short at = 0;

    filter[at++] = (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr));
    for (size_t i = 0; i < n; i++) {
        filter[at++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (uint32_t)numbers[i], 0, 1);
        filter[at++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, listed);
    }
    filter[at++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, otherwise);
    return (struct sock_fprog){ .len = at, .filter = filter };
}

static void install(const int *numbers, size_t n, uint32_t listed, uint32_t otherwise, bool by_call)
{
    struct sock_fprog program = make(numbers, n, listed, otherwise);

    said("no new privileges", prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0));
    long result = by_call ? syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &program)
                          : prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program, 0, 0);
    said("filter", result);
}

static void kill_on(const int *numbers, size_t n, bool by_call)
{
    install(numbers, n, SECCOMP_RET_KILL_PROCESS, SECCOMP_RET_ALLOW, by_call);
}

static void go_on(struct talk *t)
{
    talk_end(t);
    talk_whole(3);
    run.no_after = true;
}

static const int dups[] = { SYS_dup3 };
static const int asks[] = { SYS_getsockopt, SYS_setsockopt };
static const int numbers[] = { SYS_fcntl, SYS_epoll_ctl, SYS_dup, SYS_getpid, SYS_madvise };

void op_seccomp_dup3(struct talk *t)
{
    kill_on(dups, 1, false);
    go_on(t);
}

void op_seccomp_getsockopt(struct talk *t)
{
    kill_on(asks, 2, false);
    go_on(t);
}

void op_seccomp_fcntl(struct talk *t)
{
    kill_on(numbers, sizeof numbers / sizeof *numbers, false);
    go_on(t);
}

void op_seccomp_call(struct talk *t)
{
    kill_on(dups, 1, true);
    go_on(t);
}

/* Only what this program needs. */
static const int few[] = {
    SYS_read,           SYS_write, SYS_socket,       SYS_connect, SYS_close,    SYS_exit_group,
    SYS_exit,           SYS_brk,   SYS_mmap,         SYS_munmap,  SYS_mprotect, SYS_clock_gettime,
    SYS_rt_sigprocmask, SYS_futex, SYS_rt_sigreturn,
};

void op_seccomp_few(struct talk *t)
{
    install(few, sizeof few / sizeof *few, SECCOMP_RET_ALLOW, SECCOMP_RET_KILL_PROCESS, false);
    go_on(t);
}

/* It only refuses. */
void op_seccomp_errno(struct talk *t)
{
    install(few, sizeof few / sizeof *few, SECCOMP_RET_ALLOW, SECCOMP_RET_ERRNO | EPERM, false);
    go_on(t);
}

/* read, write and exit are left. */
void op_seccomp_strict(struct talk *t)
{
    prctl(PR_SET_SECCOMP, SECCOMP_MODE_STRICT);
    talk_finish(t);
    syscall(SYS_exit, 0);
}

static void *installs(void *argument)
{
    kill_on(dups, 1, false);
    talk_end(argument);
    talk_whole(2);
    return NULL;
}

/* In one thread only; the others go on as before. */
void op_seccomp_thread(struct talk *t)
{
    pthread_t thread;

    pthread_create(&thread, NULL, installs, t);
    pthread_join(thread, NULL);
    talk_whole(2);
}
