/* SPDX-License-Identifier: ISC */
/* socket SLOT FLAGS (of n, c, 6)     connect SLOT     shutdown SLOT HOW     close SLOT     forget SLOT
 * dup SLOT TO, dup2 SLOT TO (onto the number of the other slot), dup3 SLOT TO, fdup SLOT TO MINIMUM
 * getfl SLOT, setfl SLOT 0|1 (O_NONBLOCK), getfd SLOT, setfd SLOT 0|1, nbio SLOT 0|1, inq SLOT, outq SLOT
 * control SLOT NAME (an ioctl), getopt SLOT NAME, setopt SLOT NAME VALUE (ms for times), names SLOT
 * bind SLOT, listen SLOT, accept SLOT, pass SLOT TO (SCM_RIGHTS), range SLOT [cloexec] (close_range)
 * list [fd]: what lies in /proc/self/fd     fcntl64 SLOT     misc NAME (of users and namespaces; changes nothing)
 * from SLOT: closefrom, as the last call of a child */
#define _GNU_SOURCE
#include "calls.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/fsuid.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "lib/older_libc.h"

static const struct {
    const char *name;
    int level, option;
} options[] = {
    { "error", SOL_SOCKET, SO_ERROR },         { "type", SOL_SOCKET, SO_TYPE },
    { "nodelay", IPPROTO_TCP, TCP_NODELAY },   { "keepalive", SOL_SOCKET, SO_KEEPALIVE },
    { "cork", IPPROTO_TCP, TCP_CORK },         { "domain", SOL_SOCKET, SO_DOMAIN },
    { "protocol", SOL_SOCKET, SO_PROTOCOL },   { "accepting", SOL_SOCKET, SO_ACCEPTCONN },
    { "quickack", IPPROTO_TCP, TCP_QUICKACK }, { "reuse", SOL_SOCKET, SO_REUSEADDR },
    { "lowat", SOL_SOCKET, SO_RCVLOWAT },      { "sendbuf", SOL_SOCKET, SO_SNDBUF },
    { "oobinline", SOL_SOCKET, SO_OOBINLINE }, { "user", IPPROTO_TCP, TCP_USER_TIMEOUT },
};

static bool is_six[SLOTS];

static void do_socket(const struct call *call)
{
    const char *flags = call_word(call, 2);
    int type = SOCK_STREAM | (strchr(flags, 'n') ? SOCK_NONBLOCK : 0) | (strchr(flags, 'c') ? SOCK_CLOEXEC : 0);
    bool six = strchr(flags, '6');

    is_six[slot_of(call, 1) - slots] = six;
    *slot_of(call, 1) = socket(six ? AF_INET6 : AF_INET, type, 0);
    say_result(*slot_of(call, 1));
}

static void do_connect(const struct call *call)
{
    struct sockaddr_in in = { .sin_family = AF_INET, .sin_port = htons((uint16_t)talk_port()) };
    struct sockaddr_in6 in6 = { .sin6_family = AF_INET6, .sin6_port = in.sin_port };
    bool six = is_six[slot_of(call, 1) - slots];

    in.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    inet_pton(AF_INET6, "::ffff:127.0.0.1", &in6.sin6_addr);
    if (strcmp(call_word(call, 2), "nowhere") == 0)
        in.sin_family = in6.sin6_family = AF_UNSPEC;
    if (strcmp(call_word(call, 2), "refused") == 0)
        in.sin_port = in6.sin6_port = htons(1);
    say_result(connect(*slot_of(call, 1), six ? (struct sockaddr *)&in6 : (struct sockaddr *)&in,
                       six ? sizeof in6 : sizeof in));
}

/* A server closes at once what its client has ended. */
static void look_there(void)
{
    talk_ask_origin("look");
}

static void do_shutdown(const struct call *call)
{
    say_result(shutdown(*slot_of(call, 1), (int)call_number(call, 2)));
    look_there();
}

static void do_close(const struct call *call)
{
    say_result(close(*slot_of(call, 1)));
    *slot_of(call, 1) = -1;
}

/* All numbers from this one on, but for the line to the origin. */
static void do_range(const struct call *call)
{
    int first = *slot_of(call, 1);

    if (first < 3)
        return;
#ifdef __GLIBC__
    if (strcmp(call_word(call, 2), "cloexec") == 0) {
        say_result(close_range((unsigned)first, HIGH_FD - 1, CLOSE_RANGE_CLOEXEC));
        return;
    }
    say_result(close_range((unsigned)first, HIGH_FD - 1, 0));
#else
    say_result(syscall(SYS_close_range, first, HIGH_FD - 1, 0));
#endif
    for (int i = 0; i < SLOTS; i++)
        if (slots[i] >= first)
            slots[i] = -1;
}

