/* SPDX-License-Identifier: ISC */
/* device: the device that the kernel binds each new socket of this process to (socket(7), SO_BINDTODEVICE), because its
 * cgroup says so: `ip vrf exec`.  A connection that leads by another device is another one. */
#ifndef HOLDFAST_PRELOAD_DEVICE_H
#define HOLDFAST_PRELOAD_DEVICE_H

#include "preload/fds/options.h"

#include <stdint.h>

/* What it adds to the hash of the options, 0: no device.  `fd`, on which the client has set `set`, is asked once in a
 * process: a cgroup that another process moves this one to later cannot be seen. */
uint64_t device_hash(const struct options *set, int fd);

#endif
