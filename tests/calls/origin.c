/* SPDX-License-Identifier: ISC */
/* The server.  It reads requests from all its connections and answers one when it is told to, as far as it is told, so
 * that each step of the program finds the same bytes in its socket, run for run.
 *
 *     resp K KIND STATUS LENGTH CUT CUT [silent]   KIND: length, chunked, extended (chunks with extensions and a trailer),
 *                         close, none, interim, interims; silent: persists without a Connection field
 *     answer K PART       the response to request /K up to its cut PART (0, 1), or whole (2)
 *     end K, reset K      closes the connection that request came on, the latter with a reset
 *     later PID TID DO    one of these, or a signal to that thread, when the thread sleeps
 *     now                 what is left of `later` is done now, but for signals
 *     look                what was sent is received, and an end heeded
 *     log                 what was received, without hop-by-hop fields and version, in the order of K
 *
 * CUT: h and a number of bytes of the head, or b and one of body bytes.  What the client asked for decides whether the
 * connection persists and whether chunks are used, as with a real server.  One client at a time.
 *
 * Who has sent on loopback has delivered, as a rule; under load the kernel may do the rest in a thread of its own, one a
 * processor.  So this process and its client run on one processor, and settle() waits until the kernel has delivered
 * what was sent before. */
#define _GNU_SOURCE
#include "calls.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

enum { LINKS = 64, ROOM = 32768, PATIENCE_MS = 40, QUIET_MS = 2, LATER = 4, LINE = 256 };

static struct link {
    int fd;
    bool ended; /* the client has: its answers still go out */
    size_t len;
    char bytes[ROOM];
} links[LINKS];

static struct told { /* what is to be answered to request k */
    char kind[12];
    bool silent;
    int status;
    long length;
    char cut[2];
    long at[2];
} told[REQUESTS];

static struct seen { /* request k as it came */
    bool there;
    int minor, link_fd;
    bool close, keep, head;
    char line[64];
    uint64_t fields, body;
    size_t body_len, sent;
    char answer[ROOM];
    size_t head_len, answer_len;
    bool persists, chunks, extended;
    bool watched; /* its end is heeded at once, as servers do: the library has such a connection closed to see its end */
    int times;
} seen[REQUESTS];

static int listener, control = -1, marker = -1; /* the last sends to itself */

static struct later {
    int pid, tid, slept;
    char line[LINE];
} laters[LATER];
static int later_count, later_done;

/* Goes out with the empty line that ends an answer. */
static void __attribute__((format(printf, 1, 2))) reply(const char *format, ...)
{
    static char text[4096];
    static size_t len;
    va_list ap;

    va_start(ap, format);
    len += (size_t)vsnprintf(text + len, sizeof text - len, format, ap);
    va_end(ap);
    if (memcmp(text + len - 2, "\n\n", 2) != 0)
        return;
    (void)!write(control, text, len); /* it may have ended */
    len = 0;
}

static long now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* Until what was sent on this processor before is delivered. */
static void settle(void)
{
    char byte = 0;

    if (send(marker, &byte, 1, 0) == 1)
        (void)recv(marker, &byte, 1, 0); /* for 100 ms at most */
}

static const char *field(const char *head, const char *end, const char *name)
{
    size_t len = strlen(name);

    for (const char *line = head; line && line < end; line = memmem(line, (size_t)(end - line), "\r\n", 2)) {
        line += *line == '\r' ? 2 : 0;
        if (strncasecmp(line, name, len) == 0 && line[len] == ':')
            return line + len + 1 + strspn(line + len + 1, " ");
        if (line == end)
            break;
    }
    return NULL;
}

static bool is_hop(const char *line)
{
    static const char *names[] = { "Connection:", "Keep-Alive:", "Host:" };

    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        if (strncasecmp(line, names[i], strlen(names[i])) == 0)
            return true;
    return false;
}

static uint64_t hash_fields(const char *head, const char *end)
{
    uint64_t sum = 0;

    for (const char *line = memmem(head, (size_t)(end - head), "\r\n", 2); line && line + 2 < end;) {
        line += 2;
        const char *next = memmem(line, (size_t)(end - line), "\r\n", 2);
        if (!is_hop(line))
            sum += hash_bytes(line, (size_t)((next ? next : end) - line));
        line = next;
    }
    return sum;
}

