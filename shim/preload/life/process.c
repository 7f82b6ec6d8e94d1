#define _GNU_SOURCE
#include "preload/life/process.h"

#include "base/block.h"
#include "base/log.h"
#include "base/policy.h"
#include "base/quiet.h"
#include "base/stats.h"
#include "base/version.h"
#include "preload/self/choice.h"
#include "preload/wire/closing.h"
#include "preload/fds/confined.h"
#include "preload/conn/conn.h"
#include "preload/life/fork.h"
#include "preload/conn/deferred.h"
#include "preload/life/handover.h"
#include "preload/share/path.h"
#include "preload/self/identity.h"
#include "preload/share/idle.h"
#include "preload/fds/private.h"
#include "preload/libc/real.h"
#include "preload/share/shared.h"
#include "preload/fds/spare.h"
#include "preload/conn/stall.h"
#include "preload/share/tracing.h"
#include "preload/wire/withheld.h"
#include "preload/self/version.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <time.h>
#include <unistd.h>

struct config process_config;
bool process_active, process_retired;
atomic_bool process_threaded;
atomic_bool process_has_left;
char process_name[256];

static atomic_bool exited;
static int stats_fd = -1;
static char stats_path[PATH_MAX];

static char *lookup(const char *name)
{
    return getenv(name);
}

/* Programs with more rights than their caller take no file names from it. */
static char *lookup_secure(const char *name)
{
    return secure_getenv(name);
}

static void complain(void *arg, const struct config_setting *setting, const char *value)
{
    struct slice fault = config_fault(setting, value);

    (void)arg;
    log_printf("%s: '%.*s': expected %s; using %s", setting->name, (int)fault.len, fault.data, setting->shape,
               *setting->fallback ? setting->fallback : "none");
}

/* Without a wait: a FIFO that nobody reads is no file (open(2): ENXIO), and a full one takes nothing. */
static int open_private(const char *path)
{
    int fd = path ? open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOCTTY | O_NONBLOCK, 0666) : -1;

    if (fd < 0)
        return -1;
    int moved = private_move(fd);
    if (moved < 0)
        real.close(fd);
    return moved;
}

static ssize_t write_quietly(int fd, const void *bytes, size_t len)
{
    struct quiet quiet;

    quiet_begin(&quiet);
    ssize_t n = real.write(fd, bytes, len);
    quiet_end(&quiet, n < 0);
    return n;
}

static ssize_t write_real(int fd, const void *bytes, size_t len)
{
    return private_is(fd) ? write_quietly(fd, bytes, len) : -1;
}

static bool holds_half_head(const struct conn *c)
{
    return (c->state == CONN_FRESH || c->state == CONN_LEASED) && hold_len(&c->request.bytes);
}

/* A spare becomes what the client believes it is (conn_enter). */
static void settle_spare(struct conn *c)
{
    struct conn *entered = c->opening.spare.unready && c->fds.count ? conn_enter(c->fds.numbers[0].fd) : NULL;

    if (entered)
        conn_leave(entered);
}

/* Half a head that is held would be sent by both sides of a fork, or by neither: it goes out now, as it is.
 * Whether it is half is asked again under the lock: another thread may just have been given the rest. */
static void settle(struct conn *c)
{
    settle_spare(c);
    if (!holds_half_head(c) || !c->fds.count)
        return;
    int fd = c->fds.numbers[0].fd;
    struct conn *entered = conn_enter(fd);
    if (!entered)
        return;
    if (holds_half_head(entered))
        closing_leave_alone(entered, fd, REASON_crossed_fork);
    conn_leave(entered);
}

static void inherited(struct conn *c)
{
    for (int i = 0; i < c->fds.count; i++)
        if (!c->fds.numbers[i].cloexec) {
            idle_crossed_fork(c);
            return;
        }
}

void process_spawned(bool all)
{
    if (!process_active || !process_is_ours())
        return;
    deferred_apply_all();
    idle_forked = true;
    conn_each(settle);
    conn_each(all ? idle_crossed_fork : inherited);
}

/* The child will look for its sockets by their cookies. */
static void before_vfork(void)
{
    if (!process_is_ours())
        return;
    conn_each(idle_identify);
    process_spawned(false);
}

/* Before a fork: others hold these locks for moments only, so that the child finds everything in order. */
void process_before_fork(void)
{
    if (!process_is_ours()) /* a vfork child forks */
        return;
    deferred_apply_all();
    shared_give_all();
    conn_each(settle);
    fork_locks_take();
}

void process_after_fork(void)
{
    if (!process_is_ours())
        return;
    fork_locks_give();
    conn_each(idle_crossed_fork);
    idle_forked = true;
}

/* The user of the process's start is nobody's here any more. */
static void leave_home(void)
{
    atomic_store(&process_has_left, true);
    shared_renounce();
    deferred_apply_all();
    pool_shed(private_limit());
    spare_abandon();
}

void process_mend(void)
{
    vfork_own();
    block_after_fork();
    fork_locks_reset();
    conn_after_fork();
    stall_after_fork();
    withheld_after_fork();
    stats_reset();
    pool_abandon(idle_close_copy);
    spare_abandon();
    conn_each(idle_crossed_fork_child);
    idle_forked = true;
    if (identity_changes && !process_has_left && identity_has_left(true))
        leave_home();
}

