"""How far a log is whole on its own disk: that decides when nodes that left may be switched off."""

from __future__ import annotations

from typing import Any

from dkv.actor import ACCEPTOR, LEARNER, Address
from dkv.configurations import Configuration, Configurations
from dkv.events import LogHeld, MembersAre, TimerFired
from dkv.keys import CHOSEN_THROUGH, pack_number
from dkv.messages import ChosenMark
from dkv.paxos.held_mark import HELD_SECONDS
from tests.paxos.test_acceptor import B1, MEMBERS, OneAcceptor, proposer, value

ITSELF = Address(1, ACCEPTOR)
CHANGED = Configurations((*MEMBERS.sets, Configuration(10, 74, frozenset((1, 2)))), (), 3)


class HeldTests(OneAcceptor):
    def begin(self, stored: Any) -> list[tuple[Address, Any]]:
        """A life on what is stored; the learner says that members have changed."""
        said = super().begin(stored)
        self.change()
        return said

    def change(self) -> None:
        """The log holds a change of members."""
        self.give(Address(1, LEARNER), MembersAre(CHANGED, 10))

    def fire(self) -> LogHeld:
        """The timer is due; what the acceptor hears of itself once the disk has all of it."""
        (said,) = self.give(ITSELF, TimerFired("held"))
        assert isinstance(said, LogHeld)
        self.assertEqual([sent for to, sent in self.turn.early if to == ITSELF], [], "the disk comes first")
        return said

    def held(self) -> list[int]:
        """What was noted so far."""
        return [fields["through"] for name, fields in self.turn.measures if name == "held"]

    def test_behind_the_disk(self) -> None:
        """Noted when it is chosen, nodes were switched off that alone hold the slot on a disk."""
        self.accept(B1, 1, value("a"))
        self.assertNotIn("held", self.turn.timers, "it is not known to be chosen")
        self.give(proposer(1), ChosenMark(B1, 1))
        self.assertEqual(self.turn.timers["held"], self.turn.now + HELD_SECONDS)
        self.assertEqual(self.held(), [])
        said = self.fire()
        self.assertEqual(said, LogHeld(1))
        self.assertEqual(self.turn.persisted, {CHOSEN_THROUGH: pack_number(1)})
        self.assertEqual(self.held(), [])
        self.give(ITSELF, said)
        self.assertEqual(self.held(), [1])

    def test_the_mark_survives_a_crash(self) -> None:
        """A record alone does not say that it is chosen: the quorum that could say it may be switched off by then."""
        self.accept(B1, 1, value("a"))
        self.give(proposer(1), ChosenMark(B1, 1))
        lost = {key: stored for key, stored in self.turn.stored.items() if key not in self.turn.staged}
        self.fire()
        self.turn.stored = lost | {key: stored for key, stored in self.turn.persisted.items() if stored is not None}
        self.begin(self.turn.stored)
        self.give(ITSELF, self.fire())
        self.assertEqual(self.held(), [1])

    def test_nothing_is_written_again(self) -> None:
        """A log that is on disk up to its mark costs an idle node no commit any more."""
        self.accept(B1, 1, value("a"))
        self.give(proposer(1), ChosenMark(B1, 1))
        said = self.fire()
        self.turn.timers.clear()
        self.give(ITSELF, said)
        self.assertNotIn("held", self.turn.timers)

    def test_once_for_many_slots(self) -> None:
        """A message for every slot would cost all writes something."""
        due = self.turn.now + HELD_SECONDS
        for slot in (1, 2, 3):
            self.accept(B1, slot, value("a"), mark=slot)
            self.turn.now += HELD_SECONDS / 4
        self.assertEqual(self.turn.timers["held"], due, "not put off by more slots")
        said = self.fire()
        self.accept(B1, 4, value("a"), mark=4)
        self.turn.timers.clear()
        self.give(ITSELF, said)
        self.assertIn("held", self.turn.timers, "one slot more came meanwhile")
        self.give(ITSELF, self.fire())
        self.assertEqual(self.held(), [3, 4])

    def test_nobody_asks(self) -> None:
        """While members have never changed it would be a commit for nothing."""
        super().begin(self.stored)
        self.accept(B1, 1, value("a"), mark=1)
        self.assertNotIn("held", self.turn.timers)
        self.change()
        self.give(ITSELF, self.fire())
        self.assertEqual(self.held(), [1])
