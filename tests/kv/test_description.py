"""What people see of the log: its entries in words."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from dkv.kv.codes import APPEND, DELETE, GET, IDMP, IDMP_NEW, IDMP_UNCHECKED, MEMBERS, PUT
from dkv.kv.description import describe
from dkv.kv.membership import REMOVE
from dkv.records import UncheckedEntry


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
