"""While disks are short of space, writes that grow data are refused; everything else, and every order, stays."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from dkv.actor import ELECTOR
from dkv.client_events import ReadResults, ShortOfSpace
from dkv.gateway.shortage import refusal
from dkv.kv.codes import DELETE, IDMP, IDMP_NEW, IDMP_REPEAT
from dkv.kv.machine import NOT_EXECUTED
from dkv.kv.sessions import check_of
from dkv.messages import Barrier
from dkv.records import Entry, ShortDisk
from dkv.replies import OK, Local, Simple
from dkv.settings import MIB
from tests.gateway.one_gateway import IDENTITY, NODE_2, NODE_3, OneGateway, append, get, here, key, put, requests, word

SHORT = ShortOfSpace((ShortDisk(2, 200 * MIB, 320 * MIB),))
ROOM = ShortOfSpace(())
PONG = Local(Simple("PONG"))


def delete(name: str) -> Entry:
    """A write that makes room."""
    return [DELETE, name.encode()]


def with_token(write: Entry, op: int = 7) -> Entry:
    """The write of producer "p"."""
    return [IDMP, b"p", op, write]


def plain(reply: Any) -> Any:
    """What the client is sent."""
    return reply.reply if type(reply) is Local else reply


def name_of(entry: Any) -> bytes:
    """Which request an entry stands for, whether it stands in the place of another one or not."""
    if entry[0] in (IDMP, IDMP_REPEAT):
        return b"token %d" % entry[2]
    return key(entry)


class ShortageTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.node = OneGateway()

    def decide(self, decision: ShortOfSpace) -> None:
        """The elector says what was decided."""
        self.node.give(decision, sender=here(ELECTOR))

    def words(self) -> list[tuple[int, list[str]]]:
        """The first words of the replies since the last call; a refusal has the place of a local reply."""
        return [
            (connection, [word(each) for each in map(plain, replies)]) for connection, replies in self.node.answers()
        ]

    def test_refused(self) -> None:
        """Nothing is proposed, and the client knows at once that nothing was applied."""
        self.decide(SHORT)
        self.node.give(requests(1, put("a"), append("a", "x")), requests(2, put("b")))
        self.assertEqual(self.words(), [(1, ["MISCONF", "MISCONF"]), (2, ["MISCONF"])])
        self.assertEqual(self.node.batches(), [])
        refused = [fields for name, fields in self.node.turn.measures if name == "refused"]
        self.assertEqual(refused, [{"reason": "MISCONF", "count": 3}])

    def test_in_words(self) -> None:
        """An operator reads in the error where room is wanted, and how much."""
        text = refusal(SHORT.disks).text
        for words in ("MISCONF ", "node 2 ", "200.0 MiB", "320.0 MiB", "not applied", "delete keys"):
            self.assertIn(words, text)
        two = refusal((*SHORT.disks, ShortDisk(3, MIB, 320 * MIB))).text
        self.assertIn("node 3 (and 1 more) has 1.0 MiB", two, "the fullest one is named")

    def test_deletes_and_reads(self) -> None:
        """Who cannot delete cannot make room."""
        self.decide(SHORT)
        self.node.give(requests(1, put("a"), delete("b"), get("b"), PONG, [IDMP_NEW]))
        self.assertEqual(self.node.batches(), [(NODE_2, 1, [delete("b"), get("b"), [IDMP_NEW]])])
        self.node.applied(1, 1, None, b"#1.0")
        self.assertEqual(self.words(), [(1, ["MISCONF", "", "", "", ""])])

    def test_reads_alone(self) -> None:
        """Reads go their own way as ever."""
        self.decide(SHORT)
        self.node.give(requests(1, get("a")))
        self.assertEqual(self.node.barriers(), [(NODE_2, 1)])
        self.node.give(Barrier(IDENTITY.boot, 1, 5))
        self.node.give(ReadResults(1, [b"v"]))
        self.assertEqual(self.node.answers(), [(1, [b"v"])])

    def test_repeats_get_their_answer(self) -> None:
        """Whether a write with a token was executed, the log knows, and is asked; a DELETE goes as it is."""
        self.decide(SHORT)
        self.node.give(requests(1, with_token(put("a")), with_token(delete("b"), 8)))
        asked = [IDMP_REPEAT, b"p", 7, check_of(put("a"))]
        self.assertEqual(self.node.batches(), [(NODE_2, 1, [asked, with_token(delete("b"), 8)])])
        self.node.applied(1, OK, 1)
        self.assertEqual(self.node.answers(), [(1, [OK, 1])])

    def test_not_executed_in_the_same_words(self) -> None:
        """``dkv put`` sends a token: who types it must read where room is wanted, too."""
        self.decide(SHORT)
        self.node.give(requests(1, with_token(put("a")), with_token(delete("b"), 8)))
        self.node.applied(1, NOT_EXECUTED, 1)
        self.assertEqual(self.node.answers(), [(1, [refusal(SHORT.disks), 1])])

    def test_numbered_before(self) -> None:
        """What has a number may be chosen at any time: it is sent again, the same bytes, and served."""
        self.node.give(requests(1, put("a")))
        (first,) = self.node.batches()
        self.decide(SHORT)
        self.node.leader(3)
        self.assertEqual(self.node.batches(), [(NODE_3, *first[1:])])
        self.node.applied(1, OK)
        self.assertEqual(self.node.answers(), [(1, [OK])])

    def test_waiting_for_a_leader(self) -> None:
        """What has no number is refused when it would get one, by the decision of that moment."""
        self.node.leader(0)
        self.node.give(requests(1, put("a")))
        self.decide(SHORT)
        self.assertEqual(self.words(), [])
        self.node.leader(3)
        self.assertEqual((self.words(), self.node.batches()), ([(1, ["MISCONF"])], []))

    def test_over(self) -> None:
        """It ends without anybody's doing."""
        self.decide(SHORT)
        self.decide(ROOM)
        self.node.give(requests(1, put("a")))
        self.assertEqual(self.node.batches(), [(NODE_2, 1, [put("a")])])

    def test_behind_what_is_under_way(self) -> None:
        """A refusal must not overtake the answers of the same connection."""
        self.node.give(requests(1, put("a")))
        self.node.batches()
        self.decide(SHORT)
        self.node.give(requests(1, put("b")), requests(1, get("a")))
        self.assertEqual(self.words(), [])
        ((_, number, entries),) = self.node.batches()
        self.assertEqual((number, entries), (2, [get("a")]))
        self.node.applied(1, OK)
        self.node.applied(2, b"v")
        self.assertEqual(self.words(), [(1, [""]), (1, ["MISCONF"]), (1, [""])])

    def test_classic(self) -> None:
        """The barrier of reads must not be lost with a batch that nothing is left of."""
        self.node = OneGateway(classic=True)
        self.decide(SHORT)
        self.node.give(requests(1, put("a")), requests(2, get("a")))
        self.assertEqual(self.words(), [(1, ["MISCONF"])])
        (sent,) = self.node.batches()
        self.assertEqual(sent[2], [], "a batch without entries, for the read")

    ITEMS = st.sampled_from(
        [put("a"), append("b", "x"), delete("c"), get("d"), PONG, with_token(put("e"), 1), with_token(delete("f"), 2)]
    )

    @given(st.lists(st.lists(ITEMS, min_size=1, max_size=4), min_size=1, max_size=6))
    def test_every_request_its_answer(self, pipelines: list[list[Any]]) -> None:
        """Whatever clients mix: each request is answered once, in its place, by its own result or a refusal."""
        node = OneGateway()
        node.give(SHORT, sender=here(ELECTOR))
        for items in pipelines:
            node.give(requests(1, *items))
        answers: list[Any] = []
        for _ in range(100):
            answers += [reply for _, replies in node.answers() for reply in replies]
            for _, seq, entries in node.batches():
                node.applied(seq, *(b"done " + name_of(entry) for entry in entries))
            for _, number in node.barriers():
                node.give(Barrier(IDENTITY.boot, number, 0))
            while node.reads:
                read = node.reads.pop(0)
                node.give(ReadResults(read.number, [b"done " + key(entry) for entry in read.entries]))
            node.wait(0.01)
        expected = [item for items in pipelines for item in items]
        self.assertEqual(len(answers), len(expected))
        for answer, item in zip(answers, expected, strict=True):
            if item is PONG or item in (put("a"), append("b", "x")):
                self.assertEqual(word(plain(answer)), "" if item is PONG else "MISCONF")
            else:
                self.assertEqual(answer, b"done " + name_of(item))
