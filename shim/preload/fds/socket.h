/* socket: which socket lies under a number. */
#ifndef HOLDFAST_PRELOAD_SOCKET_H
#define HOLDFAST_PRELOAD_SOCKET_H

#include <stdbool.h>
#include <stdint.h>

/* SO_COOKIE: tells one socket from all others, under whatever number.  0 for what is no socket. */
uint64_t socket_cookie(int fd);

/* Set errno to 0 before socket_cookie.  True: that failed, but not with EBADF or ENOTSOCK (a policy, say), so
 * the socket may still be there.  False: it is closed, or the number is another thing's. */
bool socket_cookie_unknown(void);

#endif
