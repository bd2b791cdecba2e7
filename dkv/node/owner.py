"""What a node asks of the program that it runs in: a process of its own, or one that it shares."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

from dkv.host.seams import Clock
from dkv.net.sending import SenderOf
from dkv.node.options import FENCED_STATUS


class NodeFailed(Exception):
    """A node cannot start or go on. It has stopped, and nothing of it is left in the program.

    ``status`` is the exit status that ``twistd dkvnode`` would have: 2 if the directory and the config contradict each
    other, 3 if the directory is fenced, else 1. ``reason`` is one line for people.
    """

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(reason)
        self.status = status
        self.reason = reason

    @property
    def fenced(self) -> bool:
        """Whether the directory must never be used again: no start will mend that."""
        return self.status == FENCED_STATUS


class Owner(Protocol):
    """The program in which one node runs. ``reactor`` shows monotonic seconds, and its timers follow them."""

    @property
    def is_own(self) -> bool:
        """Whether ``ended`` ends the process, so that it never returns."""

    @property
    def reactor(self) -> Any:
        """A Twisted reactor, or one that stands for it."""

    @property
    def clock(self) -> Clock:
        """The clock of the node's host."""

    @property
    def sender_of(self) -> SenderOf:
        """How connections send."""

    @property
    def lines_dropped(self) -> int:
        """How many lines of the log could not be written."""

    def get_logger(self, actor: str) -> Any:
        """The logger of one part of the node: ``log.info("event_name", **fields)``."""

    def descriptors(self) -> int:
        """How many files and connections the process may have open."""

    def obey_hangup(self, call: Callable[[], None]) -> None:
        """Call this when somebody says that files have changed (SIGHUP), if the process is told such things."""

    def enter(self) -> None:
        """The node is about to start: from now on its timers run."""

    def leave(self) -> None:
        """The node has closed everything: what it left in the reactor goes, too."""

    def started(self) -> None:
        """The node serves."""

    def stopping(self) -> None:
        """The node was asked to stop."""

    def ended(self, status: int, line: str) -> None:
        """The node cannot go on; ``line`` says why."""
