/* SPDX-License-Identifier: ISC */
#define _GNU_SOURCE
#include "calls.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <spawn.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <threads.h>
#include <time.h>
#include <unistd.h>

#include "lib/older_libc.h"

enum { LINES = 200, LINE = 400, BLOCKED_MS = 300 };

extern char **environ;

int slots[SLOTS] = { -1, -1, -1, -1, -1, -1, -1, -1 };

static char text[65536];
static char *lines[LINES];
static int count, at;
static __thread char out[2048];
static __thread size_t used;
static const char *self;
static volatile sig_atomic_t signals;
static bool later; /* something is to be done when this program sleeps: the next call will */

void say(const char *format, ...)
{
    va_list ap;
    va_start(ap, format);
    int n = vsnprintf(out + used, sizeof out - used, format, ap);
    va_end(ap);
    if (n > 0)
        used = used + (size_t)n < sizeof out ? used + (size_t)n : sizeof out - 1;
}

void say_result(long result)
{
    if (result >= 0)
        say(" = %ld", result);
    else
        say(" = %ld errno %d", result, errno);
}

uint64_t hash_bytes(const void *bytes, size_t len)
{
    uint64_t hash = 0xcbf29ce484222325u;

    for (size_t i = 0; i < len; i++)
        hash = (hash ^ ((const unsigned char *)bytes)[i]) * 0x100000001b3u;
    return hash;
}

void say_bytes(const char *bytes, size_t len)
{
    say(" %016llx '", (unsigned long long)hash_bytes(bytes, len));
    for (size_t i = 0; i < len && i < 12; i++)
        say("%c", bytes[i] > ' ' && bytes[i] < 127 ? bytes[i] : '.');
    say("'");
}

static void flush(void)
{
    say("\n");
    said_add(out, used);
    used = 0;
}

long call_number(const struct call *call, int i)
{
    return i < call->argc ? strtol(call->argv[i], NULL, 0) : 0;
}

const char *call_word(const struct call *call, int i)
{
    return i < call->argc ? call->argv[i] : "-";
}

int *slot_of(const struct call *call, int i)
{
    return &slots[(unsigned long)call_number(call, i) % SLOTS];
}

do_call call_find(const struct call_entry *table, size_t n, const char *name)
{
    for (size_t i = 0; i < n; i++)
        if (strcmp(table[i].name, name) == 0)
            return table[i].work;
    return NULL;
}

static void split(char *line, struct call *call)
{
    char *save = NULL;

    call->argc = 0;
    for (char *word = strtok_r(line, " \n", &save); word && call->argc < WORDS; word = strtok_r(NULL, " \n", &save))
        call->argv[call->argc++] = word;
}

static void play(int n);
static void play_one(void);

/* `fork N [HOW]`: a child makes the next N calls, then its parent goes on behind them.  HOW it ends: _exit, _Exit, exit,
 * quick.  `_fork`: likewise. */
static void do_fork(const struct call *call)
{
    int n = (int)call_number(call, 1);
    flush();
    pid_t pid = call->argv[0][0] == '_' ? _Fork() : fork();

    if (pid == 0) {
        play(n);
        if (strcmp(call_word(call, 2), "_Exit") == 0)
            _Exit(0);
        if (strcmp(call_word(call, 2), "exit") == 0)
            exit(0);
        if (strcmp(call_word(call, 2), "quick") == 0)
            quick_exit(0);
        _exit(0);
    }
    int status = -1;
    waitpid(pid, &status, 0);
    at += n;
    say("  child %d", status);
}

static void *thread_play(void *n)
{
    play((int)(intptr_t)n);
    return NULL;
}

static int thrd_play(void *n)
{
    play((int)(intptr_t)n);
    return 0;
}

/* `thread N [thrd]`: the next N calls in a thread, which is joined first. */
static void do_thread(const struct call *call)
{
    pthread_t thread;

    flush();
    if (strcmp(call_word(call, 2), "thrd") == 0) {
        thrd_t other;
        thrd_create(&other, thrd_play, (void *)(intptr_t)call_number(call, 1));
        thrd_join(other, NULL);
    } else {
        pthread_create(&thread, NULL, thread_play, (void *)(intptr_t)call_number(call, 1));
        pthread_join(thread, NULL);
    }
    say("  joined");
}

struct one { /* a call for another thread */
    const char *line;
    atomic_int tid;
    atomic_bool done;
};

