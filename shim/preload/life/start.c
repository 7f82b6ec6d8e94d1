/* SPDX-License-Identifier: ISC */
#define _GNU_SOURCE
#include "preload/life/start.h"

#include "base/log.h"
#include "base/policy.h"
#include "base/version.h"
#include "preload/conn/conn.h"
#include "preload/fds/confined.h"
#include "preload/fds/private.h"
#include "preload/libc/real.h"
#include "preload/life/exit.h"
#include "preload/life/fork.h"
#include "preload/life/handover.h"
#include "preload/self/choice.h"
#include "preload/self/env.h"
#include "preload/self/identity.h"
#include "preload/self/self.h"
#include "preload/self/version.h"
#include "preload/share/idle.h"
#include "preload/share/shared.h"
#include "preload/share/tracing.h"
#include "preload/conn/parking.h"

#include <dlfcn.h>
#include <errno.h>
#include <sys/auxv.h>

static void complain(void *arg, const struct config_setting *setting, const char *value)
{
    struct slice fault = config_fault(setting, value);

    (void)arg;
    log_printf("%s: '%.*s': expected %s; using %s", setting->name, (int)fault.len, fault.data, setting->shape,
               *setting->fallback ? setting->fallback : "none");
}

static ssize_t write_real(int fd, const void *bytes, size_t len)
{
    return private_is(fd) ? exit_write_quietly(fd, bytes, len) : -1;
}

/* The child will look for its sockets by their cookies. */
static void before_vfork(void)
{
    if (!self_is_ours())
        return;
    fork_end_leases(false);
    conn_each(parking_identify);
    fork_spawned(false);
}

/* pthread_atfork(3) under the name that each libc has it by, so that one library loads under both. */
static void watch_forks(void)
{
    extern void *__dso_handle __attribute__((visibility("hidden")));
    int (*gnu)(void (*)(void), void (*)(void), void (*)(void), void *);
    int (*plain)(void (*)(void), void (*)(void), void (*)(void));

    *(void **)&gnu = dlsym(RTLD_DEFAULT, "__register_atfork");
    if (gnu) {
        gnu(fork_before, fork_after, fork_repair_child, &__dso_handle);
        return;
    }
    *(void **)&plain = dlsym(RTLD_DEFAULT, "pthread_atfork"); /* what is not found makes dlerror(3) allocate */
    if (plain)
        plain(fork_before, fork_after, fork_repair_child);
}

static void open_log(bool secure)
{
    struct config again;
    int fd = exit_open_file(self.config.log_path);

    if (fd < 0)
        return;
    log_start(fd, write_real, self.name);
    config_load(&again, env_reader(secure), complain, NULL);
}

/* A program that is left alone hides what it inherits, and takes over what was begun for it. */
static void begin(bool secure)
{
    bool left_alone = choice_leaves_program();

    confined_start();
    vfork_init(before_vfork, fork_repair_unseen);
    open_log(secure);
    if (left_alone)
        log_printf("%s: left alone by HOLDFAST_COMMANDS_ONLY or HOLDFAST_COMMANDS_EXCEPT",
                   self.name);
    else
        exit_begin();
    choice_start();
    tracing_start(left_alone);
    conn_init();
    if (idle_start() != 0)
        return;
    watch_forks();
    self.active = self.tracks = !left_alone;
    if (!secure) {
        shared_start();
        handover_unpack();
    }
}

/* Is there a filter of system calls that leaves no room for us?  The launcher has looked, for all that it starts; but for
 * those that were started by a program which installed one: reach.h takes the launcher's word away. */
static bool filtered(void)
{
    return !env_get(VERSION_VARIABLE) && policy_filters() && !policy_allows();
}

void start_process(void)
{
    int saved = errno;
    bool secure = getauxval(AT_SECURE);

    real_resolve();
    identity_start();
    self_start(secure);
    if (self.config.enabled && version_agrees() && !filtered())
        begin(secure);
    else
        vfork_ask_nobody();
    errno = saved;
}
