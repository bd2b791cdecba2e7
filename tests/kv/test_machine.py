"""Commands take effect as they say, once, the same on every node, and nothing in the log can stop a node."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from unittest import mock

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from dkv.configurations import first_configurations
from dkv.keys import BATCH_MARK
from dkv.kv.asks import UNKNOWN
from dkv.kv.codes import APPEND, DELETE, ERASE, GET, IDMP, IDMP_NEW, IDMP_REPEAT, IDMP_UNCHECKED, MEMBERS, PUT, READS
from dkv.kv.commands import interpret
from dkv.kv.machine import UNREADABLE, Machine
from dkv.kv.registry import Context
from dkv.kv.sessions import MISMATCH
from dkv.records import Batch
from dkv.replies import OK, Error
from dkv.settings import Limits
from dkv.wire.codec import decode_entries, encode_entries
from tests.turns import FakeTurn

BYTES_MAX = 12
FIRST = first_configurations((1, 2, 3))
NAMES = st.sampled_from([b"", b"a", b"b", b"ab", b"\x00", b"\xff\r\n"])
WRITE_ENTRIES = st.one_of(
    st.builds(lambda k, v: [PUT, k, v], NAMES, st.binary(max_size=5)),
    st.builds(lambda k, v: [APPEND, k, v, BYTES_MAX], NAMES, st.binary(max_size=5)),
    st.builds(lambda keys: [DELETE, *keys], st.lists(NAMES, min_size=1, max_size=3)),
)
TOKENS = st.builds(
    lambda kind, producer, op, write: [kind, producer, op, write],
    st.sampled_from([IDMP, IDMP, IDMP_UNCHECKED]), st.sampled_from([b"a", b"b", b"#1.0"]), st.integers(1, 4),
    WRITE_ENTRIES,
)  # fmt: skip
ENTRIES = st.one_of(WRITE_ENTRIES, st.builds(lambda k: [GET, k], NAMES), TOKENS)
KINDS = [PUT, APPEND, DELETE, GET, IDMP, IDMP_NEW, IDMP_REPEAT, IDMP_UNCHECKED, MEMBERS]
SCALARS = st.one_of(
    st.integers(), st.sampled_from(KINDS), st.binary(max_size=4), st.text(max_size=4),
    st.booleans(), st.none(), st.floats(allow_nan=False),
)  # fmt: skip
NESTED = st.recursive(
    SCALARS,
    lambda inner: st.one_of(st.lists(inner, max_size=5), st.dictionaries(st.text(max_size=2), inner, max_size=2)),
    max_leaves=12,
)
HEADED = st.builds(lambda kind, rest: [kind, *rest], st.sampled_from(KINDS), st.lists(NESTED))
JUNK = st.one_of(NESTED, HEADED)
SMALL = st.integers(1, 3)


def is_a_command(entry: Any) -> bool:
    """Whether the table in ``dkv.kv.codes`` has the entry: what hypothesis calls junk may be a command."""
    if type(entry) is not list or not entry or type(entry[0]) is not int:
        return False
    kinds = [type(field) for field in entry[1:]]
    if entry[0] == DELETE:
        return bool(kinds) and set(kinds) == {bytes}
    if entry[0] in (IDMP, IDMP_UNCHECKED):
        return kinds == [bytes, int, list] and is_a_command(entry[3]) and entry[3][0] in (PUT, APPEND, DELETE)
    fields: dict[int, list[type]] = {PUT: [bytes, bytes], APPEND: [bytes, bytes, int], GET: [bytes], IDMP_NEW: []}
    return kinds == (fields | {IDMP_REPEAT: [bytes, int, bytes]}).get(entry[0])


class Model:
    """What the commands mean, in a dict."""

    def __init__(self) -> None:
        self.values: dict[bytes, bytes] = {}
        self.answers: dict[tuple[bytes, int], tuple[list[Any] | None, Any]] = {}

    def apply(self, entry: list[Any]) -> Any:
        """The result of one command; -1 stands for one that is refused."""
        kind, key = entry[0], entry[1]
        if kind in (IDMP, IDMP_UNCHECKED):
            if key.startswith(b"#"):
                return -1
            asked = None if kind == IDMP_UNCHECKED else [field for field in entry[3] if field != BYTES_MAX]
            if (key, entry[2]) not in self.answers:
                self.answers[key, entry[2]] = asked, self.apply(entry[3])
            first, answer = self.answers[key, entry[2]]
            return answer if None in (asked, first) or asked == first else -1
        if kind == PUT:
            self.values[key] = entry[2]
            return OK
        if kind == APPEND:
            value = self.values.get(key, b"") + entry[2]
            if len(value) > entry[3]:
                return -1
            self.values[key] = value
            return len(value)
        if kind == DELETE:
            return sum(self.values.pop(key, None) is not None for key in entry[1:])
        return self.values.get(key)


class Node:
    """A machine with its turn; ``decode`` may be replaced, for entries that CBOR would not carry."""

    def __init__(self, decode: Callable[[bytes], list[Any] | None] = decode_entries) -> None:
        self.turn = FakeTurn()
        self.machine = Machine(decode, FIRST)
        self.machine.start(self.turn)
        self.slot = 0

    def apply(self, batch: Batch, own: bool = True) -> list[Any] | None:
        """Apply one batch, in a slot of its own."""
        self.slot += 1
        self.machine.begin_slot(self.turn, self.slot, 0)
        return self.machine.apply(self.turn, batch, own)

    def restart(self) -> None:
        """A new machine over what the old one wrote."""
        self.machine = Machine(decode_entries, FIRST)
        self.machine.start(self.turn)

    def get(self, key: bytes) -> Any:
        """What a read of ``key`` finds."""
        return self.machine.read(self.turn, [[GET, key]])[0]


def batch(entries: list[Any], boot: int, seq: int, node: int = 1, incarnation: int = 9) -> Batch:
    """A batch as a gateway makes it."""
    return Batch(node, incarnation, boot, seq, encode_entries(entries))


class CommandTests(SynchronousTestCase):
    """One machine."""

    def setUp(self) -> None:
        self.node = Node()
        self.seq = 0

    def apply(self, *entries: Any) -> list[Any]:
        """Apply the entries as the next batch."""
        self.seq += 1
        results = self.node.apply(batch(list(entries), 1, self.seq))
        assert results is not None
        return results

    @given(st.lists(st.lists(ENTRIES, max_size=4), max_size=8))
    def test_against_a_dict(self, log: list[list[Any]]) -> None:
        """Any sequence of commands answers what a dict would, and leaves what a dict would hold."""
        node, model = Node(), Model()
        for seq, entries in enumerate(log, 1):
            expected = [model.apply(entry) for entry in entries]
            results = node.apply(batch(entries, 1, seq))
            assert results is not None
            self.assertEqual([-1 if type(result) is Error else result for result in results], expected)
        for key in (b"", b"a", b"b", b"ab", b"\x00", b"\xff\r\n"):
            self.assertEqual(node.get(key), model.values.get(key))

    def test_append_beyond_its_limit(self) -> None:
        """The entry's own limit judges, inclusive; a value refused stays as it was."""
        self.assertEqual(self.apply([PUT, b"k", b"12"], [APPEND, b"k", b"34", 4]), [OK, 4])
        (refusal,) = self.apply([APPEND, b"k", b"5", 4])
        self.assertEqual(refusal, Error("ERR the value would have 5 bytes, limits.value_bytes_max is 4"))
        self.assertEqual(self.node.get(b"k"), b"1234")

    def test_delete_counts_a_key_once(self) -> None:
        """``DEL a a`` deletes one key."""
        self.assertEqual(self.apply([PUT, b"a", b""], [DELETE, b"a", b"a", b"b"]), [OK, 1])
        self.assertIsNone(self.node.get(b"a"))

    def test_empty_value_is_not_absent(self) -> None:
        """A value of 0 bytes is a value; an APPEND of nothing makes one."""
        read = [GET, b"e"]
        self.assertEqual(self.apply([APPEND, b"e", b"", 9], read, [DELETE, b"e"], read), [0, b"", 1, None])

    def test_token(self) -> None:
        """A write with a token happens once, and every repeat has its answer; the node where it came counts them."""
        token = [IDMP, b"alice", 7, [APPEND, b"k", b"xy", 9]]
        self.assertEqual(self.apply(token, [APPEND, b"k", b"z", 9], token), [2, 3, 2])
        self.assertEqual(self.node.turn.measures, [("duplicates_suppressed", {"count": 1})])
        self.node.restart()
        self.assertEqual(self.apply(token, token), [2, 2])
        self.assertEqual(self.node.turn.measures[1:], [("duplicates_suppressed", {"count": 2})])
        self.assertEqual(self.node.get(b"k"), b"xyz")

    def test_a_token_used_again_with_another_write(self) -> None:
        """ "OK" to a DEL that was never done, as the token had been used for a SET: a client believes in vain."""
        first = [IDMP, b"alice", 1, [PUT, b"x", b"5"]]
        others = [[DELETE, b"x"], [PUT, b"x", b"6"], [PUT, b"y", b"5"], [APPEND, b"x", b"5", 9], [PUT, b"x5", b""]]
        self.assertEqual(self.apply(first), [OK])
        for restart in (False, True):
            results = self.apply(*([IDMP, b"alice", 1, write] for write in others), first)
            self.assertEqual({result.text.split()[0] for result in results[:-1]}, {"IDMPMISMATCH"})
            self.assertEqual(results[-1], OK)
            if not restart:
                self.node.restart()
        self.assertEqual(self.node.get(b"x"), b"5")
        self.assertEqual([count for _, count in self.node.turn.measures], [{"count": 1}, {"count": 1}])

    def test_a_repeat_under_other_settings(self) -> None:
        """The limit that travels with an APPEND is the node's, not the client's: it is the same write elsewhere."""
        answers = self.apply(*([IDMP, b"p", 1, [APPEND, b"k", b"xy", bytes_max]] for bytes_max in (9, 99)))
        self.assertEqual(answers, [2, 2])

    def test_a_repeat_after_an_upgrade(self) -> None:
        """Earlier versions made another entry of the same words, if there were many: it is the same write."""
        keys = [b"%d" % number for number in range(40)]
        made = interpret([b"DEL", *keys], Context(Limits()))
        assert isinstance(made, list)
        self.assertEqual(made[0], ERASE)
        self.apply([PUT, b"7", b""])
        self.assertEqual(self.apply([IDMP, b"p", 1, [DELETE, *keys]], [IDMP, b"p", 1, made]), [1, 1])
        self.assertEqual(self.apply([IDMP, b"p", 1, [ERASE, 1, *made[2:]]]), [MISMATCH])

    def test_the_bytes_of_a_write_are_told_apart(self) -> None:
        """Where one word ends and the next begins is part of the write."""
        self.assertEqual(self.apply([IDMP, b"p", 1, [DELETE, b"ab", b"c"]]), [0])
        for write in ([DELETE, b"a", b"bc"], [DELETE, b"abc"], [DELETE, b"c", b"ab"], [PUT, b"ab", b"c"]):
            self.assertEqual(self.apply([IDMP, b"p", 1, write]), [MISMATCH])

    def test_tokens_of_older_logs_keep_their_meaning(self) -> None:
        """Nodes take over a log at different slots: what its entries do must be what the older version did."""
        old = [[IDMP_UNCHECKED, b"p", op, [PUT, b"x", b"%d" % op]] for op in (1, 2)]
        self.assertEqual(self.apply(*old), [OK, OK])
        self.assertEqual(self.node.turn.stored[b"TA\0\x01p" + bytes(7) + b"\x01"], b"sOK")  # as format 2 had it
        self.assertEqual(self.apply([IDMP_UNCHECKED, b"p", 1, [DELETE, b"x"]]), [OK])
        self.assertEqual(self.apply([IDMP, b"p", 2, [DELETE, b"x"]]), [OK])  # no hash was stored to judge it by
        mixed = [[IDMP, b"p", 3, [PUT, b"y", b"3"]], [IDMP_UNCHECKED, b"p", 3, [DELETE, b"y"]]]
        self.assertEqual(self.apply(*mixed), [OK, OK])
        self.assertEqual([self.node.get(key) for key in (b"x", b"y")], [b"2", b"3"])

    def test_repeats_elsewhere_are_not_counted(self) -> None:
        """A repeat is counted on the node where it arrived, and not by the others that apply it too."""
        token = [IDMP, b"alice", 7, [PUT, b"k", b"v"]]
        self.node.apply(batch([token, token], 1, 1), own=False)
        self.assertEqual(self.node.turn.measures, [])

    def test_refusals_are_answers_too(self) -> None:
        """A write that apply refused is refused again, though by now it would be possible."""
        token = [IDMP, b"p", 1, [APPEND, b"k", b"34", 3]]
        refusal = Error("ERR the value would have 4 bytes, limits.value_bytes_max is 3")
        self.assertEqual(self.apply([PUT, b"k", b"12"], token, [DELETE, b"k"], token), [OK, refusal, 1, refusal])

    def test_new_producers(self) -> None:
        """Each IDMP NEW names another producer, by its place in the log; others with '#' are forgotten ones."""
        self.assertEqual(self.apply([IDMP_NEW], [IDMP_NEW]), [b"#1.0", b"#1.1"])
        self.assertEqual(self.apply([IDMP_NEW]), [b"#2.0"])
        write = [APPEND, b"k", b"x", 9]
        results = self.apply(*([IDMP, name, 1, write] for name in (b"#1.1", b"#2.0", b"#1.1", b"#2.3")))
        self.assertEqual(results[:3], [1, 2, 1])
        self.assertTrue(results[3].text.startswith("IDMPOLD "))

    def test_places_of_two_batches(self) -> None:
        """A slot holds batches of several nodes: the producers that they make are different ones."""
        self.node.machine.begin_slot(self.node.turn, 9, 0)
        for node, name in ((1, b"#9.0"), (2, b"#9.1")):
            made = batch([[IDMP_NEW]], 1, 1, node=node, incarnation=7)
            self.assertEqual(self.node.machine.apply(self.node.turn, made, True), [name])

    def test_reads_of_others(self) -> None:
        """A read in another node's batch costs nothing here: only where its client waits is it evaluated."""
        self.apply([PUT, b"k", b"v"])
        foreign = batch([[GET, b"k"], [PUT, b"k", b"v"]], 1, 1, node=2)
        with mock.patch.object(self.node.turn, "load") as load:
            self.assertEqual(self.node.apply(foreign, own=False), [None, OK])
        load.assert_not_called()
        self.assertEqual(self.apply([GET, b"k"]), [b"v"])


