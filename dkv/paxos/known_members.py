"""What an actor knows of the members: whom to send to, and who decides which slot, as its learner says (MembersAre)."""

from __future__ import annotations

from dkv.configurations import Configuration, Configurations
from dkv.events import MembersAre


class KnownMembers:
    """The members as ``node`` knows them. Slots up to ``applied``, at least, are applied.

    ``others`` are all members but the node itself that decide or follow the next slots: they are sent to. ``in_force``
    is the set that decides the next slot, ``each`` that set and those that follow it.
    """

    def __init__(self, node: int, configurations: Configurations, applied: int = 0) -> None:
        self._node = node
        self.applied = applied
        # The set that decides slot 1 may be forgotten. What is applied here is heard of with the first MembersAre.
        self._take(configurations, max(applied, configurations.sets[0].from_slot - 1))

    def update(self, message: MembersAre) -> None:
        """The log has come to another set, or one has taken force."""
        self._take(message.configurations, message.applied)

    def advance(self, applied: int) -> None:
        """All slots up to ``applied`` are applied, and the sets are the same as before."""
        self.applied = max(self.applied, applied)

    def of(self, slot: int) -> Configuration:
        """As ``Configurations.of``."""
        return self.configurations.of(slot)

    def has_forgotten(self, slot: int) -> bool:
        """Whether the set that decides ``slot`` is no longer remembered: so many have followed it."""
        return slot < self.configurations.sets[0].from_slot

    def is_known(self, node: int) -> bool:
        """Whether a node is a member of the set in force or of one that follows."""
        return node in self.all

    @property
    def contacts(self) -> frozenset[int]:
        """As ``Configurations.contacts``."""
        return self.configurations.contacts(self._node, self.applied)

    def following(self, slot: int) -> tuple[Configuration, ...]:
        """The set that decides ``slot`` and those that follow it, oldest first."""
        return self.configurations.each(slot - 1)

    def _take(self, configurations: Configurations, applied: int) -> None:
        self.configurations = configurations
        self.applied = applied
        self.in_force = configurations.in_force(applied)
        self.each = configurations.each(applied)
        self.all = configurations.known(applied)
        self.others = tuple(sorted(self.all - {self._node}))
