/* SPDX-License-Identifier: ISC */
/* What the pool costs by itself, for scripts/bench/bench-count: linked with shim/pool, without a socket.
 *
 *   poolcost TIMES ENDPOINTS   a connection idle at each of them, then TIMES a lease and a park
 *   poolcost memory COUNT      bytes for each of COUNT idle connections, as many endpoints */
#include "pool/pool.h"

#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { MOST = 1000000 };

static uint64_t now = 1000;

static enum pool_health probe(const struct idle *idle)
{
    (void)idle;
    return POOL_ALIVE;
}

static void discard(const struct idle *idle, enum reason why)
{
    (void)idle;
    fprintf(stderr, "poolcost: discarded: %s\n", reason_name(why));
    exit(1);
}

static uint64_t now_ms(void)
{
    return now;
}

static struct endpoint endpoint(unsigned i)
{
    struct sockaddr_in address = { .sin_family = AF_INET, .sin_port = htons((uint16_t)(1 + i % 60000)) };
    struct endpoint to;

    address.sin_addr.s_addr = htonl(0x0a000001 + i / 60000);
    if (endpoint_from(&to, (struct sockaddr *)&address, sizeof address) != 0)
        exit(1);
    return to;
}

static void park_all(unsigned endpoints)
{
    struct idle idle = { .proven = true, .max_left = -1, .idle_ms = 60000, .requests = 2 };

    for (unsigned i = 0; i < endpoints; i++) {
        struct endpoint to = endpoint(i);
        idle.fd = (int)i;
        if (pool_park(&to, &idle) != REASON_none)
            exit(1);
    }
}

static void lend(unsigned long times, unsigned endpoints)
{
    const struct wanted any = { .any = true };
    struct idle idle;
    enum reason why;

    for (unsigned long i = 0; i < times; i++) {
        struct endpoint to = endpoint((unsigned)(i * 7919 % endpoints));
        if (pool_lease(&to, &any, &idle, &why) != 0 || pool_park(&to, &idle) != REASON_none)
            exit(1);
    }
}

static long resident(void)
{
    long size = 0, pages = 0;
    FILE *file = fopen("/proc/self/statm", "r");

    if (!file || fscanf(file, "%ld %ld", &size, &pages) != 2)
        exit(1);
    fclose(file);
    return pages * sysconf(_SC_PAGESIZE);
}

int main(int argc, char **argv)
{
    static const struct pool_ops ops = { .probe = probe, .discard = discard, .now_ms = now_ms };

    if (argc != 3)
        return 2;
    unsigned long count = strtoul(argv[2], NULL, 10);
    if (count == 0 || count > MOST || pool_init(&ops, 64, MOST) != 0)
        return 2;
    if (strcmp(argv[1], "memory") == 0) {
        long before = resident();
        park_all((unsigned)count);
        printf("%ld\n", (resident() - before) / (long)count);
        return 0;
    }
    park_all((unsigned)count);
    lend(strtoul(argv[1], NULL, 10), (unsigned)count);
    return 0;
}