class OnceTests(SynchronousTestCase):
    """A batch takes effect once (I10), whatever the log repeats, B15."""

    def setUp(self) -> None:
        self.node = Node()

    def append(self, boot: int, seq: int, node: int = 1, incarnation: int = 9) -> bool:
        """Whether an append in this batch took effect."""
        before = len(self.node.get(b"k") or b"")
        results = self.node.apply(batch([[APPEND, b"k", b".", 1000]], boot, seq, node, incarnation))
        after = len(self.node.get(b"k") or b"")
        self.assertEqual(results, None if after == before else [after])
        return after > before

    def test_repeat(self) -> None:
        """A batch that a resend brought into two slots appends once."""
        self.assertEqual([self.append(1, seq) for seq in (1, 1, 2, 1)], [True, False, True, False])

    def test_gap(self) -> None:
        """A batch that came too early is skipped, not applied out of order: its number stays good for the resend."""
        self.assertEqual([self.append(1, seq) for seq in (2, 1, 3, 2)], [False, True, False, True])

    def test_new_boot(self) -> None:
        """After a restart the first batch of the new life is next, any other is not."""
        self.assertTrue(self.append(1, 1))
        self.assertFalse(self.append(3, 2))
        self.assertTrue(self.append(3, 1))
        self.assertTrue(self.append(3, 2))

    def test_old_boot(self) -> None:
        """A batch of an earlier life that turns up late is given up with that life."""
        self.assertTrue(self.append(2, 1))
        self.assertEqual([self.append(1, 1), self.append(1, 2), self.append(2, 1)], [False] * 3)
        self.assertTrue(self.append(2, 2))

    def test_origins_do_not_mix(self) -> None:
        """Another node, or another data directory of the same node, counts for itself."""
        self.assertTrue(self.append(1, 1))
        self.assertTrue(self.append(1, 1, node=2))
        self.assertTrue(self.append(1, 1, incarnation=10))
        self.assertEqual(set(self.node.machine.origins()), {(1, 9, 1, 1), (2, 9, 1, 1), (1, 10, 1, 1)})

    def test_b15_after_a_restart(self) -> None:
        """B15: the marks are loaded back, so replaying does not append again."""
        self.append(1, 1)
        self.append(1, 2)
        self.append(4, 1, node=2, incarnation=2**64 - 1)
        marks = self.node.machine.origins()
        self.node.restart()
        self.assertEqual(set(self.node.machine.origins()), set(marks))
        self.assertFalse(self.append(1, 2))
        self.assertFalse(self.append(4, 1, node=2, incarnation=2**64 - 1))
        self.assertTrue(self.append(1, 3))

    @given(st.lists(st.tuples(SMALL, SMALL, SMALL), max_size=40))
    def test_against_the_rule(self, log: list[tuple[int, int, int]]) -> None:
        """Whatever order a log holds batches in, those that take effect are each origin's sequence, in order."""
        node = Node()
        done: dict[int, list[tuple[int, int]]] = {}
        for origin, boot, seq in log:
            marks = done.setdefault(origin, [])
            boots = [b for b, _ in marks]
            next_seq = 1 + sum(b == boot for b in boots)
            expected = seq == next_seq and boot >= max(boots, default=0)
            applied = node.apply(batch([[APPEND, b"k", b".", 1000]], boot, seq, origin)) is not None
            self.assertEqual(applied, expected)
            if applied:
                marks.append((boot, seq))
        self.assertEqual(len(node.get(b"k") or b""), sum(map(len, done.values())))