void process_born(void)
{
    identity_reborn();
    process_mend();
}

/* A spare that was handed out becomes what the client believes it is, while a socket that is made for that is
 * made where the client was. */
void process_moving(unsigned kinds)
{
    int saved = errno;

    if (kinds && process_is_ours()) {
        conn_each(settle_spare);
        identity_changed(kinds);
    }
    errno = saved;
}

void process_moved(unsigned kinds, bool succeeded, bool everywhere)
{
    int saved = errno;

    if (kinds && !process_is_ours()) {
        if (succeeded && kinds & IDENTITY_USER_NAMESPACE)
            shared_close_copies();
    } else if (kinds) {
        identity_changed(kinds);
        spare_abandon();
        if (succeeded && kinds != IDENTITY_NETWORK && identity_has_left(everywhere))
            leave_home();
    }
    errno = saved;
}

/* pthread_atfork(3) under the name that each libc has it by, so that one library loads under both. */
static void watch_forks(void)
{
    extern void *__dso_handle __attribute__((visibility("hidden")));
    int (*gnu)(void (*)(void), void (*)(void), void (*)(void), void *);
    int (*plain)(void (*)(void), void (*)(void), void (*)(void));

    *(void **)&gnu = dlsym(RTLD_DEFAULT, "__register_atfork");
    if (gnu) {
        gnu(process_before_fork, process_after_fork, process_mend, &__dso_handle);
        return;
    }
    *(void **)&plain = dlsym(RTLD_DEFAULT, "pthread_atfork"); /* what is not found makes dlerror(3) allocate */
    if (plain)
        plain(process_before_fork, process_after_fork, process_mend);
}

static void open_log(char *(*look)(const char *))
{
    struct config again;
    int fd = open_private(process_config.log_path);

    if (fd < 0)
        return;
    log_start(fd, write_real);
    config_load(&again, look, complain, NULL);
}

static void copy(char *to, size_t room, const char *from)
{
    size_t len = strlen(from);

    if (len >= room)
        len = room - 1;
    memcpy(to, from, len);
    to[len] = '\0';
}

/* What is needed later: a program that shows a title (Perl's $0, sshd, nginx, PostgreSQL) writes over its arguments
 * and the environment's texts. */
static void keep_texts(void)
{
    copy(process_name, sizeof process_name, program_invocation_short_name);
    if (!process_config.stats_path)
        return;
    copy(stats_path, sizeof stats_path, process_config.stats_path);
    process_config.stats_path = stats_path;
}

/* A program that is left alone hides what it inherits, and takes over what was begun for it. */
static void begin(bool secure)
{
    bool left_alone = choice_leaves_program();

    confined_start();
    keep_texts();
    vfork_init(before_vfork);
    open_log(secure ? lookup_secure : lookup);
    if (left_alone)
        log_printf("%s: left alone by HOLDFAST_COMMANDS_ONLY or HOLDFAST_COMMANDS_EXCEPT",
                   process_name);
    else
        stats_fd = open_private(process_config.stats_path);
    choice_start();
    tracing_start(left_alone);
    conn_init();
    if (idle_start() != 0)
        return;
    watch_forks();
    process_active = !left_alone;
    if (!secure) {
        shared_start();
        handover_unpack();
    }
}

/* Is there a filter of system calls that leaves no room for us?  The launcher has looked, for all that it starts; but for
 * those that were started by a program which installed one: reach.h takes the launcher's word away. */
static bool filtered(void)
{
    return !getenv(VERSION_VARIABLE) && policy_filters() && !policy_allows();
}

__attribute__((constructor, used)) static void start(void)
{
    int saved = errno;
    bool secure = getauxval(AT_SECURE);

    real_resolve();
    identity_start();
    config_load(&process_config, secure ? lookup_secure : lookup, NULL, NULL);
    if (process_config.enabled && version_agrees() && !filtered())
        begin(secure);
    errno = saved;
}

/* Between exchanges the calls become libc's own again; one that is under way goes on, without a swap. */
static void retire(struct conn *c)
{
    if (c->state == CONN_EXCHANGE) {
        path_unguard(c);
        c->copied = true;
        conn_forbid_parking(c, REASON_odd_descriptor);
        return;
    }
    struct conn *entered = c->fds.count ? conn_enter(c->fds.numbers[0].fd) : NULL;
    if (entered) {
        conn_bypass(entered, REASON_none);
        conn_leave(entered);
    }
}

void process_retire(void)
{
    process_retired = true;
    deferred_apply_all();
    process_active = false;
    spare_abandon();
    pool_shed(private_limit());
    conn_each(retire);
}

void process_exit(void)
{
    char line[4096];
    size_t len;

    if (process_active && process_is_ours())
        deferred_apply_all();
    shared_end();
    if (stats_fd < 0 || !process_is_ours() || atomic_exchange(&exited, true))
        return;
    if (!private_is(stats_fd)) /* the program has taken the number */
        stats_fd = open_private(process_config.stats_path);
    len = stats_format(line, sizeof line, getpid(), process_name);
    if (stats_fd >= 0 && len && write_quietly(stats_fd, line, len) < 0)
        return;
}

/* What is still open goes on; nothing new is tracked. */
__attribute__((destructor, used)) static void stop(void)
{
    process_exit();
    process_active = false;
}
