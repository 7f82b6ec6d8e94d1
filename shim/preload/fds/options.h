/* SPDX-License-Identifier: ISC */
/* options: what the client set on a socket.  What it set before connect makes sockets differ (the
 * endpoint's hash) and is applied to a fresh socket at a re-home; what it set afterwards is undone
 * before the connection is parked. */
#ifndef HOLDFAST_PRELOAD_OPTIONS_H
#define HOLDFAST_PRELOAD_OPTIONS_H

#include "pool/endpoint.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

enum { OPTIONS_MAX = 16, OPTION_SIZE = 16 };

struct option {
    int level, name;
    uint8_t len, old_len;     /* old_len 0: nothing to undo */
    char value[OPTION_SIZE];
    char old[OPTION_SIZE];
};

/* All zero: none. */
struct options {
    uint8_t count;
    bool bound;               /* to an address, port 0 */
    socklen_t bound_len;
    union endpoint_name bound_to;
    struct option *set;       /* a block for OPTIONS_MAX, from the first one on */
};

enum options_verdict {
    OPTIONS_FINE,
    OPTIONS_FOREIGN,  /* not one that we can follow: leave the socket alone */
    OPTIONS_LASTING,  /* can be shared before connect, but not undone after it */
};

/* May this option be set on a socket that we swap and share? */
enum options_verdict options_judge(int level, int name, const void *value, socklen_t len);

/* Remembers a value that the client has set; `old` is what it was before, to be undone, with old_len 0
 * if it need not be.  False: no room. */
bool options_note(struct options *o, int level, int name, const void *value, socklen_t len,
                  const char *old, socklen_t old_len);

/* TCP_NODELAY of a connection that is lent.  The server's quick acknowledgements are over by then, and a body
 * that leaves in a segment of its own would wait for a delayed one (40 ms), which it does not on a connection
 * of the client's own.  So it is on from the first park on (options_hasten), whatever the client sets, and
 * options_slow puts back what it has set when it gets the socket for good.  options_nodelay: what that is. */
bool options_nodelay(const struct options *o);
void options_hasten(int fd);
void options_slow(const struct options *o, int fd);

/* Is it that option? */
bool options_is_nodelay(int level, int name);

/* Does the kernel accept it on any socket, and does getsockopt give it back as it is?  False: perhaps not; ask the kernel. */
bool options_reads_back(int level, int name, const void *value, socklen_t len);

/* Forgets all, and gives the block back. */
void options_clear(struct options *o);

/* The value that was set last, as getsockopt gives it; false: none was. */
bool options_recall(const struct options *o, int level, int name, void *value, socklen_t *len);

/* What the endpoint's `options` has to be: equal sets give equal hashes.  0 for none. */
uint64_t options_hash(const struct options *o);

/* Sets on a fresh socket what was set on the client's: 0 or -errno. */
int options_apply(const struct options *o, int fd);

/* Puts back what had been changed after connect, but for TCP_NODELAY; false: the socket is not what it was. */
bool options_undo(struct options *o, int fd);

#endif
