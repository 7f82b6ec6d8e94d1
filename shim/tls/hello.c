/* SPDX-License-Identifier: ISC */
#include "tls/hello.h"

enum {
    RECORD_HANDSHAKE = 22,
    CLIENT_HELLO = 1,
    RANDOM = 32,
    /* Extensions, by the registry of IANA. */
    EXT_SESSION_TICKET = 35,
    EXT_PRE_SHARED_KEY = 41,
    EXT_EARLY_DATA = 42,
    EXT_COOKIE = 44,
    EXT_KEY_SHARE = 51,
    EXT_PADDING = 21,
    EXT_ENCRYPTED_HELLO = 0xfe0d,
};

struct view {
    const unsigned char *at;
    size_t left;
    bool ok;
};

static struct view take(struct view *from, size_t len)
{
    struct view taken = { from->at, len, from->ok && from->left >= len };

    if (!taken.ok) {
        from->ok = false;
        taken.left = 0;
        return taken;
    }
    from->at += len;
    from->left -= len;
    return taken;
}

static size_t number(struct view *from, size_t bytes)
{
    struct view taken = take(from, bytes);
    size_t value = 0;

    for (size_t i = 0; i < taken.left; i++)
        value = value << 8 | taken.at[i];
    return value;
}

static struct view vector(struct view *from, size_t bytes)
{
    return take(from, number(from, bytes));
}

static bool keep_number(struct bytes *key, size_t value)
{
    const unsigned char two[] = { (unsigned char)(value >> 8), (unsigned char)value };

    return bytes_add(key, two, sizeof two);
}

/* With its length: nothing behind it can be taken for a part of it. */
static bool keep(struct bytes *key, struct view what)
{
    return keep_number(key, what.left) && bytes_add(key, what.at, what.left);
}

/* The groups, without the shares. */
static bool keep_groups(struct bytes *key, struct view body)
{
    struct view shares = vector(&body, 2);
    bool ok = true;

    while (ok && shares.left) {
        size_t group = number(&shares, 2), len = vector(&shares, 2).left;
        ok = shares.ok && keep_number(key, group) && keep_number(key, len);
    }
    return ok && shares.ok && body.ok && body.left == 0;
}

static bool keep_extension(struct bytes *key, size_t type, struct view body)
{
    if (type == EXT_PRE_SHARED_KEY || type == EXT_PADDING) /* of a session: who has any other key is left alone */
        return true;
    if (!keep_number(key, type))
        return false;
    switch (type) {
    case EXT_EARLY_DATA:
    case EXT_COOKIE:
    case EXT_ENCRYPTED_HELLO:
        return false;
    case EXT_SESSION_TICKET:
        return true;
    case EXT_KEY_SHARE:
        return keep_groups(key, body);
    default:
        return keep(key, body);
    }
}

static bool keep_hello(struct bytes *key, struct view hello)
{
    struct view version = take(&hello, 2);

    take(&hello, RANDOM);
    vector(&hello, 1); /* random, too (RFC 8446 D.4), or of the session that it offers */
    struct view ciphers = vector(&hello, 2), compressions = vector(&hello, 1);
    bool ok = hello.ok && keep(key, version) &&
              keep(key, ciphers) && keep(key, compressions);
    if (!ok || hello.left == 0)
        return ok;
    struct view extensions = vector(&hello, 2);
    while (ok && extensions.left) {
        size_t type = number(&extensions, 2);
        struct view body = vector(&extensions, 2);
        ok = extensions.ok && keep_extension(key, type, body);
    }
    return ok && extensions.ok && hello.ok && hello.left == 0;
}

bool hello_key(const char *flight, size_t len, struct bytes *key)
{
    struct view all = { (const unsigned char *)flight, len, true };
    size_t type = number(&all, 1);

    take(&all, 2);
    struct view record = vector(&all, 2);
    if (type != RECORD_HANDSHAKE || !all.ok || all.left || number(&record, 1) != CLIENT_HELLO)
        return false;
    struct view hello = vector(&record, 3);
    return record.ok && record.left == 0 && keep_hello(key, hello);
}

/* FNV-1a. */
uint64_t hello_hash(const struct bytes *key)
{
    uint64_t hash = 14695981039346656037u;

    for (size_t i = key->start; i < key->end; i++)
        hash = (hash ^ (unsigned char)key->data[i]) * 1099511628211u;
    return hash ? hash : 1;
}
