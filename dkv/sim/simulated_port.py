"""The place of the client port in a simulated node: requests go in, replies come out."""

from __future__ import annotations

from collections.abc import Callable

from dkv.actor import CLIENTS, GATEWAY, Address, Turn
from dkv.client_events import (
    ClientGone,
    ClientReplies,
    ClientRequests,
    CountsElsewhere,
    Deliver,
    Replies,
    Requests,
)
from dkv.host.host import Host


class SimulatedPort:
    """Stands in for the client port: hands replies on, and holds requests while reading is paused.

    ``lives`` says whether the node still is in the life of ``host``; ``resumes`` is called when reading goes on.
    """

    def __init__(
        self,
        number: int,
        host: Host,
        lives: Callable[[], bool],
        replied: Callable[[Replies], None],
        resumes: Callable[[], None],
    ) -> None:
        self._number = number
        self._host = host
        self._lives = lives
        self._replied = replied
        self._resumes = resumes
        self._paused = False
        self._arrived: list[Requests] = []
        self._gone: list[ClientGone] = []

    def start(self, turn: Turn) -> None:
        """There is nothing to load."""

    def receive(self, turn: Turn, sender: Address, message: ClientReplies | Deliver | CountsElsewhere) -> None:
        """Answer clients. Nobody has subscribed here to anything."""
        if not isinstance(message, ClientReplies):
            return
        for replies in message.replies:
            self._replied(replies)

    def take(self, message: Requests | ClientGone) -> None:
        """A client's bytes came in, or its connection ended; ignored if this life has ended meanwhile."""
        if not self._lives():
            return
        if isinstance(message, ClientGone):
            self._gone.append(message)
        else:
            self._arrived.append(message)
        self._host.wake()

    def collect(self) -> None:
        """Deliver the requests that came in, unless reading is paused."""
        if self._paused or not (self._arrived or self._gone):
            return
        arrived, self._arrived = self._arrived, []
        gone, self._gone = self._gone, []
        address = Address(self._number, CLIENTS)
        if arrived:
            self._host.deliver(GATEWAY, address, ClientRequests(arrived))
        for message in gone:
            self._host.deliver(GATEWAY, address, message)

    @property
    def paused(self) -> bool:
        """Whether requests of clients are held back."""
        return self._paused

    def pause_reading(self) -> None:
        """Hold requests back for now."""
        self._paused = True

    def resume_reading(self) -> None:
        """Go on reading."""
        self._paused = False
        self._resumes()
        self._host.wake()
