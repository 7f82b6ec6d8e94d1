/* SPDX-License-Identifier: ISC */
#define _GNU_SOURCE
#include "launcher/closure.h"

#include "launcher/fail.h"
#include "launcher/image_part.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/utsname.h>
#include <unistd.h>

#define CACHE "/etc/ld.so.cache"

struct search {
    struct closure *closure;
    int parent;
    const char *name;
    char *found;
};

static char *copy_of(const char *text)
{
    return fail_or_format("%s", text);
}

static bool starts(const char *text, const char *with)
{
    return strncmp(text, with, strlen(with)) == 0;
}

/* What belongs to libc talks to libc without the loader. */
static bool is_of_libc(const char *name)
{
    static const char *const names[] = { "libc.so", "libc.musl-", "ld-", "ld64.so", "ld.so", "libpthread.so", "libdl.so",
                                         "librt.so", "libm.so", "libresolv.so", "libanl.so", "libutil.so", "linux-vdso" };
    const char *slash = strrchr(name, '/');

    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        if (starts(slash ? slash + 1 : name, names[i]))
            return true;
    return false;
}

/* Takes a file of the program's own kind; loaders pass over others. */
static bool take_file(void *arg, const char *path)
{
    struct search *search = arg;
    struct image image = { .class = 0 };
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);

    if (fd < 0)
        return false;
    image_look(fd, &image);
    close(fd);
    if (image.class != search->closure->image.class || image.machine != search->closure->image.machine)
        return false;
    search->found = copy_of(path);
    return true;
}

static bool take_in(struct search *search, const char *dir, size_t len)
{
    char *path = fail_or_format("%.*s%s%s", (int)len, dir, len ? "/" : "", search->name);
    bool taken = take_file(search, path);

    free(path);
    return taken;
}

/* How glibc's $LIB reads: Debian's first, then everybody else's. */
static const char *lib_of(unsigned i, const char *machine, char room[64])
{
    if (i == 0)
        (void)snprintf(room, 64, "lib/%s-linux-gnu%s", machine, strcmp(machine, "arm") == 0 ? "eabihf" : "");
    return i == 0 ? room : sizeof(void *) == 8 ? "lib64" : "lib";
}

static const char *machine_name(void)
{
    static struct utsname system;

    if (!*system.machine && uname(&system) != 0)
        strcpy(system.machine, "unknown");
    if (starts(system.machine, "armv"))
        return "arm";
    return sizeof(void *) == 4 && strcmp(system.machine, "x86_64") == 0 ? "i386" : system.machine;
}

static char *replaced(const char *text, const char *token, const char *by)
{
    const char *at = strstr(text, token);
    char *braced = fail_or_format("${%s}", token + 1), *result;
    size_t len = strlen(token);

    if (!at && (at = strstr(text, braced)))
        len = strlen(braced);
    free(braced);
    if (!at)
        return copy_of(text);
    char *rest = replaced(at + len, token, by);
    result = fail_or_format("%.*s%s%s", (int)(at - text), text, by, rest);
    free(rest);
    return result;
}

/* A directory of RPATH, RUNPATH or LD_LIBRARY_PATH, with ld.so(8)'s tokens in it. */
static bool take_in_entry(struct search *search, const char *entry, const char *origin)
{
    const char *platform = (const char *)getauxval(AT_PLATFORM);
    bool taken = false;

    for (unsigned i = 0; !taken && i < (strstr(entry, "LIB") ? 2 : 1); i++) {
        char room[64];
        char *a = replaced(entry, "$ORIGIN", origin);
        char *b = replaced(a, "$LIB", lib_of(i, machine_name(), room));
        char *dir = replaced(b, "$PLATFORM", platform ? platform : "");

        taken = take_in(search, dir, strlen(dir));
        free(a);
        free(b);
        free(dir);
    }
    return taken;
}

/* The directory of an object, for $ORIGIN. */
static char *origin_of(const struct closure_object *object)
{
    char *real = object->path ? realpath(object->path, NULL) : NULL;
    char *slash = real ? strrchr(real, '/') : NULL;

    if (slash)
        *slash = '\0';
    return real ? real : copy_of("");
}

static bool take_in_list(struct search *search, const char *list, const char *separators,
                         const struct closure_object *owner)
{
    char *origin = origin_of(owner);
    bool taken = false;

    while (list && !taken) {
        size_t len = strcspn(list, separators);
        char *entry = len ? fail_or_format("%.*s", (int)len, list) : copy_of("."); /* ld.so(8) */

        taken = take_in_entry(search, entry, origin);
        free(entry);
        list = list[len] ? list + len + 1 : NULL;
    }
    free(origin);
    return taken;
}

/* DT_RPATH of whoever asks, and of those who asked for it; none of it counts for one with a DT_RUNPATH. */
static bool take_in_rpaths(struct search *search)
{
    const struct closure_object *objects = search->closure->objects;

    if (objects[search->parent].runpath)
        return false;
    for (int i = search->parent; i >= 0; i = objects[i].parent)
        if (!objects[i].runpath && objects[i].rpath && take_in_list(search, objects[i].rpath, ":", &objects[i]))
            return true;
    return false;
}