/* The length of the body behind the head, chunks and all; -1: not whole. */
static long body_length(const char *head, const char *end, const char *body, size_t have)
{
    const char *length = field(head, end, "Content-Length"), *coding = field(head, end, "Transfer-Encoding");

    if (coding) {
        const char *last = memmem(body, have, "0\r\n\r\n", 5);
        return last ? last + 5 - body : -1;
    }
    long want = length ? strtol(length, NULL, 10) : 0;
    return (size_t)want <= have ? want : -1;
}

static void note_request(struct link *link, const char *end, size_t body)
{
    const char *head = link->bytes, *path = memchr(head, '/', (size_t)(end - head));
    unsigned k = path ? (unsigned)atoi(path + 1) % REQUESTS : 0;
    const char *version = memmem(head, (size_t)(end - head), " HTTP/1.", 8);
    const char *connection = field(head, end, "Connection");
    struct seen *s = &seen[k];

    s->there = true;
    s->times++;
    s->link_fd = link->fd;
    s->sent = s->answer_len = 0;
    s->minor = version ? version[8] - '0' : 0;
    s->close = connection && strncasecmp(connection, "close", 5) == 0;
    s->keep = connection && strncasecmp(connection, "keep", 4) == 0;
    s->head = strncmp(head, "HEAD ", 5) == 0;
    snprintf(s->line, sizeof s->line, "%.*s", version ? (int)(version - head) : 0, head);
    s->fields = hash_fields(head, end);
    s->body = hash_bytes(end + 4, body);
    s->body_len = body;
}

static void take_requests(struct link *link)
{
    for (;;) {
        while (link->len && (link->bytes[0] == '\r' || link->bytes[0] == '\n'))
            memmove(link->bytes, link->bytes + 1, --link->len);
        char *end = memmem(link->bytes, link->len, "\r\n\r\n", 4);
        if (!end)
            return;
        size_t have = link->len - (size_t)(end + 4 - link->bytes);
        long body = body_length(link->bytes, end, end + 4, have);
        if (body < 0)
            return;
        note_request(link, end, (size_t)body);
        size_t whole = (size_t)(end + 4 - link->bytes) + (size_t)body;
        memmove(link->bytes, link->bytes + whole, link->len - whole);
        link->len -= whole;
    }
}

static void drop(struct link *link)
{
    for (unsigned k = 0; k < REQUESTS; k++) /* the number may be another connection's, soon */
        if (seen[k].there && seen[k].link_fd == link->fd)
            seen[k].link_fd = -1;
    close(link->fd);
    link->fd = -1;
    /* What was received of it stays, for the log. */
}

static void accept_one(void)
{
    int fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC), on = 1;

    for (int i = 0; i < LINKS && fd >= 0; i++) {
        if (links[i].fd >= 0 || links[i].len)
            continue;
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
        links[i].fd = fd;
        links[i].ended = false;
        links[i].len = 0;
        return;
    }
    if (fd >= 0)
        close(fd);
}

/* Whether an answer is still to go out on it. */
static bool is_waited_for(const struct link *link)
{
    for (unsigned k = 0; k < REQUESTS; k++)
        if (seen[k].there && seen[k].link_fd == link->fd && (!seen[k].answer_len || seen[k].sent < seen[k].answer_len))
            return true;
    return false;
}

static void read_link(struct link *link)
{
    ssize_t n = recv(link->fd, link->bytes + link->len, ROOM - link->len, 0);

    if (n > 0) {
        link->len += (size_t)n;
        take_requests(link);
    } else if (n == 0 && is_waited_for(link)) {
        link->ended = true;
    } else if (n == 0 || errno != EAGAIN) {
        drop(link);
    }
}

/* Whatever has arrived, for at most so long; false: nothing had. */
static bool turn(int ms)
{
    struct pollfd fds[LINKS + 1] = { { .fd = listener, .events = POLLIN } };
    struct link *polled[LINKS + 1];
    nfds_t n = 1;

    for (int i = 0; i < LINKS; i++) {
        if (links[i].ended || links[i].fd < 0)
            continue;
        fds[n] = (struct pollfd){ .fd = links[i].fd, .events = POLLIN };
        polled[n++] = &links[i];
    }
    if (poll(fds, n, ms) <= 0)
        return false;
    if (fds[0].revents)
        accept_one();
    for (nfds_t i = 1; i < n; i++)
        if (fds[i].revents)
            read_link(polled[i]);
    return true;
}

