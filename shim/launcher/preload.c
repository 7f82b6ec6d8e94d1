/* SPDX-License-Identifier: ISC */
/* Loaders of three kinds read the LD_PRELOAD that a command leaves to its children:
 *   - glibc's, of our class: has to find the library;
 *   - glibc's for 32-bit programs: would print an error about the wrong ELF class, and finds an empty
 *     library instead.  Both replace $PLATFORM in an entry, by names that no two classes share (x86_64,
 *     haswell or xeon_phi; i386 to i686).  $LIB would not do: `lib` is 64-bit on one system and 32-bit
 *     on the next;
 *   - musl's: takes $PLATFORM for the name of a directory, and there is one.
 * So preload/NAME/libholdfast.so lies beside the library (see the Makefile), for the machines that have
 * such programs, and the entry is the plain path elsewhere.  Where a library of ours for 32-bit programs
 * is installed, preload-32/NAME leads there; it says by itself if it is of another release. */
#include "launcher/preload.h"

#include "base/version.h"
#include "launcher/fail.h"
#include "launcher/image.h"
#include "pool/tree.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/stat.h>
#include <unistd.h>

#define LIBRARY "libholdfast.so"
#define TLS_LIBRARY "libholdfast-tls.so"
#define SEPARATORS ": \t\n\v\f\r" /* of LD_PRELOAD: glibc's and musl's taken together */
#define LOADER_32 "/lib/ld-linux.so.2"

/* The file that is running.  A chroot may have no /proc; the name it was executed by is left then. */
static void find_self(char self[PATH_MAX])
{
    ssize_t len = readlink("/proc/self/exe", self, PATH_MAX - 1);
    const char *executed;

    if (len >= 0) {
        self[len] = '\0';
        return;
    }
    executed = (const char *)getauxval(AT_EXECFN);
    if (!executed || !realpath(executed, self))
        fail("/proc/self/exe", strerror(errno));
}

/* Where the library may be, seen from the launcher's directory: beside it, as it is built; or in a folder of
 * its own, as it is installed.  HOLDFAST_MULTIARCH: the compiler's word for this machine, as in Debian. */
static const char *const places[] = {
    "", "../lib/holdfast/", "../lib64/holdfast/",
#ifdef HOLDFAST_MULTIARCH
    "../lib/" HOLDFAST_MULTIARCH "/holdfast/",
#endif
};

/* What `make install` was told, without DESTDIR. */
#ifndef HOLDFAST_BINDIR
#define HOLDFAST_BINDIR "/usr/local/bin"
#define HOLDFAST_LIBDIR "/usr/local/lib"
#endif
static const char bindir[] = HOLDFAST_BINDIR, libdir[] = HOLDFAST_LIBDIR;

/* The way from bindir to libdir, for an installation that was moved as a whole: "../../srv/lib"; free() it. */
static char *way_to_libdir(void)
{
    char *way = fail_or_format("%s", "");
    size_t common = 0;

    for (size_t i = 0; bindir[i] && bindir[i] == libdir[i]; i++)
        if (bindir[i] == '/')
            common = i + 1;
    for (const char *at = bindir + common; *at; at += strspn(at, "/")) {
        char *longer = fail_or_format("../%s", way);

        free(way);
        way = longer;
        at += strcspn(at, "/");
    }
    char *whole = fail_or_format("%s%s", way, libdir + common);
    free(way);
    return whole;
}

/* The file of this name there, if it exists; free() it. */
static char *find_in(const char *self, const char *place, const char *name)
{
    char *path = fail_or_format("%s%s%s", self, place, name);

    if (access(path, F_OK) == 0)
        return path;
    free(path);
    return NULL;
}

static char *find_installed(const char *self, const char *name)
{
    char *way = way_to_libdir(), *there = fail_or_format("%s/holdfast/", way);
    char *path = find_in(self, there, name);

    free(there);
    free(way);
    return path ? path : find_in(libdir, "/holdfast/", name);
}

char *preload_find(const char *name)
{
    char self[PATH_MAX], *slash, *path = NULL;

    find_self(self);
    slash = strrchr(self, '/');
    if (slash)
        slash[1] = '\0';
    for (size_t i = 0; !path && i < sizeof(places) / sizeof(places[0]); i++)
        path = find_in(self, places[i], name);
    if (!path)
        path = find_installed(self, name);
    return path ? path : fail_or_format("%s%s", self, name);
}

/* Without the dots. */
static char *plain(char *path)
{
    char *absolute = strstr(path, "/../") ? realpath(path, NULL) : NULL;

    if (!absolute)
        return path;
    free(path);
    return absolute;
}

static void check_version(const char *path)
{
    char version[VERSION_SIZE], problem[VERSION_SIZE + 64] = "not a library of holdfast " HOLDFAST_VERSION;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    bool told = fd >= 0 && image_version(fd, version);

    if (fd >= 0)
        close(fd);
    if (told && strcmp(version, HOLDFAST_VERSION) == 0)
        return;
    if (told)
        (void)snprintf(problem, sizeof(problem), "of version %s, and this is holdfast %s", version,
                       HOLDFAST_VERSION);
    fail(path, problem);
}