static bool take_in_usual(struct search *search)
{
    for (unsigned i = 0; i < 3; i++) {
        char room[64], *low, *high;
        const char *lib = i < 2 ? lib_of(i, machine_name(), room) : "lib";

        low = fail_or_format("/%s", lib);
        high = fail_or_format("/usr/%s", lib);
        bool taken = take_in(search, low, strlen(low)) || take_in(search, high, strlen(high));
        free(low);
        free(high);
        if (taken)
            return true;
    }
    return false;
}

static bool take_as_glibc(struct search *search)
{
    const struct closure_object *parent = &search->closure->objects[search->parent];
    const char *library_path = getenv("LD_LIBRARY_PATH");

    return take_in_rpaths(search) ||
           (library_path && *library_path && take_in_list(search, library_path, ":;", &search->closure->objects[0])) ||
           (parent->runpath && take_in_list(search, parent->runpath, ":", parent)) ||
           cache_find(&search->closure->cache, search->name, take_file, search) || take_in_usual(search);
}

/* The file that names musl's directories is called after its loader: ld-musl-ARCH.so.1, ld-musl-ARCH.path. */
static char *musl_directories(const char *loader)
{
    const char *slash = strrchr(loader, '/'), *name = slash ? slash + 1 : loader;
    char *path = fail_or_format("/etc/%.*s.path", (int)strcspn(name, "."), name), *list = NULL;
    FILE *file = fopen(path, "re");
    size_t room = 0;

    free(path);
    if (file && getdelim(&list, &room, '\0', file) <= 0) {
        free(list);
        list = NULL;
    }
    if (file)
        fclose(file);
    return list ? list : copy_of("/lib:/usr/local/lib:/usr/lib");
}

/* Here RPATH and RUNPATH are one, and go on to those who asked. */
static bool take_as_musl(struct search *search)
{
    const struct closure_object *objects = search->closure->objects;
    const char *library_path = getenv("LD_LIBRARY_PATH");

    if (library_path && *library_path && take_in_list(search, library_path, ":\n", &objects[0]))
        return true;
    for (int i = search->parent; i >= 0; i = objects[i].parent) {
        const char *list = objects[i].runpath ? objects[i].runpath : objects[i].rpath;
        if (list && take_in_list(search, list, ":", &objects[i]))
            return true;
    }
    char *usual = musl_directories(search->closure->image.interpreter);
    bool taken = take_in_list(search, usual, ":\n", &objects[0]);
    free(usual);
    return taken;
}

static bool is_known(const struct closure *closure, const char *name)
{
    for (int i = 0; i < closure->count; i++)
        if (strcmp(closure->objects[i].name, name) == 0)
            return true;
    return false;
}

static bool add_needed(void *arg, const char *name)
{
    struct search *search = arg;
    struct closure *closure = search->closure;

    if (closure->count == CLOSURE_MOST)
        return false;
    if (!*name || is_known(closure, name))
        return true;
    search->name = name;
    search->found = NULL;
    if (strchr(name, '/'))
        take_file(search, name);
    else if (closure->image.libc == IMAGE_MUSL && is_of_libc(name))
        search->found = copy_of(closure->image.interpreter);
    else if (closure->image.libc == IMAGE_MUSL)
        take_as_musl(search);
    else
        take_as_glibc(search);
    closure->objects[closure->count++] = (struct closure_object){
        .name = copy_of(name),
        .path = search->found,
        .parent = search->parent,
        .of_libc = is_of_libc(name),
    };
    return true;
}

static bool take_text(void *arg, const char *text)
{
    char **to = arg;

    *to = copy_of(text);
    return false;
}

static void add_libraries_of(struct closure *closure, int i)
{
    struct closure_object *object = &closure->objects[i];
    struct search search = { .closure = closure, .parent = i };
    int fd = object->path ? open(object->path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY) : -1;

    if (fd < 0)
        return;
    image_each_dynamic(fd, DT_RPATH, take_text, &object->rpath);
    image_each_dynamic(fd, DT_RUNPATH, take_text, &object->runpath);
    image_each_dynamic(fd, DT_NEEDED, add_needed, &search);
    close(fd);
}

void closure_init(struct closure *closure, const char *path)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);

    *closure = (struct closure){ .count = 1 };
    closure->objects[0] = (struct closure_object){ .name = copy_of(path), .path = copy_of(path), .parent = -1 };
    if (fd >= 0) {
        image_look(fd, &closure->image);
        close(fd);
    }
    cache_init(&closure->cache, CACHE);
    for (int i = 0; i < closure->count; i++)
        add_libraries_of(closure, i);
}

void closure_fini(struct closure *closure)
{
    for (int i = 0; i < closure->count; i++) {
        free(closure->objects[i].name);
        free(closure->objects[i].path);
        free(closure->objects[i].rpath);
        free(closure->objects[i].runpath);
    }
    cache_fini(&closure->cache);
}