static const char *reason_of(int status)
{
    return status == 200 ? "OK" : status == 204 ? "No Content" : status == 304 ? "Not Modified" : "Other";
}

static size_t add_text(struct seen *s, size_t len, const char *text)
{
    size_t n = strlen(text);

    memcpy(s->answer + len, text, n);
    return len + n;
}

static size_t add_chunk(struct seen *s, size_t len, long from, long to)
{
    char size[24];

    if (s->chunks && to > from) {
        snprintf(size, sizeof size, "%lx%s\r\n", to - from, s->extended ? ";a=b" : "");
        len = add_text(s, len, size);
    }
    for (long i = from; i < to; i++)
        s->answer[len++] = (char)('A' + i % 26);
    return s->chunks && to > from ? add_text(s, len, "\r\n") : len;
}

/* The response as this client gets it.  `marks`: where its cuts are. */
static void build(const struct told *t, struct seen *s, unsigned k, size_t marks[3])
{
    bool none = t->status == 204 || t->status == 304 || s->head || strcmp(t->kind, "none") == 0;
    bool until_close = strcmp(t->kind, "close") == 0, extended = strcmp(t->kind, "extended") == 0;
    bool chunked = extended || strcmp(t->kind, "chunked") == 0;
    long at[3] = { t->at[0], t->at[1], t->length };
    char line[128];
    size_t len = 0;

    s->extended = extended;
    s->watched = chunked && t->status == 204;
    s->chunks = chunked && s->minor == 1 && !none;
    s->persists = !until_close && !(chunked && s->minor == 0 && !none) && (s->minor == 1 ? !s->close : s->keep);
    if (strcmp(t->kind, "interims") == 0 && s->minor == 1)
        len = add_text(s, len, "HTTP/1.1 102 Processing\r\n\r\n");
    if (strncmp(t->kind, "interim", 7) == 0 && s->minor == 1)
        len = add_text(s, len, "HTTP/1.1 103 Early Hints\r\nLink: <x>\r\n\r\n");
    snprintf(line, sizeof line, "HTTP/1.1 %d %s\r\nDate: Mon, 30 Nov 2026 00:00:00 GMT\r\nX-Number: %u\r\n", t->status,
             reason_of(t->status), k);
    len = add_text(s, len, line);
    if (chunked && (s->chunks || (none && s->minor == 1)))
        len = add_text(s, len, "Transfer-Encoding: chunked\r\n");
    else if (!chunked && !until_close && t->status != 204) {
        snprintf(line, sizeof line, "Content-Length: %ld\r\n", t->length);
        len = add_text(s, len, line);
    }
    len = add_text(s, len, !s->persists ? "Connection: close\r\n\r\n"
                            : t->silent ? "\r\n" : "Connection: keep-alive\r\n\r\n");
    s->head_len = len;
    long done = 0;
    for (int i = 0; i < 3; i++) {
        long to = i < 2 && t->cut[i] != 'b' ? done : at[i] < done ? done : at[i] > t->length ? t->length : at[i];
        if (!none)
            len = add_chunk(s, len, done, to);
        done = to;
        marks[i] = i < 2 && t->cut[i] == 'h' ? ((size_t)at[i] < s->head_len ? (size_t)at[i] : s->head_len) : len;
    }
    if (s->chunks)
        len = add_text(s, len, extended ? "0;c\r\nX-Trailer: 1\r\n\r\n" : "0\r\n\r\n");
    s->answer_len = marks[2] = len;
}

static struct link *link_of(int fd)
{
    for (int i = 0; i < LINKS; i++)
        if (links[i].fd == fd && fd >= 0)
            return &links[i];
    return NULL;
}

/* Reads all that was sent.  What Nagle's algorithm holds back comes when the rest is acknowledged, which the kernel
 * delays by up to 40 ms unless it is told not to. */
static void catch_up(void)
{
    const int on = 1;

    do {
        for (int i = 0; i < LINKS; i++)
            if (links[i].fd >= 0)
                setsockopt(links[i].fd, IPPROTO_TCP, TCP_QUICKACK, &on, sizeof on);
        settle();
    } while (turn(0));
}

/* The connection that request k came on, after having waited for it. */
static struct link *awaited(unsigned k)
{
    long until = now_ms() + PATIENCE_MS;

