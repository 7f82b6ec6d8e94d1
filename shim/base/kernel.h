/* SPDX-License-Identifier: ISC */
/* kernel: who the process is and whose a file is, asked past libc's functions, which may be another preloaded
 * library's: fakeroot says that every file is root's and that the user is root, uid_wrapper that he is whom the
 * program wanted to be, and pseudo speaks on stderr of a command of fcntl that it does not know. */
#ifndef HOLDFAST_BASE_KERNEL_H
#define HOLDFAST_BASE_KERNEL_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/stat.h>

uint32_t kernel_uid(void);
uint32_t kernel_euid(void);
uint32_t kernel_egid(void);

/* As fstat and lstat, but only st_mode, st_uid and st_gid are the kernel's (Linux 4.11; before it they are libc's). */
int kernel_fstat(int fd, struct stat *status);
int kernel_lstat(const char *path, struct stat *status);

/* Of a file that is executed (capabilities(7)). */
bool kernel_has_capabilities(int fd);

/* F_GET_SEALS; -1 and errno: it is no memfd. */
int kernel_seals(int fd);

#endif