static void *thread_one(void *arg)
{
    struct one *one = arg;
    struct call call;
    char copy[LINE];

    snprintf(copy, sizeof copy, "%s", one->line);
    split(copy, &call);
    do_call work = io_find(call.argv[0]);
    if (!work)
        work = wait_find(call.argv[0]);
    if (!work)
        work = fd_find(call.argv[0]);
    say("  blocked %s", one->line);
    atomic_store(&one->tid, (int)syscall(SYS_gettid));
    if (work)
        work(&call);
    atomic_store(&one->done, true);
    char *said = malloc(used + 1);
    memcpy(said, out, used);
    said[used] = '\0';
    return said;
}

/* `blocked`: the next call in a thread; when that sleeps, or has come back, the one behind it here. */
static void do_blocked(const struct call *call)
{
    pthread_t thread;
    void *said;
    struct one one = { .done = false, .tid = 0 };

    (void)call;
    flush();
    if (at + 1 >= count)
        return;
    one.line = lines[at++];
    pthread_create(&thread, NULL, thread_one, &one);
    for (int ms = 0, slept = 0; ms < BLOCKED_MS && slept < ASLEEP_LOOKS && !atomic_load(&one.done); ms++) {
        usleep(1000);
        int tid = atomic_load(&one.tid);
        slept = tid && is_asleep((int)getpid(), tid) ? slept + 1 : 0;
    }
    play_one();
    pthread_join(thread, &said);
    say("%s", (char *)said);
    free(said);
}

static void on_signal(int number)
{
    (void)number;
    signals++;
}

/* `later signal plain|restart`, `later answer K PART`, `later end K`, `later reset K`: when the next call sleeps. */
static void do_later(const struct call *call)
{
    char line[96];

    if (strcmp(call_word(call, 1), "signal") == 0) {
        struct sigaction action = { .sa_handler = on_signal,
                                    .sa_flags = strcmp(call_word(call, 2), "restart") == 0 ? SA_RESTART : 0 };
        sigaction(SIGALRM, &action, NULL);
    }
    snprintf(line, sizeof line, "later %d %ld %s %s %s", (int)getpid(), syscall(SYS_gettid), call_word(call, 1),
             call_word(call, 2), call_word(call, 3));
    talk_forward(line);
    talk_flush();
    later = true;
}

/* What the next call did not sleep for is done now, but for signals. */
static void settle_later(void)
{
    int before = signals;

    later = false;
    talk_ask_origin("now");
    say(" signals %d", before);
    signals = 0;
}

/* The number in a shell's words. */
static void run_shell(const char *how, const char *number)
{
#ifndef __GLIBC__ /* the shell is glibc's, and the library is not: `make portable` is for both */
    how = number = NULL;
#endif
    char command[64];

    if (!how)
        return;
    snprintf(command, sizeof command, "exec /proc/%d/exe reader %s", (int)getpid(), number);
    if (strcmp(how, "system") == 0) {
        say("  status %d", system(command));
        return;
    }
    FILE *stream = popen(command, "r");
    char line[512];
    while (stream && fgets(line, sizeof line, stream))
        say("  %.*s", (int)strcspn(line, "\n"), line);
    say("  status %d", stream ? pclose(stream) : -1);
}

/* `exec SLOT fork|vfork|spawn|spawnp|fexec|execvpe|system|popen`: another program, this one, reads what comes by that number. */
static void do_exec(const struct call *call)
{
    char number[16];
    const char *how = call_word(call, 2);
    char reader[] = "reader";
    char *argv[] = { (char *)(uintptr_t)self, reader, number, NULL };
    pid_t pid = -1;

    snprintf(number, sizeof number, "%d", *slot_of(call, 1));
    flush();
    if (strcmp(how, "system") == 0 || strcmp(how, "popen") == 0) {
        run_shell(how, number);
        return;
    }
    if (strcmp(how, "spawnp") == 0) {
        posix_spawnp(&pid, self, NULL, NULL, argv, environ);
    } else if (strcmp(how, "spawn") == 0) {
        posix_spawn(&pid, self, NULL, NULL, argv, environ);
    } else {
        pid = strcmp(how, "vfork") == 0 ? vfork() : fork();
        if (pid == 0) {
            if (strcmp(how, "fexec") == 0)
                fexecve(open(self, O_RDONLY | O_CLOEXEC), argv, environ);
            if (strcmp(how, "execvpe") == 0)
                execvpe(self, argv, environ);
            execv(self, argv);
            _exit(127);
        }
    }
    int status = -1;
    waitpid(pid, &status, 0);
    say("  status %d", status);
}

