"""Who the members are, for people: a node says what it is, what the others are, and what will change."""

from __future__ import annotations

import json
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from dkv import noted
from dkv.actor import Note, NoteFields
from dkv.configurations import Configuration, Configurations, MemberRecord, first_configurations
from dkv.console.member_orders import answer_member_order
from dkv.console.member_view import MemberView
from dkv.identity import Identity
from dkv.replies import Error

FIRST = first_configurations((1, 2, 3))
JOINED = Configuration(10, 74, FIRST.newest.voters, frozenset((4,)))
REPLACED = Configuration(100, 164, frozenset((2, 3, 4)))
HELD = Configurations((*FIRST.sets, JOINED, REPLACED), (MemberRecord(4, 0xB4, "h:1", "h:2"),), 4)


class Addresses:
    """Those of an address book with one entry."""

    def peer(self, held: Configurations, node: int) -> str:
        return f"db{node}:5100"

    def client(self, held: Configurations, node: int) -> str:
        return f"db{node}:7379"

    def client_tls(self, held: Configurations, node: int) -> str:
        return ""

    def difference(self, held: Configurations, applied: int) -> str | None:
        return "they differ" if held is HELD else None


class MemberViewTests(SynchronousTestCase):
    def view(self, node: int = 1, held: Configurations = FIRST, applied: int = 0) -> MemberView:
        identity = Identity("shop", node, 0xA0 + node, 7, b"\1" * 16, (1, 2, 3))
        self.made = MemberView(identity, held, applied, Addresses(), {2: 0xB2}.get)
        return self.made

    def note(self, event: Note[NoteFields], /, *_: NoteFields.args, **fields: NoteFields.kwargs) -> None:
        """An actor notes something."""
        self.made.takers[event](**fields)

    def kinds(self) -> dict[int, tuple[str, str | None]]:
        return {each["id"]: (each["kind"], each["becomes"]) for each in self.made.members()["members"]}

    def test_before_the_first_change(self) -> None:
        """All first members vote; incarnations are those of the directories that were met."""
        status = self.view().status()
        self.assertEqual(self.kinds(), {1: ("voter", None), 2: ("voter", None), 3: ("voter", None)})
        self.assertEqual([each["incarnation"] for each in status["members"]], [f"{0xA1:016x}", f"{0xB2:016x}", None])
        self.assertEqual((status["members"][2]["peer"], status["members"][2]["client"]), ("db3:5100", "db3:7379"))
        expected = {"member": "voter", "membership_slot": 0, "pending_from_slot": None, "ids_through": 3}
        self.assertEqual({name: status[name] for name in expected}, expected)
        self.assertEqual((status["removed_at"], status["held_through"], status["config_differs"]), (None, None, None))
        self.assertEqual(self.made.counts, {"voter": 3, "standby": 0})

    def test_while_a_change_is_pending(self) -> None:
        """Until it takes force a promoted node is a standby, and one that leaves a voter; the plan is shown."""
        self.view()
        self.note(noted.members_are, configurations=HELD, applied=120)
        self.assertEqual(
            self.kinds(), {1: ("voter", "removed"), 2: ("voter", None), 3: ("voter", None), 4: ("standby", "voter")}
        )
        status = self.made.status()
        expected = {"member": "voter", "membership_slot": 100, "pending_from_slot": 164}
        self.assertEqual({name: status[name] for name in expected}, expected)
        self.assertEqual(status["config_differs"], "they differ")
        self.assertEqual((self.made.counts, self.made.slot), ({"voter": 3, "standby": 1}, 100))

    def test_when_it_has_taken_force(self) -> None:
        """A node that its own log has removed says so, and counts no members: it is no part of the cluster."""
        self.view()
        self.note(noted.members_are, configurations=HELD, applied=163)
        self.assertEqual(self.kinds(), {2: ("voter", None), 3: ("voter", None), 4: ("voter", None)})
        self.assertEqual((self.made.kind, self.made.is_member), ("removed", False))
        self.assertEqual(self.made.counts, {"voter": 0, "standby": 0})

    def test_removed_by_the_word_of_a_member(self) -> None:
        """Its own log ends before its removal, and would say that it votes."""
        self.view()
        self.note(noted.removed, slot=100, addresses=["db2:7379"])
        status = self.made.status()
        self.assertEqual((status["member"], status["removed_at"], status["members_at"]), ("removed", 100, ["db2:7379"]))

    def test_a_standby_and_a_joiner(self) -> None:
        """A node that waits for its entry is told apart from one that was removed."""
        self.assertEqual(self.view(4, HELD, 80).kind, "standby")
        self.assertEqual(self.view(4, HELD, 20).kind, "standby", "its entry is applied, and not in force")
        self.assertEqual(self.view(4).kind, "unknown")
        self.assertEqual(self.view(5, HELD, 163).kind, "unknown")

    def test_held_through(self) -> None:
        """What an operator waits for before old nodes are switched off."""
        self.view()
        self.note(noted.held, through=77)
        self.assertEqual(self.made.status()["held_through"], 77)


class OrderTests(SynchronousTestCase):
    def order(self, *words: str, node: int = 2, held: Configurations = HELD, applied: int = 80) -> Any:
        identity = Identity("shop", node, 0xA0 + node, 7, b"\1" * 16, (1, 2, 3))
        view = MemberView(identity, held, applied, Addresses(), lambda node: None)
        answer = answer_member_order(view, [word.encode() for word in words])
        return answer if isinstance(answer, Error) else json.loads(bytes(answer))  # type: ignore[arg-type]

    def test_list(self) -> None:
        """The members, from any node; the key of the cluster is not in it."""
        answer = self.order("list")
        self.assertEqual((answer["member"], [each["id"] for each in answer["members"]]), ("voter", [1, 2, 3, 4]))
        self.assertNotIn("cluster_key", answer)

    def test_join(self) -> None:
        """What makes the directory of a new node one of this cluster."""
        answer = self.order("JOIN")
        expected = {"cluster": "shop", "cluster_key": "01" * 16, "first_members": [1, 2, 3], "ids_through": 4}
        self.assertEqual({name: answer[name] for name in expected}, expected)

    def test_join_at_a_node_that_is_no_member(self) -> None:
        """What it knows may be old: a new node would be given an id that was used since."""
        self.assertIn("removed: ask another", self.order("join", node=1, applied=163).text)
        self.assertIn("unknown: ask another", self.order("join", node=7).text)

    def test_usage(self) -> None:
        for words in (["add"], ["list", "x"], [""]):
            self.assertIsInstance(self.order(*words), Error)
