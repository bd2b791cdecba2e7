"""The process of a node: how it goes into the background, which signals it obeys, and how it ends."""

from __future__ import annotations

import os
import select
import signal
from collections.abc import Callable
from contextlib import suppress
from types import FrameType
from typing import Any, NoReturn

SAY_SECONDS = 0.5
_STDERR = 2


def keep_standard_descriptors() -> None:
    """Open those of stdin, stdout and stderr that are closed: else a file of the database could get their numbers."""
    while (descriptor := os.open(os.devnull, os.O_RDWR)) <= _STDERR:
        os.set_inheritable(descriptor, True)
    os.close(descriptor)


def say(line: str) -> None:
    """Write a line on stderr, unless nobody takes it within ``SAY_SECONDS``: a process that must end cannot wait."""
    poll = select.poll()
    poll.register(_STDERR, select.POLLOUT)
    if poll.poll(SAY_SECONDS * 1000):
        with suppress(OSError):  # a pipe without a reader, a full disk: the log has it too
            os.write(_STDERR, line.encode("utf-8", "backslashreplace")[: select.PIPE_BUF - 1] + b"\n")


# --- the background ---


def daemonize(log_path: str) -> int:
    """Go on as a daemon; the descriptor for ``Launch``. The process that was started waits at its other end.

    Why not twistd's own way: its first process waits for ever for a daemon that was killed or ended itself, knows no
    status but 1, and shows only a hundred bytes of the reason (twisted#7745). Here the daemon keeps stderr until it has
    started, says there what is wrong, and hands over its status.
    """
    reader, teller = os.pipe()
    child = os.fork()
    if child:
        signal.signal(signal.SIGINT, signal.SIG_DFL)  # Ctrl-C ends the waiting, without a traceback
        os.close(teller)
        os.waitpid(child, 0)
        os._exit(_status_of_start(reader, log_path))
    os.close(reader)
    os.setsid()
    if os.fork():
        os._exit(0)
    return teller


def _status_of_start(reader: int, log_path: str) -> int:
    """Wait until the daemon has started or ended; its status, or 1 if it ended without a word."""
    told = os.read(reader, 1)
    if told:
        return told[0]
    say(f"dkvnode: it ended before it had started; {log_path} may say why")
    return 1


class Launch:
    """Tells the process that started this one what became of it, and ends it.

    ``teller`` is the descriptor that ``daemonize`` gave, None in the foreground. ``flush`` waits for the log, for a
    moment at most.
    """

    def __init__(self, flush: Callable[[], None], pidfile: str = "", teller: int | None = None) -> None:
        self._flush = flush
        self._pidfile = pidfile
        self._teller = teller

    def started(self) -> None:
        """The node serves: a daemon lets go of the terminal."""
        if self._teller is not None:
            null = os.open(os.devnull, os.O_RDWR)
            for descriptor in range(_STDERR + 1):
                os.dup2(null, descriptor)
            os.close(null)
            self._tell(0)

    def end(self, status: int, line: str) -> NoReturn:
        """Say why on stderr and end at once: no handler runs, and the node writes and answers nothing any more."""
        say(line)
        self._flush()
        if self._pidfile:
            with suppress(OSError):  # gone, or not ours to remove: twistd removes one whose process is gone
                os.unlink(self._pidfile)
        self._tell(status)
        os._exit(status)

    def _tell(self, status: int) -> None:
        if self._teller is not None:
            teller, self._teller = self._teller, None
            with suppress(OSError):  # nobody waits any more
                os.write(teller, bytes([status]))
            os.close(teller)


# --- signals ---


def obey_signals(reactor: Any, reopen_log: Callable[[], None], stopping: Callable[[str], None]) -> None:
    """SIGHUP and SIGUSR1 reopen the log, from now on. SIGTERM and SIGINT stop the reactor, once it runs.

    The first of the latter calls ``stopping(name)``. A second one, or one before the reactor runs, ends the process at
    once, which is safe at any moment. Twisted's own handlers would let the signal end the process even after a clean
    stop, and would answer a second one with a traceback.
    """
    for number in (signal.SIGHUP, signal.SIGUSR1):
        signal.signal(number, lambda *_: reopen_log())
    stops = [signal.SIGTERM]
    if signal.getsignal(signal.SIGINT) != signal.SIG_IGN:  # a shell ignores it for commands in the background
        stops.append(signal.SIGINT)
        signal.signal(signal.SIGINT, signal.SIG_DFL)

    def stop(name: str) -> None:
        stopping(name)
        reactor.stop()

    def on_signal(number: int, _: object) -> None:
        for each in stops:
            signal.signal(each, signal.SIG_DFL)
        reactor.callFromThread(stop, signal.Signals(number).name)

    def install() -> None:
        for each in stops:
            signal.signal(each, on_signal)

    reactor.addSystemEventTrigger("after", "startup", install)


def also_on_hangup(reactor: Any, call: Callable[[], None]) -> None:
    """SIGHUP does what it did, and then lets ``reactor`` make this call, from now on."""
    before = signal.getsignal(signal.SIGHUP)

    def on_signal(number: int, frame: FrameType | None) -> None:
        if callable(before):
            before(number, frame)
        reactor.callFromThread(call)

    signal.signal(signal.SIGHUP, on_signal)
