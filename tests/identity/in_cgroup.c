/* SPDX-License-Identifier: ISC */
/* in_cgroup deny COMMAND..., in_cgroup device NAME COMMAND...: runs the command in a cgroup of its own in which IPv4
 * connects are denied, or new sockets bound to a device.  Status 77: not possible here. */
#define _GNU_SOURCE
#include "lib/cgroup.h"

#include <net/if.h>
#include <sys/wait.h>

int main(int argc, char **argv)
{
    bool device = argc > 3 && strcmp(argv[1], "device") == 0;
    int status;

    if (argc < 3 || !(device ? cgroup_make_binding(if_nametoindex(argv[2])) : cgroup_make_denying()))
        return 77;
    pid_t child = fork();
    if (child == 0) {
        if (cgroup_enter(cgroup_path))
            execvp(argv[2 + device], argv + 2 + device);
        _exit(77);
    }
    if (child < 0 || waitpid(child, &status, 0) != child)
        return 77;
    rmdir(cgroup_path);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 1;
}
