# SPDX-License-Identifier: ISC
"""What may go wrong with each real call, and where: the table of faults for tests/fault/e2e_fault."""

import errno
from typing import NamedTuple

CHANCE = "EPERM ENOSYS"     # a policy for system calls (seccomp) may answer these to anything
SEND = "EINTR EAGAIN ECONNRESET EPIPE ETIMEDOUT EHOSTUNREACH ENOBUFS ENOMEM EPERM one half"
RECEIVE = "EINTR EAGAIN ECONNRESET ETIMEDOUT EHOSTUNREACH ENOMEM EPERM one half eof"
MEMORY = "ENOMEM ENOBUFS"

# What each may fail with, once.  `gone`: its descriptor was closed behind the caller's back.
ONCE = {
    "socket": f"EMFILE ENFILE EACCES EAFNOSUPPORT {MEMORY} {CHANCE}",
    "connect": f"EINTR EAGAIN EADDRNOTAVAIL ECONNREFUSED ETIMEDOUT ENETUNREACH EHOSTUNREACH EACCES {MEMORY} {CHANCE}",
    "bind": f"EADDRINUSE EADDRNOTAVAIL EACCES ENOMEM {CHANCE}",
    "listen": f"EADDRINUSE {CHANCE}",
    "accept4": f"EMFILE ENFILE EINTR ECONNABORTED EAGAIN {MEMORY} {CHANCE}",
    "shutdown": f"ENOTCONN ENOBUFS {CHANCE}",
    "setsockopt": f"EINVAL ENOPROTOOPT {MEMORY} {CHANCE}",
    "getsockopt": f"EINVAL ENOPROTOOPT ENOBUFS {CHANCE}",
    "getsockname": f"ENOBUFS {CHANCE}",
    "getpeername": f"ENOBUFS {CHANCE}",
    "ioctl": f"EINVAL ENOMEM {CHANCE}",
    "close": f"EINTR EIO {CHANCE}",
    "dup": f"EMFILE ENOMEM {CHANCE}",
    "dup2": f"EBUSY EINTR EMFILE ENOMEM {CHANCE}",
    "dup3": f"EBUSY EINTR EMFILE ENOMEM {CHANCE}",
    "fcntl-dup": f"EMFILE EINVAL ENOMEM {CHANCE}",
    "fcntl-set": f"EAGAIN {CHANCE}",
    "fcntl-get": CHANCE,
    "epoll_ctl": f"ENOSPC ENOMEM ENOENT EEXIST ELOOP {CHANCE}",
    "poll": "EINTR ENOMEM EPERM eof",
    "mmap": "ENOMEM EAGAIN EPERM",
    "madvise": "ENOMEM EINVAL EPERM ENOSYS",
    "open": "EMFILE ENFILE ENOMEM EACCES ENOENT EINTR EPERM",
    "memfd_create": f"EMFILE ENFILE ENOMEM {CHANCE}",
    "getrlimit": f"EINVAL {CHANCE}",
    "setrlimit": f"EINVAL {CHANCE}",
    "prlimit": f"EPERM EINVAL {CHANCE}",
    "openat": "EMFILE ENFILE ENOMEM EACCES ENOENT EINTR EPERM",
    "access": f"ENOENT EACCES EROFS {CHANCE}",
    "faccessat": f"ENOENT EACCES ENOMEM {CHANCE}",
    "fgetxattr": f"ENODATA EOPNOTSUPP {CHANCE}",
    "kill": f"ESRCH {CHANCE}",
    "munmap": f"ENOMEM {CHANCE}",
    "readlink": f"ENOENT EACCES ENOMEM {CHANCE}",
    "pread": f"EIO EINTR {CHANCE}",
    "lseek": CHANCE,
    "ftruncate": f"EIO {CHANCE}",
    "fdopen": "ENOMEM EMFILE",
    "fopencookie": "ENOMEM",
    "fclose": "EIO",
    "fileno": "EBADF",
    "execve": f"ENOMEM E2BIG EACCES EAGAIN {CHANCE}",
    "pthread_create": "EAGAIN EPERM",
    "syscall": "EINTR EAGAIN",      # a futex; a close, which is done all the same
    "syscall-other": f"EINTR EACCES ENOMEM {CHANCE}",
    "pthread_key_create": "EAGAIN ENOMEM",
    "pthread_setspecific": "ENOMEM",
    "getrandom": f"EINTR {CHANCE}",
    "stat": f"ENOENT EACCES {CHANCE}",
    "fstatfs": CHANCE,
    "signalfd": f"EMFILE ENFILE ENODEV ENOMEM {CHANCE}",
    "fstat": f"EIO ENOMEM {CHANCE}",
    "chmod": f"EPERM EROFS {CHANCE}",
    "fchmod": f"EPERM EROFS {CHANCE}",
    "lstat": f"ENOENT EACCES {CHANCE}",
    "flock": f"EWOULDBLOCK EINTR ENOLCK {CHANCE}",
    "mkdir": f"ENOSPC EACCES EROFS {CHANCE}",
    "pwrite": f"ENOSPC EIO {CHANCE}",
    "socketpair": f"EMFILE ENFILE ENOMEM {CHANCE}",
    "pipe2": f"EMFILE ENFILE {CHANCE}",
    "tee": f"ENOMEM EAGAIN {CHANCE}",
    "setvbuf": "EBADF",
    "unlink": f"ENOENT EACCES {CHANCE}",
    "utimensat": f"EROFS {CHANCE}",
}
for name in ("send", "sendto", "sendmsg", "write", "writev"):
    ONCE[name] = SEND
