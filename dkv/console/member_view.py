"""Who the members are, as this node knows it: for its status, readiness, metrics, and whoever wants to join."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import Any, Protocol

from dkv import noted
from dkv.actor import Takers
from dkv.configurations import Configuration, Configurations
from dkv.identity import Identity

VOTER, STANDBY, REMOVED, UNKNOWN = "voter", "standby", "removed", "unknown"


class KnowsAddresses(Protocol):
    """The addresses that the node knows (``dkv.node.address_book``)."""

    def peer(self, held: Configurations, node: int) -> str:
        """The address of a node for its peers, "" if nobody tells it."""

    def client(self, held: Configurations, node: int) -> str:
        """The address of a node for clients, "" if nobody tells it."""

    def client_tls(self, held: Configurations, node: int) -> str:
        """The address of a node for clients with TLS, "" if it has none or nobody tells it."""

    def difference(self, held: Configurations, applied: int) -> str | None:
        """How the nodes of the config file differ from the members, in words; None if they do not."""


class MemberView:
    """The members by the log of the node that ``identity`` names.

    At the start they are ``configurations``, and all up to slot ``applied`` is applied. ``met`` tells the incarnation
    by which a node is known, None if it was never met.
    """

    def __init__(
        self,
        identity: Identity,
        configurations: Configurations,
        applied: int,
        addresses: KnowsAddresses,
        met: Callable[[int], int | None],
    ) -> None:
        self._identity = identity
        self._held = configurations
        self._applied = applied
        self._addresses = addresses
        self._met = met
        self._removed_at: int | None = None
        self._members_at: list[str] = []
        self._held_through: int | None = None
        self.takers: Takers = dict(
            (
                noted.members_are.to(self._on_members_are),
                noted.removed.to(self._on_removed),
                noted.held.to(self._on_held),
            )
        )
        """The functions that learn from the notes of the node's actors."""

    # --- in ---

    def _on_members_are(self, *, configurations: Configurations, applied: int) -> None:
        self._held, self._applied = configurations, applied

    def _on_removed(self, *, slot: int, addresses: list[str]) -> None:
        """This node is no member any more, by its own log or by the word of a member."""
        self._removed_at, self._members_at = slot, addresses

    def _on_held(self, *, through: int) -> None:
        self._held_through = through

    # --- out ---

    @property
    def configurations(self) -> Configurations:
        """The sets of members."""
        return self._held

    @property
    def voters(self) -> Collection[int]:
        """Those who decide the next slot to be applied."""
        return self._held.in_force(self._applied).voters

    @property
    def quorum(self) -> int:
        """How many disks hold whatever was acknowledged, at least."""
        return min(each.quorum for each in self._held.each(self._applied))

    def incarnation(self, node: int) -> int | None:
        """The incarnation of a node, as the log names it or as this node has met it; None if neither."""
        return self._identity.incarnation if node == self._identity.node else self._met(node)

    def peer(self, node: int) -> str:
        """The address of a node for its peers, "" if nobody tells it."""
        return self._addresses.peer(self._held, node)

    def client(self, node: int) -> str:
        """The address of a node for clients, "" if nobody tells it."""
        return self._addresses.client(self._held, node)

    @property
    def kind(self) -> str:
        """What this node is: it is unknown to its log while it joins."""
        return self._kind(self._identity.node)

    @property
    def is_member(self) -> bool:
        """Whether this node is a voter or a standby."""
        return self.kind in (VOTER, STANDBY)

    @property
    def counts(self) -> Mapping[str, int]:
        """How many members there are of each kind, this one included; none, if it is no member itself."""
        kinds = list(map(self._kind, self._held.known(self._applied))) if self.is_member else []
        return {kind: kinds.count(kind) for kind in (VOTER, STANDBY)}

    @property
    def slot(self) -> int:
        """The slot of the entry that made the newest set; 0 before the first change."""
        return self._held.newest.slot

    def status(self) -> dict[str, Any]:
        """The fields of the node's status."""
        return {
            "member": self.kind,
            "removed_at": self._removed_at,
            "members_at": self._members_at,
            **self.members(),
            "held_through": self._held_through,
            "advertised": {
                "peer": self._addresses.peer(self._held, self._identity.node),
                "client": self.client(self._identity.node),
            },
            "config_differs": self._addresses.difference(self._held, self._applied),
        }

    def members(self) -> dict[str, Any]:
        """The members, for whoever wants to find or change them."""
        pending = self._held.pending(self._applied)
        return {
            "members": [self._member(node) for node in sorted(self._held.known(self._applied))],
            "membership_slot": self.slot,
            "pending_from_slot": None if pending is None else pending.from_slot,
            "ids_through": self._held.ids_through,
        }

    def invitation(self) -> dict[str, Any]:
        """What a new node needs to know of the cluster before its first start, beside the members."""
        me = self._identity
        return {"cluster": me.cluster, "cluster_key": me.cluster_key.hex(), "first_members": list(me.members)}

    def _member(self, node: int) -> dict[str, Any]:
        incarnation, kind, later = self.incarnation(node), self._kind(node), _kind_in(self._held.newest, node)
        return {
            "id": node,
            "kind": kind,
            "becomes": None if later == kind else later,
            "incarnation": None if incarnation is None else f"{incarnation:016x}",
            "peer": self._addresses.peer(self._held, node),
            "client": self._addresses.client(self._held, node),
            "client_tls": self._addresses.client_tls(self._held, node),
        }

    def _kind(self, node: int) -> str:
        """What a node is now; one that an entry has added is a standby at first, whatever it becomes."""
        if node == self._identity.node and self._removed_at is not None:
            return REMOVED
        if node in self._held.known(self._applied):
            kind = _kind_in(self._held.in_force(self._applied), node)
            return STANDBY if kind == REMOVED else kind
        return REMOVED if self._held.was_removed(node, self._applied) else UNKNOWN


def _kind_in(configuration: Configuration, node: int) -> str:
    if node in configuration.voters:
        return VOTER
    return STANDBY if node in configuration.standbys else REMOVED
