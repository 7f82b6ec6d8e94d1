/* SPDX-License-Identifier: ISC */
/* waits: two threads.  One waits for a socket, the other does something by which, under holdfast, another socket gets
 * under its number, or closes or shuts down.  Two at a time: what holdfast does for more waits would wake these.
 *
 *     waits                      lists all cases
 *     waits PORT PLACE NUMBER... these of them; the server is that of e2e_waits, on 127.0.1.PLACE
 *
 * A line for each case: `NUMBER NAME: WHAT`, where WHAT is what the waiting thread was told, or `slept`. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/select.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

enum { WAIT_MS = 900, LATE_MS = 700, ANSWER_MS = 120 };

enum way { POLL, PPOLL, SELECT, PSELECT, EPOLL };
static const struct wait {
    const char *name;
    enum way way;
    unsigned events, mode; /* for EPOLL */
} waits[] = {
    { "poll-in", POLL, POLLIN, 0 },
    { "poll-in-rdhup", POLL, POLLIN | POLLRDHUP, 0 },
    { "poll-rdhup", POLL, POLLRDHUP, 0 },
    { "poll-pri", POLL, POLLPRI, 0 },
    { "poll-nothing", POLL, 0, 0 },
    { "ppoll-in", PPOLL, POLLIN, 0 },
    { "select-in", SELECT, POLLIN, 0 },
    { "select-except", SELECT, POLLPRI, 0 },
    { "pselect-in", PSELECT, POLLIN, 0 },
    { "epoll-in", EPOLL, EPOLLIN, 0 },
    { "epoll-in-rdhup", EPOLL, EPOLLIN | EPOLLRDHUP, 0 },
    { "epoll-et", EPOLL, EPOLLIN, EPOLLET },
    { "epoll-oneshot", EPOLL, EPOLLIN, EPOLLONESHOT },
    { "epoll-exclusive", EPOLL, EPOLLIN, EPOLLEXCLUSIVE },
    { "epoll-nothing", EPOLL, 0, 0 },
};

enum style { ONE_SHOT_10, ONE_SHOT_11, KEPT };
static const char *const styles[] = { "1.0", "1.1-close", "kept" };

struct pair;
static void reads_it(struct pair *p), reads_rest(struct pair *p), only_asks(struct pair *p), posts(struct pair *p),
    asks_other_host(struct pair *p), asks_after_a_while(struct pair *p), closes(struct pair *p), shuts_rd(struct pair *p),
    shuts_wr(struct pair *p), shuts_both(struct pair *p), covers(struct pair *p);

enum before { CONNECTED, ASKED, BEGUN, ENDED };
static const struct scene {
    const char *name;
    enum before before; /* how far the exchange is when the other thread begins to wait */
    const char *path;   /* of the server; NULL: as usual */
    void (*act)(struct pair *p);
} scenes[] = {
    { "end", ASKED, NULL, reads_it },
    { "end-late", BEGUN, "late", reads_rest },
    { "end-alone", ASKED, NULL, only_asks },
    { "replay", ASKED, "dies", reads_it },
    { "replay-alone", ASKED, "dies", only_asks },
    { "replay-reset", ASKED, "resets", reads_it },
    { "rehome-post", CONNECTED, NULL, posts },
    { "rehome-host", CONNECTED, NULL, asks_other_host },
    { "rehome-dead", CONNECTED, "leaves", asks_after_a_while },
    { "close-connected", CONNECTED, NULL, closes },
    { "close-asked", ASKED, NULL, closes },
    { "close-ended", ENDED, NULL, closes },
    { "shut-rd-connected", CONNECTED, NULL, shuts_rd },
    { "shut-wr-connected", CONNECTED, NULL, shuts_wr },
    { "shut-both-connected", CONNECTED, NULL, shuts_both },
    { "shut-rd-asked", ASKED, NULL, shuts_rd },
    { "shut-both-asked", ASKED, NULL, shuts_both },
    { "dup2-asked", ASKED, NULL, covers },
};

#define COUNT(array) (sizeof(array) / sizeof(array)[0])

