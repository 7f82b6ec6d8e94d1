/* SPDX-License-Identifier: ISC */
#define _GNU_SOURCE
#include "launcher/job.h"

#include "base/kernel.h"
#include "launcher/fail.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { PATH_ROOM = 64, LINE_ROOM = 4096 };

/* A file of /proc/PID. */
static FILE *open_of(pid_t pid, const char *name)
{
    char path[PATH_ROOM];

    snprintf(path, sizeof path, "/proc/%ld/%s", (long)pid, name);
    return fopen(path, "re");
}

static DIR *open_descriptors(pid_t pid)
{
    char path[PATH_ROOM];

    snprintf(path, sizeof path, "/proc/%ld/fd", (long)pid);
    return opendir(path);
}

/* -1: that descriptor is no board.  What is behind the name, " (deleted)", is cut off. */
static int open_board(DIR *descriptors, const char *number)
{
    static const char wanted[] = "/memfd:" BOARD_NAME;
    char target[sizeof wanted] = "";

    if (readlinkat(dirfd(descriptors), number, target, sizeof target - 1) < 0 || strcmp(target, wanted) != 0)
        return -1;
    return openat(dirfd(descriptors), number, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
}

static void read_name(struct job *job)
{
    FILE *file = open_of(job->pid, "comm");

    *job->name = '\0';
    if (file && !fgets(job->name, sizeof job->name, file))
        *job->name = '\0';
    if (file)
        fclose(file);
    job->name[strcspn(job->name, "\n")] = '\0';
    for (char *c = job->name; *c; c++)
        if (*c < ' ' || *c >= 0x7f)
            *c = '?';
}

enum found { FOUND, FOUND_NONE, FOUND_OTHER_RELEASE, FOUND_CLOSED_DOOR };

static enum found look_through(DIR *descriptors, struct job *job)
{
    enum found found = FOUND_NONE;
    const struct dirent *entry;

    while ((entry = readdir(descriptors))) {
        int fd = open_board(descriptors, entry->d_name);
        if (fd < 0)
            continue;
        if (board_read(fd, job->token) && fstat(fd, &job->file) == 0) {
            job->board = fd;
            job->first = atoi(entry->d_name) - TREE_BOARD;
            return FOUND;
        }
        close(fd);
        found = FOUND_OTHER_RELEASE;
    }
    return found;
}

static enum found find_board(pid_t pid, struct job *job)
{
    DIR *descriptors = open_descriptors(pid);

    *job = (struct job){ .pid = pid, .board = -1 };
    if (!descriptors)
        return errno == EACCES || errno == EPERM ? FOUND_CLOSED_DOOR : FOUND_NONE;
    enum found found = look_through(descriptors, job);
    closedir(descriptors);
    if (found == FOUND)
        read_name(job);
    return found;
}

/* The effective user of a process that we may not look into. */
static long user_of(pid_t pid)
{
    FILE *file = open_of(pid, "status");
    char line[LINE_ROOM];
    long user = -1;

    while (file && user < 0 && fgets(line, sizeof line, file))
        sscanf(line, "Uid: %*d %ld", &user);
    if (file)
        fclose(file);
    return user;
}

static bool has_library(pid_t pid)
{
    FILE *file = open_of(pid, "maps");
    char line[LINE_ROOM];
    bool has = false;

    while (file && !has && fgets(line, sizeof line, file))
        has = strstr(line, "/libholdfast.so") != NULL;
    if (file)
        fclose(file);
    return has;
}

static const char *say_closed(pid_t pid)
{
    long user = user_of(pid);

    if (user == (long)kernel_euid())
        return "the process lets no other process look at it (PR_SET_DUMPABLE of prctl(2)); root may";
    return fail_or_format("a process of user %ld: only that user and root may look at it", user);
}

const char *job_find(pid_t pid, struct job *job)
{
    switch (find_board(pid, job)) {
    case FOUND:
        return NULL;
    case FOUND_CLOSED_DOOR:
        return say_closed(pid);
    case FOUND_OTHER_RELEASE:
        return "the process runs under another release of holdfast";
    default:
        break;
    }
    if (user_of(pid) < 0)
        return "no such process";
    if (has_library(pid))
        return "the process runs under holdfast, but shares connections with no other process, so nothing is counted "
               "(HOLDFAST_SHARE=off, or the program closed the descriptors; see holdfast(7))";
    return "the process does not run under holdfast";
}

static bool has_same_board(pid_t pid, const struct job *job, struct job *found)
{
    if (find_board(pid, found) != FOUND)
        return false;
    if (found->file.st_ino == job->file.st_ino && found->file.st_dev == job->file.st_dev)
        return true;
    close(found->board);
    return false;
}

bool job_find_again(struct job *job)
{
    bool found_it = false;
    const struct dirent *entry;
    struct job found;

    if (has_same_board(job->pid, job, &found)) {
        *job = found;
        return true;
    }
    DIR *processes = opendir("/proc");
    while (processes && !found_it && (entry = readdir(processes))) {
        pid_t pid = (pid_t)atol(entry->d_name);
        found_it = pid > 0 && pid != getpid() && has_same_board(pid, job, &found);
    }
    if (processes)
        closedir(processes);
    if (found_it)
        *job = found;
    return found_it;
}

void job_take_variable(const struct job *job, const char *name)
{
    FILE *file = open_of(job->pid, "environ");
    const size_t len = strlen(name);
    char *entry = NULL;
    size_t room = 0;

    unsetenv(name);
    while (file && getdelim(&entry, &room, '\0', file) > 0)
        if (strncmp(entry, name, len) == 0 && entry[len] == '=')
            fail_or_set(name, entry + len + 1);
    free(entry);
    if (file)
        fclose(file);
}

bool job_has_our_root(const struct job *job)
{
    char path[PATH_ROOM];
    struct stat theirs, ours;

    snprintf(path, sizeof path, "/proc/%ld/root", (long)job->pid);
    return stat(path, &theirs) == 0 && stat("/", &ours) == 0 && theirs.st_ino == ours.st_ino && theirs.st_dev == ours.st_dev;
}
