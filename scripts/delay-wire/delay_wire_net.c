/* SPDX-License-Identifier: ISC */
/* Namespaces, devices and addresses, by unshare and ioctl: no iproute2 is needed. */
#define _GNU_SOURCE
#include "delay_wire.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <netinet/in.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

enum { QUEUE = 100000, TUN_MAJOR = 10, TUN_MINOR = 200, LISTENING = 10 };

/* A node of our own, where /dev has none. */
static int open_own_node(void)
{
    char directory[] = "/tmp/delay-wire.XXXXXX", node[sizeof(directory) + 4];
    int fd = -1, error;

    if (mkdtemp(directory) == NULL)
        return -1;
    snprintf(node, sizeof(node), "%s/tun", directory);
    if (mknod(node, S_IFCHR | 0600, makedev(TUN_MAJOR, TUN_MINOR)) == 0)
        fd = open(node, O_RDWR | O_CLOEXEC | O_NONBLOCK);
    error = errno;
    unlink(node);
    rmdir(directory);
    errno = error;
    return fd;
}

static int open_tun(void)
{
    int fd = open("/dev/net/tun", O_RDWR | O_CLOEXEC | O_NONBLOCK);

    if (fd < 0 && errno == ENOENT)
        fd = open_own_node();
    if (fd < 0)
        fail(NO_WIRE, "no TUN device to be had");
    return fd;
}

static void set_flag(int via, struct ifreq *request, const char *name)
{
    snprintf(request->ifr_name, sizeof(request->ifr_name), "%s", name);
    request->ifr_flags = IFF_UP | IFF_RUNNING;
    if (ioctl(via, SIOCSIFFLAGS, request) < 0)
        fail(NO_WIRE, "%s: up", name);
}

static void set_address(int via, struct ifreq *request, unsigned long what, const char *address)
{
    struct sockaddr_in a = { .sin_family = AF_INET };

    inet_pton(AF_INET, address, &a.sin_addr);
    memcpy(&request->ifr_addr, &a, sizeof(a));
    if (ioctl(via, what, request) < 0)
        fail(NO_WIRE, "%s: address %s", request->ifr_name, address);
}

/* Router solicitations would be counted. */
static void silence_ipv6(void)
{
    int fd = open("/proc/sys/net/ipv6/conf/wire/disable_ipv6", O_WRONLY | O_CLOEXEC);

    if (fd >= 0) {
        (void)!write(fd, "1", 1);
        close(fd);
    }
}

void net_end(struct end *end, const char *address, int mtu)
{
    struct ifreq request = { .ifr_flags = IFF_TUN | IFF_NO_PI };
    int via;

    if (unshare(CLONE_NEWNET) < 0)
        fail(NO_WIRE, geteuid() == 0 ? "no network namespace to be had" : "needs root");
    end->net = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
    end->tun = open_tun();
    via = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (end->net < 0 || via < 0)
        fail(NO_WIRE, "namespace");
    strcpy(request.ifr_name, "wire");
    if (ioctl(end->tun, TUNSETIFF, &request) < 0)
        fail(NO_WIRE, "TUNSETIFF");
    silence_ipv6();
    request.ifr_mtu = mtu;
    if (ioctl(via, SIOCSIFMTU, &request) < 0)
        fail(NO_WIRE, "mtu %d", mtu);
    request.ifr_qlen = QUEUE; /* a burst must not be lost before we read it */
    if (ioctl(via, SIOCSIFTXQLEN, &request) < 0)
        fail(NO_WIRE, "queue length");
    set_address(via, &request, SIOCSIFADDR, address);
    set_address(via, &request, SIOCSIFNETMASK, "255.255.255.0");
    set_flag(via, &request, "wire");
    set_flag(via, &request, "lo");
    close(via);
}

static bool listens_in(const char *table)
{
    char line[512];
    unsigned state = 0;
    bool found = false;
    FILE *file = fopen(table, "re");

    if (file == NULL)
        return false;
    while (!found && fgets(line, sizeof(line), file) != NULL)
        found = sscanf(line, " %*d: %*s %*s %x", &state) == 1 && state == LISTENING;
    fclose(file);
    return found;
}

bool net_listens(void)
{
    return listens_in("/proc/self/net/tcp") || listens_in("/proc/self/net/tcp6");
}
