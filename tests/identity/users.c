/* SPDX-License-Identifier: ISC */
/* A program that gives its user up in every way that there is, between one-shot requests: what tests/identity/e2e_users
 * runs, directly and under holdfast.
 *
 *     users PORT COUNT SEED SPY
 *
 * Each request says whose it is (X-User): the fsuid, and the user namespace if that is another one than at the
 * start.  A process that has no way back looks, past libc, at all that it holds: no socket of holdfast's, no board,
 * in no descriptor and no mapping.  What it finds it prints; it ends with the number of faults. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <spawn.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/fsuid.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

enum { USERS = 2, FIRST_USER = 4001, ROUNDS_AS_ANOTHER = 3 };

static char *self, *spy, port_text[8], seed_text[16];
static int port;
static unsigned seed;
static _Atomic int faults;
static const char *realm = ""; /* ".new" in a user namespace of its own */

extern char **environ;

static unsigned chance(unsigned n)
{
    seed = seed * 1103515245u + 12345u;
    return (seed >> 16) % n;
}

static void fault(const char *what, const char *more)
{
    printf("%d as %d: %s %s\n", getpid(), (int)geteuid(), what, more);
    fflush(stdout);
    faults++;
}

static void exchange_as(const char *who)
{
    struct sockaddr_in to = { .sin_family = AF_INET, .sin_port = htons((uint16_t)port),
                              .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    char text[2048];
    size_t got = 0;
    ssize_t n;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    if (fd < 0 || connect(fd, (struct sockaddr *)&to, sizeof to) != 0) {
        fault("connect", strerror(errno));
        close(fd);
        return;
    }
    int len = snprintf(text, sizeof text, "GET /%s HTTP/1.0\r\nX-User: %s\r\n\r\n", who, who);
    if (write(fd, text, (size_t)len) != len)
        fault("write", strerror(errno));
    while (got < sizeof text - 1 && (n = read(fd, text + got, sizeof text - 1 - got)) > 0)
        got += (size_t)n;
    text[got] = '\0';
    char *body = strstr(text, "\r\n\r\n");
    if (!body || strcmp(body + 4, who) != 0)
        fault("not the answer:", text);
    close(fd);
}

static void exchange(void)
{
    char who[32];

    snprintf(who, sizeof who, "%d%s", setfsuid((uid_t)-1), realm);
    exchange_as(who);
}

/* By raw calls: the library hides what is its own from the others. */
static int descriptors(bool (*is_bad)(const char *target))
{
    struct entry {
        uint64_t inode;
        int64_t next;
        unsigned short size;
        unsigned char type;
        char name[];
    };
    _Alignas(8) char room[4096];
    char target[256];
    int found = 0, folder = open("/proc/self/fd", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    long len;

    while ((len = syscall(SYS_getdents64, folder, room, sizeof room)) > 0)
        for (long at = 0; at < len; at += ((struct entry *)(room + at))->size) {
            ssize_t n = readlinkat(folder, ((struct entry *)(room + at))->name, target, sizeof target - 1);
            target[n > 0 ? n : 0] = '\0';
            if (n > 0 && is_bad(target)) {
                fault("has", target);
                found++;
            }
        }
    syscall(SYS_close, folder);
    return found;
}

static char *unix_sockets; /* /proc/net/unix: the lines of holdfast's */

static bool is_of_tree(const char *target)
{
    char inode[32];

    if (strstr(target, "holdfast-board"))
        return true;
    if (sscanf(target, "socket:[%20[0-9]]", inode) != 1 || !unix_sockets)
        return false;
    for (char *line = unix_sockets; line && *line; line = strchr(line, '\n') ? strchr(line, '\n') + 1 : NULL) {
        char its[32] = "", *end = strchr(line, '\n'), *name = strstr(line, "holdfast-");
        if (name && (!end || name < end) && sscanf(line, "%*s %*s %*s %*s %*s %*s %31s", its) == 1 &&
            strcmp(its, inode) == 0)
            return true;
    }
    return false;
}

static char *read_all(const char *path)
{
    size_t size = 1 << 20, len = 0;
    char *text = malloc(size);
    FILE *file = fopen(path, "re");

    while (file && len < size - 1 && !feof(file) && !ferror(file))
        len += fread(text + len, 1, size - 1 - len, file);
    text[len] = '\0';
    if (file)
        fclose(file);
    return text;
}

/* Nobody here can be the old user again. */
static void look(void)
{
    free(unix_sockets);
    unix_sockets = read_all("/proc/net/unix");
    descriptors(is_of_tree);
    char *maps = read_all("/proc/self/maps");
    if (strstr(maps, "holdfast-board"))
        fault("has mapped", "the board");
    free(maps);
}

static void wait_for(pid_t pid)
{
    int status = 0;

    if (pid <= 0 || waitpid(pid, &status, 0) != pid || status != 0)
        fault("a child", pid <= 0 ? "could not be made" : WIFSIGNALED(status) ? strsignal(WTERMSIG(status)) : "found faults");
}

static _Noreturn void end(void)
{
    fflush(stdout);
    exit(faults ? 1 : 0);
}

/* Runs `act` in a child. */
static void in_child(void (*act)(uid_t user))
{
    uid_t user = FIRST_USER + chance(USERS);
    fflush(stdout);
    pid_t pid = fork();

    if (pid == 0) {
        act(user);
        end();
    }
    wait_for(pid);
}

static void go_on(void)
{
    look();
    for (int i = 0; i < ROUNDS_AS_ANOTHER; i++)
        exchange();
    look();
}

static void drop_by_libc(uid_t user)
{
    exchange();
    if ((seed & 1 ? setresuid(user, user, user) : setuid(user)) != 0)
        fault("setuid", strerror(errno));
    go_on();
}

static void drop_raw(uid_t user)
{
    exchange();
    if ((seed & 1 ? syscall(SYS_setresuid, user, user, user) : syscall(SYS_setuid, user)) != 0)
        fault("setresuid", strerror(errno));
    go_on();
}

/* The last step of three makes it final. */
static void drop_in_steps(uid_t user)
{
    exchange();
    if (seteuid(user) != 0)
        fault("seteuid", strerror(errno));
    exchange();
    if (seteuid(0) != 0 || setreuid(user, user) != 0)
        fault("setreuid", strerror(errno));
    go_on();
}

static void new_user_namespace(uid_t user)
{
    (void)user;
    exchange();
    if (unshare(CLONE_NEWUSER) != 0)
        return; /* not allowed here */
    int map = open("/proc/self/uid_map", O_WRONLY | O_CLOEXEC);
    if (map >= 0 && write(map, "0 0 1", 5) == 5)
        realm = ".new";
    else
        _exit(0);
    close(map);
    go_on();
}

static char *const *as_user_environment(uid_t user)
{
    static char place[64];

    snprintf(place, sizeof place, "%s/%d", getenv("USERS_RUN") ? getenv("USERS_RUN") : "/nonexistent", (int)user);
    setenv("XDG_RUNTIME_DIR", place, 1);
    return environ;
}

static void exec_self(uid_t user)
{
    char few[] = "4";
    char *const argv[] = { self, port_text, few, seed_text, spy, NULL };

    snprintf(seed_text, sizeof seed_text, "%u", chance(1000000));
    exchange();
    if (setresuid(user, user, user) != 0)
        fault("setresuid", strerror(errno));
    execve(self, argv, as_user_environment(user));
    fault("execve", strerror(errno));
}

static void exec_spy_raw(uid_t user)
{
    char *const argv[] = { spy, port_text, NULL };

    exchange();
    syscall(SYS_setresuid, user, user, user);
    syscall(SYS_execve, spy, argv, environ);
    fault("execve", strerror(errno));
}

static void exec_spy_as_owner(uid_t user)
{
    char text[16];
    char *const argv[] = { spy, port_text, text, NULL };

    snprintf(text, sizeof text, "%d", (int)user);
    exchange();
    execv(spy, argv);
    fault("execv", strerror(errno));
}

static void spawn_spy(uid_t user)
{
    char text[16];
    char *const argv[] = { spy, port_text, text, NULL };
    pid_t pid = 0;

    snprintf(text, sizeof text, "%d", (int)user);
    exchange();
    if (posix_spawn(&pid, spy, NULL, NULL, argv, environ) != 0)
        fault("posix_spawn", spy);
    wait_for(pid);
    exchange();
}

static void vfork_spy(uid_t user)
{
    char text[16];
    char *const argv[] = { spy, port_text, text, NULL };

    snprintf(text, sizeof text, "%d", (int)user);
    exchange();
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wdeprecated-declarations"
    pid_t pid = vfork();
#pragma GCC diagnostic pop
    if (pid == 0) {
        syscall(SYS_setresuid, user, user, user);
        execv(spy, argv);
        _exit(1);
    }
    wait_for(pid);
    exchange();
}

static void shell_spy(uid_t user)
{
    char line[512];

    exchange();
    snprintf(line, sizeof line, "%s %s %d && exec %s %s %d", spy, port_text, (int)user, spy, port_text, (int)user);
    if (system(line) != 0)
        fault("system", line);
    exchange();
}

static void *thread_there_and_back(void *arg)
{
    uid_t user = *(uid_t *)arg;

    exchange();
    if (syscall(SYS_setresuid, -1, user, -1) != 0)
        fault("setresuid", strerror(errno));
    exchange();
    exchange();
    if (syscall(SYS_setresuid, -1, 0, -1) != 0)
        fault("setresuid", strerror(errno));
    exchange();
    return NULL;
}

static void *thread_drops(void *arg)
{
    uid_t user = *(uid_t *)arg;

    if (syscall(SYS_setresuid, user, user, user) != 0)
        fault("setresuid", strerror(errno));
    exchange();
    exchange();
    return NULL;
}

static void in_thread(void *(*act)(void *), uid_t user)
{
    pthread_t thread;

    if (pthread_create(&thread, NULL, act, &user) != 0) {
        fault("pthread_create", "");
        return;
    }
    exchange();
    pthread_join(thread, NULL);
    exchange();
}

/* One thread is the other user, and then all are. */
static void drop_thread_by_thread(uid_t user)
{
    in_thread(thread_drops, user);
    exchange();
    if (syscall(SYS_setresuid, user, user, user) != 0)
        fault("setresuid", strerror(errno));
    go_on();
}

static void there_and_back(uid_t user)
{
    if (seteuid(user) != 0)
        fault("seteuid", strerror(errno));
    exchange();
    exchange();
    if (seteuid(0) != 0)
        fault("seteuid", strerror(errno));
    exchange();
}

static void by_fsuid(uid_t user)
{
    setfsuid(user);
    exchange();
    exchange();
    setfsuid(0);
    exchange();
}

static int run_child(void *arg)
{
    static char stack_end;

    (void)stack_end;
    drop_by_libc(*(uid_t *)arg);
    end();
}

static void by_clone(uid_t user)
{
    static _Alignas(16) char stack[256 * 1024];

    exchange();
    fflush(stdout);
    wait_for(clone(run_child, stack + sizeof stack, SIGCHLD, &user));
    exchange();
}

static void root_round(void)
{
    static void (*const children[])(uid_t) = {
        drop_by_libc, drop_raw, drop_in_steps, new_user_namespace, exec_self, exec_spy_raw, exec_spy_as_owner,
        spawn_spy, vfork_spy, shell_spy, drop_thread_by_thread, by_clone,
    };
    uid_t user = FIRST_USER + chance(USERS);
    unsigned what = chance(sizeof children / sizeof children[0] + 8);

    exchange();
    if (what < sizeof children / sizeof children[0])
        in_child(children[what]);
    else if (what % 4 == 0)
        there_and_back(user);
    else if (what % 4 == 1)
        by_fsuid(user);
    else if (what % 4 == 2)
        in_thread(thread_there_and_back, user);
    exchange();
}

int main(int argc, char **argv)
{
    if (argc < 5)
        return 2;
    self = argv[0];
    snprintf(port_text, sizeof port_text, "%s", argv[1]);
    port = atoi(argv[1]);
    seed = (unsigned)atoi(argv[3]);
    spy = argv[4];
    for (int n = atoi(argv[2]); n > 0; n--)
        if (geteuid() == 0)
            root_round();
        else
            exchange();
    end();
}
