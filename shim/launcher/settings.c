/* SPDX-License-Identifier: ISC */
#define _GNU_SOURCE
#include "launcher/settings.h"

#include "launcher/fail.h"
#include "launcher/text.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define PREFIX "HOLDFAST_"

enum { NAME_MAX_LEN = 64 };

extern char **environ;

static void complain(void *arg, const struct config_setting *setting, const char *value)
{
    struct slice fault = config_fault(setting, value);

    (void)arg;
    if (fault.data == value && fault.len == strlen(value))
        fprintf(stderr, "holdfast: %s=%s: expected %s\n", setting->name, value, setting->shape);
    else
        fprintf(stderr, "holdfast: %s: '%.*s': expected %s\n", setting->name, (int)fault.len, fault.data,
                setting->shape);
}

bool settings_load(struct config *config)
{
    config_load(config, getenv, NULL, NULL);
    if (!config->enabled)
        return false;
    if (config_load(config, getenv, complain, NULL) > 0)
        exit(FAIL_OURS);
    return true;
}

static void make_absolute(const char *name)
{
    const char *path = getenv(name);
    char cwd[PATH_MAX], *absolute;

    if (!path || !*path || *path == '/')
        return;
    if (!getcwd(cwd, sizeof(cwd)))
        fail(name, "a relative path, and the current directory cannot be found");
    absolute = fail_or_format("%s%s%s", cwd, strcmp(cwd, "/") == 0 ? "" : "/", path);
    fail_or_set(name, absolute);
    free(absolute);
}

const char *const settings_files[] = { "HOLDFAST_LOG", "HOLDFAST_STATS", NULL };

void settings_make_absolute(void)
{
    for (const char *const *name = settings_files; *name; name++)
        make_absolute(*name);
}

/* A file that is not there yet can be made, if its folder can be written to. */
static int folder_error(const char *path)
{
    const char *slash = strrchr(path, '/');
    char *folder = slash ? fail_or_format("%.*s", (int)(slash - path) + 1, path) : fail_or_format(".");
    int error = faccessat(AT_FDCWD, folder, W_OK | X_OK, AT_EACCESS) == 0 ? 0 : errno;

    free(folder);
    return error;
}

int settings_file_error(const char *path)
{
    struct stat status;

    if (stat(path, &status) != 0)
        return errno == ENOENT ? folder_error(path) : errno;
    if (S_ISDIR(status.st_mode))
        return EISDIR;
    return faccessat(AT_FDCWD, path, W_OK, AT_EACCESS) == 0 ? 0 : errno;
}

void settings_point_out_files(void)
{
    for (const char *const *name = settings_files; *name; name++) {
        const char *path = getenv(*name);
        int error = path && *path ? settings_file_error(path) : 0;

        if (error)
            fprintf(stderr, "holdfast: %s=%s: cannot be written: %s\n", *name, path, strerror(error));
    }
}

static unsigned least(unsigned a, unsigned b)
{
    return a < b ? a : b;
}

/* Levenshtein's: how many letters to add, leave out or change. */
static unsigned distance(const char *a, const char *b)
{
    unsigned row[NAME_MAX_LEN + 1];
    size_t len = strlen(b);

    for (unsigned k = 0; k <= len; k++)
        row[k] = k;
    for (unsigned i = 0; a[i]; i++) {
        unsigned diagonal = row[0];
        row[0] = i + 1;
        for (size_t k = 0; k < len; k++) {
            unsigned changed = diagonal + (a[i] != b[k]);
            diagonal = row[k + 1];
            row[k + 1] = least(changed, least(row[k], row[k + 1]) + 1);
        }
    }
    return row[len];
}

const char *settings_nearest(const char *name)
{
    const size_t skip = sizeof(PREFIX) - 1;
    const char *nearest = NULL;
    unsigned best;

    if (strlen(name) <= skip || strlen(name) > NAME_MAX_LEN)
        return NULL;
    best = ((unsigned)(strlen(name) - skip) + 2) / 3 + 1;
    for (size_t i = 0; i < config_settings_count; i++) {
        const char *known = config_settings[i].name;
        unsigned apart;

        if (strlen(known) <= skip || (apart = distance(name + skip, known + skip)) >= best)
            continue;
        best = apart;
        nearest = known;
    }
    return nearest;
}

static bool is_known(const char *name)
{
    for (size_t i = 0; i < config_settings_count; i++)
        if (strcmp(name, config_settings[i].name) == 0)
            return true;
    for (size_t i = 0; config_own_names[i]; i++)
        if (strcmp(name, config_own_names[i]) == 0)
            return true;
    return false;
}

void settings_point_out(void)
{
    for (char **entry = environ; entry && *entry; entry++) {
        if (strncmp(*entry, PREFIX, sizeof(PREFIX) - 1) != 0)
            continue;
        char *name = fail_or_format("%.*s", (int)strcspn(*entry, "="), *entry);
        const char *nearest = settings_nearest(name);

        if (!is_known(name))
            fprintf(stderr, "holdfast: %s: no such setting%s%s%s\n", name, nearest ? "; did you mean " : "",
                    nearest ? nearest : "", nearest ? "?" : "");
        free(name);
    }
}

void settings_show(void)
{
    for (size_t i = 0; i < config_settings_count; i++) {
        const struct config_setting *setting = &config_settings[i];
        char *last = fail_or_format("%s (default: %s)", setting->shape, *setting->fallback ? setting->fallback : "none");

        printf("  %s\n", setting->name);
        text_wrap(stdout, "      ", setting->meaning, 6);
        text_wrap(stdout, "      ", last, 6);
        free(last);
    }
}
