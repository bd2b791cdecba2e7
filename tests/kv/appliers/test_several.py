"""What the commands on several strings do."""

from __future__ import annotations

from unittest.mock import patch

from dkv.kv.asks import UNKNOWN
from dkv.kv.codes import EXISTS, MGET, MSET, MSETNX
from tests.kv.appliers.acting import TIME, ActingCase


class SeveralTests(ActingCase):
    """All of a command happens, or nothing."""

    def test_values(self) -> None:
        """The last value of a key is kept, deadlines are cleared, and databases are apart."""
        self.check(("SET b x PX 100", "OK"), ("MSET a 1 b 2 a 3", "OK"), ("MGET a none b a", [b"3", None, b"2", b"3"]))
        self.assertEqual(self.acting.deadline(b"b"), 0)
        self.check(("MGET a b", [None, None]), ("MSET a other", "OK"), ("MGET a", [b"other"]), db=7)
        self.check(("MGET a", [b"3"]))

    def test_none_or_all(self) -> None:
        """One key that exists keeps all others as they are; an expired one does not exist."""
        self.check(("SET b 0 PX 10", "OK"), ("MSETNX a 1 b 2", 0), ("MGET a b", [None, b"0"]))
        self.acting.at(TIME + 10)
        self.check(("MSETNX a 1 b 2 a 3", 1), ("MGET a b", [b"3", b"2"]), ("MSETNX c 1 a 2", 0), ("GET c", None))

    def test_existing(self) -> None:
        """A key that is named twice counts twice, as in Redis; an empty value is a value."""
        self.check(("SET a ''", "OK"), ("EXISTS a b a", 2), ("TOUCH a", 1), ("EXISTS b", 0))
        self.check(("EXISTS a", 0), db=1)

    def test_large_answers(self) -> None:
        """Ten thousand keys of a megabyte each would take the memory of the node."""
        self.check(("MSET a 12345 b 12345", "OK"))
        with patch("dkv.kv.appliers.several.ANSWER_BYTES_MAX", 2 * (16 + 5)):
            self.check(("MGET a b", [b"12345", b"12345"]))
            too_large = "ERR the values of these keys are too large to be sent together: ask for fewer keys at once"
            self.check(("MGET a b none", too_large))

    def test_shapes(self) -> None:
        """Anything may stand in the log; half a pair changes nothing."""
        no_keys: tuple[list[object], ...] = ([], [7], [b"a", None], [b"a", [b"b"]])
        no_pairs: tuple[list[object], ...] = (*no_keys, [b"a"], [b"a", b"1", b"b"], [b"a", b"1", b"b", None])
        for codes, table in (((MGET, EXISTS), no_keys), ((MSET, MSETNX), no_pairs)):
            for code in codes:
                for arguments in table:
                    self.assertIs(self.acting.apply([code, 0, 100, *arguments]), UNKNOWN)
        self.check(("EXISTS a b", 0))
