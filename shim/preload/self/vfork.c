/* SPDX-License-Identifier: ISC */
#define _GNU_SOURCE
#include "preload/self/vfork.h"

#include "base/raw.h"

#include <dlfcn.h>
#include <sys/mman.h>
#include <unistd.h>

#ifndef MADV_WIPEONFORK
#define MADV_WIPEONFORK 18
#endif

__thread bool vfork_pending;

static struct {
    volatile unsigned unstamped; /* 0: always look, until vfork_init has made a page; 1: vfork_ask_nobody */
    pid_t owner;
    void (*before_vfork)(void), (*repair_child)(void);
    bool always; /* no page, or no vfork of our own on this machine */
    void *libc;  /* its vfork */
} our;
volatile unsigned *vfork_stamp = &our.unstamped;

/* Past libc's, which another preloaded library may have replaced and not have ready yet. */
static pid_t own_pid(void)
{
    long pid = raw_syscall(SYS_getpid, 0, 0, 0, 0, 0, 0);

    return pid > 0 ? (pid_t)pid : getpid();
}

void vfork_init(void (*before)(void), void (*repair)(void))
{
    long size = sysconf(_SC_PAGESIZE);
    void *page = mmap(NULL, (size_t)size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

#if !defined(__x86_64__) && !defined(__aarch64__)
    our.always = true;
#endif
    if (page == MAP_FAILED || madvise(page, (size_t)size, MADV_WIPEONFORK) != 0)
        our.always = true;
    else
        vfork_stamp = page;
    our.before_vfork = before;
    our.repair_child = repair;
    vfork_own();
}

void vfork_ask_nobody(void)
{
    our.unstamped = 1;
}

void vfork_own(void)
{
    our.owner = own_pid();
    *vfork_stamp = !our.always;
}

bool vfork_check(void)
{
    bool ours = own_pid() == our.owner;

    if (ours) {
        vfork_pending = false;
        return true;
    }
    if (vfork_pending || our.always || *vfork_stamp)
        return false; /* a vfork child; or one that cannot be told from it */
    if (our.repair_child) /* not before the constructor: there is nothing yet */
        our.repair_child();
    return true;
}

void vfork_begin(void)
{
    if (our.before_vfork)
        our.before_vfork();
    vfork_pending = our.owner != 0;
}

/* vfork(2) returns twice, on the stack of its caller: so the real one is jumped to, not called. */
void *vfork_prepare(void);
__attribute__((used)) void *vfork_prepare(void)
{
    if (!our.libc)
        our.libc = dlsym(RTLD_NEXT, "vfork");
    vfork_begin();
    return our.libc;
}

#if defined(__x86_64__)
__asm__(".globl vfork\n"
        ".type vfork, @function\n"
        "vfork:\n"
        "    endbr64\n"
        "    subq $8, %rsp\n"
        "    call vfork_prepare\n"
        "    addq $8, %rsp\n"
        "    jmp *%rax\n"
        ".size vfork, . - vfork\n");
#elif defined(__aarch64__)
__asm__(".globl vfork\n"
        ".type vfork, %function\n"
        "vfork:\n"
        "    stp x29, x30, [sp, #-16]!\n"
        "    bl vfork_prepare\n"
        "    ldp x29, x30, [sp], #16\n"
        "    br x0\n"
        ".size vfork, . - vfork\n");
#endif
