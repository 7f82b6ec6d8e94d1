/* SPDX-License-Identifier: ISC */
/* For programs that look at what a program of bpf(2) on a cgroup (version 2) decides about sockets.  As root. */
#ifndef CGROUP_H
#define CGROUP_H

#include <errno.h>
#include <fcntl.h>
#include <linux/bpf.h>
#include <mntent.h>
#include <stddef.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

static char cgroup_path[512];

static inline long cgroup_bpf(int command, union bpf_attr *attr)
{
    return syscall(SYS_bpf, command, attr, sizeof *attr);
}

/* Attaches a program to a new cgroup.  False: that is not possible here. */
static inline bool cgroup_make(enum bpf_prog_type type, enum bpf_attach_type where, const struct bpf_insn *code, unsigned n)
{
    FILE *mounts = setmntent("/proc/mounts", "r");
    const struct mntent *m = NULL;

    while (mounts && (m = getmntent(mounts)) && strcmp(m->mnt_type, "cgroup2") != 0)
        ;
    if (!m)
        return false;
    snprintf(cgroup_path, sizeof cgroup_path, "%.400s/holdfast-test.%d", m->mnt_dir, getpid());
    endmntent(mounts);
    union bpf_attr load, attach;
    memset(&load, 0, sizeof load);
    memset(&attach, 0, sizeof attach);
    load.prog_type = type;
    load.expected_attach_type = where;
    load.insns = (uintptr_t)code;
    load.insn_cnt = n;
    load.license = (uintptr_t) "GPL";
    long program = cgroup_bpf(BPF_PROG_LOAD, &load);
    if (program < 0 || mkdir(cgroup_path, 0755) != 0)
        return false;
    attach.target_fd = (unsigned)open(cgroup_path, O_RDONLY | O_CLOEXEC);
    attach.attach_bpf_fd = (unsigned)program;
    attach.attach_type = where;
    return cgroup_bpf(BPF_PROG_ATTACH, &attach) == 0;
}

/* The calling process goes there: its sockets are made, and its connects judged, by that program from now on. */
static inline bool cgroup_enter(const char *path)
{
    char procs[600];
    snprintf(procs, sizeof procs, "%s/cgroup.procs", path);
    int fd = open(procs, O_WRONLY | O_CLOEXEC);
    bool entered = fd >= 0 && write(fd, "0", 1) == 1;

    close(fd);
    return entered;
}

/* connect(2) over IPv4 is denied. */
static inline bool cgroup_make_denying(void)
{
    const struct bpf_insn code[] = { { .code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = 0, .imm = 0 },
                                     { .code = BPF_JMP | BPF_EXIT } };

    return cgroup_make(BPF_PROG_TYPE_CGROUP_SOCK_ADDR, BPF_CGROUP_INET4_CONNECT, code, 2);
}

/* Each new socket is bound to a device, as under `ip vrf exec`. */
static inline bool cgroup_make_binding(unsigned device)
{
    const struct bpf_insn code[] = {
        { .code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = 2, .imm = (int)device },
        { .code = BPF_STX | BPF_MEM | BPF_W, .dst_reg = 1, .src_reg = 2, .off = offsetof(struct bpf_sock, bound_dev_if) },
        { .code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = 0, .imm = 1 },
        { .code = BPF_JMP | BPF_EXIT },
    };

    return cgroup_make(BPF_PROG_TYPE_CGROUP_SOCK, BPF_CGROUP_INET_SOCK_CREATE, code, 4);
}

#endif
