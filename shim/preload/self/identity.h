/* SPDX-License-Identifier: ISC */
/* identity: who the calling thread is, and where a socket is, as the kernel has it now: what an endpoint's key
 * (pool/endpoint.h) holds besides the address and the options.
 *
 * The kernel keeps users and namespaces for each thread, and a namespace for each socket (credentials(7),
 * network_namespaces(7)).  While nothing in this process has ever changed them, all is as it was at its start
 * ("at home"), and nobody is asked.  Once something has (hooks/identity.c tells), a thread asks the kernel anew
 * after each change of a user anywhere in the process, and each socket for its namespace.
 *
 * The uid in a key is the one that the kernel gives to a new socket: the fsuid, which is the effective one but
 * for programs that call setfsuid(2). */
#ifndef HOLDFAST_PRELOAD_IDENTITY_H
#define HOLDFAST_PRELOAD_IDENTITY_H

#include "pool/endpoint.h"

#include <stdatomic.h>
#include <stdbool.h>

/* Grows with everything that may have changed; 0: nothing ever has. */
extern atomic_uint identity_changes;

/* In the constructor: what the kernel told us at exec. */
void identity_start(void);

enum identity_kind { IDENTITY_USER = 1, IDENTITY_FSUID = 2, IDENTITY_USER_NAMESPACE = 4, IDENTITY_NETWORK = 8 };

/* Another thread, or this one, may have another user or another place from now on: `kinds`, a bit for each.  Before and
 * after the call that does it. */
void identity_changed(unsigned kinds);

/* In the child of a fork past libc, which may have been born elsewhere. */
void identity_reborn(void);

/* Notes in the key who makes a socket, and where, if that is known or can be asked of this fresh one of the
 * thread's: socket(2). */
void identity_sign(struct endpoint *key, int fd);

/* Is it what this thread's next socket would be signed with? */
bool identity_is_mine(const struct endpoint *made);

/* The key of a socket that is about to be connected, but for address and options: who and where.  `made`: as
 * identity_sign left it.  False: the kernel does not tell, or the thread is somebody else now than who made the
 * socket: which of them a firewall, a route or a policy looks at differs, so nothing is to be lent or kept. */
bool identity_key(struct endpoint *key, const struct endpoint *made, int fd);

/* Would a socket that this thread makes now have this key? */
bool identity_fits(const struct endpoint *key, int fd);

/* Is the thread who the process was at its start, really and effectively? */
bool identity_at_home(void);

/* Has the thread lost for good the user that the process had at its start: it is none of its uids, or it has
 * entered another user namespace?  `everywhere`: and has every other thread? */
bool identity_has_left(bool everywhere);

/* Has it none of home's users?  Asked of the kernel and not remembered: for the child of a vfork, whose memory is ours. */
bool identity_is_foreign(void);

/* Is a key the user's that the process had at its start? */
bool identity_is_of_home(const struct endpoint *key);

/* From the kernel, also in a vfork child: are all of the uids `uid`, and the gids alike?  Then exec does not
 * make AT_SECURE of it. */
bool identity_is_purely(uint32_t uid, uint32_t *gid);

#endif
