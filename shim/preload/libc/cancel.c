/* SPDX-License-Identifier: ISC */
#include "preload/libc/cancel.h"

#include "preload/libc/real.h"

#include <errno.h>
#include <poll.h>

/* pthread_cancel marks a thread of asynchronous type first, and sends the signal then; the handler ends whoever is
 * of that type when it comes, forbidden or not, and in a call that is a cancellation point everybody is.  Such a
 * call does not return to a thread that is marked before the signal has come (glibc 2.36,
 * __pthread_disable_asynccancel). */
void cancel_deliver(void)
{
    int saved = errno;

    real.poll(NULL, 0, 0);
    errno = saved;
}
