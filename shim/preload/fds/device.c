/* SPDX-License-Identifier: ISC */
#include "preload/fds/device.h"

#include "preload/libc/real.h"

#include <errno.h>
#include <net/if.h>
#include <stdatomic.h>
#include <stdbool.h>

#ifndef SO_BINDTOIFINDEX
#define SO_BINDTOIFINDEX 62 /* Linux 5.0 */
#endif

static atomic_int known = -1;

static bool chosen_by_client(const struct options *set)
{
    char name[IFNAMSIZ];
    socklen_t len = sizeof name;

    return set->count && options_recall(set, SOL_SOCKET, SO_BINDTODEVICE, name, &len);
}

static int ask(int fd)
{
    int device = 0, saved = errno;
    socklen_t len = sizeof device;

    if (real.getsockopt(fd, SOL_SOCKET, SO_BINDTOIFINDEX, &device, &len) != 0)
        device = 0;
    errno = saved;
    return device;
}

uint64_t device_hash(const struct options *set, int fd)
{
    int device = atomic_load_explicit(&known, memory_order_relaxed);

    if (device < 0 && !chosen_by_client(set)) {
        device = ask(fd);
        atomic_store_explicit(&known, device, memory_order_relaxed);
    }
    return device > 0 ? (uint64_t)device * 0x9e3779b97f4a7c15u : 0;
}
