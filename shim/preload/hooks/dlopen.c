/* SPDX-License-Identifier: ISC */
/* dlopen with RTLD_DEEPBIND hides a whole library from us (PHP's extensions are opened so): the flag is
 * taken out.  dlopen looks at its caller's RUNPATH, so libc's is jumped to, with the caller's return
 * address on the stack, not called. */
#define _GNU_SOURCE
#include "preload/life/rings.h"
#include "preload/self/self.h"

#include <dlfcn.h>

void *dlopen_prepare(int *flags, const char *file);

__attribute__((used)) void *dlopen_prepare(int *flags, const char *file)
{
    rings_look_at_library(file);
#ifdef RTLD_DEEPBIND
    if (self.active)
        *flags &= ~RTLD_DEEPBIND;
#endif
    return dlsym(RTLD_NEXT, "dlopen");
}

#if defined(__x86_64__)
__asm__(".globl dlopen\n"
        ".type dlopen, @function\n"
        "dlopen:\n"
        "    endbr64\n"
        "    subq $24, %rsp\n"
        "    movq %rdi, (%rsp)\n"
        "    movl %esi, 8(%rsp)\n"
        "    movq %rdi, %rsi\n"
        "    leaq 8(%rsp), %rdi\n"
        "    call dlopen_prepare\n"
        "    movq (%rsp), %rdi\n"
        "    movl 8(%rsp), %esi\n"
        "    addq $24, %rsp\n"
        "    jmp *%rax\n"
        ".size dlopen, . - dlopen\n");
#elif defined(__aarch64__)
__asm__(".globl dlopen\n"
        ".type dlopen, %function\n"
        "dlopen:\n"
        "    stp x29, x30, [sp, #-32]!\n"
        "    str x0, [sp, #16]\n"
        "    str w1, [sp, #24]\n"
        "    mov x1, x0\n"
        "    add x0, sp, #24\n"
        "    bl dlopen_prepare\n"
        "    mov x2, x0\n"
        "    ldr x0, [sp, #16]\n"
        "    ldr w1, [sp, #24]\n"
        "    ldp x29, x30, [sp], #32\n"
        "    br x2\n"
        ".size dlopen, . - dlopen\n");
#endif
