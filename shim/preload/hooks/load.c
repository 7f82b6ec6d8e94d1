/* SPDX-License-Identifier: ISC */
/* The constructor. */
#include "preload/hooks/hook.h"

#include "preload/fds/table.h"
#include "preload/life/start.h"

#include <unistd.h>

__attribute__((constructor, used)) static void load(void)
{
    start_process();
    if (conn_find(STDIN_FILENO)) /* handed over by the program that was executed before */
        hook_stdio_take_stdin();
}
