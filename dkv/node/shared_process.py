"""A process that a node shares with the program that owns it: the node changes nothing of it, and leaves nothing."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from dkv.config.config import Config
from dkv.host.seams import Clock
from dkv.node.steady_reactor import SteadyReactor
from dkv.node.tuning import descriptor_limit, fast_or_plain_sending
from dkv.node.twisted_log import TwistedLog


class SharedProcess:
    """The ``Owner`` of node ``node`` of ``config``, in a program that runs ``reactor``."""

    is_own = False
    lines_dropped = 0

    def __init__(self, reactor: Any, config: Config, node: int) -> None:
        self._node = node
        self._steady = SteadyReactor(reactor)
        self.reactor: Any = self._steady
        self.clock: Clock = self._steady
        self.sender_of = fast_or_plain_sending(reactor, config, self.get_logger("service"))

    def get_logger(self, actor: str) -> TwistedLog:
        """Lines go to the log of the program."""
        return TwistedLog(self._node, actor)

    def descriptors(self) -> int:
        """As many as the process may have open: it is the program's to raise the limit."""
        return descriptor_limit()

    def obey_hangup(self, call: Callable[[], None]) -> None:
        """Signals are the program's: the node looks at its files every few seconds anyway."""

    def enter(self) -> None:
        """Make delayed calls."""
        self._steady.open()

    def leave(self) -> None:
        """Make none any more."""
        self._steady.close()

    def started(self) -> None:
        """The program asks the service."""

    def stopping(self) -> None:
        """The program has asked for it."""

    def ended(self, status: int, line: str) -> None:
        """The program goes on."""
