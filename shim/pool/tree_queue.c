/* SPDX-License-Identifier: ISC */
/* Giving and taking.  A message is in nobody's hands but for the moment between the two calls that move
 * it on. */
#define _GNU_SOURCE
#include "pool/tree.h"

#include "pool/beside.h"
#include "pool/tree_message.h"

#include <errno.h>
#include <string.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <unistd.h>

static unsigned queue_of(const struct endpoint *to)
{
    return endpoint_hash(to) % TREE_QUEUES;
}

/* One message, with what came beside it. */
struct parcel {
    struct tree_message message;
    struct endpoint to;
    struct idle idle; /* its fd is the caller's */
};

static int put(const struct tree *t, unsigned queue, const struct parcel *parcel)
{
    const struct beside beside = { .fds = { parcel->idle.fd }, .count = 1 };
    const struct iovec piece = { (void *)(uintptr_t)&parcel->message, sizeof parcel->message };
    struct sockaddr_un name;
    socklen_t len = tree_name(t, queue, &name);

    return beside_send(t->calls, t->first, &piece, &beside, &name, len);
}

/* The next message of a queue.  0; -EBADMSG: something else, which is gone; -EMFILE: there is no room for it here;
 * -EAGAIN: no more. */
static int get(const struct tree *t, unsigned queue, struct parcel *parcel, uint64_t now_ms)
{
    int result = tree_receive(t->calls, t->first + (int)queue, &parcel->message, &parcel->to, &parcel->idle,
                              now_ms);

    if (result == 0 || result == -EBADMSG || result == -EMFILE)
        return result;
    return result == -EINTR ? -EBADMSG : -EAGAIN;
}

/* The server is told of the end even if the child of some fork still has a copy. */
static void drop(const struct tree *t, const struct parcel *parcel)
{
    t->calls->shutdown(parcel->idle.fd, SHUT_RDWR);
    beside_close_one(t->calls, parcel->idle.fd);
}

/* Another process may have read the clock later than we have. */
static bool is_expired(const struct idle *idle, uint64_t now_ms)
{
    return now_ms > idle->parked_ms && now_ms - idle->parked_ms >= idle->idle_ms;
}

static bool is_over(const struct tree *t, const struct parcel *parcel, uint64_t now_ms)
{
    char byte;

    if (is_expired(&parcel->idle, now_ms))
        return true;
    return t->calls->recv(parcel->idle.fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) >= 0 ||
           (errno != EAGAIN && errno != EWOULDBLOCK);
}

static void put_back(const struct tree *t, unsigned queue, const struct parcel *parcel)
{
    put(t, queue, parcel);
    t->calls->close(parcel->idle.fd);
}

/* Once round a queue.  Others may be at it, too, and hold what would tell us that we are round. */
struct round {
    uint64_t first_back; /* cookie of the first that was put back: met again, the round is over */
    unsigned looks;
    bool no_room; /* one could not be hidden: no more are taken */
    bool looked; /* the next one was looked at just now, and is not another user's */
};
enum { LOOKS_MOST = 2 * TREE_MOST_PRIVILEGED };

static bool is_foreign(const struct tree *t, unsigned queue)
{
    struct endpoint to;
    struct idle idle;

    return tree_peek(t->calls, t->first + (int)queue, &to, &idle, 0) == -EPERM;
}

static bool next(const struct tree *t, unsigned queue, struct round *round, struct parcel *parcel,
                 uint64_t now_ms)
{
    while (round->looks++ < LOOKS_MOST) {
        int result = !round->looked && is_foreign(t, queue) ? -EAGAIN : get(t, queue, parcel, now_ms);

        round->looked = false;
        round->no_room = result == -EMFILE;
        if (result == -EAGAIN || result == -EMFILE)
            return false;
        if (result != 0)
            continue;
        if (parcel->idle.cookie == round->first_back) {
            put_back(t, queue, parcel);
            return false;
        }
        return true;
    }
    return false;
}

static void pass_on(const struct tree *t, unsigned queue, struct round *round,
                    const struct parcel *parcel, uint64_t now_ms)
{
    if (is_over(t, parcel, now_ms)) {
        drop(t, parcel);
        return;
    }
    if (!round->first_back)
        round->first_back = parcel->idle.cookie;
    put_back(t, queue, parcel);
}

/* What a peek at a queue tells of the next message. */
enum sight { SIGHT_NONE, SIGHT_OTHER, SIGHT_PERHAPS };

static enum sight look(const struct tree *t, int fd, const struct endpoint *to,
                       const struct wanted *wanted, uint64_t now_ms)
{
    struct endpoint its;
    struct idle idle;
    int result = tree_peek(t->calls, fd, &its, &idle, now_ms);

    if (result != 0)
        return result == -EBADMSG ? SIGHT_PERHAPS : SIGHT_NONE; /* the first is in the way */
    return endpoint_equal(&its, to) && pool_mismatch(&idle, wanted) == REASON_none ? SIGHT_PERHAPS
                                                                                     : SIGHT_OTHER;
}

