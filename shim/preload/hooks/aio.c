/* SPDX-License-Identifier: ISC */
/* POSIX aio: threads of libc read and write by number, past every hook, and nobody tells them of an end that only the library
 * knows.  So from the first such call on a tracked socket on, the process's sockets are libc's alone, as with a ring
 * (life/rings.h).  A response that is under way then ends by the server's close. */
#include "preload/hooks/hook.h"

#include "preload/life/rings.h"
#include "preload/fds/table.h"

/* struct aiocb and aiocb64 of every libc begin with the number. */
static bool is_tracked(const void *request)
{
    int fd;

    if (!request)
        return false;
    memcpy(&fd, request, sizeof fd);
    return conn_find(fd) && !hook_hides(fd);
}

static void *begin(void *request)
{
    if (is_tracked(request))
        rings_begin();
    return request;
}

static void *const *begin_all(void *const list[], int n)
{
    for (int i = 0; list && i < n; i++)
        begin(list[i]);
    return list;
}

int aio_read(void *request)
{
    return real.aio_read(begin(request));
}

int aio_read64(void *request)
{
    return real.aio_read64(begin(request));
}

int aio_write(void *request)
{
    return real.aio_write(begin(request));
}

int aio_write64(void *request)
{
    return real.aio_write64(begin(request));
}

int lio_listio(int mode, void *const list[], int n, void *notice)
{
    return real.lio_listio(mode, begin_all(list, n), n, notice);
}

int lio_listio64(int mode, void *const list[], int n, void *notice)
{
    return real.lio_listio64(mode, begin_all(list, n), n, notice);
}
