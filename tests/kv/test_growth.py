"""Writes that grow data while disks are short: refused, or asked after; the others go as they are."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from dkv.kv.asks import UNKNOWN
from dkv.kv.codes import APPEND, DELETE, EXEC, GET, IDMP, IDMP_NEW, IDMP_REPEAT, INCRBY, MSET, PUT, READ, SCRIPT, SETNX
from dkv.kv.commands import COMMANDS, interpret
from dkv.kv.description import describe
from dkv.kv.growth import without_growth
from dkv.kv.machine import NOT_EXECUTED
from dkv.kv.registry import Context
from dkv.kv.scripts.operations import ACQUIRE_ALL, EXTEND_ALL, RELEASE_ALL
from dkv.kv.sessions import MISMATCH, check_of
from dkv.records import Entry
from dkv.replies import OK, LogRequest
from dkv.wire.codec import decode_entries, encode_entries
from tests.kv.test_machine import Node, batch
from tests.kv.words.reading import LIMITS
from tests.kv.words.samples import SAMPLES

NAMES = st.binary(min_size=1, max_size=20)
OPS = st.integers(1, 2**63 - 1)
WRITES = st.one_of(
    st.builds(lambda key, value: [PUT, key, value], NAMES, st.binary(max_size=20)),
    st.builds(lambda key, value: [APPEND, key, value, 100], NAMES, st.binary(max_size=20)),
)
TOKENS = st.builds(lambda producer, op, write: [IDMP, producer, op, write], NAMES, OPS, WRITES)

ADDS = b'return redis.call("incrby", KEYS[1], ARGV[1])'
"""A script of the samples."""


class GrowthTests(SynchronousTestCase):
    def test_what_is_served(self) -> None:
        """An operator who cannot delete cannot make room."""
        entries: list[Entry] = [[DELETE, b"k", b"l"], [IDMP, b"p", 1, [DELETE, b"k"]], [GET, b"k"], [IDMP_NEW]]
        for entry in entries:
            self.assertIs(without_growth(entry), entry)

    def test_what_is_refused(self) -> None:
        """Each of these fills the disk further."""
        self.assertIsNone(without_growth([PUT, b"k", b"v"]))
        self.assertIsNone(without_growth([APPEND, b"k", b"v", 9]))

    def test_as_declared(self) -> None:
        """The commands that may grow the data are those that Redis refuses when it has no memory left."""
        for words in SAMPLES:
            made = interpret(words, Context(LIMITS))
            entry = made.entry if isinstance(made, LogRequest) else made
            assert isinstance(entry, list)
            grows = "denyoom" in COMMANDS[words[0]].flags or entry[-1] == [MSET, 0, 20, b"k:1", b"v", b"k:2", b"w"]
            grows = grows or entry[-1] == [INCRBY, 0, 20, b"k:1", 1] or (b" add " in b" ".join(words))
            grows = grows or words[:2] == [b"eval", ADDS]
            self.assertEqual(without_growth(entry) is not entry, grows, words)

    def test_scripts(self) -> None:
        """A lock can be released and kept while disks are short of space, and none can be taken."""
        for operation, words in ((RELEASE_ALL, [b"token"]), (EXTEND_ALL, [b"token", b"10"])):
            entry: Entry = [SCRIPT, 0, 20, operation, [b"k"], [*words]]
            self.assertIs(without_growth(entry), entry)
        taken: Entry = [SCRIPT, 0, 20, ACQUIRE_ALL, [b"k"], [b"token", b"10"]]
        self.assertIsNone(without_growth(taken))
        self.assertIsNone(without_growth([EXEC, 0, 20, [], [taken]]))
        self.assertEqual(without_growth([IDMP, b"p", 1, taken]), [IDMP_REPEAT, b"p", 1, check_of(taken)])

    def test_transactions(self) -> None:
        """One command that grows the data is enough to refuse all of a transaction: a half of it must not happen."""
        grows: Entry = [EXEC, 0, 20, [], [[GET, b"a"], [SETNX, 3, 20, b"k", b"v"]]]
        serves: Entry = [EXEC, 0, 20, [], [[DELETE, b"a"], [READ, 3, 20, b"k"]]]
        self.assertIsNone(without_growth(grows))
        self.assertIs(without_growth(serves), serves)
        token: Entry = [IDMP, b"p", 1, serves]
        self.assertIs(without_growth(token), token)
        self.assertEqual(without_growth([IDMP, b"p", 1, grows]), [IDMP_REPEAT, b"p", 1, check_of(grows)])

    @given(TOKENS)
    def test_smaller_than_the_write(self, entry: list[Any]) -> None:
        """Requests are gathered by their sizes: what takes the place of one must fit where that would have fitted."""
        instead = without_growth(entry)
        assert instead is not None
        _, producer, op, write = entry
        on_the_wire = b"IDMP %s %d %s %s %s\n" % (producer, op, b"PUT", write[1], write[2])  # the shortest form
        self.assertLessEqual(len(encode_entries([instead])), len(on_the_wire) + 8)
        self.assertEqual(decode_entries(encode_entries([instead])), [instead])


class RepeatTests(SynchronousTestCase):
    """What takes the place of a write with a token, as it is applied."""

    def setUp(self) -> None:
        self.node = Node()
        self.seq = 0

    def apply(self, *entries: Any, own: bool = True) -> Any:
        """The results of the next batch."""
        self.seq += 1
        return self.node.apply(batch(list(entries), 1, self.seq), own)

    def test_executed_before(self) -> None:
        """A client that lost its answer must get it, whatever the disks are like by then."""
        entry: Entry = [IDMP, b"alice", 7, [APPEND, b"k", b"xy", 9]]
        self.assertEqual(self.apply(entry), [2])
        self.assertEqual(self.apply(without_growth(entry)), [2])
        self.assertEqual(self.node.turn.measures, [("duplicates_suppressed", {"count": 1})])
        self.assertEqual(self.node.get(b"k"), b"xy")

    def test_not_executed(self) -> None:
        """It is refused and leaves nothing: sent again when there is room, it is executed."""
        entry: Entry = [IDMP, b"alice", 7, [PUT, b"k", b"v"]]
        before = dict(self.node.turn.stored)
        self.assertEqual(self.apply(without_growth(entry)), [NOT_EXECUTED])
        changed = {key for key, value in self.node.turn.stored.items() if before.get(key) != value}
        self.assertEqual({key[:1] for key in changed}, {b"B"}, "the batch's mark and nothing else")
        self.assertEqual(self.node.turn.measures, [("refused", {"reason": "MISCONF", "count": 1})])
        self.assertEqual(self.apply(entry), [OK])

    def test_counted_where_it_arrived(self) -> None:
        """Each refusal counts on one node."""
        self.apply(without_growth([IDMP, b"alice", 7, [PUT, b"k", b"v"]]), own=False)
        self.assertEqual(self.node.turn.measures, [])

    def test_another_write(self) -> None:
        """A token that was used with another write says nothing about this one."""
        self.apply([IDMP, b"alice", 7, [PUT, b"k", b"v"]])
        self.assertEqual(self.apply(without_growth([IDMP, b"alice", 7, [PUT, b"k", b"w"]])), [MISMATCH])

    def test_in_words(self) -> None:
        """``dkv log`` shows it: the write itself is not in the log."""
        entry = without_growth([IDMP, b"alice", 7, [PUT, b"k", b"v"]])
        assert entry is not None
        self.assertEqual(entry[0], IDMP_REPEAT)
        self.assertEqual(describe(entry), [b"IDMP", b"alice", b"7", b"?"])

    def test_of_wrong_shape(self) -> None:
        """Anything may stand in the log: an entry that no gateway made is refused and changes nothing."""
        for wrong in (
            [IDMP_REPEAT, b"p", 1], [IDMP_REPEAT, b"p", 1, b"h", 1], [IDMP_REPEAT, b"", 1, b"h"],
            [IDMP_REPEAT, b"p", 0, b"h"], [IDMP_REPEAT, b"p" * 257, 1, b"h"], [IDMP_REPEAT, b"p", 1, 1],
        ):  # fmt: skip
            self.assertEqual(self.apply(wrong), [UNKNOWN])
