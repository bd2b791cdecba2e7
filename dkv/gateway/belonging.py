"""Whether a node is a member, and what its clients are told while it is not.

Only members write: every learner skips the batches of all others (``dkv.kv.machine``). A slot that is still free is
decided by the set in force, or by one that follows it. So a gateway numbers batches while its node is in the set in
force, and not before: a batch that got an earlier slot would be skipped, and the later ones of its node would wait for
it for ever. Standbys are members, and serve clients like voters.
"""

from __future__ import annotations

from collections.abc import Iterable

from dkv.configurations import Configurations
from dkv.events import MembersAre, RemovalTold
from dkv.replies import Error


class Belonging:
    """What node ``node`` knows of its own membership; it begins with the sets that its state on disk has."""

    def __init__(self, node: int, configurations: Configurations) -> None:
        self.refusal: Error | None = None
        """What clients are told; None while the node is a member."""
        self.has_left = False
        """The node's own log says that it was removed, and is at the slot where that takes force, or beyond."""
        self.end_of_writes: Error | None = None
        """If it has left: the answer to a write that was under way then. None if nobody knows what became of these."""
        self._node = node
        self._told: Error | None = None
        self.hear(MembersAre(configurations, configurations.newest.slot))

    def hear(self, message: MembersAre | RemovalTold) -> None:
        """The log has other sets, or one has taken force; or a member says that this node was removed.

        A node that is told so may never apply its removal: it is refused by those who know the slots up to there.
        """
        if isinstance(message, RemovalTold):
            self._told = self.refusal = _removed(message.addresses or ["another node"])
            return
        held, applied = message.configurations, message.applied
        in_force = held.in_force(applied)
        self.has_left = held.was_removed(self._node, applied)
        if self.has_left:
            self.refusal = _removed([_place(held, node) for node in sorted(in_force.members)])
            # If a set with the node decided the slot applied last, all of its batches were heard of that took effect.
            # A snapshot of a later slot has the marks of its batches no more.
            heard_of_all = self._node in held.of(max(applied, 1)).members
            self.end_of_writes = self.refusal if heard_of_all else None
        elif self._node in in_force.members:
            self.refusal = self._told
        else:
            self.refusal = NO_MEMBER_YET


NO_MEMBER_YET = Error("TRYAGAIN this node is no member of the cluster yet; the request was not applied, retry")


def _place(held: Configurations, node: int) -> str:
    """Where clients find a member. Of a first member that never moved only the config file knows it."""
    record = held.record(node)
    return record.client if record is not None and record.client else f"node {node}"


def _removed(places: Iterable[str]) -> Error:
    return Error(
        f"TRYAGAIN this node was removed from the cluster; the request was not applied: send it to {', '.join(places)}"
    )