static void do_dup(const struct call *call)
{
    const char *name = call->argv[0];
    int from = *slot_of(call, 1), *to = slot_of(call, 2);
    int result = strcmp(name, "dup2") == 0   ? dup2(from, *to)
                 : strcmp(name, "dup3") == 0 ? dup3(from, *to, O_CLOEXEC)
                 : strcmp(name, "fdup") == 0 ? fcntl(from, F_DUPFD, (int)call_number(call, 3))
                 : strcmp(name, "fdupc") == 0 ? fcntl(from, F_DUPFD_CLOEXEC, (int)call_number(call, 3))
                                             : dup(from);
    say_result(result);
    if (result < 0)
        return;
    *to = result;
    is_six[to - slots] = is_six[slot_of(call, 1) - slots];
}

static void do_flags(const struct call *call)
{
    const char *name = call->argv[0];
    int fd = *slot_of(call, 1), on = (int)call_number(call, 2);

    if (strcmp(name, "getfl") == 0)
        say_result(fcntl(fd, F_GETFL));
    else if (strcmp(name, "setfl") == 0)
        say_result(fcntl(fd, F_SETFL, O_RDWR | (on ? O_NONBLOCK : 0)));
    else if (strcmp(name, "getfd") == 0)
        say_result(fcntl(fd, F_GETFD));
    else if (strcmp(name, "setfd") == 0)
        say_result(fcntl(fd, F_SETFD, on ? FD_CLOEXEC : 0));
    else
        say_result(ioctl(fd, FIONBIO, &on));
}

static void do_queue(const struct call *call)
{
    int n = -1;

    say_result(ioctl(*slot_of(call, 1), call->argv[0][0] == 'i' ? FIONREAD : TIOCOUTQ, &n));
    if (call->argv[0][0] == 'i') /* what is not acknowledged yet depends on time */
        say(" %d", n);
}

static void do_control(const struct call *call)
{
    static const struct {
        const char *name;
        unsigned long request;
    } all[] = { { "cloexec", FIOCLEX }, { "nocloexec", FIONCLEX }, { "atmark", SIOCATMARK }, { "terminal", TCGETS },
                { "async", FIOASYNC } };
    char room[256] = { 0 };

    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++)
        if (strcmp(all[i].name, call_word(call, 2)) == 0)
            say_result(ioctl(*slot_of(call, 1), all[i].request, room));
}

/* SO_RCVTIMEO and SO_LINGER have values of their own. */
static bool structured_option(const struct call *call)
{
    const char *name = call_word(call, 2);
    int value = (int)call_number(call, 3);
    struct timeval time = { .tv_sec = value / 1000, .tv_usec = value % 1000 * 1000 };
    struct linger linger = { value >= 0, value };

    if (strcmp(name, "rcvtimeo") == 0 || strcmp(name, "sndtimeo") == 0)
        say_result(setsockopt(*slot_of(call, 1), SOL_SOCKET, *name == 'r' ? SO_RCVTIMEO : SO_SNDTIMEO, &time, sizeof time));
    else if (strcmp(name, "linger") == 0)
        say_result(setsockopt(*slot_of(call, 1), SOL_SOCKET, SO_LINGER, &linger, sizeof linger));
    else
        return false;
    return true;
}

static void do_option(const struct call *call)
{
    int value = (int)call_number(call, 3);
    socklen_t len = sizeof value;

    if (call->argv[0][0] == 's' && structured_option(call))
        return;
    for (size_t i = 0; i < sizeof options / sizeof options[0]; i++) {
        if (strcmp(options[i].name, call_word(call, 2)) != 0)
            continue;
        if (call->argv[0][0] == 's') {
            say_result(setsockopt(*slot_of(call, 1), options[i].level, options[i].option, &value, len));
        } else {
            say_result(getsockopt(*slot_of(call, 1), options[i].level, options[i].option, &value, &len));
            say(" %d", value);
        }
    }
}

static void do_names(const struct call *call)
{
    struct sockaddr_storage name = { 0 };
    socklen_t len = sizeof name;
    int own = getsockname(*slot_of(call, 1), (struct sockaddr *)&name, &len);

    say_result(own);
    say(" family %d length %u", own == 0 ? name.ss_family : -1, own == 0 ? (unsigned)len : 0);
    len = sizeof name;
    int peer = getpeername(*slot_of(call, 1), (struct sockaddr *)&name, &len);
    say_result(peer);
    uint16_t number = ((struct sockaddr_in *)&name)->sin_port; /* where IPv6 has it, too */
    if (peer == 0)
        say(" length %u%s", (unsigned)len, ntohs(number) == talk_port() ? " of the origin" : "");
}

/* Of a listener; makes no sense on these sockets, but for bind before connect. */
static void do_listener(const struct call *call)
{
    struct sockaddr_in in = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    const char *name = call->argv[0];
    int fd = *slot_of(call, 1);

    say_result(*name == 'b'   ? bind(fd, (struct sockaddr *)&in, sizeof in)
               : *name == 'l' ? listen(fd, 4)
               : name[6]      ? accept4(fd, NULL, NULL, 0)
                              : accept(fd, NULL, NULL));
}

