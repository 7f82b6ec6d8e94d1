/* SPDX-License-Identifier: ISC */
/* origin: an HTTP/1.1 origin server that does as the target of the request tells it.
 *
 *   origin.c   options, listening, a thread a connection, when to persist and when to close
 *   request.c  reads requests: head, query, body, and their raw bytes
 *   reply.c    what each path answers
 *   out.c      writes bytes as told: in one go, trickled, cut short
 *   book.c     counts, the log, the record
 *   chaos.h    answers with faults, and what happens to idle connections
 *
 * The paths and the query parameters are listed by --help. */
#ifndef ORIGIN_H
#define ORIGIN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What servers with a clock say (9110 6.6.1); always the same, so that answers can be compared. */
#define ORIGIN_DATE "Date: Thu, 01 Jan 2026 00:00:00 GMT\r\n"

enum { HEAD_MAX = 65536, RAW_MAX = 1 << 20, TARGET_MAX = 16384 };

struct options {
    int port;          /* 0: any */
    int families;      /* 4, 6, or 46 */
    int keepalive_ms;  /* idle time before we close; -1: for ever */
    long max_requests; /* a connection; 0: any number */
    bool any;          /* every IPv4 address, not the loopback's only */
    bool loopback_net; /* 127.0.0.0/8: many addresses, one server */
    bool announce;     /* Keep-Alive field for those who ask to keep the connection */
    bool die_with_stdin;
    const char *log_path, *record_path;
};
extern struct options options;

/* What happens to a connection when it has been idle for a while. */
enum { MOOD_CALM, MOOD_CLOSE, MOOD_RESET, MOOD_408, MOOD_GARBAGE, MOOD_HALF, MOOD_SECOND, MOOD_COUNT, MOOD_LATEST = MOOD_COUNT };
struct mood {
    int kind;
    long delay_us;
    int left;     /* requests that the server still allows; 0: any number */
    bool crossed; /* bytes that nobody asked for and a request may have met on their way */
};

/* One accepted connection.  `in` holds bytes [pos, len) that were received and not yet read. */
struct conn {
    int fd;
    unsigned long number, requests;
    struct mood mood;
    size_t pos, len;
    char in[HEAD_MAX];
};

struct request {
    char method[32];
    char target[TARGET_MAX]; /* as received, absolute form included */
    char path[TARGET_MAX];   /* without scheme, authority and query */
    char query[TARGET_MAX];  /* as received, without the '?' */
    int minor;               /* HTTP/1.minor */
    bool says_close, says_keep_alive, expects, chunked, bad;
    long long length; /* Content-Length; -1: none */
    uint64_t body_bytes, body_hash;
    size_t raw_len, head_len; /* raw[0, head_len) is the head; the body follows as it was framed */
    char raw[RAW_MAX];        /* cut at RAW_MAX */
};

/* The answer on its way out. */
struct out {
    int fd;
    size_t piece;   /* bytes a segment; 0: as large as may be */
    long delay_us;  /* between segments */
    long long left; /* bytes until we cut the connection; -1: never */
    bool failed;    /* the peer is gone, or the cut was reached */
    size_t len;
    char buf[65536];
};

/* What becomes of the connection.  GONE: it ended by itself, or was idle for too long. */
enum { AFTER_PERSIST, AFTER_CLOSE, AFTER_RESET, AFTER_GONE };

/* request.c */

/* Read one head.  1: read; 0: the client ended, or was idle too long, between requests; -1: it ended
 * in the middle of a head.  A malformed head sets `bad`. */
int request_read_head(struct conn *c, struct request *r, int idle_ms);
/* Read, count and hash the body.  0, or -1 if it ended early or is malformed. */
int request_read_body(struct conn *c, struct request *r);
/* The value of a query parameter, percent-decoded, into `value`.  `nth` counts from 0 the parameters
 * of that name.  False if there is none. */
bool request_param(const struct request *r, const char *name, int nth, char *value, size_t size);
long long request_number(const struct request *r, const char *name, long long otherwise);

/* reply.c */

/* Make the bytes that bodies are cut from.  Once, at the start. */
void reply_init(void);
/* `n` bytes of the endless body, from byte `from` on. */
void reply_pattern(struct out *o, uint64_t from, long long n);
/* Read the rest of the request and answer it.  AFTER_*: what becomes of the connection. */
int reply(struct conn *c, struct request *r);

/* mood.c: the time until the next request comes, or until the connection is done with.  AFTER_*. */
int mood_pass(struct conn *c);

/* out.c */
void out_bytes(struct out *o, const void *bytes, size_t n);
void out_text(struct out *o, const char *format, ...) __attribute__((format(printf, 2, 3)));
void out_flush(struct out *o);

/* book.c */
int book_open(void);
unsigned long book_accepted(void);
/* The connection asks for /stats: it and its request are not counted. */
void book_forget(struct conn *c);
void book_request(const struct conn *c, const struct request *r);
/* Nobody can tell whether what the client gets now is the answer to this request. */
void book_crossed(const struct conn *c, const struct request *r);
/* The request with its body, as received, into the record. */
void book_record(const struct conn *c, const struct request *r);
/* JSON, malloc'ed; `reset` starts counting anew. */
char *book_stats(bool reset);

#endif
