"""Changes of members are proposed only if they can work; a refusal says why, and what to do."""

from __future__ import annotations

from dataclasses import replace
from typing import Any
from unittest.mock import patch

from twisted.trial.unittest import SynchronousTestCase

from dkv import noted
from dkv.actor import Note, NoteFields
from dkv.configurations import ALPHA, Configuration, Configurations, MemberRecord, first_configurations
from dkv.console.member_changes import changing
from dkv.console.member_lags import CLAIM_SECONDS, MemberLags
from dkv.console.member_view import MemberView
from dkv.identity import Identity
from dkv.kv.codes import MEMBERS
from dkv.kv.membership import ADD, MOVE, NAME, PROMOTE, REMOVE
from dkv.replies import OK, Error, Local
from dkv.settings import CLASSIC, LEADER

APPLIED = 1_000
JOINED = Configurations(
    (Configuration(10, 74, frozenset((1, 2, 3)), frozenset((4, 5))),),
    tuple(MemberRecord(node, 0xA0 + node, f"db{node}:5100", f"db{node}:7379") for node in (1, 2, 3, 4, 5)),
    5,
)


class Addresses:
    """Those of a config file."""

    def peer(self, held: Configurations, node: int) -> str:
        return f"db{node}:5100"

    def client(self, held: Configurations, node: int) -> str:
        return f"db{node}:7379"

    def client_tls(self, held: Configurations, node: int) -> str:
        return ""

    def difference(self, held: Configurations, applied: int) -> str | None:
        return None


class Node:
    """What node 1 knows, which leads and is connected with all others; they are as far as it is."""

    node = 1
    applied_through = APPLIED

    def __init__(self, held: Configurations, met: dict[int, int] | None = None) -> None:
        self.mode, self.leader = LEADER, 1
        self.connected = frozenset((2, 3, 4, 5))
        self.now = 0.0
        self.member_view = MemberView(Identity("c", 1, 0xA1, 7), held, APPLIED, Addresses(), (met or {}).get)
        self.member_lags = MemberLags(1, lambda: self.now)
        self.note(noted.applied, through=APPLIED, commands=0)
        for peer in (2, 3, 4, 5):
            self.note(noted.peer_applied, peer=peer, through=APPLIED)

    def note(self, event: Note[NoteFields], /, *_: NoteFields.args, **fields: NoteFields.kwargs) -> None:
        """An actor notes something."""
        self.member_lags.takers[event](**fields)


class MemberChangeTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.node = Node(JOINED)

    def ask(self, words: str) -> Any:
        """The entry, or the reply."""
        answer = changing(self.node, [word.encode() for word in words.split()])
        return answer.reply if isinstance(answer, Local) else answer

    def refusal(self, words: str) -> str:
        reply = self.ask(words)
        assert isinstance(reply, Error), reply
        return reply.text

    def test_all_changes_are_one_entry(self) -> None:
        """They take effect together or not at all."""
        incarnation = "00000000000000b6"
        self.assertEqual(
            self.ask(f"CHANGE 10 add 6 {incarnation} h:1 h:2 promote 4 remove 2 move 3 h:3 h:4"),
            [MEMBERS, 10, [ADD, 6, 0xB6, b"h:1", b"h:2"], [PROMOTE, 4], [REMOVE, 2], [MOVE, 3, b"h:3", b"h:4"]],
        )
        self.assertEqual(self.ask("change 10 replace 3 4"), [MEMBERS, 10, [REMOVE, 3], [PROMOTE, 4]])
        self.assertEqual(self.ask("check 10 replace 3 4"), OK)

    def test_the_first_change_names_the_first_members(self) -> None:
        """Nodes that never met them can tell a directory that was made anew."""
        first = first_configurations((1, 2, 3))
        self.node = Node(first, {2: 0xA2, 3: 0xA3})
        names = [[NAME, 1, 0xA1], [NAME, 2, 0xA2], [NAME, 3, 0xA3]]
        places = [[MOVE, node, b"db%d:5100" % node, b"db%d:7379" % node] for node in (1, 2, 3)]
        self.assertEqual(self.ask("change 0 remove 3"), [MEMBERS, 0, *names, *places, [REMOVE, 3]])
        self.node = Node(first, {2: 0xA2})
        self.assertIn("has never met node 3", self.refusal("change 0 remove 3"))

    def test_where_the_first_members_are(self) -> None:
        """The clients of a removed node are sent there; an address that nobody knows, or could write, is left out."""
        records = (MemberRecord(1, 0xA1, "h:1", "h:2"), MemberRecord(2, 0xA2), MemberRecord(3, 0xA3))
        self.node = Node(replace(JOINED, records=(*records, *JOINED.records[3:])))
        for known, written in (("db2:7379", b"db2:7379"), ("", b"")):
            with patch.object(Addresses, "client", return_value=known):
                places = [[MOVE, node, b"db%d:5100" % node, written] for node in (2, 3)]
                self.assertEqual(self.ask("change 10 replace 3 4"), [MEMBERS, 10, *places, [REMOVE, 3], [PROMOTE, 4]])
        for peer, client in (("", ""), ("x" * 256, "h:1"), ("h:1", "two words")):
            with (
                patch.object(Addresses, "peer", return_value=peer),
                patch.object(Addresses, "client", return_value=client),
            ):
                self.assertEqual(self.ask("change 10 replace 3 4"), [MEMBERS, 10, [REMOVE, 3], [PROMOTE, 4]])

    def test_only_the_leader(self) -> None:
        """It alone knows who is near; in classic mode each node is asked about its own view."""
        self.node.leader = 2
        self.assertEqual(
            self.refusal("change 10 replace 3 4"),
            "TRYAGAIN node 2 leads: ask it at db2:7379; no member was changed",
        )
        self.node.leader = 0
        self.assertIn("no leader is known", self.refusal("check 10 replace 3 4"))
        self.node.mode = CLASSIC
        self.assertEqual(self.ask("check 10 replace 3 4"), OK)

    def test_who_cannot_judge(self) -> None:
        """A node that was removed, or is behind, knows older members: another one may take what it cannot."""
        self.node.leader, self.node.mode = 0, CLASSIC
        behind = "TRYAGAIN node 1 has not heard yet of the newest members: ask another member, or again in a moment"
        self.assertIn(behind, self.refusal("change 11 replace 3 4"))
        self.node = Node(replace(JOINED, sets=(Configuration(10, 74, frozenset((2, 3)), frozenset((4,))),)))
        self.node.leader, self.node.mode = 0, CLASSIC
        self.assertIn("TRYAGAIN node 1 is no member itself: ask another", self.refusal("change 10 replace 3 4"))

    def test_rules_of_the_log(self) -> None:
        """What every node would refuse does not get into the log."""
        self.assertIn("rests on the members of slot 9", self.refusal("change 9 replace 3 4"))
        self.assertIn("no voter would be left", self.refusal("change 10 remove 1 remove 2 remove 3"))
        self.assertIn("no id is used twice", self.refusal("change 10 add 5 00000000000000b6 h:1 h:2"))
        pending = replace(JOINED.newest, slot=APPLIED - 1, from_slot=APPLIED - 1 + ALPHA)
        self.node = Node(replace(JOINED, sets=(*JOINED.sets, pending)))
        self.assertIn("is under way until slot", self.refusal(f"change {APPLIED - 1} replace 3 4"))

    def test_where_a_node_cannot_be(self) -> None:
        """No port, or the place of another member: a node that nobody finds would be missing in each quorum."""
        new = "ADD 6 00000000000000a6"
        for words, reason in (
            ("MOVE 2 nowhere db2:1", "ERR node 2 cannot be found there: "),
            ("MOVE 2 db2:99999 db2:1", "ERR node 2 cannot be found there: "),
            ("MOVE 2 0.0.0.0:1 db2:1", "ERR node 2 cannot be found there: "),
            ("MOVE 2 db3:5100 db2:1", "ERR node 3 is at db3:5100, so node 2 cannot be there"),
            ("MOVE 2 db2:1 db3:5100", "ERR node 3 is at db3:5100, so node 2 cannot be there"),
            (f"{new} db6:5100 dns", "ERR node 6 cannot be found there: "),
        ):
            text = self.refusal(f"CHECK 10 {words}")
            self.assertIn(reason, text)
            self.assertTrue(text.endswith("; no member was changed"), text)
        for words in (
            f"{new} db6:5100 tcp:host=db6:port=7379",
            "MOVE 2 db3:5100 db3:7379 MOVE 3 db2:5100 db2:7379",
        ):
            self.assertEqual(self.ask(f"CHECK 10 {words}"), OK)

    def test_where_another_node_was(self) -> None:
        """Its disk is lost, and the machine has got a new one. A member that runs there would be dialled no more."""
        new = "CHECK 10 ADD 6 00000000000000a6"
        for node in (1, 3):
            text = self.refusal(f"{new} db{node}:5100 db6:7379")
            self.assertIn(f"node {node} is at db{node}:5100, so node 6 cannot be there", text)
        self.node.connected = frozenset((2, 4, 5))
        self.assertEqual(self.ask(f"{new} db3:5100 db3:7379"), OK)

    def test_b39_new_voters_are_there(self) -> None:
        """A voter that is not there from the beginning may cost the majority."""
        self.node.connected = frozenset((2, 3, 5))
        self.assertIn("node 4 is not connected: it must be there", self.refusal("change 10 replace 3 4"))
        self.assertEqual(self.ask("check 10 replace 3 5"), OK)

    def test_new_voters_are_near(self) -> None:
        """Slots would wait for one that is far behind."""
        self.node.note(noted.peer_applied, peer=4, through=APPLIED - ALPHA)
        self.assertEqual(self.ask("check 10 replace 3 4"), OK)
        self.node.note(noted.peer_applied, peer=4, through=APPLIED - ALPHA - 1)
        self.assertIn(f"node 4 is {ALPHA + 1} slots behind: it must", self.refusal("change 10 replace 3 4"))

    def test_b39_a_majority_works(self) -> None:
        """What cannot agree on anything cannot even undo the change."""
        self.node.connected = frozenset((3, 4, 5))
        self.assertEqual(self.ask("check 10 replace 2 4"), OK)
        self.node.connected = frozenset((4, 5))
        refusal = self.refusal("change 10 replace 1 4")
        self.assertIn("no majority of the new voters would work, since node 2 is not connected, and node 3 is", refusal)

    def test_a_standby_may_be_far_away(self) -> None:
        """It is counted nowhere."""
        self.assertEqual(self.ask("check 10 add 6 00000000000000b6 h:1 h:2"), OK)

    def test_usage(self) -> None:
        """Anything else is refused with what may be written."""
        for words in ("change", "change 10", "change x remove 1", "change 10 remove", "change 10 add 6 xyz h:1 h:2"):
            self.assertIn("write DKV.MEMBER", self.refusal(words), words)
        self.assertIn("'0' is no id", self.refusal("change 10 remove 0"))


class MemberLagTests(SynchronousTestCase):
    def test_a_word_holds_for_a_moment(self) -> None:
        """A node that is near all the time is behind by what was proposed since it spoke; one that is stuck is, too."""
        now = 0.0
        lags = MemberLags(1, lambda: now)
        applied, told = lags.takers[noted.applied], lags.takers[noted.peer_applied]
        self.assertEqual((lags.lag(1), lags.lag(2)), (0, 0))
        applied(through=100, commands=0)
        self.assertEqual((lags.lag(1), lags.lag(2)), (0, None))
        told(peer=2, through=95)
        applied(through=400, commands=0)
        self.assertEqual(lags.lag(2), 5)
        now = CLAIM_SECONDS + 0.1
        self.assertEqual(lags.lag(2), 305)
        told(peer=2, through=500)
        self.assertEqual(lags.lag(2), 0)
