/* SPDX-License-Identifier: ISC */
/* broker_place: where the broker of a user and a network namespace is found, and who may be it.
 *
 * A directory of the user's own, mode 0700: $XDG_RUNTIME_DIR/holdfast, else /run/user/UID/holdfast, else
 * /tmp/holdfast-UID; in it a socket and a lock, whose names have the release and the namespace.  Whoever is
 * the broker, or starts it, holds the lock: it goes with the process, however that ends.  In the lock's file
 * stands which process that is, and where it has its tree (pool/tree.h); the time of the file says until when
 * it is to be left alone. */
#ifndef HOLDFAST_POOL_BROKER_PLACE_H
#define HOLDFAST_POOL_BROKER_PLACE_H

#include "pool/tree.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/un.h>

struct broker_place {
    char socket[sizeof((struct sockaddr_un *)0)->sun_path];
    char activated[sizeof((struct sockaddr_un *)0)->sun_path]; /* DIRECTORY/socket: a service manager may listen there */
    char lock[sizeof((struct sockaddr_un *)0)->sun_path];
};

/* SO_NETNS_COOKIE of what this process opens, before Linux 5.14 the namespace's inode; 0: neither. */
uint64_t broker_place_namespace(void);

/* `runtime`: XDG_RUNTIME_DIR or NULL.  `make`: the directory, if there is none.  0, -ENOENT, or what is wrong
 * with the last one that was looked at. */
int broker_place_find(struct broker_place *place, const char *runtime, uint64_t netns, bool make);

/* After this process became, or is to become, the broker's starter: 0, with the listening socket, where none
 * was or nobody listens any more, and the lock; both close-on-exec and the caller's.  -EWOULDBLOCK: somebody
 * else has the lock. */
int broker_place_claim(const struct broker_place *place, int *listener, int *lock);

/* Of whoever has the lock: what others are to know. */
struct broker_whereabouts {
    int pid;
    uint64_t netns;
    char tree[TREE_TEXT]; /* with its own numbers */
};
void broker_place_publish(int lock, const struct broker_whereabouts *who);
bool broker_place_read(const struct broker_place *place, struct broker_whereabouts *who);

/* Only the lock: for who has got a socket. */
int broker_place_lock(const struct broker_place *place, int *lock);

/* It did not answer in time.  For a second nobody asks. */
void broker_place_leave_alone(const struct broker_place *place);
bool broker_place_is_left_alone(const struct broker_place *place);

#endif
