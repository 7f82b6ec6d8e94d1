/* SPDX-License-Identifier: ISC */
/* Plays programs one after another, each in a child of its own: a fork costs less than an exec.  This process itself
 * has no socket, so every program begins with a library that has seen none.  LIMIT 0: plays the program in this process,
 * which costs far less; who says so sees to it that no library is here, that the program leaves nothing behind but
 * numbers, and that it does not hang.
 *
 *     stdin:  LIMIT, a line feed, LENGTH, a line feed, and so many bytes of program; it hangs after LIMIT ms
 *     stdout: what the program printed, how it ended, a NUL and a line feed, in one piece */
#define _GNU_SOURCE
#include "calls.h"
#include "base/syscalls.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { MOST = 65536, POPULATE_READ = 22 };

bool is_asleep(int pid, int tid)
{
    char path[64], text[256];

    snprintf(path, sizeof path, "/proc/%d/task/%d/stat", pid, tid);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t n = fd >= 0 ? read(fd, text, sizeof text - 1) : -1;
    if (fd >= 0)
        close(fd);
    text[n > 0 ? n : 0] = '\0';
    const char *name_end = strrchr(text, ')');
    return name_end && name_end[1] && name_end[2] == 'S';
}

static bool read_all(char *bytes, size_t len)
{
    for (size_t done = 0; done < len;) {
        ssize_t n = read(STDIN_FILENO, bytes + done, len - done);
        if (n <= 0)
            return false;
        done += (size_t)n;
    }
    return true;
}

/* A line of digits; -1: there is none. */
static long read_number(void)
{
    char digits[16];

    for (size_t i = 0; i < sizeof digits; i++) {
        if (!read_all(&digits[i], 1))
            return -1;
        if (digits[i] == '\n')
            return strtol(digits, NULL, 10);
    }
    return -1;
}

static void play_child(const char *program, size_t len, const char *meeting, int port, const sigset_t *mask)
{
    int nothing = open("/dev/null", O_RDWR);

    setpgid(0, 0);
    dup2(nothing, STDIN_FILENO);
    close(nothing);
    said_in_child();
    sigprocmask(SIG_SETMASK, mask, NULL);
    play_text(program, len, meeting, port);
    exit(0);
}

static void write_all(const char *bytes, size_t len)
{
    for (size_t done = 0; done < len;) {
        ssize_t n = write(STDOUT_FILENO, bytes + done, len - done);
        if (n <= 0)
            exit(1);
        done += (size_t)n;
    }
}

static void say_all(const char *end)
{
    size_t len;

    said_end(end, strlen(end));
    said_end("\0\n", 2);
    const char *all = said_all(&len);
    write_all(all, len);
}

/* Whatever the program leaves behind is ended, too. */
static void await(pid_t pid, const sigset_t *child, long limit_ms)
{
    const struct timespec limit = { .tv_sec = limit_ms / 1000, .tv_nsec = limit_ms % 1000 * 1000000 }, none = { 0 };
    int status = -1;
    bool hangs = sigtimedwait(child, NULL, &limit) < 0 && errno == EAGAIN;

    if (hangs)
        kill(-pid, SIGKILL);
    waitpid(pid, &status, 0);
    sigtimedwait(child, NULL, &none);
    kill(-pid, SIGKILL);
    char end[32];
    snprintf(end, sizeof end, "status %d\n", status);
    say_all(hangs ? "\nhangs\n" : end);
}

static void play_here(const char *program, size_t len, const char *meeting, int port)
{
    play_text(program, len, meeting, port);
    syscall(SYS_close_range, STDERR_FILENO + 1, HIGH_FD, 0);
    say_all("status 0\n");
}

/* Children of fork get the page tables of a mapping only if a page of it was written to; else each has to ask for each page of
 * the code anew, which is most of what a program costs. */
static void lend_page_tables(void)
{
    char line[512], access[8], name[256];
    unsigned long from, to;
    FILE *maps = fopen("/proc/self/maps", "re");

    while (maps && fgets(line, sizeof line, maps)) {
        if (sscanf(line, "%lx-%lx %7s %*s %*s %*s %255s", &from, &to, access, name) != 4 || *name != '/' || access[1] != '-')
            continue;
        int was = PROT_READ | (access[2] == 'x' ? PROT_EXEC : 0);
        volatile char *at = (volatile char *)from;
        if (access[0] != 'r' || mprotect((void *)from, to - from, was | PROT_WRITE) != 0)
            continue;
        *at = *at;
        mprotect((void *)from, to - from, was);
        madvise((void *)from, to - from, POPULATE_READ);
    }
    if (maps)
        fclose(maps);
}

int serve_main(const char *meeting, int port)
{
    static const struct timespec none;
    static char program[MOST];
    sigset_t child, before;
    long len, limit_ms;

    if (!said_make())
        return 1;
    lend_page_tables();
    sigemptyset(&child);
    sigaddset(&child, SIGCHLD);
    sigprocmask(SIG_BLOCK, &child, &before);
    while ((limit_ms = read_number()) >= 0) {
        len = read_number();
        if (len < 0 || len > MOST || !read_all(program, (size_t)len))
            return 1;
        said_begin();
        if (limit_ms == 0) {
            play_here(program, (size_t)len, meeting, port);
            continue;
        }
        sigtimedwait(&child, NULL, &none); /* of one that was played here */
        pid_t pid = fork();
        if (pid == 0)
            play_child(program, (size_t)len, meeting, port, &before);
        if (pid < 0)
            return 1;
        setpgid(pid, pid);
        await(pid, &child, limit_ms);
    }
    return 0;
}
