"""What people see of the log: its entries in words."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from dkv.kv.codes import (
    APPEND,
    DELETE,
    EXEC,
    GET,
    IDMP,
    IDMP_NEW,
    IDMP_UNCHECKED,
    INCRBY,
    KEYSPACE,
    MEMBERS,
    NOTIFY,
    PUT,
    READS,
    WATCH,
    WRITES,
)
from dkv.kv.description import describe
from dkv.kv.membership import REMOVE
from dkv.records import Argument, UncheckedEntry
from tests.kv.words.samples import SAMPLES, entry_of

CODES = sorted(READS | WRITES | {IDMP, IDMP_NEW, IDMP_UNCHECKED, MEMBERS})
JUNK = st.recursive(
    st.one_of(st.integers(-3, 20), st.sampled_from(CODES), st.binary(max_size=3), st.none(), st.text(max_size=2)),
    lambda each: st.lists(each, max_size=4),
)


class DescriptionTests(SynchronousTestCase):
    """``DKV.LOG`` and ``dkv log``."""

    def test_tokens_of_both_kinds_are_shown_alike(self) -> None:
        """The log of an older version shows what its clients typed."""
        for kind in (IDMP, IDMP_UNCHECKED):
            self.assertEqual(describe([kind, b"p", 1, [PUT, b"k", b"v"]]), [b"IDMP", b"p", b"1", b"PUT", b"k", b"v"])

    def test_entries_in_words(self) -> None:
        """The log shows an entry as a client would type it; whatever else a blob holds is shown, and fails nobody."""
        shown: list[tuple[UncheckedEntry, list[bytes]]] = [
            ([PUT, b"k", b"v"], [b"PUT", b"k", b"v"]),
            ([APPEND, b"k", b"v", 100], [b"APPEND", b"k", b"v"]),
            ([DELETE, b"a", b"b"], [b"DELETE", b"a", b"b"]),
            ([GET, b"k"], [b"GET", b"k"]),
            ([IDMP_NEW], [b"IDMP", b"NEW"]),
            ([IDMP, b"p", 7, [DELETE, b"a"]], [b"IDMP", b"p", b"7", b"DELETE", b"a"]),
            ([MEMBERS, 0, [REMOVE, 3]], [b"MEMBERS", b"0", b"REMOVE", b"3"]),
        ]
        no_entries: list[UncheckedEntry] = [[], [99], [True, b"k"], ["GET", b"k"], [GET], [GET, 1], [APPEND, b"k"]]
        for entry, words in shown + [(each, [b"?"]) for each in no_entries]:
            self.assertEqual(describe(entry), words, entry)

    def test_round_trip(self) -> None:
        """Typed again, what the log shows does the same: so a log can be read, and a case built from it."""
        for words in SAMPLES:
            for db in (0, 3):
                entry = entry_of(words, db)
                shown = describe(entry)
                if db and words != [b"idmp", b"new"]:
                    self.assertEqual(shown.pop(0), b"[3]")
                self.assertEqual(entry_of(shown, db), entry, (words, shown))

    def test_other_entries(self) -> None:
        """Those that no single request of a client makes."""
        watched: list[Argument] = [[0, b"a", 7, 1, 9], [2, b"b", 0, 0, 9]]
        entries: list[Argument] = [[PUT, b"a", b"1"], [INCRBY, 2, 20, b"n", 5], [99]]
        for entry, text in (
            ([WATCH, 0, 0, b"a", b"b"], b"WATCH a b"),
            ([KEYSPACE, 0, 0], b"KEYSPACE"),
            ([EXEC, 0, 20, watched, entries], b"WATCH a b ; MULTI ; PUT a 1 ; [2] INCRBY n 5 ; ? ; EXEC"),
            ([EXEC, 0, 20, [], []], b"MULTI ; EXEC"),
            ([NOTIFY, 0, 20, b"AKE"], b"CONFIG SET notify-keyspace-events AKE"),
            ([IDMP, b"p", 7, [EXEC, 0, 20, [], [[PUT, b"a", b"1"]]]], b"IDMP p 7 MULTI ; PUT a 1 ; EXEC"),
        ):
            self.assertEqual(b" ".join(describe(entry)), text)

    @given(st.lists(JUNK, max_size=8), st.sampled_from(CODES))
    def test_anything(self, junk: list[Any], code: int) -> None:
        """Anything may stand in the log: it is shown in words, and nothing raises."""
        for entry in (junk, [code, *junk], [code, 0, 20, *junk]):
            words = describe(entry)
            self.assertTrue(words and all(type(word) is bytes for word in words), entry)
