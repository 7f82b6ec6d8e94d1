/* Loaders of three kinds read the LD_PRELOAD that a command leaves to its children:
 *   - glibc's, of our class: has to find the library;
 *   - glibc's for 32-bit programs: would print an error about the wrong ELF class, and finds an empty
 *     library instead.  Both replace $PLATFORM in an entry, by names that no two classes share (x86_64,
 *     haswell or xeon_phi; i386 to i686).  $LIB would not do: `lib` is 64-bit on one system and 32-bit
 *     on the next;
 *   - musl's: takes $PLATFORM for the name of a directory, and there is one.
 * So preload/NAME/libholdfast.so lies beside the library (see the Makefile), for the machines that have
 * such programs, and the entry is the plain path elsewhere. */
#include "launcher/preload.h"

#include "launcher/fail.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/stat.h>
#include <unistd.h>

#define LIBRARY "libholdfast.so"
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

char *preload_find_library(void)
{
    char self[PATH_MAX], *slash, *path;
    struct stat status;

    find_self(self);
    slash = strrchr(self, '/');
    path = fail_or_format("%.*s%s", slash ? (int)(slash + 1 - self) : 0, self, LIBRARY);
    if (stat(path, &status) != 0 || access(path, R_OK) != 0)
        fail(path, strerror(errno));
    if (!S_ISREG(status.st_mode))
        fail(path, "not a file");
    if (strpbrk(path, SEPARATORS))
        fail(path,
             "cannot be preloaded, because LD_PRELOAD is split at colons and spaces: move it elsewhere");
    return path;
}

static bool is_there(const char *dir, size_t len, const char *platform)
{
    char *path = fail_or_format("%.*spreload/%s/%s", (int)len, dir, platform, LIBRARY);
    bool there = access(path, R_OK) == 0;

    free(path);
    return there;
}

char *preload_entry(const char *library, bool *both)
{
    size_t dir = strlen(library) - strlen(LIBRARY);
    const char *platform = (const char *)getauxval(AT_PLATFORM);

    *both = platform && access(LOADER_32, F_OK) == 0 && is_there(library, dir, platform) &&
            is_there(library, dir, "i686");
    if (*both)
        return fail_or_format("%.*spreload/$PLATFORM/%s", (int)dir, library, LIBRARY);
    return fail_or_format("%s", library);
}

static bool is_library(const char *entry, size_t len)
{
    const size_t name = sizeof(LIBRARY) - 1;

    return len >= name && memcmp(entry + len - name, LIBRARY, name) == 0 &&
           (len == name || entry[len - name - 1] == '/');
}

/* The entries of `list`, separators as they were, without any of a library of our name; free() it. */
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

static bool lists(const char *list, const char *entry)
{
    while (*list) {
        size_t len = strcspn(list, SEPARATORS);

        if (len == strlen(entry) && memcmp(list, entry, len) == 0)
            return true;
        list += len + strspn(list + len, SEPARATORS);
    }
    return false;
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
