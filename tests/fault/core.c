/* SPDX-License-Identifier: ISC */
#define _GNU_SOURCE
#include "fault.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <link.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

enum { NAMES = 128, REGISTERED = 64 };

static struct {
    int where, nth, error;
    enum fault_what what;
    bool ever;
    char name[24];
} plan;

static struct fault_record_file *file;
static uintptr_t shim_start, shim_end;
static int start_place;
static _Atomic bool ready;

static __thread int here; /* the place, plus one; 0: not marked yet */
static __thread struct {
    const char *name;
    int place, count;
} counts[NAMES];

static struct {
    int epfd, fd;
    struct epoll_event event;
} registered[REGISTERED];

static int find_shim(struct dl_phdr_info *info, size_t size, void *arg)
{
    (void)size, (void)arg;
    if (!strstr(info->dlpi_name, "libholdfast"))
        return 0;
    for (int i = 0; i < info->dlpi_phnum; i++) {
        const ElfW(Phdr) *part = &info->dlpi_phdr[i];
        if (part->p_type == PT_LOAD && part->p_flags & PF_X) {
            shim_start = info->dlpi_addr + part->p_vaddr;
            shim_end = shim_start + part->p_memsz;
        }
    }
    return 1;
}

static enum fault_what parse_what(const char *text, int *error)
{
    static const char *const names[] = { [FAULT_ONE] = "one", [FAULT_HALF] = "half", [FAULT_EOF] = "eof",
                                         [FAULT_GONE] = "gone" };

    for (int i = FAULT_ONE; i <= FAULT_GONE; i++)
        if (strcmp(text, names[i]) == 0)
            return (enum fault_what)i;
    *error = atoi(text);
    return FAULT_ERRNO;
}

static void parse_plan(const char *text)
{
    char copy[128], *parts[5] = { 0 }, *save = NULL;
    int n = 0;

    strncpy(copy, text, sizeof copy - 1);
    copy[sizeof copy - 1] = '\0';
    for (char *part = strtok_r(copy, ":", &save); part && n < 5; part = strtok_r(NULL, ":", &save))
        parts[n++] = part;
    if (n != 5)
        abort();
    plan.where = atoi(parts[0]);
    strncpy(plan.name, parts[1], sizeof plan.name - 1);
    plan.nth = atoi(parts[2]);
    plan.what = parse_what(parts[3], &plan.error);
    plan.ever = strcmp(parts[4], "ever") == 0;
}

