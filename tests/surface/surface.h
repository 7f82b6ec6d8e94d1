/* SPDX-License-Identifier: ISC */
/* surface: does one thing to a socket, in one state of its exchange, and says what came of it.
 *
 *   surface.c  the command line, the table, what happens before and after each thing
 *   talk.c     an exchange that can be brought to a state, and finished from there
 *   say.c      output; it passes no stdio, which may be what is tested
 *   library.c  requests by a library of its own: also built as one, by the script
 *   others     what is done: one family of calls a file
 *
 * What it prints is a function of the server's answers alone, so that two runs can be compared: bodies
 * as length and hash, descriptors only relative to others.  It uses nothing but libc. */
#ifndef SURFACE_H
#define SURFACE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

enum state { STATE_NEW, STATE_CONNECTED, STATE_HALF, STATE_SENT, STATE_MIDDLE, STATE_ENDED };
enum { MIDDLE_BYTES = 1000, BODY_BYTES = 20000 };

struct io {
    int (*socket)(void);
    int (*connect)(int fd);
    ssize_t (*write)(int fd, const void *bytes, size_t n);
    ssize_t (*read)(int fd, void *bytes, size_t n);
    int (*close)(int fd);
};
extern const struct io io_libc;

struct talk {
    int fd, seed;
    enum state state;
    const struct io *io;
    char request[512];
    size_t request_len, sent;
    char head[4096];
    size_t head_len;
    bool in_body, over;
    long status, length, connection;
    size_t body;
    uint64_t hash;
    char end[40];
};

/* The run as a whole. */
struct run {
    int port;
    enum state state;
    bool warm, keep, nonblocking, slow, late;
    const char *kind; /* bytes, chunked, until-close */
    long size;        /* of each body */
    bool no_after;    /* the process is no longer one that can go on */
    char self[4096];  /* this program's file */
    char **arguments; /* what followed KIND */
};
extern struct run run;

