/* SPDX-License-Identifier: ISC */
#define _GNU_SOURCE
#include "pool/broker_place.h"

#include "base/kernel.h"
#include "base/number.h"
#include "base/version.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#ifndef SO_NETNS_COOKIE
#define SO_NETNS_COOKIE 71
#endif

#define NAME "broker-" HOLDFAST_VERSION "-" /* each release has its own */

enum { BACKLOG = 4096, ALONE_S = 1, TEXT_MOST = 128 };

uint64_t broker_place_namespace(void)
{
    uint64_t cookie = 0;
    socklen_t len = sizeof cookie;
    struct stat status;
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);

    if (fd >= 0) {
        bool told = getsockopt(fd, SOL_SOCKET, SO_NETNS_COOKIE, &cookie, &len) == 0;
        close(fd);
        if (told)
            return cookie;
    }
    return stat("/proc/self/ns/net", &status) == 0 ? status.st_ino : 0;
}

/* Not through a symbolic link, and nobody else's. */
static int check_directory(const char *path, mode_t forbidden)
{
    struct stat status;

    if (kernel_lstat(path, &status) != 0)
        return -errno;
    if (!S_ISDIR(status.st_mode) || status.st_uid != kernel_euid() || status.st_mode & forbidden)
        return -EPERM;
    return 0;
}

static int try_directory(struct broker_place *place, const char *dir, uint64_t netns, bool make)
{
    if (make && mkdir(dir, 0700) != 0 && errno != EEXIST)
        return -errno;
    int result = check_directory(dir, 0077);
    if (result != 0)
        return result;
    int n = snprintf(place->lock, sizeof place->lock, "%s/" NAME "%llu.lock", dir, (unsigned long long)netns);
    if (n >= (int)sizeof place->lock)
        return -ENAMETOOLONG;
    snprintf(place->activated, sizeof place->activated, "%s/socket", dir);
    snprintf(place->socket, sizeof place->socket, "%s/" NAME "%llu", dir, (unsigned long long)netns);
    return 0;
}

/* Where the runtime directory is as it should be, nothing behind it is looked at only because there is no
 * broker's directory in it yet. */
static int try_runtime(struct broker_place *place, const char *runtime, uint64_t netns, bool make)
{
    char dir[sizeof place->socket];

    if (*runtime != '/' || snprintf(dir, sizeof dir, "%s/holdfast", runtime) >= (int)sizeof dir ||
        check_directory(runtime, 0022) != 0)
        return -EPERM;
    return try_directory(place, dir, netns, make);
}

int broker_place_find(struct broker_place *place, const char *runtime, uint64_t netns, bool make)
{
    char dir[sizeof "/tmp/holdfast-4294967295"], usual[sizeof "/run/user/4294967295"];

    if (netns == 0)
        return -ENOENT;
    int result = runtime && *runtime ? try_runtime(place, runtime, netns, make) : -EPERM;
    if (result == 0 || result == -ENOENT)
        return result;
    snprintf(usual, sizeof usual, "/run/user/%u", kernel_euid());
    result = try_runtime(place, usual, netns, make);
    if (result == 0 || result == -ENOENT)
        return result;
    snprintf(dir, sizeof dir, "/tmp/holdfast-%u", kernel_euid());
    return try_directory(place, dir, netns, make);
}

int broker_place_lock(const struct broker_place *place, int *lock)
{
    *lock = open(place->lock, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (*lock < 0)
        return -errno;
    if (flock(*lock, LOCK_EX | LOCK_NB) == 0)
        return 0;
    int error = errno;
    close(*lock);
    *lock = -1;
    return -error;
}

void broker_place_publish(int lock, const struct broker_whereabouts *who)
{
    char text[TEXT_MOST];
    int len = snprintf(text, sizeof text, "%d %s %llu\n", who->pid, who->tree, (unsigned long long)who->netns);

    if (pwrite(lock, text, (size_t)len, 0) != len || ftruncate(lock, len) != 0)
        return; /* then they have to ask */
}

bool broker_place_read(const struct broker_place *place, struct broker_whereabouts *who)
{
    char text[TEXT_MOST];
    uint64_t netns;
    int fd = open(place->lock, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    ssize_t len = fd < 0 ? -1 : pread(fd, text, sizeof text - 1, 0);

    _Static_assert(TREE_TEXT == 38, "as in the format");
    if (fd >= 0)
        close(fd);
    if (len <= 0)
        return false;
    text[len] = '\0';
    const char *tree = text, *at;
    bool good = number_take_int(&tree, &who->pid) && *tree++ == ' ';
    size_t length = strspn(tree, "0123456789abcdef-");
    at = tree + length;
    good = good && length > 0 && length < sizeof who->tree && *at++ == ' ' && number_take(&at, 10, &netns) && *at == '\n';
    if (good)
        memcpy(who->tree, tree, length);
    who->tree[good ? length : 0] = '\0';
    who->netns = good ? netns : 0;
    return good;
}

static int make_listener(const struct broker_place *place)
{
    struct sockaddr_un name = { .sun_family = AF_UNIX };
    int on = 1, fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

    if (fd < 0)
        return -errno;
    memcpy(name.sun_path, place->socket, sizeof name.sun_path);
    unlink(place->socket);
    if (setsockopt(fd, SOL_SOCKET, SO_PASSCRED, &on, sizeof on) == 0 &&
        bind(fd, (struct sockaddr *)&name, sizeof name) == 0 && listen(fd, BACKLOG) == 0)
        return fd;
    int error = errno;
    close(fd);
    return -error;
}

int broker_place_claim(const struct broker_place *place, int *listener, int *lock)
{
    int result = broker_place_lock(place, lock);

    if (result != 0)
        return result;
    *listener = make_listener(place);
    if (*listener >= 0)
        return 0;
    close(*lock);
    return *listener;
}

void broker_place_leave_alone(const struct broker_place *place)
{
    struct timespec times[2];

    clock_gettime(CLOCK_REALTIME, &times[0]);
    times[0].tv_sec += ALONE_S;
    times[1] = times[0];
    utimensat(AT_FDCWD, place->lock, times, AT_SYMLINK_NOFOLLOW);
}

/* A time that is too far off comes from a clock that was set. */
bool broker_place_is_left_alone(const struct broker_place *place)
{
    struct timespec now;
    struct stat status;

    if (kernel_lstat(place->lock, &status) != 0)
        return false;
    clock_gettime(CLOCK_REALTIME, &now);
    bool later = status.st_mtim.tv_sec > now.tv_sec ||
                 (status.st_mtim.tv_sec == now.tv_sec && status.st_mtim.tv_nsec > now.tv_nsec);
    return later && status.st_mtim.tv_sec <= now.tv_sec + ALONE_S + 1;
}