/* With system calls of its own: nothing here may be seen by the shim, and no fd stays open. */
static void map_file(const char *path)
{
    long fd = FAULT_KERNEL(SYS_openat, AT_FDCWD, (long)path, O_RDWR);
    long at;

    if (fd < 0)
        abort();
    at = FAULT_KERNEL(SYS_mmap, 0, sizeof *file, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    FAULT_KERNEL(SYS_close, fd);
    if (at < 0 && at > -4096)
        abort();
    file = (struct fault_record_file *)at;
}

static void start(void)
{
    const char *text = getenv("FAULT_PLAN"), *path = getenv("FAULT_RECORD"), *place = getenv("FAULT_START");
    int saved = errno;

    if (atomic_exchange(&ready, true))
        return;
    dl_iterate_phdr(find_shim, NULL);
    if (path)
        map_file(path);
    if (text)
        parse_plan(text);
    start_place = place ? atoi(place) : 0;
    errno = saved;
}

__attribute__((constructor)) static void at_load(void)
{
    start();
}

void fault_mark(int where)
{
    here = where == FAULT_NONE ? -1 : where + 1;
}

static int count_call(const char *name, int place)
{
    for (int i = 0; i < NAMES; i++) {
        if (counts[i].name && strcmp(counts[i].name, name) != 0)
            continue;
        if (!counts[i].name || counts[i].place != place)
            counts[i].count = 0;
        counts[i].name = name;
        counts[i].place = place;
        return counts[i].count++;
    }
    return 0;
}

/* write, writev, send...: one class.  Others are a class of their own. */
static const char *class_of(const char *name)
{
    if (strstr(name, "recv") || (strstr(name, "read") && !strstr(name, "pthread") && !strstr(name, "link")))
        return "recv";
    if (strstr(name, "send") || strstr(name, "write"))
        return "send";
    return strncmp(name, "dup", 3) == 0 && name[3] ? "dup2" : name;
}

static bool name_fits(const char *name)
{
    if (plan.name[0] == '*')
        return true;
    if (plan.name[0] == '@')
        return strcmp(class_of(name), plan.name + 1) == 0;
    return strcmp(name, plan.name) == 0;
}

static bool is_hit(const char *name, int place, int nth)
{
    uint32_t fired = atomic_load(&file->fired);
    const char *wanted = plan.name[0] == '@' ? plan.name + 1 : class_of(plan.name);

    if (plan.what == FAULT_NOTHING || (fired && !plan.ever))
        return false;
    if (plan.ever && plan.nth < 0) {
        if (place == plan.where)
            atomic_store(&file->reached, 1);
        return atomic_load(&file->reached) && name_fits(name);
    }
    if (fired)
        return strcmp(class_of(name), wanted) == 0;
    return place == plan.where && name_fits(name) && (plan.nth < 0 || plan.nth == nth);
}

struct fault fault_meet(const char *name, long first, bool table, const void *caller)
{
    struct fault fault = { FAULT_NOTHING, 0 };
    uintptr_t from = (uintptr_t)caller;

    if (!atomic_load(&ready))
        start();
    if (!file || here < 0)
        return fault;
    if (!table && shim_start && (from < shim_start || from >= shim_end))
        return fault;
    if (here == 0 && !(from >= shim_start && from < shim_end))
        return fault; /* before main: the shim's calls only */
    int saved = errno, place = here ? here - 1 : start_place, nth = count_call(name, place);
    uint32_t slot = atomic_fetch_add(&file->count, 1);
    if (is_hit(name, place, nth)) {
        fault.what = plan.what;
        fault.error = plan.error;
        atomic_fetch_add(&file->fired, 1);
        if (fault.what == FAULT_GONE)
            FAULT_KERNEL(SYS_close, first);
    }
    if (slot < FAULT_RECORDS) {
        struct fault_record *record = &file->records[slot];
        *record = (struct fault_record){ .where = place, .nth = nth, .first = (int32_t)first };
        record->injected = fault.what == FAULT_ERRNO ? fault.error : -(int)fault.what;
        strncpy(record->name, name, sizeof record->name - 1);
    }
    errno = saved;
    return fault;
}

void *fault_next(const char *name)
{
    return dlsym(RTLD_NEXT, name);
}

void fault_break(int fd, int error)
{
    int saved = errno;

    /* EHOSTUNREACH is how a connection ends that is given up: tcp_write_err of the kernel. */
    if (error == ECONNRESET || error == EPIPE || error == ETIMEDOUT || error == EHOSTUNREACH || error == 0) {
        FAULT_KERNEL(SYS_shutdown, fd, SHUT_RDWR);
        while (FAULT_KERNEL(SYS_recvfrom, fd, 0, 1 << 20, MSG_TRUNC | MSG_DONTWAIT) > 0)
            ;
    }
    errno = saved;
}

void fault_note_registration(int epfd, int op, int fd, const void *event)
{
    int slot = -1;

    for (int i = 0; i < REGISTERED; i++) {
        if (registered[i].epfd == epfd && registered[i].fd == fd && registered[i].event.events)
            slot = i;
        else if (slot < 0 && !registered[i].event.events)
            slot = i;
    }
    if (slot < 0)
        return;
    memset(&registered[slot], 0, sizeof registered[slot]);
    if (op == EPOLL_CTL_DEL || !event)
        return;
    registered[slot].epfd = epfd;
    registered[slot].fd = fd;
    memcpy(&registered[slot].event, event, sizeof registered[slot].event);
}

void fault_rearm(int fd)
{
    int saved = errno;

    for (int i = 0; i < REGISTERED; i++)
        if (registered[i].fd == fd && registered[i].event.events)
            FAULT_KERNEL(SYS_epoll_ctl, registered[i].epfd, EPOLL_CTL_MOD, fd, (long)&registered[i].event);
    errno = saved;
}