/* say.c */
void say(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* "what = 5", or "what = -1 No such file or directory", from errno. */
void said(const char *what, long result);
uint64_t hash_bytes(uint64_t hash, const void *bytes, size_t n);
#define HASH_START 0xcbf29ce484222325u
long now_ms(void);
void sleep_ms(long ms);
int fds_open(void); /* that the program can see */
/* Waits for a child and says how it ended. */
void say_child(const char *what, pid_t pid);

/* talk.c */
void talk_init(struct talk *t);
void talk_ask(struct talk *t, int seed);           /* the request for the body of that number */
size_t talk_half(const struct talk *t);            /* bytes of the request until STATE_HALF */
void talk_reach(struct talk *t, enum state state); /* from where it is */
/* Bytes of the response that were read some other way. */
void talk_feed(struct talk *t, const void *bytes, size_t n);
void talk_ended(struct talk *t, ssize_t result); /* 0: end of file; -1: errno */
/* One read of at most n bytes, taken into account; false: the response has ended. */
bool talk_take(struct talk *t, size_t n);
void talk_body(struct talk *t, size_t n); /* until n bytes of the body are there */
void talk_report(const struct talk *t);
void talk_finish(struct talk *t); /* to the end, and report; with keep, a second request if it had ended */
void talk_end(struct talk *t);    /* the same, and close */
void talk_whole(int n);           /* n exchanges of their own */
int talk_socket(void);
int talk_connect(int fd);
int talk_seed(void);

/* The table: NAME, states (n c h s m e, or - for none), modes (c: cold, w: warm, k: keep,
 * n: nonblocking and warm), slow answers. */
#define OPS(OP)                                                                                              \
    OP(plain, "ncsme", "cwkn", false)                                                                        \
    OP(dup, "nchsme", "wkn", false)                                                                          \
    OP(dup_keep_both, "csme", "wk", false)                                                                   \
    OP(dup_alternate, "csm", "wk", false)                                                                    \
    OP(dup_close_copy, "nchsme", "wk", false)                                                                \
    OP(dup2, "nchsme", "wk", false)                                                                          \
    OP(dup2_onto, "nchsme", "wk", false)                                                                     \
    OP(dup2_self, "cme", "w", false)                                                                         \
    OP(dup2_registered, "csme", "cwk", false)                                                                \
    OP(fork_registered, "ncsme", "cwk", false)                                                               \
    OP(dup3, "ncsme", "wk", false)                                                                           \
    OP(dupfd, "nchsme", "wk", false)                                                                         \
    OP(dupfd_cloexec, "ncsme", "w", false)                                                                   \
    OP(dupfd_high, "cme", "w", false)                                                                        \
    OP(dup_many, "cme", "wk", false)                                                                         \
    OP(setfl, "nchsme", "wk", false)                                                                         \
    OP(getfl, "nchsme", "wkn", false)                                                                        \
    OP(setfd, "ncsme", "wk", false)                                                                          \
    OP(fcntl_odd, "cme", "w", false)                                                                         \
    OP(bad_numbers, "me", "w", false)                                                                        \
    OP(close_twice, "cme", "wk", false)                                                                      \
    OP(close_loop, "ncsme", "wk", false)                                                                     \
    OP(close_loop_raw, "cme", "w", false)                                                                    \
    OP(close_range, "ncsme", "wk", false)                                                                    \
    OP(close_range_above, "nchsme", "wk", false)                                                             \
    OP(close_range_one, "cme", "w", false)                                                                   \
    OP(close_range_cloexec, "cme", "w", false)                                                               \
    OP(close_range_bad, "me", "w", false)                                                                    \
    OP(closefrom, "ncme", "wk", false)                                                                       \
    OP(closefrom_above, "cme", "w", false)                                                                   \
    OP(close_proc, "cme", "w", false)                                                                        \
    OP(dup2_all, "nchsme", "wk", false)                                                                      \
    OP(dup2_all_socket, "cme", "wk", false)                                                                  \
    OP(rlimit, "ncsme", "wk", false)                                                                         \
    OP(rlimit_low, "cme", "w", false)                                                                        \
    OP(emfile, "ncsme", "wk", false)                                                                         \
    OP(emfile_one, "-", "wk", false)                                                                         \
    OP(high_numbers, "-", "w", false)                                                                        \
    OP(peek, "cme", "wkn", true)                                                                             \
    OP(peek_flags, "sme", "wk", false)                                                                       \
    OP(peek_end, "m", "w", false)                                                                            \
    OP(waitall, "sme", "wk", false)                                                                          \
    OP(trunc, "me", "wk", false)                                                                             \
    OP(trunc_null, "me", "wk", false)                                                                        \
    OP(dontwait, "sme", "wk", true)                                                                          \
    OP(preadv2_flags, "sme", "wk", true)                                                                     \
    OP(oob, "csme", "wk", false)                                                                             \
    OP(recv_odd, "csme", "wk", false)                                                                        \
    OP(recv_fault, "cme", "wk", true)                                                                        \
    OP(recvmsg, "sme", "wk", false)                                                                          \
    OP(recvmmsg, "sme", "wk", false)                                                                         \
    OP(recvmmsg_end, "sme", "w", false)                                                                      \
    OP(readv_odd, "me", "w", false)                                                                          \
    OP(recvfrom_name, "me", "w", false)                                                                      \
    OP(rcvtimeo, "ncsme", "wk", true)                                                                        \
    OP(sndtimeo, "ncsme", "wk", false)                                                                       \
    OP(lowat, "ncm", "w", false)                                                                             \
    OP(sendmmsg, "c", "cwk", false)                                                                          \
    OP(sendmsg_more, "ch", "wk", false)                                                                      \
    OP(send_fault, "chme", "wk", false)                                                                      \
    OP(send_zero, "chsme", "wk", false)                                                                      \
    OP(send_after_end, "e", "w", false)                                                                      \
    OP(sendfile, "ch", "wk", false)                                                                          \
    OP(sendfile64, "ch", "w", false)                                                                         \
    OP(sendfile_body, "c", "wk", false)                                                                      \
    OP(splice_out, "ch", "wk", false)                                                                        \
    OP(splice_in, "sme", "wk", false)                                                                        \
    OP(splice_waits, "cs", "wkn", true)                                                                      \
    OP(splice_signal, "s", "wk", true)                                                                       \
    OP(splice_much, "sm", "wk", false)                                                                       \
    OP(sendfile_in, "sm", "wk", false)                                                                       \
    OP(fastopen, "n", "cwkn", false)                                                                         \
    OP(fastopen_connected, "cme", "w", false)                                                                \
    OP(fastopen_connect, "n", "wk", false)                                                                   \
    OP(shut_wr, "csme", "w", false)                                                                          \
    OP(shut_rdwr, "csme", "wk", false)                                                                       \
    OP(shut_rd, "me", "w", false)                                                                            \
    OP(raw_syscalls, "-", "cwkn", false)                                                                     \
    OP(raw_close, "ncsme", "wk", false)                                                                      \
    OP(raw_dup, "nchsme", "wk", false)                                                                       \
    OP(raw_dup2, "cme", "w", false)                                                                          \
    OP(raw_dup3, "cme", "w", false)                                                                          \
    OP(raw_close_range, "cme", "w", false)                                                                   \
    OP(raw_write, "ch", "wk", false)                                                                         \
    OP(raw_read, "sme", "wkn", false)                                                                        \
    OP(raw_sendto, "ch", "wk", false)                                                                        \
    OP(raw_recvfrom, "sme", "wk", false)                                                                     \
    OP(raw_getsockopt, "cme", "wk", true)                                                                    \
    OP(raw_msg, "csme", "wk", false)                                                                         \
    OP(raw_mmsg, "csme", "wk", false)                                                                        \
    OP(raw_splice, "sme", "wk", false)                                                                       \
    OP(hidden_read, "sm", "k", false)                                                                        \
    OP(hidden_write, "c", "cwk", false)                                                                      \
    OP(hidden_close, "ncsme", "wk", false)                                                                   \
    OP(hidden_all, "-", "wk", false)                                                                         \
    OP(uring, "-", "c", false)                                                                               \
    OP(aio_read, "csme", "cw", false)                                                                        \
    OP(sockopts, "ncme", "wk", true)                                                                         \
    OP(sockopts_set, "ncme", "wk", true)                                                                     \
    OP(names, "ncsme", "wk", true)                                                                           \
    OP(fionread, "ncme", "wk", false)                                                                        \
    OP(fionbio, "ncsme", "wk", true)                                                                         \
    OP(outq, "ncme", "wk", true)                                                                             \
    OP(ioctls, "ncme", "wk", true)                                                                           \
    OP(odd_options, "ne", "w", false)                                                                        \
    OP(odd_then, "cme", "w", false)                                                                          \
    OP(odd_flags, "ncme", "wk", false)                                                                       \
    OP(odd_lengths, "ncme", "wkn", false)                                                                    \
    OP(odd_nowait, "cme", "wk", false)                                                                       \
    OP(connect_again, "cme", "wk", true)                                                                     \
    OP(bind_again, "ncme", "w", true)                                                                        \
    OP(fstat, "nce", "w", false)                                                                             \
    OP(stream_before, "n", "cwk", false)                                                                     \
    OP(stream, "csme", "wk", false)                                                                          \
    OP(stream_two, "c", "wk", false)                                                                         \
    OP(stream_plus, "csm", "wk", false)                                                                      \
    OP(stream_fileno, "csme", "wk", false)                                                                   \
    OP(stream_unbuffered, "csm", "wk", false)                                                                \
    OP(stream_lines, "s", "w", false)                                                                        \
    OP(stream_modes, "cme", "w", false)                                                                      \
    OP(stream_seek, "cme", "w", false)                                                                       \
    OP(stream_reopen, "cme", "w", false)                                                                     \
    OP(stream_fork, "sm", "wk", false)                                                                       \
    OP(stream_many, "-", "w", false)                                                                         \
    OP(stream_mixed, "m", "wk", false)                                                                       \
    OP(stream_eof, "e", "wk", false)                                                                         \
    OP(stream_ahead, "cs", "wk", false)                                                                      \
    OP(stream_together, "m", "wk", false)                                                                    \
    OP(stdin_reads, "csme", "wk", false)                                                                     \
    OP(stdout_writes, "c", "cwk", false)                                                                     \
    OP(stdin_closes, "ncsme", "cwk", false)                                                                  \
    OP(stdin_reopens, "cme", "wk", false)                                                                    \
    OP(dprintf, "ch", "wk", false)                                                                           \
    OP(vdprintf, "ch", "wk", false)                                                                          \
    OP(fork_child_reads, "csme", "cwkn", false)                                                              \
    OP(fork_parent_reads, "nchsme", "wkn", false)                                                            \
    OP(fork_alternate, "sm", "wk", false)                                                                    \
    OP(fork_child_exits, "sme", "wk", false)                                                                 \
    OP(fork_both_request, "cme", "wk", false)                                                                \
    OP(fork_child_closes, "nchsme", "wk", false)                                                             \
    OP(fork_twice, "sme", "wk", false)                                                                       \
    OP(fork_raw, "sme", "wk", false)                                                                         \
    OP(fork_orphan, "sme", "wk", false)                                                                      \
    OP(vfork_exec, "nchsme", "wk", false)                                                                    \
    OP(vfork_closes, "cme", "wk", false)                                                                     \
    OP(vfork_fails, "cme", "w", false)                                                                       \
    OP(spawn, "nchsme", "wk", false)                                                                         \
    OP(spawn_reads, "sme", "wk", false)                                                                      \
    OP(spawn_actions, "sm", "wk", false)                                                                     \
    OP(system, "nchsme", "wk", false)                                                                        \
    OP(system_reads, "sme", "wk", false)                                                                     \
    OP(system_stdio, "sm", "wk", false)                                                                      \
    OP(popen, "nchsme", "wk", false)                                                                         \
    OP(popen_reads, "sm", "wk", false)                                                                       \
    OP(exec_reads, "sme", "wkn", false)                                                                      \
    OP(exec_requests, "ch", "wk", false)                                                                     \
    OP(exec_here, "sme", "wk", false)                                                                        \
    OP(exec_here_cat, "sme", "w", false)                                                                     \
    OP(exec_shell, "sm", "wk", false)                                                                        \
    OP(exec_stdio, "sm", "wk", false)                                                                        \
    OP(exec_clean, "sme", "wk", false)                                                                       \
    OP(exec_static, "sme", "wk", false)                                                                      \
    OP(exec_cloexec, "me", "w", false)                                                                       \
    OP(exec_fails, "nchsme", "wk", false)                                                                    \
    OP(exec_lists, "ncsme", "wk", false)                                                                     \
    OP(exec_parent_reads, "sme", "wk", false)                                                                \
    OP(daemon, "nchsme", "wk", false)                                                                        \
    OP(rights, "ncsme", "wk", false)                                                                         \
    OP(rights_self, "csme", "wk", false)                                                                     \
    OP(storm, "m", "wk", false)                                                                              \
    OP(storm_requests, "m", "wk", false)                                                                     \
    OP(cancel_recv, "cm", "wk", true)                                                                        \
    OP(cancel_poll, "cm", "w", true)                                                                         \
    OP(wait_unread, "s", "cwn", false)                                                                       \
    OP(wait_unread_epoll, "s", "cwn", false)                                                                 \
    OP(wait_unread_edge, "s", "cwn", false)                                                                  \
    OP(wait_unread_oneshot, "s", "cwn", false)                                                               \
    OP(wait_hung_up, "s", "cwn", false)                                                                      \
    OP(wait_hang_up, "s", "cwn", false)                                                                      \
    OP(wait_poll, "m", "cwn", false)                                                                         \
    OP(wait_ppoll, "m", "cwn", false)                                                                        \
    OP(wait_ppoll_chk, "m", "cwn", false)                                                                    \
    OP(wait_raw, "m", "cwn", false)                                                                          \
    OP(wait_select, "m", "cwn", false)                                                                       \
    OP(wait_pselect, "m", "cwn", false)                                                                      \
    OP(wait_epoll, "m", "cwn", false)                                                                        \
    OP(wait_epoll_rdhup, "m", "cwn", false)                                                                  \
    OP(wait_epoll_et, "m", "cwn", false)                                                                     \
    OP(wait_epoll_oneshot, "m", "cwn", false)                                                                \
    OP(wait_epoll_late, "m", "cwn", false)                                                                   \
    OP(wait_epoll_mod, "m", "cwn", false)                                                                    \
    OP(wait_epoll_pwait, "m", "cwn", false)                                                                  \
    OP(wait_epoll_nested, "m", "cwn", false)                                                                 \
    OP(wait_epoll_nested_poll, "m", "cwn", false)                                                            \
    OP(wait_epoll_other, "m", "cwn", false)                                                                  \
    OP(wait_epoll_dup, "m", "cwn", false)                                                                    \
    OP(wait_epoll_crowd, "m", "cwn", false)                                                                  \
    OP(wait_epoll_full, "m", "cwn", false)                                                                   \
    OP(wait_fork, "m", "cwn", false)                                                                         \
    OP(wait_thread, "m", "cwn", false)                                                                       \
    OP(blocked_recv, "m", "cwk", true)                                                                       \
    OP(blocked_poll, "m", "cwk", true)                                                                       \
    OP(blocked_rdhup, "m", "w", true)                                                                        \
    OP(blocked_select, "m", "cwk", true)                                                                     \
    OP(blocked_epoll, "m", "cwk", true)                                                                      \
    OP(blocked_epoll_et, "m", "cwk", true)                                                                   \
    OP(blocked_close, "m", "cwk", true)                                                                      \
    OP(blocked_shutdown, "m", "cwk", true)                                                                   \
    OP(send_thread, "c", "wk", true)                                                                         \
    OP(threads_many, "-", "wk", false)                                                                       \
    OP(signal_restart, "sm", "wk", true)                                                                     \
    OP(signal_eintr, "sm", "wk", true)                                                                       \
    OP(signal_threads, "-", "cwk", false)                                                                    \
    OP(signal_threads_restart, "-", "cwk", false)                                                            \
    OP(signal_mixed, "-", "cwk", false)                                                                      \
    OP(signal_mixed_restart, "-", "cwk", false)                                                              \
    OP(cancelled, "-", "cwk", false)                                                                         \
    OP(signal_request, "sm", "wk", true)                                                                     \
    OP(signal_close, "sm", "wk", true)                                                                       \
    OP(jump, "sm", "wk", true)                                                                               \
    OP(jump_abandon, "sm", "wk", true)                                                                       \
    OP(jump_often, "-", "w", false)                                                                          \
    OP(at_exit, "-ncsme", "wk", false)                                                                       \
    OP(at_quick_exit, "-m", "w", false)                                                                      \
    OP(exit_thread, "m", "w", true)                                                                          \
    OP(destructor, "-m", "w", false)                                                                         \
    OP(preinit, "-", "w", false)                                                                             \
    OP(library, "-m", "w", false)                                                                            \
    OP(library_deepbind, "-m", "w", false)                                                                   \
    OP(library_again, "-m", "w", false)                                                                      \
    OP(seccomp_dup3, "csme", "wk", false)                                                                    \
    OP(seccomp_getsockopt, "csme", "wk", false)                                                              \
    OP(seccomp_fcntl, "csme", "wk", false)                                                                   \
    OP(seccomp_call, "csme", "wk", false)                                                                    \
    OP(seccomp_few, "csme", "wk", false)                                                                     \
    OP(seccomp_errno, "csme", "wk", false)                                                                   \
    OP(seccomp_strict, "sm", "w", false)                                                                     \
    OP(seccomp_thread, "m", "w", false)

#define OP(name, states, modes, slow) void op_##name(struct talk *t);
OPS(OP)
#undef OP

/* Entered by exec; not in the table. */
int main_rest(char **arguments);  /* FD STATE: reads what is left */
int main_lists(char **arguments); /* says what descriptors it was given; the exit status is their number */

/* library.c, called from outside of the table as well */
void library_requests(int port, int seed, int n);
/* last.c */
extern bool last_wanted;
#endif
