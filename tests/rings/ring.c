/* SPDX-License-Identifier: ISC */
/* ring: an io_uring by system calls, and HTTP with and without it.
 *
 *     ring PORT WHAT [MOMENT]     WHAT: see `table`.  MOMENT, for `http`: when the ring is made.
 *
 * Prints what a program sees; e2e_rings compares that.  Exit status 77: the kernel gives no rings. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/io_uring.h>
#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

enum { SKIPPED = 77, ENTRIES = 8, ROOM = 65536 };

static struct ring {
    int fd;
    unsigned *sq_tail, *sq_mask, *sq_array, *cq_head, *cq_tail, *cq_mask;
    struct io_uring_sqe *sqes;
    struct io_uring_cqe *cqes;
} ring = { .fd = -1 };

static int port;
static char *self;

static void *map(size_t len, uint64_t offset)
{
    void *at = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, ring.fd, (off_t)offset);

    if (at == MAP_FAILED)
        exit(SKIPPED);
    return at;
}

static void map_ring(const struct io_uring_params *p)
{
    char *sq = map(p->sq_off.array + p->sq_entries * sizeof(unsigned), IORING_OFF_SQ_RING);
    char *cq = map(p->cq_off.cqes + p->cq_entries * sizeof(struct io_uring_cqe), IORING_OFF_CQ_RING);

    ring.sqes = map(p->sq_entries * sizeof(struct io_uring_sqe), IORING_OFF_SQES);
    ring.sq_tail = (unsigned *)(sq + p->sq_off.tail);
    ring.sq_mask = (unsigned *)(sq + p->sq_off.ring_mask);
    ring.sq_array = (unsigned *)(sq + p->sq_off.array);
    ring.cq_head = (unsigned *)(cq + p->cq_off.head);
    ring.cq_tail = (unsigned *)(cq + p->cq_off.tail);
    ring.cq_mask = (unsigned *)(cq + p->cq_off.ring_mask);
    ring.cqes = (struct io_uring_cqe *)(cq + p->cq_off.cqes);
}

static struct io_uring_params params;

static void make_ring(void)
{
    if (ring.fd >= 0)
        return;
    ring.fd = (int)syscall(SYS_io_uring_setup, ENTRIES, &params);
    if (ring.fd < 0) {
        printf("no ring: %s\n", strerror(errno));
        exit(SKIPPED);
    }
    map_ring(&params);
}

/* One operation, and its result. */
static int ring_do(struct io_uring_sqe sqe)
{
    unsigned tail = *ring.sq_tail, slot = tail & *ring.sq_mask;

    ring.sqes[slot] = sqe;
    ring.sq_array[slot] = slot;
    __atomic_store_n(ring.sq_tail, tail + 1, __ATOMIC_RELEASE);
    if (syscall(SYS_io_uring_enter, ring.fd, 1, 1, IORING_ENTER_GETEVENTS, NULL, 0) < 0)
        return -errno;
    unsigned head = *ring.cq_head;
    if (head == __atomic_load_n(ring.cq_tail, __ATOMIC_ACQUIRE))
        return -EAGAIN;
    int result = ring.cqes[head & *ring.cq_mask].res;
    __atomic_store_n(ring.cq_head, head + 1, __ATOMIC_RELEASE);
    return result;
}

static int ring_bytes(int op, int fd, void *bytes, size_t len)
{
    return ring_do((struct io_uring_sqe){
        .opcode = (uint8_t)op, .fd = fd, .addr = (uintptr_t)bytes, .len = (unsigned)len });
}

/* ---- exchanges */

static char seen[ROOM];
static size_t seen_len;

static void see(const char *bytes, ssize_t n)
{
    for (ssize_t i = 0; i < n && seen_len < sizeof seen - 1; i++)
        seen[seen_len++] = bytes[i];
    seen[seen_len] = '\0';
}

static void report(const char *what, long end)
{
    unsigned hash = 0;
    char *body = strstr(seen, "\r\n\r\n");
    size_t len = body ? seen_len - (size_t)(body + 4 - seen) : 0;

    for (size_t i = 0; i < len; i++)
        hash = hash * 31 + (unsigned char)body[4 + i];
    printf("%s: %.12s, %zu bytes, %08x, end %ld\n", what, seen_len ? seen : "nothing", len, hash, end);
    seen_len = 0;
    seen[0] = 0;
}

