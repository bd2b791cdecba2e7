"""What a node can tell those who ask it as they would ask a Redis Sentinel: who is the master, and who else is there.

Every node takes writes, so each names itself as the master, and the other voters as sentinels and as replicas. A node
that serves nothing says so, and names nobody where a client could not see that: it asks the next node then.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from hashlib import sha1
from typing import NamedTuple

from dkv.config.listen_endpoint import dialled_address
from dkv.console.member_lags import MemberLags
from dkv.console.member_view import MemberView
from dkv.identity import Identity
from dkv.settings import Timings


class ClientAddress(NamedTuple):
    """Where clients find a node."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


class Other(NamedTuple):
    """Another voter. ``silent_seconds`` is None if this node does not reach it. It has come to slot ``applied``."""

    node: int
    address: ClientAddress
    silent_seconds: float | None
    applied: int


class SentinelView:
    """The view of the node that ``identity`` names.

    ``silence`` tells for how many seconds a node was not heard, None if it is not reached. ``serves`` says whether this
    node serves its clients, ``applied`` how far it has come, and ``epoch`` in which round it is.
    """

    def __init__(
        self,
        identity: Identity,
        members: MemberView,
        lags: MemberLags,
        timings: Timings,
        silence: Callable[[int], float | None],
        serves: Callable[[], bool],
        applied: Callable[[], int],
        epoch: Callable[[], int],
    ) -> None:
        self._identity = identity
        self._members = members
        self._lags = lags
        self._timings = timings
        self._silence = silence
        self._serves = serves
        self._applied = applied
        self._epoch = epoch
        self._leaves = False

    def leave(self) -> None:
        """The node is about to stop."""
        self._leaves = True

    @property
    def node(self) -> int:
        """The id of this node."""
        return self._identity.node

    @property
    def name(self) -> str:
        """The name of the service, which is that of the cluster."""
        return self._identity.cluster

    @property
    def down(self) -> bool:
        """Whether clients had better ask another node."""
        return self._leaves or not self._serves()

    @property
    def quorum(self) -> int:
        """How many voters it takes."""
        return self._members.quorum

    @property
    def epoch(self) -> int:
        """A number that grows whenever another node comes to lead."""
        return self._epoch()

    @property
    def down_after_milliseconds(self) -> int:
        """How long a node may serve nothing before it counts as down."""
        return int(self._timings.request_seconds * 1000)

    @property
    def address(self) -> ClientAddress | None:
        """Where clients find this node, None if it advertises no address with a host and a port."""
        return self._address(self._identity.node)

    def address_within(self, local: str) -> ClientAddress | None:
        """The same; a client that has connected to ``local`` finds it there, if nothing else is known."""
        return self.address or _parsed(local)

    def others(self) -> list[Other]:
        """The other voters that clients can find."""
        others = []
        for node in sorted(frozenset(self._members.voters) - {self._identity.node}):
            address = self._address(node)
            if address is not None:
                others.append(Other(node, address, self._silence_of(node), self._applied_by(node)))
        return others

    def replication(self) -> Mapping[str, object]:
        """The fields of INFO, section Replication."""
        reached = [other for other in self.others() if other.silent_seconds is not None]
        lines = {
            f"slave{number}": f"ip={other.address.host},port={other.address.port},state=online,offset={other.applied}"
            f",lag={int(other.silent_seconds or 0)}"
            for number, other in enumerate(reached)
        }
        return {
            "role": "master",
            "connected_slaves": len(reached),
            **lines,
            "master_replid": self.run_id(0),
            "master_repl_offset": self._applied(),
        }

    def run_id(self, node: int | None = None) -> str:
        """The name of a node as a sentinel: 40 hexadecimal digits, which all nodes know, and which never change.

        Without a number it is that of this node. The one of node 0, which there is not, stands for the log of all.
        """
        known_by = self._identity.cluster_key + b" %d" % (self._identity.node if node is None else node)
        return sha1(known_by, usedforsecurity=False).hexdigest()

    def _silence_of(self, node: int) -> float | None:
        silent = self._silence(node)
        return None if silent is None or silent > self._timings.silence_seconds else silent

    def _applied_by(self, node: int) -> int:
        lag = self._lags.lag(node)
        return 0 if lag is None else max(self._applied() - lag, 0)

    def _address(self, node: int) -> ClientAddress | None:
        return _parsed(self._members.client(node))


def _parsed(text: str) -> ClientAddress | None:
    found = dialled_address(text)
    return None if found is None else ClientAddress(*found)
