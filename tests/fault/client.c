/* SPDX-License-Identifier: ISC */
/* usage: fault_client PORT SCRIPT ID [EXCHANGE FD]   runs a script (the last two: after an exec)
 *        fault_client --list
 *
 * FAULT_FILL=EXCHANGE:STEP:FREE:STAYS   at the first call of that step the table of descriptors fills up,
 *      but for FREE of them; it is empty again when the exchange is over, or (STAYS is 1) when all are */
#define _GNU_SOURCE
#include "client.h"

#include "fault.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

enum { FDS_MAX = 4200, HUNG_AFTER = 8 };

struct run run;
volatile int pipe_signals;

static void no_mark(int where)
{
    (void)where;
}
static void (*mark)(int) = no_mark;

static struct {
    bool wanted, done;
    int exchange, step, spare, stays;
    int fds[FDS_MAX], count;
} fill;

void say(const char *format, ...)
{
    char text[512];
    va_list ap;

    va_start(ap, format);
    int len = vsnprintf(text, sizeof text, format, ap);
    va_end(ap);
    if (FAULT_KERNEL(SYS_write, STDOUT_FILENO, (long)text, len) < 0)
        _exit(4);
}

static void fill_up(void)
{
    int fd;

    fill.done = true;
    while (fill.count < FDS_MAX && (fd = (int)FAULT_KERNEL(SYS_fcntl, STDIN_FILENO, F_DUPFD_CLOEXEC, 0)) >= 0)
        fill.fds[fill.count++] = fd;
    for (int i = 0; i < fill.spare && fill.count; i++) {
        FAULT_KERNEL(SYS_close, fill.fds[0]);
        memmove(fill.fds, fill.fds + 1, (size_t)--fill.count * sizeof *fill.fds);
    }
}

static void empty_again(void)
{
    while (fill.count)
        FAULT_KERNEL(SYS_close, fill.fds[--fill.count]);
}

void begin_call(struct exchange *x, enum step step)
{
    int before = x->counts[step] < PLACE_STEP ? x->counts[step]++ : PLACE_STEP - 1;

    if (fill.wanted && !fill.done && x->index == fill.exchange && (int)step == fill.step)
        fill_up();
    mark(run.base + (x->index + 1) * PLACE_EXCHANGE + (int)step * PLACE_STEP + before);
}

void end_call(void)
{
    int saved = errno;

    mark(FAULT_NONE);
    errno = saved;
}

void fail(struct exchange *x, const char *call)
{
    x->failed = call;
    x->error = errno;
}

static void on_pipe(int number)
{
    (void)number;
    pipe_signals++;
}

static void on_alarm(int number)
{
    static const char text[] = "HUNG\n";

    (void)number;
    FAULT_KERNEL(SYS_write, STDOUT_FILENO, (long)text, sizeof text - 1);
    _exit(3);
}

static void *sleep_on(void *arg)
{
    mark(FAULT_NONE);
    pause();
    return arg;
}

static void run_script(void)
{
    static struct exchange all[2];
    const struct script *script = run.script;
    int step = script->paired ? 2 : 1;

    for (int i = 0; i < script->count; i += step) {
        int n = i + step > script->count ? 1 : step;
        for (int k = 0; k < n; k++)
            exchange_begin(&all[k], i + k);
        bool asked[2] = { exchange_ask(&all[0]), n > 1 && exchange_ask(&all[1]) };
        for (int k = 0; k < n; k++) {
            if (asked[k] && !all[k].how->no_send)
                exchange_receive(&all[k]);
            exchange_finish(&all[k]);
        }
        if (!fill.stays)
            empty_again();
    }
    empty_again();
}

/* Whose is it?  Asked past every library. */
static char kind_of(int fd)
{
    struct sockaddr_in6 name = { 0 };
    struct stat st;
    socklen_t len = sizeof name;

    if (FAULT_KERNEL(SYS_fstat, fd, (long)&st) < 0)
        return 0;
    if (!S_ISSOCK(st.st_mode))
        return 'f';
    if (FAULT_KERNEL(SYS_getpeername, fd, (long)&name, (long)&len) < 0)
        return 'u'; /* not connected */
    return ntohs(name.sin6_port) == run.port ? 'o' : 'e'; /* the port is at the same place in IPv4 */
}

/* Holdfast has let go of all that is idle, then.  Numbers below 20 one by one; of the rest how many lead
 * to the origin, to an end-of-file pair, to none, to a file. */
static void report_fds(void)
{
    int counts[256] = { 0 };

    prctl(PR_SET_SECCOMP, 9999L);
    say("fds");
    for (int fd = 0; fd < FDS_MAX; fd++) {
        int kind = kind_of(fd);
        if (kind && fd < 20)
            say(" %d%c", fd, kind);
        else if (kind)
            counts[kind]++;
    }
    say(" private o%d e%d u%d f%d\n", counts['o'], counts['e'], counts['u'], counts['f']);
}

static void find_script(const char *name)
{
    for (int i = 0; i < script_count; i++)
        if (strcmp(scripts[i].name, name) == 0)
            run.script = &scripts[i];
    if (!run.script)
        exit(2);
}

static int list(void)
{
    for (int i = 0; i < script_count; i++)
        say("%s %d%s%s\n", scripts[i].name, scripts[i].count, scripts[i].environment ? " " : "",
            scripts[i].environment ? scripts[i].environment : "");
    return 0;
}

int main(int argc, char **argv)
{
    const char *place = getenv("FAULT_START"), *full = getenv("FAULT_FILL");
    void *found = dlsym(RTLD_DEFAULT, "fault_mark");
    pthread_t thread;

    if (argc == 2 && strcmp(argv[1], "--list") == 0)
        return list();
    if (argc != 4 && argc != 6)
        return 2;
    if (found)
        *(void **)&mark = found;
    mark(FAULT_NONE);
    signal(SIGPIPE, on_pipe);
    signal(SIGALRM, on_alarm);
    alarm(HUNG_AFTER);
    run.port = atoi(argv[1]);
    run.id = argv[3];
    run.argv = argv;
    run.base = place ? atoi(place) : 0;
    find_script(argv[2]);
    fill.wanted = full && 
                  sscanf(full, "%d:%d:%d:%d", &fill.exchange, &fill.step, &fill.spare, &fill.stays) == 4;
    if (run.script->threads && pthread_create(&thread, NULL, sleep_on, NULL) != 0)
        return 4;
    if (argc == 6)
        exchange_resume(atoi(argv[4]), atoi(argv[5]));
    else
        run_script();
    report_fds();
    mark(run.base + PLACE_EXIT);
    return 0;
}