#ifdef __GLIBC__
extern int wide_fcntl(int fd, int command, ...) __asm__("fcntl64");
#else
#define wide_fcntl fcntl
#endif

static void do_wide(const struct call *call)
{
    say_result(wide_fcntl(*slot_of(call, 1), F_GETFL));
}

/* Only in a child that says nothing any more: the line to the origin goes, too. */
static void do_from(const struct call *call)
{
    int first = *slot_of(call, 1);

    (void)first;
#ifdef __GLIBC__
    if (first >= 3)
        closefrom(first);
#endif
}

/* What changes nothing for this process, but could. */
static void do_misc(const struct call *call)
{
    const char *name = call_word(call, 1);
    int result = strcmp(name, "setns") == 0       ? setns(-1, 0)
                 : strcmp(name, "unshare") == 0   ? unshare(0)
                 : strcmp(name, "setuid") == 0    ? setuid(geteuid())
                 : strcmp(name, "seteuid") == 0   ? seteuid(geteuid())
                 : strcmp(name, "setreuid") == 0  ? setreuid((uid_t)-1, (uid_t)-1)
                 : strcmp(name, "setresuid") == 0 ? setresuid((uid_t)-1, (uid_t)-1, (uid_t)-1)
                 : strcmp(name, "setfsuid") == 0  ? setfsuid(geteuid())
                                                  : prctl(PR_GET_DUMPABLE, 0, 0, 0, 0);
    say_result(result);
}

/* With 64 bits the two have the same entries. */
static struct dirent *read_entry(DIR *folder, bool wide)
{
#if defined __GLIBC__ && __WORDSIZE == 64
    if (wide)
        return (struct dirent *)readdir64(folder);
#endif
    return readdir(folder);
}

/* `list fd`: by fdopendir and readdir64. */
static DIR *numbers(const struct call *call)
{
    int fd = strcmp(call_word(call, 1), "fd") == 0 ? open("/proc/self/fd", O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;

    return fd >= 0 ? fdopendir(fd) : opendir("/proc/self/fd");
}

static void do_list(const struct call *call)
{
    DIR *folder = numbers(call);
    bool there[HIGH_FD] = { false };

    for (struct dirent *one; folder && (one = read_entry(folder, call->argc > 1));) {
        int fd = atoi(one->d_name);
        if (one->d_name[0] != '.' && fd < HIGH_FD && fd != dirfd(folder))
            there[fd] = true;
        else if (one->d_name[0] != '.' && fd > HIGH_FD && fd != said_memory)
            say(" above:%d", fd);
    }
    if (folder)
        closedir(folder);
    for (int fd = 3; fd < HIGH_FD; fd++)
        if (there[fd])
            say(" %d", fd);
}

static void do_pass(const struct call *call)
{
    char control[CMSG_SPACE(sizeof(int))] = { 0 }, byte = 'x';
    struct iovec iov = { &byte, 1 };
    struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof control };
    struct cmsghdr *part = CMSG_FIRSTHDR(&msg);
    int pair[2], got = -1;

    *part = (struct cmsghdr){ .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS, .cmsg_len = CMSG_LEN(sizeof(int)) };
    memcpy(CMSG_DATA(part), slot_of(call, 1), sizeof(int));
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) != 0)
        return;
    say_result(sendmsg(pair[0], &msg, 0));
    if (recvmsg(pair[1], &msg, MSG_DONTWAIT) == 1 && (part = CMSG_FIRSTHDR(&msg)))
        memcpy(&got, CMSG_DATA(part), sizeof got);
    close(pair[0]);
    close(pair[1]);
    say(" got %d", got);
    look_there(); /* the library may have ended it */
    if (got >= 0)
        *slot_of(call, 2) = got;
}

do_call fd_find(const char *name)
{
    static const struct call_entry table[] = {
        { "socket", do_socket }, { "connect", do_connect }, { "shutdown", do_shutdown }, { "close", do_close },
        { "range", do_range },   { "dup", do_dup },         { "dup2", do_dup },          { "dup3", do_dup },
        { "fdup", do_dup },      { "getfl", do_flags },     { "setfl", do_flags },       { "getfd", do_flags },
        { "setfd", do_flags },   { "nbio", do_flags },      { "inq", do_queue },         { "outq", do_queue },
        { "fdupc", do_dup },     { "control", do_control }, { "bind", do_listener },     { "listen", do_listener },
        { "accept", do_listener }, { "accept4", do_listener }, { "list", do_list },
        { "fcntl64", do_wide },  { "misc", do_misc },       { "from", do_from },
        { "getopt", do_option }, { "setopt", do_option },   { "names", do_names },       { "pass", do_pass },
    };

    return call_find(table, sizeof table / sizeof table[0], name);
}