struct pair {
    const struct scene *scene;
    const struct wait *wait;
    enum style style;
    bool nonblocking, by_copy;
    long which;             /* case */
    int fd, copy, epfd;     /* copy: -1 */
    pthread_t waiter;
    atomic_int waiter_id;
    atomic_bool waits;
    sem_t go;
    char told[64];
};

static int port, place, null_fd;

static void need(bool fine, const char *what)
{
    if (fine)
        return;
    perror(what);
    exit(2);
}

static void sleep_ms(long ms)
{
    const struct timespec time = { ms / 1000, ms % 1000 * 1000000 };

    syscall(SYS_nanosleep, &time, NULL);
}

static long now_ms(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* ---- the waiting thread ---- */

static void tell(struct pair *p, unsigned events)
{
    static const struct { unsigned bit; const char *name; } names[] = {
        { POLLIN, "IN " }, { POLLPRI, "PRI " }, { POLLOUT, "OUT " }, { POLLERR, "ERR " }, { POLLHUP, "HUP " },
        { POLLNVAL, "NVAL " }, { POLLRDHUP, "RDHUP " } };

    p->told[0] = '\0';
    for (size_t i = 0; i < COUNT(names); i++)
        if (events & names[i].bit)
            strcat(p->told, names[i].name);
    if (!p->told[0])
        strcpy(p->told, "slept ");
}

static int wait_poll(struct pair *p, int fd)
{
    const struct timespec time = { WAIT_MS / 1000, WAIT_MS % 1000 * 1000000 };
    struct pollfd one = { .fd = fd, .events = (short)p->wait->events };
    int n = p->wait->way == POLL ? poll(&one, 1, WAIT_MS) : ppoll(&one, 1, &time, NULL);

    return n < 0 ? -1 : one.revents;
}

static int wait_select(struct pair *p, int fd)
{
    const struct timespec time = { WAIT_MS / 1000, WAIT_MS % 1000 * 1000000 };
    struct timeval old = { WAIT_MS / 1000, WAIT_MS % 1000 * 1000 };
    fd_set set;

    FD_ZERO(&set);
    FD_SET(fd, &set);
    fd_set *in = p->wait->events == POLLIN ? &set : NULL, *except = in ? NULL : &set;
    int n = p->wait->way == SELECT ? select(fd + 1, in, NULL, except, &old) : pselect(fd + 1, in, NULL, except, &time, NULL);
    return n < 0 ? -1 : n && FD_ISSET(fd, &set) ? (int)p->wait->events : 0;
}

static int wait_epoll(struct pair *p)
{
    struct epoll_event event = { 0 };
    int n = epoll_wait(p->epfd, &event, 1, WAIT_MS);

    return n < 0 ? -1 : (int)event.events;
}

static void *waits_for_it(void *argument)
{
    struct pair *p = argument;
    int fd = p->by_copy ? p->copy : p->fd;

    p->waiter_id = (int)syscall(SYS_gettid);
    sem_wait(&p->go);
    long began = now_ms();
    p->waits = true;
    int events = p->wait->way == EPOLL ? wait_epoll(p) : p->wait->way <= PPOLL ? wait_poll(p, fd) : wait_select(p, fd);
    if (events < 0)
        snprintf(p->told, sizeof p->told, "%s ", strerrorname_np(errno));
    else
        tell(p, (unsigned)events);
    if (events && now_ms() - began >= LATE_MS) /* the kernel looks once more when the time is over */
        strcat(p->told, "late ");
    return NULL;
}

/* It sleeps in the call, or has been told already. */
static void let_it_sleep(struct pair *p)
{
    char path[64], text[256];

    sem_post(&p->go);
    snprintf(path, sizeof path, "/proc/self/task/%d/stat", p->waiter_id);
    for (int quiet = 0; quiet < 5; sleep_ms(2)) {
        int fd = open(path, O_RDONLY | O_CLOEXEC);
        ssize_t n = fd < 0 ? 0 : read(fd, text, sizeof text - 1);
        if (fd >= 0)
            close(fd);
        text[n > 0 ? n : 0] = '\0';
        const char *state = strrchr(text, ')');
        quiet = !state || (p->waits && state[2] == 'S') ? quiet + 1 : 0;
    }
}

/* ---- the other ---- */

static int dial(void)
{
    struct sockaddr_in to = { .sin_family = AF_INET, .sin_port = htons((uint16_t)port) };
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    to.sin_addr.s_addr = htonl(0x7f000100u + (unsigned)place);
    need(fd >= 0 && connect(fd, (struct sockaddr *)&to, sizeof to) == 0, "connect");
    return fd;
}

static void ask(const struct pair *p, int fd, const char *method, const char *path, const char *host)
{
    char text[256];
    int len = snprintf(text, sizeof text, "%s /%s/%d HTTP/1.%d\r\nHost: %s\r\n%s%s\r\n", method, path, ANSWER_MS,
                       p->style != ONE_SHOT_10, host, p->style == ONE_SHOT_11 ? "Connection: close\r\n" : "",
                       strcmp(method, "POST") == 0 ? "Content-Length: 0\r\n" : "");

    if (send(fd, text, (size_t)len, MSG_NOSIGNAL) != len && errno != EPIPE)
        perror("send");
}

static void wait_readable(int fd)
{
    struct pollfd one = { .fd = fd, .events = POLLIN };

    poll(&one, 1, 3 * WAIT_MS);
}

/* The answer: to the end of the file, or as long as it is (100 bytes of body). */
static void drain(const struct pair *p, int fd, size_t most)
{
    char all[1024] = "";
    size_t len = 0;

    while (len < most) {
        ssize_t n = recv(fd, all + len, (most < sizeof all ? most : sizeof all - 1) - len, 0);
        if (n < 0 && errno == EAGAIN) {
            wait_readable(fd);
            continue;
        }
        if (n <= 0)
            return;
        len += (size_t)n;
        const char *body = strstr(all, "\r\n\r\n");
        if (p->style == KEPT && body && all + len - (body + 4) >= 100)
            return;
    }
}

/* Of a kept connection all may be read before the other thread looks, and then nothing wakes it: the rest is left for
 * a moment. */
static void reads_slowly(const struct pair *p)
{
    char byte;

    while (p->style == KEPT && recv(p->fd, &byte, 1, 0) < 0 && errno == EAGAIN)
        wait_readable(p->fd);
    if (p->style == KEPT)
        sleep_ms(ANSWER_MS / 2);
}

static void reads_it(struct pair *p)
{
    reads_slowly(p);
    drain(p, p->fd, SIZE_MAX);
}

static void reads_rest(struct pair *p)
{
    char rest[200];

    reads_slowly(p);
    for (ssize_t n = 1, all = p->style == KEPT; n > 0 && all < 80;) {
        n = recv(p->fd, rest, sizeof rest, 0);
        all += n > 0 ? n : 0;
        if (n < 0 && errno == EAGAIN) {
            wait_readable(p->fd);
            n = 1;
        }
    }
    if (p->style != KEPT)
        drain(p, p->fd, SIZE_MAX);
}

static void only_asks(struct pair *p)
{
    (void)p;
}

static void posts(struct pair *p)
{
    ask(p, p->fd, "POST", "usual", "localhost");
}

static void asks_other_host(struct pair *p)
{
    ask(p, p->fd, "GET", "usual", "other.test");
}

static void asks_after_a_while(struct pair *p)
{
    sleep_ms(2 * ANSWER_MS);
    ask(p, p->fd, "GET", "usual", "localhost");
}

static void closes(struct pair *p)
{
    close(p->fd);
    if (p->copy >= 0)
        close(p->copy);
    p->fd = p->copy = -1;
}

static void shuts_rd(struct pair *p)
{
    shutdown(p->fd, SHUT_RD);
}

static void shuts_wr(struct pair *p)
{
    shutdown(p->fd, SHUT_WR);
}

static void shuts_both(struct pair *p)
{
    shutdown(p->fd, SHUT_RDWR);
}

static void covers(struct pair *p)
{
    dup2(null_fd, p->fd);
}

/* A connection for the case to find, of a server that is known to keep them. */
static void warm(const char *path)
{
    struct pair other = { .style = ONE_SHOT_11 };
    int fd = dial();

    ask(&other, fd, "GET", path, "localhost");
    drain(&other, fd, SIZE_MAX);
    close(fd);
}

static void begin(struct pair *p)
{
    bool leaves = p->scene->path && strcmp(p->scene->path, "leaves") == 0;

    warm(leaves ? "leaves" : "at-once");
    p->fd = dial();
    if (p->nonblocking)
        fcntl(p->fd, F_SETFL, O_RDWR | O_NONBLOCK);
    p->copy = p->by_copy ? fcntl(p->fd, F_DUPFD_CLOEXEC, 0) : -1;
    if (p->scene->before != CONNECTED)
        ask(p, p->fd, "GET", p->scene->path ? p->scene->path : "usual", "localhost");
    if (p->scene->before == BEGUN) { /* the head, and 20 bytes of the body */
        wait_readable(p->fd);
        char head[2048];
        size_t len = 0;
        while (len < sizeof head && !memmem(head, len, "\r\n\r\n", 4)) {
            ssize_t n = recv(p->fd, head + len, 1, 0);
            len += n > 0 ? (size_t)n : 0;
            if (n < 0)
                wait_readable(p->fd);
        }
        for (len = 0; len < 20;) {
            ssize_t n = recv(p->fd, head, 20 - len, 0);
            len += n > 0 ? (size_t)n : 0;
            if (n < 0)
                wait_readable(p->fd);
        }
    }
    if (p->scene->before == ENDED)
        drain(p, p->fd, SIZE_MAX);
    poll(NULL, 0, 30); /* leaves what is idle to others: a wait for the socket is one wait then, not several short ones */
    if (p->wait->way == EPOLL) {
        struct epoll_event event = { .events = p->wait->events | p->wait->mode };
        p->epfd = epoll_create1(EPOLL_CLOEXEC);
        need(epoll_ctl(p->epfd, EPOLL_CTL_ADD, p->by_copy ? p->copy : p->fd, &event) == 0, "epoll_ctl");
    }
}

static void finish(struct pair *p)
{
    if (p->fd >= 0)
        close(p->fd);
    if (p->copy >= 0)
        close(p->copy);
    if (p->epfd >= 0)
        close(p->epfd);
}

static void show(const struct pair *p, const char *told)
{
    printf("%ld %s %s %s %s %s: %s\n", p->which, p->scene->name, styles[p->style], p->wait->name,
           p->nonblocking ? "nonblocking" : "blocking", p->by_copy ? "copy" : "same", told);
    fflush(stdout);
}

static void run_case(struct pair *p)
{
    p->epfd = -1;
    p->waiter_id = 0;
    p->waits = false;
    begin(p);
    sem_init(&p->go, 0, 0);
    need(pthread_create(&p->waiter, NULL, waits_for_it, p) == 0, "pthread_create");
    while (!p->waiter_id)
        sleep_ms(1);
    let_it_sleep(p);
    p->scene->act(p);
    pthread_join(p->waiter, NULL);
    finish(p);
    show(p, p->told);
}

/* False: there is no such case. */
static bool choose_case(struct pair *p, long which)
{
    const long counts[] = { COUNT(waits), 2, 2, COUNT(styles), COUNT(scenes) };
    long part[COUNT(counts)];

    p->which = which;
    for (size_t i = 0; i < COUNT(counts); i++) {
        part[i] = which % counts[i];
        which /= counts[i];
    }
    p->wait = &waits[part[0]];
    p->nonblocking = part[1];
    p->by_copy = part[2];
    p->style = (enum style)part[3];
    p->scene = &scenes[part[4]];
    return which == 0;
}

int main(int argc, char **argv)
{
    struct pair p = { .fd = -1 };

    for (long i = 0; argc < 2 && choose_case(&p, i); i++)
        show(&p, "");
    if (argc < 3)
        return 0;
    port = atoi(argv[1]);
    place = atoi(argv[2]);
    null_fd = open("/dev/null", O_RDWR | O_CLOEXEC);
    for (int i = 0; i < 3; i++)
        warm("at-once");
    for (int i = 3; i < argc; i++)
        if (choose_case(&p, atol(argv[i])))
            run_case(&p);
    return 0;
}
