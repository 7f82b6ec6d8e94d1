/* SPDX-License-Identifier: ISC */
#define _GNU_SOURCE
#include "calls.h"

#include <fcntl.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

enum { ROOM = 256 * 1024 };

struct said {
    atomic_size_t len; /* may exceed the room: the rest is lost */
    char bytes[ROOM];
};

static struct said *said;
int said_memory = -1;

bool said_make(void)
{
    int low = memfd_create("said", MFD_CLOEXEC);

    said_memory = fcntl(low, F_DUPFD_CLOEXEC, HIGH_FD + 1);
    close(low);
    if (said_memory < 0 || ftruncate(said_memory, sizeof *said) != 0)
        return false;
    said = mmap(NULL, sizeof *said, PROT_READ | PROT_WRITE, MAP_SHARED, said_memory, 0);
    return said != MAP_FAILED;
}

void said_begin(void)
{
    atomic_store(&said->len, 0);
}

void said_in_child(void)
{
    dup2(said_memory, STDOUT_FILENO);
    close(said_memory);
    said_memory = -1;
}

void said_find(void)
{
    struct stat file;

    if (fstat(STDOUT_FILENO, &file) != 0 || file.st_size != sizeof *said)
        return;
    said = mmap(NULL, sizeof *said, PROT_READ | PROT_WRITE, MAP_SHARED, STDOUT_FILENO, 0);
    said = said == MAP_FAILED ? NULL : said;
}

void said_end(const char *bytes, size_t len)
{
    size_t at = atomic_fetch_add(&said->len, len);

    if (at + len <= ROOM)
        memcpy(said->bytes + at, bytes, len);
}

void said_add(const char *bytes, size_t len)
{
    if (said) {
        said_end(bytes, len);
        return;
    }
    for (size_t done = 0; done < len;) {
        ssize_t n = write(STDOUT_FILENO, bytes + done, len - done);
        if (n <= 0)
            break;
        done += (size_t)n;
    }
}

const char *said_all(size_t *len)
{
    *len = atomic_load(&said->len) < ROOM ? atomic_load(&said->len) : ROOM;
    return said->bytes;
}