    for (catch_up(); !seen[k].there && now_ms() < until; catch_up())
        turn(2);
    return seen[k].there ? link_of(seen[k].link_fd) : NULL;
}

static const char *answer(unsigned k, int part)
{
    struct link *link = awaited(k);
    struct seen *s = &seen[k];
    size_t marks[3];

    if (!link) /* what a client that has gone away is sent, it cannot see */
        return s->there ? "sent" : "none";
    build(&told[k], s, k, marks);
    size_t to = marks[part < 0 || part > 2 ? 2 : part];
    if (to > s->sent) {
        ssize_t n = send(link->fd, s->answer + s->sent, to - s->sent, MSG_NOSIGNAL);
        if (n != (ssize_t)(to - s->sent))
            drop(link);
        s->sent = to;
    }
    if (part == 2 && (!s->persists || link->ended) && link->fd >= 0)
        drop(link);
    settle();
    return "sent";
}

static const char *close_link(unsigned k, bool reset)
{
    const struct linger now = { 1, 0 };
    struct link *link = awaited(k);

    if (link && reset)
        setsockopt(link->fd, SOL_SOCKET, SO_LINGER, &now, sizeof now);
    if (link)
        drop(link);
    settle();
    return "done"; /* the same whether it was open still or not */
}

static void tell(void)
{
    uint64_t rest = 0;
    size_t len = 0;

    do
        catch_up();
    while (turn(QUIET_MS));
    for (unsigned k = 0; k < REQUESTS; k++)
        if (seen[k].there)
            reply("%s x%d %llx body %zu %llx; ", seen[k].line, seen[k].times,
                    (unsigned long long)seen[k].fields, seen[k].body_len, (unsigned long long)seen[k].body);
    for (int i = 0; i < LINKS; i++)
        if (links[i].len)
            rest += hash_bytes(links[i].bytes, links[i].len), len += links[i].len;
    reply("rest %zu %llx\n\n", len, (unsigned long long)rest);
}

static void begin_anew(void)
{
    for (int i = 0; i < LINKS; i++) {
        if (links[i].fd >= 0)
            close(links[i].fd);
        links[i].fd = -1;
        links[i].len = 0;
    }
    memset(told, 0, sizeof told);
    memset(seen, 0, sizeof seen);
    while (true) { /* what still waits to be accepted */
        int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
        if (fd < 0)
            break;
        close(fd);
    }
}

static void note_told(const char *words)
{
    unsigned k = 0;
    struct told t = { .cut = { 'b', 'b' } };

    if (sscanf(words, "%u %11s %d %ld %c%ld %c%ld", &k, t.kind, &t.status, &t.length, &t.cut[0], &t.at[0], &t.cut[1],
               &t.at[1]) >= 4)
        told[k % REQUESTS] = t;
    told[k % REQUESTS].silent = strstr(words, " silent");
}

/* Answers what `answer`, `end` and `reset` say; NULL: it is none of these. */
static const char *act(const char *line)
{
    unsigned k = 0;
    int part = 2;

    if (sscanf(line, "answer %u %d", &k, &part) >= 1)
        return answer(k % REQUESTS, part);
    if (sscanf(line, "end %u", &k) == 1 || sscanf(line, "reset %u", &k) == 1)
        return close_link(k % REQUESTS, *line == 'r');
    return NULL;
}

static void note_later(const char *words)
{
    struct later *l = &laters[later_count < LATER ? later_count++ : LATER - 1];
    int at = 0;

    if (sscanf(words, "%d %d %n", &l->pid, &l->tid, &at) < 2)
        return;
    snprintf(l->line, sizeof l->line, "%s", words + at);
    l->slept = 0;
}

/* The first of them, if its thread has slept for some milliseconds. */
static void look_later(void)
{
    struct later *l = &laters[later_done];

    l->slept = is_asleep(l->pid, l->tid) ? l->slept + 1 : 0;
    if (l->slept < ASLEEP_LOOKS)
        return;
    later_done++;
    if (!act(l->line))
        syscall(SYS_tgkill, l->pid, l->tid, SIGALRM);
}

static void finish_later(void)
{
    int slept = later_done;

    for (; later_done < later_count; later_done++)
        (void)act(laters[later_done].line);
    later_done = later_count = 0;
    reply("slept for %d\n\n", slept);
}

static void look(void)
{
    catch_up();
    reply("seen\n\n");
}

