"""The process that ``twistd dkvnode`` gives to a node: it does as the node needs it, and it ends with the node."""

from __future__ import annotations

import atexit
import os
import time
from collections.abc import Callable
from functools import partial
from typing import Any

from dkv.host.seams import Clock
from dkv.net.lookups import Lookups
from dkv.net.sending import SenderOf
from dkv.node import foreign, logs
from dkv.node.log_writer import LogWriter
from dkv.node.notify import notify
from dkv.node.options import Options
from dkv.node.process import Launch, also_on_hangup, obey_signals
from dkv.node.tuning import fast_or_plain, raise_descriptor_limit, switch_quickly_and_collect_rarely
from dkv.storage.guard import PRIVATE_UMASK


class OwnProcess:
    """The ``Owner`` of a node that has the process for itself. ``launch`` is told that the node serves, and ends it."""

    is_own = True

    def __init__(self, reactor: Any, clock: Clock, sender_of: SenderOf, node: int, launch: Launch) -> None:
        self.reactor = reactor
        self.clock = clock
        self.sender_of = sender_of
        self.get_logger = partial(logs.get_logger, node)
        self._launch = launch

    @property
    def lines_dropped(self) -> int:
        """How many lines of the log could not be written."""
        return logs.lines_dropped()

    def descriptors(self) -> int:
        """As many open files as are wanted and allowed."""
        return raise_descriptor_limit()

    def obey_hangup(self, call: Callable[[], None]) -> None:
        """SIGHUP says so, and opens the log again as before."""
        also_on_hangup(self.reactor, call)

    def enter(self) -> None:
        """LevelDB makes new files all the time: all that this process makes is its user's alone."""
        os.umask(PRIVATE_UMASK)

    def leave(self) -> None:
        """The process is about to end by itself."""

    def started(self) -> None:
        """Tell the supervisor, and whoever typed the command."""
        notify("READY=1")
        self._launch.started()

    def stopping(self) -> None:
        """Tell the supervisor."""
        notify("STOPPING=1")

    def ended(self, status: int, line: str) -> None:
        """End the process now, for what is in memory may not be what the disk holds."""
        self._launch.end(status, line)


def take_over(reactor: Any, options: Options, launch: Launch) -> OwnProcess:
    """Let the process and its ``reactor`` serve one node alone: signals, log, time, names, memory and the loop."""
    log: LogWriter = options.log
    log.start()
    atexit.register(log.flush)
    foreign.take_over(lambda error: launch.end(1, f"dkvnode: {error or type(error).__name__}"))
    logger = logs.get_logger(options.member.id, "service")
    obey_signals(reactor, log.reopen, lambda name: logger.info("stopping", signal=name))
    # Timers must not follow the wall clock: a step of an hour would fire them all, or freeze them for an hour.
    reactor.seconds = time.monotonic  # Twisted means it to be replaced
    reactor.installNameResolver(Lookups(reactor))
    switch_quickly_and_collect_rarely()
    clock, sender_of = fast_or_plain(reactor, options.config, logger)
    return OwnProcess(reactor, clock, sender_of, options.member.id, launch)