char *preload_find_library(void)
{
    char *path = plain(preload_find(LIBRARY));
    struct stat status;

    if (stat(path, &status) != 0 || access(path, R_OK) != 0)
        fail(path, strerror(errno));
    if (!S_ISREG(status.st_mode))
        fail(path, "not a file");
    if (strpbrk(path, SEPARATORS))
        fail(path,
             "cannot be preloaded, because LD_PRELOAD is split at colons and spaces: move it elsewhere");
    check_version(path);
    return path;
}

/* Whether `folder`, beside the library, has something for loaders of both classes. */
static bool serves(const char *library, const char *folder)
{
    const char *const platforms[] = { (const char *)getauxval(AT_PLATFORM), "i686" };
    int dir = (int)(strlen(library) - strlen(LIBRARY));
    bool all = true;

    for (int i = 0; all && i < 2; i++) {
        char *path = platforms[i] ? fail_or_format("%.*s%s/%s/%s", dir, library, folder, platforms[i], LIBRARY)
                                  : NULL;

        all = path && access(path, R_OK) == 0;
        free(path);
    }
    return all;
}

char *preload_entry(const char *library, enum preload_small *small)
{
    int dir = (int)(strlen(library) - strlen(LIBRARY));
    const char *folder = NULL;

    *small = PRELOAD_SMALL_DISTURBED;
    if (access(LOADER_32, F_OK) == 0 && serves(library, "preload-32")) {
        *small = PRELOAD_SMALL_SERVED;
        folder = "preload-32";
    } else if (access(LOADER_32, F_OK) == 0 && serves(library, "preload")) {
        *small = PRELOAD_SMALL_UNDISTURBED;
        folder = "preload";
    }
    if (folder)
        return fail_or_format("%.*s%s/$PLATFORM/%s", dir, library, folder, LIBRARY);
    return fail_or_format("%s", library);
}

void preload_announce(void)
{
    const char *before = getenv(VERSION_VARIABLE);

    if (before && strcmp(before, HOLDFAST_VERSION) != 0)
        unsetenv(TREE_VARIABLE);
    fail_or_set(VERSION_VARIABLE, HOLDFAST_VERSION);
}

static bool is_named(const char *entry, size_t len, const char *library)
{
    const size_t name = strlen(library);

    return len >= name && memcmp(entry + len - name, library, name) == 0 &&
           (len == name || entry[len - name - 1] == '/');
}

static bool is_library(const char *entry, size_t len)
{
    return is_named(entry, len, LIBRARY) || is_named(entry, len, TLS_LIBRARY);
}

/* The entries of `list`, separators as they were, without any of a library of our names; free() it. */
static char *without_library(const char *list)
{
    char *rest = malloc(strlen(list) + 1), *end = rest;

    if (!rest)
        fail("no memory", strerror(ENOMEM));
    while (*list) {
        size_t len = strcspn(list, SEPARATORS), gap = strspn(list + len, SEPARATORS);

        if (!is_library(list, len)) {
            memcpy(end, list, len + gap);
            end += len + gap;
        }
        list += len + gap;
    }
    *end = '\0';
    return rest;
}

static int count_ours(const char *list)
{
    int count = 0;

    while (*list) {
        size_t len = strcspn(list, SEPARATORS);

        count += is_library(list, len);
        list += len + strspn(list + len, SEPARATORS);
    }
    return count;
}

/* Are our entries in `list` those, in that order? */
static bool lists(const char *list, const char *entries)
{
    const size_t whole = strlen(entries);

    if (count_ours(list) != count_ours(entries))
        return false;
    while (*list) {
        size_t len = strcspn(list, SEPARATORS);

        if (strncmp(list, entries, whole) == 0 && (!list[whole] || strchr(SEPARATORS, list[whole])))
            return true;
        list += len + strspn(list + len, SEPARATORS);
    }
    return false;
}

char *preload_with_tls(char *entry)
{
    const int dir = (int)(strlen(entry) - strlen(LIBRARY));
    char *path = preload_find(TLS_LIBRARY);

    if (access(path, R_OK) != 0)
        fail(path, "HOLDFAST_TLS=reuse: this installation has no such library");
    char *both = fail_or_format("%s:%.*s%s", entry, dir, entry, TLS_LIBRARY);
    free(path);
    free(entry);
    return both;
}

void preload_add(const char *entry)
{
    const char *before = getenv("LD_PRELOAD");
    char *rest, *value;

    if (!before)
        before = "";
    if (lists(before, entry))
        return;
    rest = without_library(before);
    value = fail_or_format("%s%s%s", entry, *rest ? ":" : "", rest);
    fail_or_set("LD_PRELOAD", value);
    free(value);
    free(rest);
}

void preload_remove(void)
{
    const char *before = getenv("LD_PRELOAD");
    char *rest;

    if (!before)
        return;
    rest = without_library(before);
    if (*rest)
        fail_or_set("LD_PRELOAD", rest);
    else
        unsetenv("LD_PRELOAD");
    free(rest);
}