static void obey(const char *line)
{
    const char *result = act(line);

    if (result)
        reply("%s\n\n", result);
    else if (strncmp(line, "resp ", 5) == 0)
        note_told(line + 5);
    else if (strncmp(line, "later ", 6) == 0)
        note_later(line + 6);
    else if (strcmp(line, "now") == 0)
        finish_later();
    else if (strcmp(line, "look") == 0)
        look();
    else
        tell();
}

enum awaited { AWAITED_LINE, AWAITED_LINK, AWAITED_NOTHING };

/* Waits for the control line or for what comes on watched links, which is heeded. */
static enum awaited await_any(int ms)
{
    struct pollfd fds[LINKS + 1] = { { .fd = control, .events = POLLIN } };
    struct link *polled[LINKS + 1];
    nfds_t n = 1;

    for (unsigned k = 0; k < REQUESTS; k++) {
        struct link *link = seen[k].there && seen[k].watched && seen[k].answer_len && seen[k].sent == seen[k].answer_len
                                ? link_of(seen[k].link_fd)
                                : NULL;
        if (!link || link->ended)
            continue;
        fds[n] = (struct pollfd){ .fd = link->fd, .events = POLLIN };
        polled[n++] = link;
    }
    if (n == 1 && ms < 0)
        return AWAITED_LINE; /* by reading */
    if (poll(fds, n, ms) == 0)
        return AWAITED_NOTHING;
    for (nfds_t i = 1; i < n; i++)
        if (fds[i].revents && polled[i]->fd == fds[i].fd)
            read_link(polled[i]);
    return fds[0].revents ? AWAITED_LINE : AWAITED_LINK;
}

/* The next line of the client's; false: it has ended. */
static bool next_line(char line[LINE])
{
    static char bytes[4096];
    static size_t len;
    char *end;

    while (!(end = memchr(bytes, '\n', len))) {
        bool later = later_done < later_count;
        enum awaited awaited = await_any(later ? 1 : -1);
        if (awaited == AWAITED_NOTHING && later)
            look_later();
        if (awaited != AWAITED_LINE)
            continue;
        ssize_t n = len < sizeof bytes ? read(control, bytes + len, sizeof bytes - len) : 0;
        if (n <= 0) {
            len = 0;
            return false;
        }
        len += (size_t)n;
    }
    snprintf(line, LINE, "%.*s", (int)(end - bytes), bytes);
    len -= (size_t)(end + 1 - bytes);
    memmove(bytes, end + 1, len);
    return true;
}

static void serve(void)
{
    char line[LINE];

    begin_anew();
    later_done = later_count = 0;
    reply("ready\n\n");
    while (next_line(line))
        obey(line);
    close(control);
}

/* A datagram socket that is connected to itself. */
static int own_marker(void)
{
    struct sockaddr_in in = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    const struct timeval patience = { 0, 100000 };
    socklen_t len = sizeof in;
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

    if (bind(fd, (struct sockaddr *)&in, len) != 0 || getsockname(fd, (struct sockaddr *)&in, &len) != 0 ||
        connect(fd, (struct sockaddr *)&in, len) != 0 ||
        setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience) != 0)
        return -1;
    return fd;
}

int origin_main(const char *path)
{
    struct sockaddr_un name = { .sun_family = AF_UNIX };
    struct sockaddr_in in = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    socklen_t len = sizeof in;
    int meeting = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    signal(SIGPIPE, SIG_IGN);

    for (int i = 0; i < LINKS; i++)
        links[i].fd = -1;
    snprintf(name.sun_path, sizeof name.sun_path, "%s", path);
    listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (bind(listener, (struct sockaddr *)&in, sizeof in) != 0 || listen(listener, 64) != 0 ||
        getsockname(listener, (struct sockaddr *)&in, &len) != 0 ||
        bind(meeting, (struct sockaddr *)&name, sizeof name) != 0 || listen(meeting, 4) != 0)
        return 1;
    marker = own_marker();
    printf("%d\n", ntohs(in.sin_port));
    fflush(stdout);
    for (;;) {
        struct pollfd wait[2] = { { .fd = STDIN_FILENO, .events = POLLIN }, { .fd = meeting, .events = POLLIN } };
        if (poll(wait, 2, -1) < 0 || wait[0].revents)
            return 0;
        control = accept4(meeting, NULL, NULL, SOCK_CLOEXEC);
        if (control >= 0)
            serve();
    }
}
