/* SPDX-License-Identifier: ISC */
/* untracked_read N: reads N times one byte from /dev/zero and does nothing else, so that two counts
 * of instructions, for two N, differ by the cost of read().  See scripts/count-untracked-read. */
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

int main(int argc, char **argv)
{
    long count = argc > 1 ? strtol(argv[1], NULL, 10) : 0;
    int fd = open("/dev/zero", O_RDONLY);
    char byte;

    if (fd < 0)
        return 1;
    for (long i = 0; i < count; i++)
        if (read(fd, &byte, 1) != 1)
            return 1;
    return 0;
}