static bool set_peek_offset(const struct tree *t, int fd, int offset)
{
    return t->calls->setsockopt(fd, SOL_SOCKET, SO_PEEK_OFF, &offset, sizeof offset) == 0;
}

/* Is there anything for `to`?  In doubt, yes.  With SO_PEEK_OFF each peek goes on to the next message, and
 * takes nothing (socket(7)).  The offset is the socket's: who peeks at the same time, or died in here, may
 * hide a message from us, which costs a handshake; whoever gives sets it right again (sweep). */
static bool holds(const struct tree *t, unsigned queue, const struct endpoint *to,
                  const struct wanted *wanted, uint64_t now_ms)
{
    int fd = t->first + (int)queue;
    enum sight sight = look(t, fd, to, wanted, now_ms);

    if (sight != SIGHT_OTHER)
        return sight == SIGHT_PERHAPS;
    if (!set_peek_offset(t, fd, (int)sizeof(struct tree_message)))
        return true;
    for (int i = 0; i < LOOKS_MOST && sight == SIGHT_OTHER; i++)
        sight = look(t, fd, to, wanted, now_ms);
    set_peek_offset(t, fd, -1);
    return sight != SIGHT_NONE;
}

int tree_take(const struct tree *t, const struct endpoint *to, const struct wanted *wanted,
              struct idle *out, uint64_t now_ms)
{
    unsigned queue = queue_of(to);
    struct round round = { .looked = true };
    struct parcel parcel;

    /* First what most often says no; a peek does no harm to what is not the queue. */
    if (!holds(t, queue, to, wanted, now_ms) || !tree_has(t, queue))
        return -ENOENT;
    while (next(t, queue, &round, &parcel, now_ms)) {
        if (endpoint_equal(&parcel.to, to) && pool_mismatch(&parcel.idle, wanted) == REASON_none) {
            *out = parcel.idle;
            return 0;
        }
        pass_on(t, queue, &round, &parcel, now_ms);
    }
    return round.no_room ? -EMFILE : -ENOENT;
}

/* What lies at a queue's old end: 0, with *idle, whose idle_ms is 0 where it is no message of ours; -EPERM: another
 * user's, behind which the queue is of no use; -EAGAIN: nothing. */
static int look_at_oldest(const struct tree *t, unsigned queue, struct idle *idle, uint64_t now_ms)
{
    const int fd = t->first + (int)queue;
    struct endpoint to;

    *idle = (struct idle){ .fd = -1 };
    set_peek_offset(t, fd, -1); /* somebody may have died in the middle of looking */
    int result = tree_peek(t->calls, fd, &to, idle, now_ms);
    return result == -EBADMSG ? 0 : result == 0 || result == -EPERM ? result : -EAGAIN;
}

/* The tree is full.  One that nobody has wanted for half of its time goes; where all are wanted, the new
 * one has to: with more endpoints than room, taken in turn, the others would all be gone when their turn
 * comes. */
static __attribute__((noinline)) bool make_room(const struct tree *t, unsigned queue, uint64_t now_ms)
{
    struct parcel parcel;
    struct idle oldest;

    for (unsigned i = 0; i < TREE_QUEUES; i++) {
        unsigned from = (queue + i) % TREE_QUEUES;
        if (!tree_has(t, from) || look_at_oldest(t, from, &oldest, now_ms) != 0)
            continue;
        oldest.idle_ms /= 2;
        if (!is_expired(&oldest, now_ms))
            continue;
        int result = get(t, from, &parcel, now_ms);
        if (result == 0)
            drop(t, &parcel);
        if (result != -EAGAIN)
            return true;
    }
    return false;
}

static __attribute__((noinline)) unsigned count(const struct tree *t, unsigned queue, const struct endpoint *to, uint64_t now_ms)
{
    static const struct wanted any = { .any = true };
    enum sight sight = SIGHT_OTHER;
    int fd = t->first + (int)queue;
    unsigned seen = 0;

    set_peek_offset(t, fd, 0);
    for (int i = 0; i < LOOKS_MOST && sight != SIGHT_NONE; i++) {
        sight = look(t, fd, to, &any, now_ms);
        seen += sight == SIGHT_PERHAPS;
    }
    set_peek_offset(t, fd, -1);
    return seen;
}

/* With the one that comes, no more than `limit` of an endpoint stay: the oldest go.  Returns whether any had to. */
static __attribute__((noinline)) bool keep_limit(const struct tree *t, unsigned queue, const struct endpoint *to, unsigned limit,
                       uint64_t now_ms)
{
    unsigned seen = count(t, queue, to, now_ms);
    struct round round = { .looks = 0 };
    struct parcel parcel;
    bool any = false;

    while (seen >= limit && next(t, queue, &round, &parcel, now_ms)) {
        if (!endpoint_equal(&parcel.to, to)) {
            pass_on(t, queue, &round, &parcel, now_ms);
            continue;
        }
        drop(t, &parcel);
        seen--;
        any = true;
    }
    return any;
}

