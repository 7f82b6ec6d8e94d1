/* SPDX-License-Identifier: ISC */
#define _GNU_SOURCE
#include "launcher/look.h"

#include "launcher/image.h"
#include "launcher/path.h"
#include "launcher/script.h"

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/xattr.h>
#include <unistd.h>

enum { SCRIPTS_MAX = 6 }; /* the kernel follows five interpreters that are scripts, then ELOOP */

static int open_program(const char *path)
{
    return open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
}

static void say(struct look *look, enum look_effect effect, const char *reason)
{
    look->effect = effect;
    look->reason = reason;
}

/* Whether the kernel starts the file with other rights than ours, and its loader so ignores
 * LD_PRELOAD (AT_SECURE).  NULL, or what is the matter. */
static const char *privilege_of(int fd)
{
    struct stat file;
    struct statvfs system;

    if (prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 1 ||
        (fstatvfs(fd, &system) == 0 && (system.f_flag & ST_NOSUID)))
        return NULL;
    if (fstat(fd, &file) != 0)
        return NULL;
    if ((file.st_mode & S_ISUID) && file.st_uid != getuid())
        return "setuid";
    /* Without S_IXGRP the bit means something else, see inode(7). */
    if ((file.st_mode & S_ISGID) && (file.st_mode & S_IXGRP) && file.st_gid != getgid())
        return "setgid";
    if (getuid() != 0 && fgetxattr(fd, "security.capability", NULL, 0) > 0)
        return "it has file capabilities";
    return NULL;
}

/* A glibc library in a musl program: musl takes libc.so.6 for its own, and looks at no versions. */
static bool loads_with_musl(const char *loader, int library)
{
    int fd = open_program(loader);
    bool loads = fd >= 0 && image_provides(fd, library);

    if (fd >= 0)
        close(fd);
    return loads;
}

static void judge_libc(struct look *look, const struct image *image, const char *path, int library)
{
    const char *loader = *image->interpreter ? image->interpreter : path;
    enum image_libc ours;

    if (image_library_libc(library, &ours) != 0 || image->libc == ours)
        return;
    if (ours == IMAGE_GLIBC && image->libc == IMAGE_MUSL && loads_with_musl(loader, library))
        return;
    say(look, LOOK_DISTURBS, image->libc == IMAGE_MUSL ? "linked to musl" : "linked to another libc");
}

/* `fd` is the ELF file at `path`. */
static void judge(struct look *look, const struct image *image, const char *path, int fd, int library)
{
    struct image ours;
    const char *privilege;

    image_look(library, &ours);
    if (image->class != ours.class) /* of all these, there is something to be found for i386 only */
        say(look, image->machine == EM_386 ? LOOK_FOREIGN : LOOK_DISTURBS,
            image->class == ELFCLASS32 ? "a 32-bit program" : "a 64-bit program");
    else if (image->machine != ours.machine)
        say(look, LOOK_DISTURBS, "made for another kind of machine");
    else if (image->go)
        say(look, LOOK_UNUSED, "a Go program");
    else if (!image->dynamic)
        say(look, LOOK_UNUSED, "statically linked");
    else if ((privilege = privilege_of(fd)))
        say(look, LOOK_UNUSED, privilege);
    else
        judge_libc(look, image, path, library);
    /* A Go program can be linked to any libc. */
    if (image->go && image->dynamic)
        judge_libc(look, image, path, library);
}

static bool find_interpreter(int fd, char interpreter[PATH_MAX])
{
    char head[SCRIPT_HEAD];
    ssize_t len = pread(fd, head, sizeof(head), 0);

    return len > 0 && script_interpreter(head, (size_t)len, interpreter);
}

/* Looks at the file at `path`.  True if it is a script: `interpreter` is then what to look at next. */
static bool look_at_file(struct look *look, const char *path, int library, char interpreter[PATH_MAX])
{
    struct image image;
    int fd = open_program(path);
    bool script;

    if (fd < 0) /* what may be executed and not read: nobody can tell */
        return false;
    image_look(fd, &image);
    script = image.class == ELFCLASSNONE;
    if (script)
        script = find_interpreter(fd, interpreter);
    else
        judge(look, &image, path, fd, library);
    close(fd);
    return script;
}

void look_at_command(const char *command, const char *library, struct look *look)
{
    int ours = open_program(library);
    char next[PATH_MAX];

    look->effect = LOOK_USED;
    look->reason = NULL;
    look->interpreter[0] = '\0';
    if (!path_find(command, look->path))
        look->path[0] = '\0';
    if (ours < 0)
        return;
    if (*look->path && look_at_file(look, look->path, ours, next))
        for (int i = 0; i < SCRIPTS_MAX; i++) {
            (void)snprintf(look->interpreter, PATH_MAX, "%s", next);
            if (!look_at_file(look, look->interpreter, ours, next))
                break;
        }
    close(ours);
}
