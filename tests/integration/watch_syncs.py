"""``python watch_syncs.py FILE COMMAND...`` runs a command and writes down each of its fsyncs, as the kernel sees them.

A line of FILE is a JSON array: when a successful fsync or fdatasync began and when it was done, in monotonic seconds
(one clock for the whole machine), the path, and the size of the file when it began: what is sure to be on the disk
afterwards. The command is traced by ptrace(2), and killed when this process is.
"""

from __future__ import annotations

import ctypes
import json
import os
import platform
import signal
import sys
import time

PTRACE_TRACEME, PTRACE_SYSCALL, PTRACE_SETOPTIONS, PTRACE_GET_SYSCALL_INFO = 0, 24, 0x4200, 0x420E
TRACE_SYSTEM_CALLS, TRACE_FORKS, TRACE_CLONES, KILL_AT_EXIT = 1, 2, 8, 1 << 20
ALL_THREADS = 0x40000000  # __WALL of waitpid(2)
ENTRY, EXIT = 1, 2
SYNCS = {"x86_64": (74, 75), "aarch64": (82, 83)}[platform.machine()]
"""The numbers of fsync and fdatasync."""

libc = ctypes.CDLL(None, use_errno=True)
libc.ptrace.argtypes = (ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p)
libc.ptrace.restype = ctypes.c_long


class SystemCall(ctypes.Structure):
    """``struct ptrace_syscall_info``: ``first`` is the number at the entry, the result at the exit."""

    _fields_ = (
        ("op", ctypes.c_uint8),
        ("arch", ctypes.c_uint32),
        ("instruction", ctypes.c_uint64),
        ("stack", ctypes.c_uint64),
        ("first", ctypes.c_int64),
        ("arguments", ctypes.c_uint64 * 6),
    )


def ptrace(request: int, thread: int, address: int = 0, data: object = None) -> None:
    """One request; ``OSError`` if the kernel refuses it."""
    if libc.ptrace(request, thread, address, data) < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))


def start(command: list[str]) -> int:
    """Start the command, stopped at its first instruction, and trace all its threads and children."""
    child = os.fork()
    if child == 0:
        ptrace(PTRACE_TRACEME, 0)
        os.execvp(command[0], command)
    os.waitpid(child, ALL_THREADS)
    ptrace(PTRACE_SETOPTIONS, child, 0, TRACE_SYSTEM_CALLS | TRACE_FORKS | TRACE_CLONES | KILL_AT_EXIT)
    return child


class Watch:
    """The fsyncs under way, by thread."""

    def __init__(self, path: str) -> None:
        self._file = open(path, "a", buffering=1)  # noqa: SIM115 - for as long as the process lives
        self._under_way: dict[int, tuple[float, str, int]] = {}

    def look(self, thread: int) -> None:
        """A thread is about to enter a system call, or has left it."""
        call = SystemCall()
        ptrace(PTRACE_GET_SYSCALL_INFO, thread, ctypes.sizeof(call), ctypes.addressof(call))
        if call.op == ENTRY and call.first in SYNCS:
            link = f"/proc/{thread}/fd/{call.arguments[0]}"
            self._under_way[thread] = (time.monotonic(), os.readlink(link), os.stat(link).st_size)
        elif call.op == EXIT and thread in self._under_way:
            began, path, size = self._under_way.pop(thread)
            if call.first == 0:
                self._file.write(json.dumps([began, time.monotonic(), path, size]) + "\n")


def main() -> None:
    """Until the command ends; with its status."""
    watch, child = Watch(sys.argv[1]), start(sys.argv[2:])
    signal.signal(signal.SIGTERM, lambda *_: os.kill(child, signal.SIGTERM))
    ptrace(PTRACE_SYSCALL, child)
    while True:
        thread, status = os.waitpid(-1, ALL_THREADS)
        if os.WIFSTOPPED(status):
            number = os.WSTOPSIG(status)
            if number == signal.SIGTRAP | 0x80:
                watch.look(thread)
            pass_on = 0 if number & 0x7F in (signal.SIGTRAP, signal.SIGSTOP) else number
            ptrace(PTRACE_SYSCALL, thread, 0, pass_on)
        elif thread == child:
            sys.exit(os.waitstatus_to_exitcode(status))


if __name__ == "__main__":
    main()
