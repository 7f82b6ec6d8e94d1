/* SPDX-License-Identifier: ISC */
/* Programs started in the middle: who inherits what, and goes on reading. */
#define _GNU_SOURCE
#include "surface.h"

#include <errno.h>
#include <fcntl.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

/* A word that may be written to, as exec wants them. */
#define WORD(text) ((char[]){ text })

static char port[16], number[16], state[16];

/* surface PORT rest none MODE KIND FD STATE SEED */
static char **rest_arguments(const struct talk *t)
{
    static char seed[16];
    static char rest[] = "rest", none[] = "none", keep[] = "keep", warm[] = "warm", bytes[] = "bytes";
    static char *arguments[10];
    char *words[] = { run.self, port, rest, none, run.keep ? keep : warm, bytes, number, state, seed, NULL };

    snprintf(port, sizeof port, "%d", run.port);
    snprintf(number, sizeof number, "%d", t->fd);
    snprintf(state, sizeof state, "%d", t->state);
    snprintf(seed, sizeof seed, "%d", t->seed);
    memcpy(arguments, words, sizeof words);
    return arguments;
}

/* The other end of it.  A body begun by another is hashed from where we come in. */
int main_rest(char **arguments)
{
    struct talk t;

    talk_init(&t);
    talk_ask(&t, atoi(arguments[2]));
    t.fd = atoi(arguments[0]);
    t.state = (enum state)atoi(arguments[1]);
    t.sent = t.state == STATE_HALF ? talk_half(&t) : 0;
    t.in_body = t.state >= STATE_MIDDLE;
    if (t.state == STATE_ENDED) {
        t.over = true;
    } else if (t.state == STATE_MIDDLE) {
        t.body = MIDDLE_BYTES;
        t.length = BODY_BYTES;
    }
    talk_end(&t);
    talk_whole(1);
    return 0;
}

int main_lists(char **arguments)
{
    int n = 0;

    for (int fd = 3; fd < 1024; fd++) {
        char path[40], target[200];
        snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
        ssize_t len = readlink(path, target, sizeof target - 1);
        if (len < 0 || fcntl(fd, F_GETFD) < 0) /* the queues of the tree are not the program's */
            continue;
        target[len] = '\0';
        if (arguments[0] && strcmp(arguments[0], "aloud") == 0)
            say("inherited: %.*s", (int)strcspn(target, "[:"), target);
        n++;
    }
    return n;
}

/* cat reads by read(2); sed and cksum by stdio, on a stream that is older than all that we can do. */
static const char *shell_command(const struct talk *t, bool stdio)
{
    static char command[200];

    snprintf(command, sizeof command, "%s<&%d %s%s", stdio ? "" : "cat ", t->fd, stdio ? "" : "| ",
             t->state == STATE_SENT ? "sed '1,/^\r*$/d' | cksum" : "cksum");
    return command;
}

static void start(struct talk *t, const char *how, bool keep)
{
    pid_t pid = fork();

    if (pid == 0) {
        char **arguments = rest_arguments(t);
        if (strcmp(how, "clean") == 0)
            execve(run.self, arguments, (char *[]){ NULL });
        else if (strcmp(how, "shell") == 0)
            execl("/bin/sh", "sh", "-c", shell_command(t, false), (char *)NULL);
        else if (strcmp(how, "stdio") == 0)
            execl("/bin/sh", "sh", "-c", shell_command(t, true), (char *)NULL);
        else if (strcmp(how, "static") == 0)
            execl(run.arguments[0], "static", number, t->state == STATE_SENT ? "1" : "0", (char *)NULL);
        else
            execv(run.self, arguments);
        said("exec", -1);
        _exit(1);
    }
    if (!keep)
        close(t->fd);
    say_child("child", pid);
    if (keep)
        close(t->fd);
}

void op_exec_reads(struct talk *t)
{
    start(t, "", true);
}

void op_exec_requests(struct talk *t)
{
    start(t, "", false);
}

/* Under another loader's rule: nothing is preloaded there. */
void op_exec_clean(struct talk *t)
{
    if (!run.keep)
        start(t, "clean", false);
}

/* Its path is the first of the arguments. */
void op_exec_static(struct talk *t)
{
    if (!run.keep && run.arguments[0])
        start(t, "static", false);
}

void op_exec_shell(struct talk *t)
{
    if (!run.keep)
        start(t, "shell", false);
}

void op_exec_stdio(struct talk *t)
{
    if (!run.keep)
        start(t, "stdio", false);
}

/* The process itself becomes another program. */
void op_exec_here(struct talk *t)
{
    run.no_after = true;
    execv(run.self, rest_arguments(t));
    said("exec", -1);
}

void op_exec_here_cat(struct talk *t)
{
    run.no_after = true;
    dup2(t->fd, 0);
    close(t->fd);
    execlp("cat", "cat", (char *)NULL);
    said("exec", -1);
}