static int dial(void)
{
    struct sockaddr_in to = { .sin_family = AF_INET, .sin_port = htons((uint16_t)port),
                              .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    int fd = socket(AF_INET, SOCK_STREAM, 0);

    if (connect(fd, (struct sockaddr *)&to, sizeof to) != 0)
        printf("connect: %s\n", strerror(errno));
    return fd;
}

static int request(char *to, bool keep)
{
    return sprintf(to, "GET /bytes/5000 HTTP/1.%d\r\nHost: h\r\n\r\n", keep);
}

static void plain(const char *what)
{
    char bytes[ROOM];
    int fd = dial();
    ssize_t n = write(fd, bytes, (size_t)request(bytes, false));

    while (n > 0 && (n = read(fd, bytes, sizeof bytes)) > 0)
        see(bytes, n);
    report(what, n);
    close(fd);
}

/* To the end of the connection, or of so many bytes. */
static void ring_hear(int fd, const char *what, size_t most)
{
    char bytes[ROOM];
    int n = 1;

    while (seen_len < most && (n = ring_bytes(IORING_OP_RECV, fd, bytes, sizeof bytes)) > 0)
        see(bytes, n);
    report(what, n > 0 ? 1 : n);
}

/* ---- what is done */

static void do_files(void)
{
    char bytes[64] = "";

    make_ring();
    int fd = open("/proc/self/exe", O_RDONLY);
    printf("read: %d", ring_bytes(IORING_OP_READ, fd, bytes, sizeof bytes));
    printf(" %.3s\n", bytes + 1);
    printf("close: %d\n", ring_do((struct io_uring_sqe){ .opcode = IORING_OP_CLOSE, .fd = fd }));
    printf("closed: %d\n", close(fd));
}

static void do_files_and_http(void)
{
    do_files();
    for (int i = 0; i < 3; i++)
        plain("beside it");
}

static const char *moment;

static void at(const char *now)
{
    if (strcmp(moment, now) == 0)
        make_ring();
}

/* An exchange that the ring takes over at some moment. */
static void do_http(void)
{
    char bytes[ROOM];
    int n = request(bytes, false);

    at("first");
    plain("one");
    plain("two");
    at("idle");
    int fd = dial();
    at("connected");
    ssize_t sent = ring.fd >= 0 ? ring_bytes(IORING_OP_SEND, fd, bytes, (size_t)n) : write(fd, bytes, (size_t)n);
    printf("sent: %d\n", sent == n);
    at("sent");
    if (ring.fd < 0) {
        while (!strstr(seen, "\r\n\r\n") && read(fd, bytes, 1) == 1)
            see(bytes, 1);
        see(bytes, read(fd, bytes, 100));
    }
    at("body");
    printf("poll: %x\n", ring_do((struct io_uring_sqe){ .opcode = IORING_OP_POLL_ADD, .fd = fd, .poll_events = POLLIN }) & POLLIN);
    ring_hear(fd, "three", ROOM);
    at("ended");
    printf("close: %d\n", ring_do((struct io_uring_sqe){ .opcode = IORING_OP_CLOSE, .fd = fd }));
    int again = dial();
    printf("the number again: %d\n", again == fd);
    close(again);
    plain("four");
}

/* A client that keeps its connection, the second half of it by the ring. */
static void do_kept(void)
{
    char bytes[ROOM];
    int n = request(bytes, true), fd = dial();

    printf("sent: %d\n", write(fd, bytes, (size_t)n) == n);
    while (seen_len < 5000) {
        ssize_t got = read(fd, bytes, sizeof bytes);
        if (got <= 0)
            break;
        see(bytes, got);
    }
    report("one", 0);
    make_ring();
    n = request(bytes, true);
    printf("sent: %d\n", ring_bytes(IORING_OP_SEND, fd, bytes, (size_t)n) == n);
    ring_hear(fd, "two", 5000);
    close(fd);
}

static void do_fork(void)
{
    make_ring();
    plain("parent");
    fflush(stdout);
    pid_t pid = fork();
    if (pid == 0) {
        char bytes[ROOM];
        int fd = dial(), n = request(bytes, false);
        printf("sent: %d\n", ring_bytes(IORING_OP_SEND, fd, bytes, (size_t)n) == n);
        ring_hear(fd, "child", ROOM);
        fflush(stdout);
        _exit(0);
    }
    waitpid(pid, NULL, 0);
    plain("parent");
}

/* Another program: it has no ring. */
static void do_exec(void)
{
    char number[16];

    make_ring();
    plain("before");
    fflush(stdout);
    sprintf(number, "%d", port);
    execl(self, self, number, "plain", NULL);
}

static void do_plain(void)
{
    for (int i = 0; i < 4; i++)
        plain("plain");
}

/* Another program, which was left the ring. */
static void do_exec_with(void)
{
    char number[16], ring_number[16], text[2 * sizeof params + 1];

    make_ring();
    fcntl(ring.fd, F_SETFD, 0);
    sprintf(number, "%d", port);
    sprintf(ring_number, "%d", ring.fd);
    for (size_t i = 0; i < sizeof params; i++)
        sprintf(text + 2 * i, "%02x", ((unsigned char *)&params)[i]);
    execl(self, self, number, "with", ring_number, text, NULL);
}

static void take_ring(const char *number, const char *text)
{
    for (size_t i = 0; i < sizeof params; i++) {
        char byte[3] = { text[2 * i], text[2 * i + 1], '\0' };
        ((unsigned char *)&params)[i] = (unsigned char)strtoul(byte, NULL, 16);
    }
    ring.fd = atoi(number);
    map_ring(&params);
    moment = "none";
    do_http();
}

static void do_refused(void)
{
    printf("no entries: %ld\n", syscall(SYS_io_uring_setup, 0, &params));
    for (int i = 0; i < 4; i++)
        plain("without");
}

static const struct {
    const char *name;
    void (*work)(void);
} table[] = { { "files", do_files },  { "files-and-http", do_files_and_http }, { "http", do_http }, { "kept", do_kept },
              { "fork", do_fork },    { "exec", do_exec },                     { "plain", do_plain },
              { "exec-with", do_exec_with }, { "refused", do_refused } };

int main(int argc, char **argv)
{
    if (argc < 3)
        return 2;
    self = argv[0];
    port = atoi(argv[1]);
    moment = argc > 3 ? argv[3] : "none";
    if (strcmp(argv[2], "with") == 0 && argc > 4)
        take_ring(argv[3], argv[4]);
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++)
        if (strcmp(argv[2], table[i].name) == 0)
            table[i].work();
    return 0;
}
