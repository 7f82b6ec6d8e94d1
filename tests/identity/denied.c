/* SPDX-License-Identifier: ISC */
/* denied: runs a program under a filter of system calls that is there from its start.
 *     denied [libc-]ERRNO|kill|trap CALL[,CALL...] COMMAND [ARG...]         denied --list
 * The filter is installed past libc, as by a launcher without the library; with libc- by prctl(2), as by one that has it. */
#define _GNU_SOURCE
#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { CALLS_MAX = 16 };

static const struct call {
    const char *name;
    long number;
} calls[] = {
#define CALL(name) { #name, SYS_##name },
    CALL(socket) CALL(connect) CALL(sendto) CALL(sendmsg) CALL(recvfrom) CALL(recvmsg) CALL(getsockopt) CALL(setsockopt)
    CALL(getsockname) CALL(getpeername) CALL(dup) CALL(dup3) CALL(fcntl) CALL(ioctl) CALL(shutdown) CALL(ppoll) CALL(bind)
    CALL(listen) CALL(accept4) CALL(socketpair) CALL(memfd_create) CALL(epoll_ctl) CALL(prlimit64) CALL(madvise)
    CALL(munmap) CALL(getpid) CALL(geteuid) CALL(readlinkat) CALL(ftruncate) CALL(lseek) CALL(pread64)
    CALL(prctl) CALL(seccomp) CALL(kill) CALL(wait4) CALL(getppid) CALL(clone) CALL(clock_gettime) CALL(rt_sigprocmask)
    CALL(futex) CALL(getuid) CALL(getrandom) CALL(statx)
#ifdef SYS_poll
    CALL(poll) CALL(readlink) CALL(dup2) CALL(vfork)
#endif
#ifdef SYS_close_range
    CALL(close_range)
#endif
#undef CALL
};

static long past_libc(long number, long a, long b, long c)
{
#if defined __x86_64__
    long result;
    __asm__ volatile("syscall" : "=a"(result) : "a"(number), "D"(a), "S"(b), "d"(c) : "rcx", "r11", "memory");
    return result;
#elif defined __aarch64__
    register long x8 __asm__("x8") = number, x0 __asm__("x0") = a, x1 __asm__("x1") = b, x2 __asm__("x2") = c;
    __asm__ volatile("svc 0" : "+r"(x0) : "r"(x8), "r"(x1), "r"(x2) : "memory");
    return x0;
#else
    return syscall(number, a, b, c);
#endif
}

static long number_of(const char *name)
{
    for (size_t i = 0; i < sizeof calls / sizeof *calls; i++)
        if (strcmp(calls[i].name, name) == 0)
            return calls[i].number;
    fprintf(stderr, "denied: %s: no such call\n", name);
    exit(2);
}

/* "plain-": without no_new_privs, as root may. */
static bool is_plain(const char **word)
{
    bool plain = strncmp(*word, "plain-", 6) == 0;

    *word += plain ? 6 : 0;
    return plain;
}

static uint32_t action_of(const char *word)
{
    word += strncmp(word, "libc-", 5) == 0 ? 5 : 0;
    if (strcmp(word, "kill") == 0)
        return SECCOMP_RET_KILL_PROCESS;
    if (strcmp(word, "trap") == 0)
        return SECCOMP_RET_TRAP;
    return SECCOMP_RET_ERRNO | (strcmp(word, "ENOSYS") == 0 ? ENOSYS : strcmp(word, "EACCES") == 0 ? EACCES : EPERM);
}

int main(int argc, char **argv)
{
    struct sock_filter filter[2 * CALLS_MAX + 2] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
    };
    unsigned short at = 1;

    if (argc == 2) {
        for (size_t i = 0; i < sizeof calls / sizeof *calls; i++)
            puts(calls[i].name);
        return 0;
    }
    if (argc < 4)
        return 2;
    const char *action = argv[1];
    bool plain = is_plain(&action);
    for (char *name = strtok(argv[2], ","); name && at < 2 * CALLS_MAX; name = strtok(NULL, ",")) {
        filter[at++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (uint32_t)number_of(name), 0, 1);
        filter[at++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, action_of(action));
    }
    filter[at++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
    struct sock_fprog program = { .len = at, .filter = filter };
    if (!plain)
        prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
    if (strncmp(action, "libc-", 5) == 0) {
        if (prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) != 0)
            return 3;
    } else if (past_libc(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, (long)&program) != 0)
        return 3;
    execvp(argv[3], argv + 3);
    return 127;
}
