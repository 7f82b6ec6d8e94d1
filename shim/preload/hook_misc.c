/* What changes the process as a whole: namespaces, seccomp, its end. */
#define _GNU_SOURCE
#include "preload/hook.h"

#include "preload/process.h"
#include "preload/spare.h"

#include <sched.h>
#include <stdarg.h>
#include <sys/prctl.h>
#include <unistd.h>

/* A filter may kill us for a call that it does not expect. */
int prctl(int option, ...)
{
    va_list ap;
    unsigned long a[4];
    va_start(ap, option);
    for (int i = 0; i < 4; i++)
        a[i] = va_arg(ap, unsigned long);
    va_end(ap);
    if (option == PR_SET_SECCOMP && process_active && process_is_ours())
        process_retire();
    return real.prctl(option, a[0], a[1], a[2], a[3]);
}

static void moved(int result)
{
    if (result != 0 || !process_active || !process_is_ours())
        return;
    process_netns++; /* what was connected elsewhere is never lent here */
    spare_abandon();
}

int setns(int fd, int kind)
{
    int result = real.setns(fd, kind);

    moved(result);
    return result;
}

int unshare(int flags)
{
    int result = real.unshare(flags);

    moved(result);
    return result;
}

void _exit(int status)
{
    process_exit();
    for (;;)
        real._exit(status);
}

void _Exit(int status)
{
    process_exit();
    for (;;)
        real._Exit(status);
}
