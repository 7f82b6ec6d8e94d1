/* SPDX-License-Identifier: ISC */
/* Options of sockets.  The end-of-file socket is shared, and nothing may change it.  So on an ended fd what every kernel accepts
 * and gives back as it is is answered from memory; for everything else a socket of the client's own comes to lie there, and the
 * kernel judges. */
#include "preload/hooks/hook.h"

#include "preload/conn/path.h"
#include "preload/conn/refused.h"
#include "preload/fds/options.h"
#include "preload/share/idle.h"
#include "preload/wire/closing.h"

#include <limits.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>

static bool is_guard(int level, int name)
{
    return level == IPPROTO_TCP && name == TCP_USER_TIMEOUT;
}

/* The real call first: it knows what is a good value.  Returns its answer. */
static int set_followed(struct conn *c, int fd, int level, int name, const void *value, socklen_t len)
{
    if (is_guard(level, name))
        path_unguard(c);
    bool connected = !conn_is_new(c);
    bool lasting = options_judge(level, name, value, len) == OPTIONS_LASTING;
    bool stays_on = c->reused && options_is_nodelay(level, name); /* see options.h */
    char old[OPTION_SIZE];
    socklen_t old_len = sizeof old;

    if (!connected || lasting || stays_on || real.getsockopt(fd, level, name, old, &old_len) != 0)
        old_len = 0;
    if (real.setsockopt(fd, level, name, value, len) != 0)
        return -errno;
    if (stays_on)
        options_hasten(fd);
    else if (connected && old_len == 0)
        conn_forbid_parking(c, REASON_option_not_undone);
    if (!options_note(&c->options, level, name, value, len, old, old_len))
        closing_leave_alone(c, fd, REASON_socket_option);
    return 0;
}

static bool is_lowat(int level, int name)
{
    return level == SOL_SOCKET && name == SO_RCVLOWAT;
}

/* The connection does not end where the response does: it would wait for more.  So the kernel is not told. */
static int set_lowat(struct conn *c, const void *value, socklen_t len)
{
    int least;

    if (!value || len < sizeof least)
        return CONN_PLAIN; /* refused */
    memcpy(&least, value, sizeof least);
    c->after.lowat = least < 0 ? INT_MAX : least ? least : 1;
    return 0;
}

/* Behind the end: nothing of it may reach the connection in the pool, nor the end-of-file socket that all share. */
static int set_ended(struct conn *c, int level, int name, const void *value, socklen_t len)
{
    bool simple = !c->after.own_end && options_reads_back(level, name, value, len);

    if (simple && options_note(&c->options, level, name, value, len, NULL, 0))
        return 0;
    if (hook_end_of_its_own(c))
        return CONN_PLAIN;
    if (options_judge(level, name, value, len) != OPTIONS_FOREIGN)
        options_note(&c->options, level, name, value, len, NULL, 0);
    return 0;
}

/* CONN_PLAIN or the answer. */
static int set_option(struct conn *c, int fd, int level, int name, const void *value, socklen_t len)
{
    if (conn_has_ended(c))
        return set_ended(c, level, name, value, len);
    if (conn_is_exchange(c) && is_lowat(level, name))
        return set_lowat(c, value, len);
    if (options_judge(level, name, value, len) != OPTIONS_FOREIGN)
        return set_followed(c, fd, level, name, value, len);
    closing_leave_alone(c, fd, REASON_socket_option);
    return CONN_PLAIN;
}

int setsockopt(int fd, int level, int name, const void *value, socklen_t len)
{
    struct conn *c;
    enum hook_entry entry = hook_enter(fd, NEED_ALL, &c);

    if (entry != ENTERED)
        return entry == OURS ? (int)hook_result(-EBADF) : real.setsockopt(fd, level, name, value, len);
    int result = set_option(c, fd, level, name, value, len);
    result = result == CONN_PLAIN ? real.setsockopt(fd, level, name, value, len)
                                  : (int)hook_result(result);
    conn_leave(c);
    return result;
}

/* The library's own answer: as much of it as the client has room for. */
static int answer(const void *is, socklen_t is_len, void *value, socklen_t *len)
{
    if (*len > is_len)
        *len = is_len;
    memcpy(value, is, *len);
    return 0;
}

