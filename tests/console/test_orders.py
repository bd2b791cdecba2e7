"""Orders of operators on the client port are carried out, or refused in one line that says why."""

from __future__ import annotations

import json
from typing import Any
from unittest.mock import Mock, call

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from dkv.console.client_session import ClientSession
from dkv.console.comparison import HeldState
from dkv.console.inspection import Busy, Inspection
from dkv.console.orders import FAULT_USAGE, FAULTS_REFUSED, ORDERS
from dkv.console.surroundings import BackupRefused, Backups
from dkv.identity import Identity
from dkv.replies import OK, Error, Local
from dkv.settings import Limits


class OrderTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.node = Mock(spec=Inspection)
        self.node.identity = Identity("c", 1, 9, 1)
        self.node.faults_allowed = True
        self.node.faults = Mock(peers=frozenset((2, 3)))
        self.node.status.return_value = {"node": 1}
        self.node.metrics.return_value = b"dkv_connections 1.0\n"
        self.node.log.return_value = [[1, b"1.1", b"chosen", [], 0]]
        self.node.applied_through = 12
        self.node.comparison = HeldState(1, lambda *letter: None, lambda: 0.0)
        self.node.member_view = Mock(kind="voter", **{"members.return_value": {}, "invitation.return_value": {}})
        self.session = ClientSession(7, "192.0.2.1:4000", Limits(), self.node)

    def reply(self, *words: str | bytes) -> Any:
        local = self.session.interpret([word if isinstance(word, bytes) else word.encode() for word in words])
        assert isinstance(local, Local)
        return local.reply

    def refusal(self, *words: str | bytes) -> str:
        reply = self.reply(*words)
        self.assertIsInstance(reply, Error)
        self.assertEqual(self.node.faults.mock_calls, [])
        self.assertEqual(self.node.log.mock_calls, [])
        return str(reply.text)

    def test_status_and_metrics(self) -> None:
        """The same as on the admin port, for those who have only this one."""
        self.assertEqual(json.loads(self.reply("DKV.STATUS")), {"node": 1})
        self.assertEqual(self.reply("dkv.metrics"), b"dkv_connections 1.0\n")

    def test_log(self) -> None:
        """The last ten slots, or those asked for."""
        self.assertEqual(self.reply("dkv.log"), [[1, b"1.1", b"chosen", [], 0]])
        self.reply("dkv.log", "5")
        self.reply("dkv.log", "5", "1000")
        self.assertEqual(self.node.log.mock_calls, [call(None, 10), call(5, 10), call(5, 1000)])

    def test_leader(self) -> None:
        """The order reaches the part that knows who can lead; its refusal is the answer."""
        self.node.handovers = Mock()
        self.node.handovers.transfer.return_value = None
        self.assertEqual(self.reply("DKV.LEADER", "transfer", "3"), OK)
        self.node.handovers.transfer.return_value = "ERR node 3 does not answer"
        self.assertEqual(self.refusal("dkv.leader", "TRANSFER", "3"), "ERR node 3 does not answer")
        self.assertEqual(self.node.handovers.mock_calls, [call.transfer(3), call.transfer(3)])
        for words in (["transfer"], ["transfer", "3", "4"], ["give", "3"]):
            self.assertEqual(self.refusal("dkv.leader", *words), "ERR write DKV.LEADER TRANSFER node")
        self.assertIn("from 1 to 4294967295", self.refusal("dkv.leader", "transfer", "zero"))

    def test_wrong_log(self) -> None:
        """Numbers out of range are refused."""
        for words in (("0",), ("-1",), ("x",), ("1", "0"), ("1", "1001"), ("1", "2", "3"), ("9" * 30,)):
            self.assertTrue(self.refusal("dkv.log", *words).startswith("ERR "), words)

    def test_busy(self) -> None:
        """A client that asks for the log all the time is told to wait, and the node goes on with its work."""
        self.node.log.side_effect = Busy
        self.assertTrue(self.reply("dkv.log").text.startswith("TRYAGAIN "))

    def test_compare(self) -> None:
        """``dkv compare`` asks for the state after a slot; what is not held is refused, and may be asked for again."""
        self.assertEqual(self.reply("dkv.compare", "state"), [1, 12, 0, b"none"])
        self.assertEqual(self.reply("DKV.COMPARE", "HOLD", "15"), OK)
        self.assertEqual(self.reply("dkv.compare", "STATE"), [1, 12, 15, b"waiting"])
        for order in ("hold 16", "page 15 x", "pairs 15 x"):
            words = order.split()
            self.assertTrue(self.refusal("dkv.compare", *words).startswith("TRYAGAIN the state after slot 15 "), words)
        self.assertEqual(self.reply("dkv.compare", "end", "15"), OK)
        self.assertEqual(self.reply("dkv.compare", "state"), [1, 12, 15, b"none"])
        for order in ("x", "hold", "hold x", "hold -1", "page 15", "state 1"):
            words = order.split()
            self.assertTrue(self.refusal("dkv.compare", *words).startswith("ERR "), words)

    def test_backup(self) -> None:
        """The pieces belong to the connection: with its end they are given up."""
        backups = self.node.backups = Mock(spec=Backups)
        backups.begin.return_value = b"first"
        backups.next.side_effect = [b"second", None, BackupRefused("BUSY with another one")]
        self.assertEqual(self.reply("dkv.backup", "BEGIN", "7"), b"first")
        self.assertEqual([self.reply("DKV.BACKUP", "next") for _ in range(2)], [b"second", None])
        self.assertEqual(self.refusal("dkv.backup", "next"), "BUSY with another one")
        self.assertEqual(self.reply("dkv.backup", "end"), OK)
        self.session.gone()
        self.assertEqual(backups.begin.mock_calls, [call(self.session, 7)])
        self.assertEqual(backups.end.mock_calls, [call(self.session)] * 2)

    def test_wrong_backup(self) -> None:
        """A slip is one line, and nothing begins."""
        self.node.backups = Mock(spec=Backups)
        for words in (("begin", "x"), ("begin", "-1"), ("begin",), ("next", "1"), ("now",)):
            self.assertTrue(self.refusal("dkv.backup", *words).startswith("ERR "), words)
        self.assertEqual(self.node.backups.mock_calls, [])

    def test_faults(self) -> None:
        """Each order reaches the mesh in its units: seconds."""
        orders = (
            (("DROP", "2", "1.0"), call.drop(2, 1.0, 60.0)),
            (("drop", "3", "0.25", "FOR", "5"), call.drop(3, 0.25, 5.0)),
            (("delay", "2", "250"), call.delay(2, 0.25, 60.0)),
            (("delay", "2", "0.5", "for", "3600"), call.delay(2, 0.0005, 3600.0)),
            (("CLEAR",), call.clear(None)),
            (("clear", "2"), call.clear(2)),
        )
        for words, expected in orders:
            self.node.faults.reset_mock()
            self.assertEqual(self.reply("dkv.fault", *words), OK)
            self.assertEqual(self.node.faults.mock_calls, [expected])

    def test_a_disk_that_hangs(self) -> None:
        """The disk is the node's own, so the order names no peer; CLEAR without a peer ends it, too."""
        orders = ((("HANG",), call.hold_disk(60.0)), (("hang", "for", "5"), call.hold_disk(5.0)))
        for words, expected in orders:
            self.node.reset_mock()
            self.assertEqual(self.reply("dkv.fault", *words), OK)
            self.assertEqual(self.node.mock_calls, [expected])
        self.assertEqual(self.refusal("dkv.fault", "hang", "2"), FAULT_USAGE.text)
        self.assertEqual(self.reply("dkv.fault", "clear"), OK)
        self.assertIn(call.release_disk(), self.node.mock_calls)

    def test_wrong_faults(self) -> None:
        """An order that is not understood does nothing, and the line says which ones are."""
        self.assertIn("node 9 is no peer of node 1; its peers are 2, 3", self.refusal("dkv.fault", "drop", "9", "1"))
        self.assertIn("node 1 is no peer of node 1", self.refusal("dkv.fault", "drop", "1", "1"))
        for rate in ("1.1", "-1", "x", "nan", "1e-3", "", "inf"):
            self.assertIn("rate must be a number from 0 to 1", self.refusal("dkv.fault", "drop", "2", rate))
        self.assertIn("ms must be a number from 0 to 10000", self.refusal("dkv.fault", "delay", "2", "10001"))
        for seconds in ("3601", "0", "x"):
            self.assertIn("seconds must be", self.refusal("dkv.fault", "drop", "2", "1", "for", seconds))
        for words in (("foo",), ("drop",), ("drop", "2"), ("clear", "2", "3"), ("drop", "2", "1", "in", "5")):
            self.assertEqual(self.refusal("dkv.fault", *words), FAULT_USAGE.text)

    def test_not_allowed(self) -> None:
        """A production node does not drop messages because somebody on the network says so."""
        self.node.faults_allowed = False
        for words in (("drop", "2", "1"), ("clear",), ("nonsense",)):
            self.assertEqual(self.refusal("dkv.fault", *words), FAULTS_REFUSED.text)

    @given(
        st.lists(
            st.one_of(st.sampled_from([b"drop", b"for", b"2", b"0.5", b"clear"]), st.binary(max_size=6)), max_size=7
        )
    )
    def test_total(self, words: list[bytes]) -> None:
        """No order raises an exception in the node."""
        for name in ORDERS:
            self.assertIsInstance(self.session.interpret([name, *words]), Local)
