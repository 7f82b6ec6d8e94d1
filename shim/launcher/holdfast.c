/* holdfast: runs a command with libholdfast.so preloaded.  Checks here what the library, which must
 * keep quiet, could only ignore.  Exit statuses are those of env(1). */
#define _GNU_SOURCE
#include "base/config.h"
#include "base/version.h"

#include <errno.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define LIBRARY "libholdfast.so"
#define SEPARATORS ": \t\n\v\f\r" /* of LD_PRELOAD: glibc's and musl's taken together */

enum { EXIT_OURS = 125, EXIT_CANNOT_EXECUTE = 126, EXIT_NOT_FOUND = 127 };

static const char usage_line[] = "usage: holdfast [--] COMMAND [ARG...]\n";

static _Noreturn void fail(const char *subject, const char *problem)
{
    fprintf(stderr, "holdfast: %s: %s\n", subject, problem);
    exit(EXIT_OURS);
}

static _Noreturn void finish_output(void)
{
    if (fflush(stdout) != 0 || ferror(stdout))
        fail("standard output", strerror(errno));
    exit(0);
}

static _Noreturn void show_help(void)
{
    printf("%s       holdfast --help | --version\n\n"
           "Runs COMMAND so that the one-shot HTTP/1.x connections that it opens share kept ones.\n\n"
           "Settings, from the environment:\n",
           usage_line);
    for (size_t i = 0; i < config_settings_count; i++) {
        const struct config_setting *setting = &config_settings[i];

        printf("  %s\n      %s\n      %s (default: %s)\n", setting->name, setting->meaning, setting->shape,
               *setting->fallback ? setting->fallback : "none");
    }
    printf("\nExit status: 125 if holdfast itself fails, 126 if COMMAND cannot be executed, 127 if it is\n"
           "not found, otherwise that of COMMAND.\n");
    finish_output();
}

static _Noreturn void refuse_usage(const char *problem, const char *word)
{
    fprintf(stderr, "holdfast: %s%s\n%s", problem, word, usage_line);
    exit(EXIT_OURS);
}

/* Returns the index of COMMAND. */
static int parse_options(int argc, char **argv)
{
    int command = 1;

    if (argc > 1 && argv[1][0] == '-') {
        if (strcmp(argv[1], "--help") == 0)
            show_help();
        if (strcmp(argv[1], "--version") == 0) {
            printf("holdfast %s\n", HOLDFAST_VERSION);
            finish_output();
        }
        if (strcmp(argv[1], "--") != 0)
            refuse_usage("unknown option ", argv[1]);
        command = 2;
    }
    if (argc <= command)
        refuse_usage("no command given", "");
    return command;
}

static void complain(void *arg, const struct config_setting *setting, const char *value)
{
    fprintf(stderr, "holdfast: %s=%s: expected %s\n", setting->name, value, setting->shape);
}

/* Whether to preload.  HOLDFAST=0 is the way out of everything: nothing else is looked at then. */
static bool check_settings(void)
{
    struct config config;

    config_load(&config, getenv, NULL, NULL);
    if (!config.enabled)
        return false;
    if (config_load(&config, getenv, complain, NULL) > 0)
        exit(EXIT_OURS);
    return true;
}

static char *join(const char *a, const char *between, const char *b)
{
    char *joined;

    if (asprintf(&joined, "%s%s%s", a, between, b) < 0)
        fail("no memory", strerror(ENOMEM));
    return joined;
}

static void set_variable(const char *name, const char *value)
{
    if (setenv(name, value, 1) != 0)
        fail(name, strerror(errno));
}

/* The command may change its directory, and so may its children. */
static void make_absolute(const char *name)
{
    const char *path = getenv(name);
    char cwd[PATH_MAX], *absolute;

    if (!path || !*path || *path == '/')
        return;
    if (!getcwd(cwd, sizeof(cwd)))
        fail(name, "a relative path, and the current directory cannot be found");
    absolute = join(cwd, strcmp(cwd, "/") == 0 ? "" : "/", path);
    set_variable(name, absolute);
    free(absolute);
}

/* The library beside this program; the caller frees. */
static char *find_library(void)
{
    char self[PATH_MAX], *slash, *path;
    ssize_t len = readlink("/proc/self/exe", self, sizeof(self) - 1);
    struct stat status;

    if (len < 0)
        fail("/proc/self/exe", strerror(errno));
    self[len] = '\0';
    slash = strrchr(self, '/');
    if (!slash)
        fail(self, "not a path");
    slash[1] = '\0';
    path = join(self, "", LIBRARY);
    if (stat(path, &status) != 0 || access(path, R_OK) != 0)
        fail(path, strerror(errno));
    if (!S_ISREG(status.st_mode))
        fail(path, "not a file");
    if (strpbrk(path, SEPARATORS))
        fail(path,
             "cannot be preloaded, because LD_PRELOAD is split at colons and spaces: move it elsewhere");
    return path;
}

static bool is_library(const char *entry, size_t len)
{
    const size_t name = sizeof(LIBRARY) - 1;

    return len >= name && memcmp(entry + len - name, LIBRARY, name) == 0 &&
           (len == name || entry[len - name - 1] == '/');
}

/* The entries of `list`, separators as they were, without any of a library of our name: two of them,
 * of two builds, would adapt each other's work.  The caller frees. */
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

static bool lists(const char *list, const char *path)
{
    while (*list) {
        size_t len = strcspn(list, SEPARATORS);

        if (len == strlen(path) && memcmp(list, path, len) == 0)
            return true;
        list += len + strspn(list + len, SEPARATORS);
    }
    return false;
}

static void preload(void)
{
    char *library = find_library(), *rest, *value;
    const char *before = getenv("LD_PRELOAD");

    if (!before)
        before = "";
    if (!lists(before, library)) {
        rest = without_library(before);
        value = join(library, *rest ? ":" : "", rest);
        set_variable("LD_PRELOAD", value);
        free(value);
        free(rest);
    }
    free(library);
}

int main(int argc, char **argv)
{
    int command = parse_options(argc, argv);
    int error;

    if (check_settings()) {
        make_absolute("HOLDFAST_LOG");
        make_absolute("HOLDFAST_STATS");
        preload();
    }
    execvp(argv[command], argv + command);
    error = errno;
    fprintf(stderr, "holdfast: %s: %s\n", argv[command], strerror(error));
    return error == ENOENT ? EXIT_NOT_FOUND : EXIT_CANNOT_EXECUTE;
}