for name in ("recv", "recvfrom", "recvmsg", "read", "readv"):
    ONCE[name] = RECEIVE

# What does not pass: from the position on, every call of the class.
EVER = {
    "socket": "EMFILE ENFILE ENOMEM EPERM ENOSYS",
    "connect": "ECONNREFUSED ENETUNREACH EADDRNOTAVAIL ENOBUFS EPERM",
    "send": "ECONNRESET EPIPE ENOBUFS EPERM one",
    "recv": "ECONNRESET ENOMEM EPERM eof one half",
    "dup2": "EMFILE EPERM ENOSYS",
    "fcntl-dup": "EMFILE EPERM",
    "epoll_ctl": "",    # what was in a set a moment ago can be put in again
    "poll": "ENOMEM eof",
}
for name, whats in ONCE.items():
    whats = [w for w in whats.split() if w not in ("EINTR", "EAGAIN", "EBUSY")]
    EVER.setdefault(name, " ".join(whats[:1] + [w for w in whats[1:] if w in ("EPERM", "ENOSYS")]))
del EVER["pthread_create"]

# What the shim calls and the library does not wrap: these cannot fail, or there is nothing to learn from it.
HARMLESS = set("""
    memccpy memchr memmem memrchr memcmp memcpy memmove memset strchr strchrnul strcspn strrchr strcmp strlen strncmp strspn
    strstr strtol strtoul snprintf vsnprintf inet_ntop inet_pton clock_gettime getpid getppid getuid geteuid getegid
    getenv secure_getenv unsetenv getauxval sysconf raise sched_yield nanosleep sigsuspend dlsym dladdr dlclose dirfd fflush
    clearerr sigaction sigaddset sigandset sigdelset sigemptyset sigfillset sigisemptyset sigismember
    sigpending sigprocmask sigtimedwait
    pthread_setcancelstate pthread_setcanceltype pthread_sigmask pthread_testcancel pthread_self
""".split())

# Their first argument is a descriptor.
ON_FD = {"connect", "bind", "listen", "accept4", "shutdown", "setsockopt", "getsockopt", "getsockname", "getpeername",
         "ioctl", "close", "dup", "dup2", "dup3", "fcntl-dup", "fcntl-set", "fcntl-get",
         "epoll_ctl", "poll", "send", "sendto", "sendmsg",
         "write", "writev", "recv", "recvfrom", "recvmsg", "read", "readv"}
PRIVATE = 200       # the client's own numbers are lower

CLASSES = {**{name: "send" for name in ("send", "sendto", "sendmsg", "write", "writev")},
           **{name: "recv" for name in ("recv", "recvfrom", "recvmsg", "read", "readv", "pread")},
           "dup2": "dup2", "dup3": "dup2", "fopencookie": "fdopen"}


def class_of(name):
    return CLASSES.get(name, name)


class Position(NamedTuple):
    where: int      # the client's call
    name: str       # the real call
    nth: int

    def __str__(self):
        return f"{self.where}:{self.name}:{self.nth}"


class Fault(NamedTuple):
    script: str
    at: Position
    what: str       # an errno's name, one, half, eof, gone
    ever: bool

    def __str__(self):
        return f"{self.script} {self.at} {self.what} {'ever' if self.ever else 'once'}"

    def plan(self):
        return f"{self.at}:{getattr(errno, self.what, self.what)}:{'ever' if self.ever else 'once'}"


def faults(script, position, first):
    """All that may happen to a call."""
    for what in ONCE[position.name].split():
        yield Fault(script, position, what, False)
    if position.name in ON_FD and first >= PRIVATE:
        yield Fault(script, position, "gone", False)
    for what in EVER[class_of(position.name)].split():
        yield Fault(script, position, what, True)


# Errors that a call on a connected socket gives, too; all others are ECONNRESET by then.
LATE = "ECONNREFUSED EHOSTUNREACH ENETUNREACH ENOBUFS ENOMEM ETIMEDOUT".split()


def late(verdict):
    """A connection was leased and had to be replaced: what failed directly (connect, send) is made then
    and fails then.  The verdicts that will do instead of this one."""
    words = verdict.split()
    if words[0] != "fail" or words[1] not in ("connect", "send"):
        return []
    error = words[2] if words[2] in LATE else "ECONNRESET"
    return [f"fail {step} {error}" for step in ("send", "receive", "between")]