class TotalTests(SynchronousTestCase):
    """Nothing that a slot holds stops a node: one poisoned slot would stop every node for ever."""

    @given(JUNK)
    def test_poisoned_entry(self, junk: Any) -> None:
        """Any nested junk between two commands answers an error, changes nothing, and harms neither neighbour."""
        entries = [[PUT, b"k", b"1"], junk, [APPEND, b"k", b"2", 9]]
        for own in (True, False):
            node = Node(lambda blob: entries)
            results = node.apply(Batch(1, 9, 1, 1, b""), own)
            assert results is not None
            self.assertEqual(len(results), 3)
            if type(junk) is list and junk[:1] == [MEMBERS] and type(junk[0]) is int:
                self.assertTrue(results[1].text.endswith("; no member was changed"))
            elif not is_a_command(junk):
                reads_elsewhere = type(junk) is list and bool(junk) and type(junk[0]) is int and junk[0] in READS
                self.assertEqual(results, [OK, None if reads_elsewhere and not own else UNKNOWN, 2])
                self.assertEqual(node.get(b"k"), b"12")
                self.assertEqual(len(node.turn.staged), 3)

    @given(st.binary(max_size=40))
    def test_any_blob(self, blob: bytes) -> None:
        """Any bytes in a batch: an error or results, one batch counted, and the next one applies."""
        node = Node()
        results = node.apply(Batch(1, 9, 1, 1, blob))
        entries = decode_entries(blob)
        assert results is not None
        self.assertEqual(len(results), 1 if entries is None else len(entries))
        self.assertEqual(node.apply(batch([[PUT, b"k", b"v"]], 1, 2)), [OK])

    def test_unreadable_blob(self) -> None:
        """Neither bytes that are no CBOR nor CBOR that is no list of lists is applied; both use up their number."""
        node = Node()
        no_lists: list[Any] = [PUT, b"k", b"v"]
        for seq, blob in enumerate((b"", b"\xff", b"\x9f\xff", encode_entries(no_lists), b"\x80\x80"), 1):
            self.assertEqual(node.apply(Batch(1, 9, 1, seq, blob)), [UNREADABLE])
        self.assertEqual([key for key in node.turn.stored if not key.startswith(BATCH_MARK)], [])
        self.assertEqual(node.machine.origins(), ((1, 9, 1, 5),))

    def test_commands_of_wrong_shape(self) -> None:
        """Each command with too few, too many or wrongly typed fields is refused and changes nothing."""
        bad: list[Any] = [
            [], [PUT], [PUT, b"k"], [PUT, b"k", b"v", b"w"], [PUT, "k", b"v"], [PUT, b"k", 1],
            [APPEND, b"k", b"v"], [APPEND, b"k", b"v", True], [APPEND, b"k", b"v", "9"], [APPEND, b"k", b"v", 9, 9],
            [DELETE], [DELETE, b"k", 1], [DELETE, [b"k"]], [GET], [GET, b"k", b"k"], [GET, None],
            [IDMP, b"p", 1], [IDMP, b"p", 1, [PUT, b"k", b"v"], 1], [IDMP, b"", 1, [PUT, b"k", b"v"]],
            [IDMP, b"p" * 257, 1, [PUT, b"k", b"v"]], [IDMP, b"p", 0, [PUT, b"k", b"v"]], [IDMP_NEW, 1],
            [IDMP, b"p", 2**63, [PUT, b"k", b"v"]], [IDMP, b"p", True, [PUT, b"k", b"v"]], [IDMP, b"p", 1, []],
            [IDMP, b"p", 1, [GET, b"k"]], [IDMP, b"p", 1, [IDMP, b"p", 2, [PUT, b"k", b"v"]]], [IDMP, b"p", 1, [[1]]],
            [IDMP, b"p", 1, [IDMP_NEW]], [IDMP, b"p", 1, [99]], [IDMP, "p", 1, [PUT, b"k", b"v"]],
            [0, b"k"], [-1], [99, b"k", b"v"], [2**64, b"k"], [True, b"k", b"v"], [1.0, b"k", b"v"], [None], [[PUT]],
        ]  # fmt: skip
        node = Node(lambda blob: [[PUT, b"k", b"v"], *bad])
        self.assertEqual(node.apply(Batch(1, 9, 1, 1, b"")), [OK, *[UNKNOWN] * len(bad)])
        self.assertEqual(node.get(b"k"), b"v")
