"""Runs a program one system call at a time (ptrace(2)) and sends it a signal before a given one."""
import ctypes
import os
import signal

PTRACE_TRACEME, PTRACE_CONT, PTRACE_SYSCALL, PTRACE_SETOPTIONS = 0, 7, 24, 0x4200
PTRACE_O_TRACESYSGOOD, PTRACE_O_EXITKILL = 1, 1 << 20
libc = ctypes.CDLL(None, use_errno=True)
libc.ptrace.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p]


def trace(request, pid, data=0):
    if libc.ptrace(request, pid, None, data) != 0:
        raise OSError(ctypes.get_errno(), "ptrace")


def begin(words, folder, environment):
    pid = os.fork()
    if pid == 0:
        try:
            os.chdir(folder)
            null = os.open("/dev/null", os.O_RDWR)
            for fd in range(3):
                os.dup2(null, fd)
            trace(PTRACE_TRACEME, 0)
            os.execve(words[0], words, environment)
        finally:
            os._exit(77)
    _, status = os.waitpid(pid, 0)
    if not os.WIFSTOPPED(status):
        raise OSError(0, "ptrace is not allowed here")
    trace(PTRACE_SETOPTIONS, pid, PTRACE_O_TRACESYSGOOD | PTRACE_O_EXITKILL)
    return pid


def run(words, folder, environment, stop=None, number=None, watch=None):
    """Sends signal `number` at stop number `stop` (two for each system call of the first thread: before it
    and behind it). Returns how it ended (as waitpid says it), how many stops there were, and at which of
    them `watch()` said something else than at the one before."""
    pid, n, changes, deliver = begin(words, folder, environment), 0, [], 0
    seen = watch() if watch else None
    while True:
        if n == stop and number == signal.SIGKILL:
            os.kill(pid, number)
            _, status = os.waitpid(pid, 0)
            return status, n, changes
        if n == stop:
            os.kill(pid, number)
            trace(PTRACE_CONT, pid, deliver)
            stop = -1
        else:
            trace(PTRACE_SYSCALL if stop != -1 else PTRACE_CONT, pid, deliver)
        deliver = 0
        _, status = os.waitpid(pid, 0)
        if not os.WIFSTOPPED(status):
            return status, n, changes
        if os.WSTOPSIG(status) != signal.SIGTRAP | 0x80:
            deliver = os.WSTOPSIG(status)
            continue
        n += 1
        if watch and (now := watch()) != seen:
            changes.append(n)
            seen = now
