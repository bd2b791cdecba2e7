"""What a client's connection needs of the client port that it came in through."""

from __future__ import annotations

from typing import Any, Protocol, TypeVar

from dkv.client_events import Requests
from dkv.net.flow_control import FlowOwner
from dkv.net.meter import Meter
from dkv.net.sending import SenderOf
from dkv.net.throttled_log import ThrottledLog
from dkv.net.unnamed_clients import UnnamedClients
from dkv.settings import Limits

Connection = TypeVar("Connection", contravariant=True)


class ConnectionOwner(FlowOwner, Protocol[Connection]):
    """What all connections of a node share; each is a ``Connection``."""

    @property
    def reactor(self) -> Any:
        """Whose ``callLater`` ends the wait for a client."""

    @property
    def limits(self) -> Limits:
        """How long requests may be, and how much may be in flight."""

    @property
    def meter(self) -> Meter:
        """Counts requests and bytes."""

    @property
    def sender_of(self) -> SenderOf:
        """How to send through a transport."""

    @property
    def complaints(self) -> ThrottledLog:
        """For what happens to clients."""

    def add(self, connection: Connection) -> None:
        """The connection is made."""

    def remove(self, connection: Connection, unanswered: bool, inflight: int) -> None:
        """The connection is lost, perhaps with requests unanswered, of ``inflight`` bytes."""

    def admit(self, requests: Requests) -> None:
        """Requests have arrived for the gateway."""

    def requests_at_once(self, connection: Connection) -> int:
        """How many requests to pass on now; if that is none, ``proceed`` is called when it is time to."""

    def refused_input(self, peer: str, reason: str) -> None:
        """A client sent what is no request."""

    @property
    def unnamed(self) -> UnnamedClients:
        """The clients that still have to say who they are."""
