/* SPDX-License-Identifier: ISC */
/* broker_message: what is said between the broker and others, each a message of its own on a SEQPACKET
 * socket (the line, pool/broker.h).  All of one machine and one version: structs as they are in memory.
 * Each side checks what it gets. */
#ifndef HOLDFAST_POOL_BROKER_MESSAGE_H
#define HOLDFAST_POOL_BROKER_MESSAGE_H

#include "pool/endpoint.h"
#include "pool/pool.h"
#include "pool/tree.h"

#include <stddef.h>
#include <stdint.h>

enum broker_kind {
    BROKER_HELLO = 1, /* answered on the line, with the queues and the board beside it */
    BROKER_ASK,       /* a socket to answer on comes beside it: a tree_message with a connection, or a reply */
    BROKER_STATUS,    /* likewise: a reply with a file of broker_records beside it */
    BROKER_RELEASE,   /* no answer: all that leads to the place of `to` is closed */
};

/* No padding; unused bytes are zero. */
struct broker_request {
    uint64_t magic;
    uint32_t size, kind;
    struct endpoint to; /* BROKER_ASK, BROKER_RELEASE */
    uint64_t host, proxy_auth; /* BROKER_ASK, and what follows */
    uint8_t any, absolute;
    uint8_t zero[6];
};

struct broker_reply {
    uint64_t magic;
    uint32_t size, kind;
    uint64_t netns;   /* SO_NETNS_COOKIE of the broker's sockets */
    uint64_t started_ms;
    uint32_t pid, records;
    char tree[TREE_TEXT + 2]; /* BROKER_HELLO: as in the environment; the numbers in it mean nothing */
};

/* An endpoint of which the broker has some. */
struct broker_record {
    struct endpoint to;
    uint64_t oldest_ms; /* when the oldest was parked */
    uint32_t idle, zero;
};

/* `to` is for BROKER_ASK and BROKER_RELEASE, `wanted` for BROKER_ASK, else NULL. */
void broker_request_write(struct broker_request *r, enum broker_kind kind, const struct endpoint *to,
                          const struct wanted *wanted);

/* Reads `len` bytes: the kind, with *to and *wanted filled in where it has them, or -EBADMSG. */
int broker_request_read(const void *bytes, size_t len, struct endpoint *to, struct wanted *wanted);

void broker_reply_write(struct broker_reply *r, enum broker_kind kind);

/* 0, with *out, or -EBADMSG: no reply of that kind. */
int broker_reply_read(const void *bytes, size_t len, enum broker_kind kind, struct broker_reply *out);

#endif
