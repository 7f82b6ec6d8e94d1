/* SPDX-License-Identifier: ISC */
/* secured: a connection on which TLS is spoken, for who speaks it: the functions of base/secure.h, which says what each does.
 * None of those takes a locked conn. */
#ifndef HOLDFAST_PRELOAD_SECURED_H
#define HOLDFAST_PRELOAD_SECURED_H

#include "base/secure.h"
#include "preload/conn/conn.h"

#include <sys/uio.h>

/* Each is one of struct secure_services. */
bool secured_begin(const struct secure_kept *calls);
enum secure_found secured_find(int fd, void **kept);
void secured_expect(const void *bytes, size_t len);
int secured_expected(void);
bool secured_take(int fd, void *kept);
int secured_own(int fd);
enum secure_request secured_request(int fd, const struct exchange *x);
void secured_pass(int fd);
int secured_replace(int fd);
void secured_answered(int fd, const struct exchange *x);
void secured_end(int fd, const struct exchange *x, uint64_t key, void *kept);
void secured_speaks11(int fd);

/* Locked, FRESH or LEASED: the client sends what begins no request.  True: these bytes are what is expected, and are kept
 * back; the connection is as before. */
bool secured_keeps_back(struct conn *c, int fd, const struct iovec *iov, int n);

#endif
