/* SPDX-License-Identifier: ISC */
#include "pool/broker_message.h"

#include <errno.h>
#include <stddef.h>
#include <string.h>

/* They change with what the fields mean. */
#define REQUEST_MAGIC UINT64_C(0x317172656b6f7262)
#define REPLY_MAGIC UINT64_C(0x317065726b6f7262)

_Static_assert(sizeof(struct broker_request) == 16 + sizeof(struct endpoint) + 24, "padding would be sent");
_Static_assert(sizeof(struct broker_reply) == 40 + TREE_TEXT + 2, "padding would be sent");
_Static_assert(sizeof(struct broker_record) == sizeof(struct endpoint) + 16, "padding would be sent");

void broker_request_write(struct broker_request *r, enum broker_kind kind, const struct endpoint *to,
                          const struct wanted *wanted)
{
    *r = (struct broker_request){ .magic = REQUEST_MAGIC, .size = sizeof *r, .kind = kind };
    if (!to)
        return;
    r->to = *to;
    if (!wanted)
        return;
    r->any = wanted->any;
    r->absolute = wanted->absolute;
    r->host = wanted->host;
    r->proxy_auth = wanted->proxy_auth;
}

static bool is_empty(const struct broker_request *r)
{
    static const struct broker_request none;
    const size_t from = offsetof(struct broker_request, to);

    return memcmp((const char *)r + from, (const char *)&none + from, sizeof none - from) == 0;
}

static bool asks_well(const struct broker_request *r)
{
    static const uint8_t zero[sizeof r->zero];

    return (r->to.family == AF_INET || r->to.family == AF_INET6) && r->to.port && r->any <= 1 &&
           r->absolute <= 1 && memcmp(r->zero, zero, sizeof zero) == 0;
}

/* What leads to a place, whatever it has served. */
static bool releases_well(const struct broker_request *r)
{
    return asks_well(r) && !r->any && !r->absolute && !r->host && !r->proxy_auth;
}

int broker_request_read(const void *bytes, size_t len, struct endpoint *to, struct wanted *wanted)
{
    struct broker_request r;

    if (len != sizeof r)
        return -EBADMSG;
    memcpy(&r, bytes, sizeof r);
    if (r.magic != REQUEST_MAGIC || r.size != sizeof r)
        return -EBADMSG;
    if (r.kind == BROKER_HELLO || r.kind == BROKER_STATUS)
        return is_empty(&r) ? (int)r.kind : -EBADMSG;
    if (r.kind == BROKER_ASK ? !asks_well(&r) : r.kind != BROKER_RELEASE || !releases_well(&r))
        return -EBADMSG;
    *to = r.to;
    *wanted = (struct wanted){
        .any = r.any, .absolute = r.absolute, .host = r.host, .proxy_auth = r.proxy_auth
    };
    return (int)r.kind;
}

void broker_reply_write(struct broker_reply *r, enum broker_kind kind)
{
    *r = (struct broker_reply){ .magic = REPLY_MAGIC, .size = sizeof *r, .kind = kind };
}

int broker_reply_read(const void *bytes, size_t len, enum broker_kind kind, struct broker_reply *out)
{
    struct broker_reply r;

    if (len != sizeof r)
        return -EBADMSG;
    memcpy(&r, bytes, sizeof r);
    if (r.magic != REPLY_MAGIC || r.size != sizeof r || r.kind != (uint32_t)kind ||
        !memchr(r.tree, '\0', sizeof r.tree))
        return -EBADMSG;
    *out = r;
    return 0;
}
