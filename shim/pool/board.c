/* SPDX-License-Identifier: ISC */
#define _GNU_SOURCE
#include "pool/board.h"

#include "base/kernel.h"
#include "base/quiet.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define MAGIC UINT64_C(0x326472616f622d66) /* changes with what the fields mean */

enum { SEALS = F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL, ALONE_MOST_MS = 60000, FULL_MS = 100 };

int board_create(enum board_kind kind, const char token[BOARD_TOKEN], uint64_t now_ms)
{
    struct board_head head = {
        .magic = MAGIC, .size = sizeof(struct board), .kind = kind, .made_ms = now_ms
    };
    struct quiet quiet;
    int fd = memfd_create(BOARD_NAME, MFD_CLOEXEC | MFD_ALLOW_SEALING);

    if (fd < 0)
        return -errno;
    memcpy(head.token, token, BOARD_TOKEN);
    quiet_begin(&quiet);
    bool made = ftruncate(fd, sizeof(struct board)) == 0 && pwrite(fd, &head, sizeof head, 0) == sizeof head &&
                fcntl(fd, F_ADD_SEALS, SEALS) == 0;
    quiet_end(&quiet, !made);
    if (made)
        return fd;
    int error = errno;
    close(fd);
    return error ? -error : -EIO;
}

enum board_kind board_read(int fd, char token[BOARD_TOKEN])
{
    struct stat status;
    struct board_head head;

    if (fstat(fd, &status) != 0 || status.st_size != sizeof(struct board) ||
        (kernel_seals(fd) & SEALS) != SEALS || pread(fd, &head, sizeof head, 0) != sizeof head)
        return 0;
    memcpy(token, head.token, BOARD_TOKEN);
    bool good = head.magic == MAGIC && head.size == sizeof(struct board) &&
                (head.kind == BOARD_TREE || head.kind == BOARD_BROKER);
    return good ? (enum board_kind)head.kind : 0;
}

enum board_kind board_check(int fd, const char token[BOARD_TOKEN])
{
    char its[BOARD_TOKEN];
    enum board_kind kind = board_read(fd, its);

    return kind && memcmp(its, token, BOARD_TOKEN) == 0 ? kind : 0;
}

struct board *board_map(int fd)
{
    void *at = mmap(NULL, sizeof(struct board), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

    return at == MAP_FAILED ? NULL : at;
}

/* A time that is too far off was not written by us, unless it is the end of the broker. */
bool board_promises(const struct board *board, const struct endpoint *to, uint64_t now_ms)
{
    if (atomic_load_explicit(&board->hoard[board_bucket(to)], memory_order_relaxed) == 0)
        return false;
    uint64_t until = atomic_load_explicit(&board->alone_until_ms, memory_order_relaxed);
    return until <= now_ms || (until != UINT64_MAX && until - now_ms > ALONE_MOST_MS);
}

void board_leave_alone(struct board *board, uint64_t now_ms, uint64_t for_ms)
{
    uint64_t until = for_ms == UINT64_MAX ? UINT64_MAX : now_ms + for_ms;

    atomic_store_explicit(&board->alone_until_ms, until, memory_order_relaxed);
}

void board_note_full(struct board *board, const struct endpoint *to, uint64_t now_ms)
{
    atomic_store_explicit(&board->full_ms[board_bucket(to)], (uint32_t)now_ms, memory_order_relaxed);
}

bool board_is_full(const struct board *board, const struct endpoint *to, uint64_t now_ms)
{
    uint32_t since = atomic_load_explicit(&board->full_ms[board_bucket(to)], memory_order_relaxed);

    return (uint32_t)now_ms - since < FULL_MS;
}