void op_exec_cloexec(struct talk *t)
{
    fcntl(t->fd, F_SETFD, FD_CLOEXEC);
    pid_t pid = fork();

    if (pid == 0)
        execl(run.self, run.self, "1", "lists", "none", "cold", "bytes", "aloud", (char *)NULL);
    say_child("inherited", pid);
    talk_end(t);
}

/* It comes back, and all is as before. */
void op_exec_fails(struct talk *t)
{
    said("execve", execve("/nowhere", (char *[]){ WORD("x"), NULL }, environ));
    said("execvp", execvp("surely-not-there", (char *[]){ WORD("x"), NULL }));
    said("execl", execl("/", "x", (char *)NULL));
    said("fexecve", fexecve(-1, (char *[]){ WORD("x"), NULL }, environ));
    talk_end(t);
}

/* An open exchange, and idle connections: nothing but the first is passed on. */
void op_exec_lists(struct talk *t)
{
    pid_t pid = fork();

    if (pid == 0)
        execl(run.self, run.self, "1", "lists", "none", "cold", "bytes", "aloud", (char *)NULL);
    say_child("inherited", pid);
    talk_end(t);
}

/* The new program only holds it. */
void op_exec_parent_reads(struct talk *t)
{
    pid_t pid = fork();

    if (pid == 0)
        execlp("sleep", "sleep", "0.3", (char *)NULL);
    sleep_ms(30);
    talk_end(t);
    say_child("child", pid);
}

void op_vfork_exec(struct talk *t)
{
    pid_t pid = vfork();

    if (pid == 0) {
        execl("/bin/true", "true", (char *)NULL);
        _exit(1);
    }
    say_child("child", pid);
    talk_end(t);
}

/* What it closes, or moves about, is its own. */
void op_vfork_closes(struct talk *t)
{
    pid_t pid = vfork();

    if (pid == 0) {
        dup2(t->fd, 0);
        fcntl(0, F_SETFL, O_NONBLOCK | O_RDWR);
        fcntl(0, F_SETFL, O_RDWR);
        for (int fd = 3; fd < 1024; fd++)
            close(fd);
        execl("/bin/true", "true", (char *)NULL);
        _exit(1);
    }
    say_child("child", pid);
    talk_end(t);
}

void op_vfork_fails(struct talk *t)
{
    pid_t pid = vfork();

    if (pid == 0) {
        close(t->fd);
        execl("/nowhere", "x", (char *)NULL);
        _exit(7);
    }
    say_child("child", pid);
    talk_end(t);
}

static void spawned(char *const *arguments, posix_spawn_file_actions_t *actions)
{
    pid_t pid;

    errno = posix_spawn(&pid, arguments[0], actions, NULL, arguments, environ);
    if (errno)
        said("posix_spawn", -1);
    else
        say_child("child", pid);
}

void op_spawn(struct talk *t)
{
    spawned((char *[]){ run.self, WORD("1"), WORD("lists"), WORD("none"), WORD("cold"), WORD("bytes"),
                        WORD("aloud"), NULL },
            NULL);
    errno =
        posix_spawnp(&(pid_t){ 0 }, "surely-not-there", NULL, NULL, (char *[]){ WORD("x"), NULL }, environ);
    said("posix_spawnp", errno ? -1 : 0);
    talk_end(t);
}

void op_spawn_reads(struct talk *t)
{
    spawned(rest_arguments(t), NULL);
    said("close", close(t->fd));
}

void op_spawn_actions(struct talk *t)
{
    posix_spawn_file_actions_t actions;
    char command[] = "cat | sed '1,/^\r*$/d' | cksum", plain[] = "cat | cksum";

    if (run.keep)
        return;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, t->fd, 0);
    posix_spawn_file_actions_addclose(&actions, t->fd);
    spawned((char *[]){ WORD("/bin/sh"), WORD("-c"), t->state == STATE_SENT ? command : plain, NULL },
            &actions);
    posix_spawn_file_actions_destroy(&actions);
    said("close", close(t->fd));
}

void op_system(struct talk *t)
{
    said("system", system("exit 3"));
    talk_end(t);
}

void op_system_reads(struct talk *t)
{
    if (!run.keep)
        said("system", system(shell_command(t, false)));
    said("close", close(t->fd));
}

void op_system_stdio(struct talk *t)
{
    if (!run.keep)
        said("system", system(shell_command(t, true)));
    said("close", close(t->fd));
}

static void piped(const char *command)
{
    char line[200];
    FILE *f = popen(command, "r");

    while (f && fgets(line, sizeof line, f))
        say("popen: %.*s", (int)strcspn(line, "\n"), line);
    said("pclose", f ? pclose(f) : -1);
}

void op_popen(struct talk *t)
{
    piped("echo hello");
    talk_end(t);
}

void op_popen_reads(struct talk *t)
{
    if (!run.keep)
        piped(shell_command(t, false));
    said("close", close(t->fd));
}
