/* SPDX-License-Identifier: ISC */
#define _GNU_SOURCE
#include "base/program.h"

#include "base/kernel.h"

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <link.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
    SCRIPTS_MOST = 5, /* interpreters that are scripts (execve(2)), then ELOOP */
    HEAD = 1024,      /* an ELF file's headers lie there; a longer path of a loader: who knows */
    LINE = 256,       /* what a script's first line is cut to */
};

/* The beginning of a file. */
struct beginning {
    int fd;
    ssize_t len;
    union {
        char bytes[HEAD];
        ElfW(Ehdr) elf;
    };
};

static bool begin(struct beginning *file, const char *path)
{
    file->fd = path ? open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY) : -1;
    file->len = file->fd < 0 ? -1 : pread(file->fd, file->bytes, sizeof file->bytes, 0);
    return file->len > 0;
}

static void end(struct beginning *file)
{
    if (file->fd >= 0)
        close(file->fd);
}

static bool is_elf(const struct beginning *file)
{
    return file->len >= (ssize_t)sizeof file->elf && memcmp(file->elf.e_ident, ELFMAG, SELFMAG) == 0;
}

static bool is_ours(const struct beginning *file)
{
    static const unsigned one = 1;
    const unsigned char order = *(const unsigned char *)&one ? ELFDATA2LSB : ELFDATA2MSB;
#if defined(__x86_64__)
    const unsigned machine = EM_X86_64;
#elif defined(__aarch64__)
    const unsigned machine = EM_AARCH64;
#elif defined(__i386__)
    const unsigned machine = EM_386;
#else
    const unsigned machine = file->elf.e_machine; /* what else the kernel starts is of our class, and that is known */
#endif

    return file->elf.e_ident[EI_CLASS] == (sizeof(void *) == 8 ? ELFCLASS64 : ELFCLASS32) &&
           file->elf.e_ident[EI_DATA] == order && file->elf.e_machine == machine;
}

/* 1: *part is the one that names the loader; 0: there is none; -1: who knows. */
static int find_loader(const struct beginning *file, ElfW(Phdr) *part)
{
    if (file->elf.e_phentsize != sizeof *part)
        return -1;
    for (unsigned i = 0; i < file->elf.e_phnum; i++) {
        const size_t at = file->elf.e_phoff + i * sizeof *part;
        if (at > sizeof file->bytes || at + sizeof *part > (size_t)file->len)
            return -1;
        memcpy(part, file->bytes + at, sizeof *part);
        if (part->p_type == PT_INTERP)
            return 1;
    }
    return 0;
}

/* By its name: ld-musl-x86_64.so.1; ld-linux-x86-64.so.2, ld64.so.2, ld.so.1. */
static bool is_loader_of(const char *loader, enum program_libc libc)
{
    const char *slash = strrchr(loader, '/'), *name = slash ? slash + 1 : loader;
    const bool musl = strncmp(name, "ld-musl-", 8) == 0 || strcmp(name, "libc.so") == 0;

    if (!slash || (!musl && strncmp(name, "ld", 2) != 0))
        return false;
    return libc == PROGRAM_ANY_LIBC || (libc == PROGRAM_MUSL) == musl;
}

/* What was read of the file may be gone afterwards. */
static bool elf_loads(struct beginning *file, enum program_libc libc)
{
    ElfW(Phdr) part;

    if (!is_ours(file) || find_loader(file, &part) != 1 || part.p_filesz < 2 || part.p_filesz > sizeof file->bytes)
        return false;
    const bool read = part.p_offset + part.p_filesz <= (size_t)file->len;
    const char *loader = file->bytes + (read ? part.p_offset : 0);
    if (!read && pread(file->fd, file->bytes, part.p_filesz, (off_t)part.p_offset) != (ssize_t)part.p_filesz)
        return false;
    return loader[part.p_filesz - 1] == '\0' && is_loader_of(loader, libc);
}

/* A file that changes nobody's user makes no AT_SECURE of it: `su`, where root starts it. */
static bool raises_rights(int fd, uint32_t uid, uint32_t gid)
{
    struct stat status;

    if (kernel_fstat(fd, &status) != 0 || !S_ISREG(status.st_mode))
        return true;
    return (status.st_mode & S_ISUID && status.st_uid != uid) || (status.st_mode & S_ISGID && status.st_gid != gid) ||
           kernel_has_capabilities(fd);
}

/* The interpreter of a script's first line, ended in place; NULL: it is no script. */
static char *interpreter_of(struct beginning *file)
{
    if (file->len < 4 || memcmp(file->bytes, "#!", 2) != 0)
        return NULL;
    char *line = file->bytes + 2, *line_end = memchr(line, '\n', (size_t)(file->len < LINE ? file->len : LINE) - 2);
    if (!line_end)
        return NULL;
    *line_end = '\0';
    line += strspn(line, " \t");
    line[strcspn(line, " \t")] = '\0';
    return *line ? line : NULL;
}

bool program_loads(const char *path, enum program_libc libc, uint32_t uid, uint32_t gid)
{
    struct beginning file;
    char next[LINE];
    bool loads = false;
    int saved = errno;

    for (int depth = 0; path && depth <= SCRIPTS_MOST; depth++) {
        bool known = begin(&file, path);
        char *interpreter = known && !is_elf(&file) ? interpreter_of(&file) : NULL;
        loads = known && is_elf(&file) && elf_loads(&file, libc) && !raises_rights(file.fd, uid, gid);
        end(&file);
        path = interpreter ? memcpy(next, interpreter, strlen(interpreter) + 1) : NULL;
    }
    errno = saved;
    return loads && !path;
}

bool program_is_static(const char *path)
{
    struct beginning file;
    ElfW(Phdr) part;
    int saved = errno;
    bool result = begin(&file, path) && is_elf(&file) && find_loader(&file, &part) == 0;

    end(&file);
    errno = saved;
    return result;
}