/* Nobody watches what lies there: who comes by lets go of what has expired at the queue's old end, or has
 * lain for a while and was closed by its server meanwhile.  False: the queue is of no use any more. */
static bool sweep(const struct tree *t, unsigned queue, uint64_t now_ms)
{
    enum { MOST = 2, A_WHILE_MS = 1000 };
    struct parcel parcel;
    struct idle oldest;

    for (int i = 0; i < MOST; i++) {
        int result = look_at_oldest(t, queue, &oldest, now_ms);
        if (result != 0)
            return result != -EPERM;
        if (oldest.idle_ms && !is_expired(&oldest, now_ms) && now_ms < oldest.parked_ms + A_WHILE_MS)
            return true;
        if (get(t, queue, &parcel, now_ms) != 0)
            continue;
        if (is_over(t, &parcel, now_ms)) /* another may have been quicker: then it is the next one */
            drop(t, &parcel);
        else
            put_back(t, queue, &parcel);
    }
    return true;
}

void tree_sweep(const struct tree *t, uint64_t now_ms)
{
    for (unsigned i = 0; i < TREE_QUEUES; i++)
        if (tree_has(t, i))
            sweep(t, i, now_ms);
}

int tree_give(const struct tree *t, const struct endpoint *to, const struct idle *idle, unsigned limit,
              uint64_t now_ms)
{
    unsigned queue = queue_of(to);
    struct parcel parcel = { .to = *to, .idle = *idle };

    if (!tree_has(t, queue))
        return -ENOENT;
    tree_message_write(&parcel.message, to, &parcel.idle);
    if (!sweep(t, queue, now_ms))
        return -EPERM;
    bool full = limit < t->most && tree_count(t) >= limit && keep_limit(t, queue, to, limit, now_ms);
    int result = put(t, queue, &parcel);
    if ((result == -EAGAIN || result == -ETOOMANYREFS) && make_room(t, queue, now_ms))
        result = put(t, queue, &parcel);
    return result == 0 && full ? TREE_IN_PLACE : result;
}

struct sought {
    const struct endpoint *place;
    unsigned seen;
};

static void seek(void *arg, const struct endpoint *to, const struct idle *idle)
{
    struct sought *sought = arg;

    (void)idle;
    sought->seen += endpoint_same_place(to, sought->place);
}

static unsigned release_from(const struct tree *t, unsigned queue, const struct endpoint *to, uint64_t now_ms)
{
    struct sought sought = { .place = to };
    struct round round = { .looks = 0 };
    struct parcel parcel;
    unsigned released = 0;

    if (!tree_has(t, queue))
        return 0;
    tree_look(t, queue, now_ms, seek, &sought);
    while (released < sought.seen && next(t, queue, &round, &parcel, now_ms)) {
        if (!endpoint_same_place(&parcel.to, to)) {
            pass_on(t, queue, &round, &parcel, now_ms);
            continue;
        }
        drop(t, &parcel);
        released++;
    }
    return released;
}

unsigned tree_release_place(const struct tree *t, const struct endpoint *to, uint64_t now_ms)
{
    unsigned released = 0;

    for (unsigned i = 0; i < TREE_QUEUES; i++)
        released += release_from(t, i, to, now_ms);
    return released;
}

int tree_take_old(const struct tree *t, unsigned queue, uint64_t age_ms, struct endpoint *to,
                  struct idle *out, uint64_t now_ms)
{
    struct parcel parcel;
    struct idle oldest;
    int result = -EBADMSG;

    while (result == -EBADMSG) {
        if (look_at_oldest(t, queue, &oldest, now_ms) != 0)
            return -ENOENT;
        if (oldest.idle_ms && now_ms < oldest.parked_ms + age_ms)
            return -EAGAIN;
        result = get(t, queue, &parcel, now_ms);
    }
    if (result != 0)
        return -ENOENT;
    *to = parcel.to;
    *out = parcel.idle;
    return 0;
}

int tree_return(const struct tree *t, const struct endpoint *to, const struct idle *idle)
{
    struct parcel parcel = { .to = *to, .idle = *idle };

    tree_message_write(&parcel.message, to, idle);
    return put(t, queue_of(to), &parcel);
}

void tree_look(const struct tree *t, unsigned queue, uint64_t now_ms,
               void (*show)(void *arg, const struct endpoint *to, const struct idle *idle), void *arg)
{
    const int fd = t->first + (int)queue;
    struct endpoint to;
    struct idle idle;
    int result = 0;

    if (!set_peek_offset(t, fd, 0))
        return;
    for (int i = 0; i < LOOKS_MOST && (result == 0 || result == -EBADMSG || result == -EPERM); i++) {
        result = tree_peek(t->calls, fd, &to, &idle, now_ms);
        if (result == 0)
            show(arg, &to, &idle);
    }
    set_peek_offset(t, fd, -1);
}