static int reader_main(int fd)
{
    char bytes[4096];
    ssize_t n = 1;

    said_find();
    say("  reader:");
    for (int i = 0; i < 20 && n > 0; i++) {
        struct pollfd wait = { .fd = fd, .events = POLLIN };
        int ready = poll(&wait, 1, 10);
        if (ready <= 0)
            break;
        n = read(fd, bytes, sizeof bytes);
        say_result(n);
        if (n > 0)
            say_bytes(bytes, (size_t)n);
    }
    flush();
    return 0;
}

static void do_origin(const struct call *call)
{
    char line[64];

    snprintf(line, sizeof line, "%s %s %s", call->argv[0], call_word(call, 1), call_word(call, 2));
    talk_ask_origin(line);
}

/* `sleep MS [HOW]`; `pause` wants a signal. */
static void do_sleep(const struct call *call)
{
    long ms = call_number(call, 1);
    struct timespec time = { .tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000 };
    const char *how = call_word(call, 2);

    if (strcmp(how, "sleep") == 0)
        say_result((long)sleep((unsigned)ms / 1000));
    else if (strcmp(how, "pause") == 0)
        say_result(pause());
    else if (strcmp(how, "nanosleep") == 0)
        say_result(nanosleep(&time, NULL));
    else if (strcmp(how, "clock") == 0)
        say(" = %d", clock_nanosleep(CLOCK_MONOTONIC, 0, &time, NULL));
    else
        say_result(usleep((useconds_t)ms * 1000));
}

static const struct call_entry own[] = {
    { "fork", do_fork },     { "_fork", do_fork },    { "thread", do_thread }, { "blocked", do_blocked }, { "later", do_later },
    { "exec", do_exec },     { "answer", do_origin }, { "end", do_origin },      { "reset", do_origin },
    { "sleep", do_sleep },
};

static void play_one(void)
{
    struct call call;
    char copy[LINE];

    snprintf(copy, sizeof copy, "%s", lines[at]);
    int number = at++;
    split(copy, &call);
    if (!call.argc)
        return;
    do_call work = call_find(own, sizeof own / sizeof own[0], call.argv[0]);
    if (!work)
        work = io_find(call.argv[0]);
    if (!work)
        work = wait_find(call.argv[0]);
    if (!work)
        work = fd_find(call.argv[0]);
    say("%d %s", number, lines[number]);
    bool slept_for = later;
    if (work)
        work(&call);
    else
        say(" ?");
    if (slept_for)
        settle_later();
    flush();
}

static void play(int n)
{
    while (n-- > 0 && at < count)
        play_one();
}

static void load(void)
{
    char *save = NULL;

    for (char *line = strtok_r(text, "\n", &save); line && count < LINES; line = strtok_r(NULL, "\n", &save)) {
        struct call call;
        char copy[LINE];
        snprintf(copy, sizeof copy, "%s", line);
        split(copy, &call);
        if (call.argc && strcmp(call.argv[0], "req") == 0)
            talk_request(&call);
        else if (call.argc && strcmp(call.argv[0], "resp") == 0)
            talk_forward(line);
        else if (*line && *line != '#' && (!call.argc || strcmp(call.argv[0], "with") != 0)) /* for calls_run.py */
            lines[count++] = line;
    }
}

static void finish(void)
{
    for (int i = 0; i < SLOTS; i++) {
        if (slots[i] >= 0)
            close(slots[i]);
        slots[i] = -1;
    }
    say("pipes %d", (int)signals);
    flush();
    talk_ask_origin("log");
    flush();
    talk_close();
    wait_forget();
    count = at = 0;
    signals = 0;
}

void play_text(const char *program, size_t len, const char *meeting, int port)
{
    struct sigaction pipes = { .sa_handler = on_signal };

    len = len < sizeof text - 1 ? len : sizeof text - 1;
    memcpy(text, program, len);
    text[len] = '\0';
    sigaction(SIGPIPE, &pipes, NULL);
    talk_open(meeting, port);
    load();
    play(count);
    finish();
}

int main(int argc, char **argv)
{
    self = "/proc/self/exe";
    if (argc == 3 && strcmp(argv[1], "origin") == 0)
        return origin_main(argv[2]);
    if (argc == 3 && strcmp(argv[1], "reader") == 0)
        return reader_main(atoi(argv[2]));
    if (argc == 4 && strcmp(argv[1], "serve") == 0)
        return serve_main(argv[2], atoi(argv[3]));
    fprintf(stderr, "usage: calls origin MEETING | calls serve MEETING PORT\n");
    return 2;
}
