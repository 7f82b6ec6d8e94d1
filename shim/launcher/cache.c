/* SPDX-License-Identifier: ISC */
/* The format is that of glibc 2.2 and later (sysdeps/generic/dl-cache.h there): a header, entries, strings;
 * offsets count from the header.  An older one may lie before it, which is not looked at. */
#include "launcher/cache.h"

#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define MAGIC "glibc-ld.so.cache1.1"

enum { CACHE_MAX = 16 << 20 };

struct header {
    char magic[sizeof(MAGIC) - 1];
    uint32_t count, strings_len;
    uint8_t flags, padding[3];
    uint32_t extensions, unused[3];
};

struct cache_entry {
    int32_t flags;
    uint32_t name, path, os_version;
    uint64_t hwcap;
};

_Static_assert(sizeof(struct header) == 48 && sizeof(struct cache_entry) == 24, "as in the file");

static bool read_all(int fd, struct cache *cache)
{
    struct stat status;

    if (fstat(fd, &status) != 0 || status.st_size <= 0 || status.st_size > CACHE_MAX)
        return false;
    cache->len = (size_t)status.st_size;
    cache->bytes = malloc(cache->len + 1);
    if (!cache->bytes || pread(fd, cache->bytes, cache->len, 0) != (ssize_t)cache->len)
        return false;
    cache->bytes[cache->len] = '\0';
    return true;
}

bool cache_init(struct cache *cache, const char *path)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);

    *cache = (struct cache){ .bytes = NULL };
    if (fd < 0)
        return false;
    bool read = read_all(fd, cache);
    close(fd);
    return read;
}

void cache_fini(struct cache *cache)
{
    free(cache->bytes);
    *cache = (struct cache){ .bytes = NULL };
}

/* Where the header begins; NULL: no cache that is known here. */
static const char *find_header(const struct cache *cache, struct header *header)
{
    const char *at = cache->bytes;

    for (size_t left = cache->len; left >= sizeof(*header); left -= 4, at += 4) {
        memcpy(header, at, sizeof(*header));
        if (memcmp(header->magic, MAGIC, sizeof(header->magic)) == 0)
            return at;
    }
    return NULL;
}

/* Every string ends within the file, at the latest with the NUL that was put behind it. */
static const char *string(const struct cache *cache, const char *base, uint32_t offset)
{
    size_t left = cache->len - (size_t)(base - cache->bytes);

    return offset < left ? base + offset : "";
}

bool cache_find(const struct cache *cache, const char *name, bool (*take)(void *arg, const char *path), void *arg)
{
    struct header header;
    const char *base = cache->bytes ? find_header(cache, &header) : NULL;

    if (!base)
        return false;
    const char *at = base + sizeof(header), *end = cache->bytes + cache->len;
    for (uint32_t i = 0; i < header.count && (size_t)(end - at) >= sizeof(struct cache_entry); i++) {
        struct cache_entry entry;

        memcpy(&entry, at, sizeof(entry));
        at += sizeof(entry);
        if (entry.hwcap == 0 && strcmp(string(cache, base, entry.name), name) == 0 &&
            take(arg, string(cache, base, entry.path)))
            return true;
    }
    return false;
}