/* What the client has set, and the socket under the number has not.  CONN_PLAIN or the answer. */
static int own_setting(struct conn *c, int level, int name, void *value, socklen_t *len)
{
    char is[OPTION_SIZE];
    socklen_t is_len = sizeof is;
    bool lowat = c->after.lowat && is_lowat(level, name);

    if ((int)*len < 0 || !(conn_has_ended(c) || lowat))
        return CONN_PLAIN;
    if (lowat)
        memcpy(is, &c->after.lowat, is_len = sizeof c->after.lowat);
    else if (!options_recall(&c->options, level, name, is, &is_len))
        return CONN_PLAIN;
    if (conn_has_ended(c) && !options_reads_back(level, name, is, is_len) && hook_end_of_its_own(c))
        return CONN_PLAIN;
    return answer(is, is_len, value, len);
}

/* On an ended fd TCP_INFO is that of the connection, if it still lies in the pool, as it would be after
 * the peer's end: in CLOSE_WAIT (the first byte of struct tcp_info, tcp(7)). */
static int ended_info(struct conn *c, int level, int name, void *value, socklen_t *len)
{
    enum { CLOSE_WAIT = 8 };

    if (level != IPPROTO_TCP || name != TCP_INFO || !conn_has_ended(c) || !idle_is_there(&c->idle) ||
        real.getsockopt(c->idle.fd, IPPROTO_TCP, TCP_INFO, value, len) != 0)
        return CONN_PLAIN;
    if (*len)
        *(unsigned char *)value = CLOSE_WAIT;
    return 0;
}

/* A lent connection's TCP_NODELAY is on, whatever the client knows of it. */
static int own_nodelay(const struct conn *c, int level, int name, void *value, socklen_t *len)
{
    int on = options_nodelay(&c->options);

    if (conn_has_ended(c) || !c->reused || !options_is_nodelay(level, name) || (int)*len < 0)
        return CONN_PLAIN;
    return answer(&on, sizeof on, value, len);
}

/* The kernel tells an error once only: that of a connection which is replaced stays there for the next send or receive,
 * which see to it; that of an end which many share is told here. */
static int own_error(struct conn *c, int level, int name, void *value, socklen_t *len)
{
    int error = c->after.reset == RESET_PENDING && !c->after.own_end ? EPIPE : 0;

    if (level != SOL_SOCKET || name != SO_ERROR || !(hook_may_replace(c) || error) || (int)*len < 0)
        return CONN_PLAIN;
    if (error)
        under_reset_told(c);
    return answer(&error, sizeof error, value, len);
}

/* The client was told the outcome of its connect. */
static void learn_error(int fd, const void *value, socklen_t len)
{
    struct conn *c;
    int error = 0;

    memcpy(&error, value, len < sizeof error ? len : sizeof error);
    if (error != ECONNREFUSED || hook_enter(fd, NEED_ALL, &c) != ENTERED)
        return;
    if (c->state == CONN_FRESH)
        refused_forget(&c->to);
    conn_leave(c);
}

/* Of a locked conn.  CONN_PLAIN or the answer. */
static int get_entered(struct conn *c, int level, int name, void *value, socklen_t *len)
{
    if (is_guard(level, name))
        path_unguard(c);
    if (c->after.own_end)
        return CONN_PLAIN;
    int result = own_error(c, level, name, value, len);
    if (result == CONN_PLAIN)
        result = own_nodelay(c, level, name, value, len);
    if (result == CONN_PLAIN)
        result = own_setting(c, level, name, value, len);
    return result == CONN_PLAIN ? ended_info(c, level, name, value, len) : result;
}

static OUT_OF_LINE int tracked_getsockopt(int fd, int level, int name, void *value, socklen_t *len)
{
    const struct conn *found = conn_find(fd);
    struct conn *c;
    int result = CONN_PLAIN;

    if (hook_hides(fd))
        return (int)hook_result(-EBADF);
    bool asks = found && value && len && (conn_has_ended(found) || found->reused || found->after.lowat);
    if (asks && hook_enter(fd, NEED_ALL, &c) == ENTERED) {
        result = get_entered(c, level, name, value, len);
        conn_leave(c);
    }
    if (result != CONN_PLAIN)
        return result;
    result = real.getsockopt(fd, level, name, value, len);
    if (result == 0 && value && len && level == SOL_SOCKET && name == SO_ERROR)
        learn_error(fd, value, *len);
    return result;
}

int getsockopt(int fd, int level, int name, void *value, socklen_t *len)
{
    return likely(!conn_find(fd)) ? real.getsockopt(fd, level, name, value, len)
                                  : tracked_getsockopt(fd, level, name, value, len);
}
