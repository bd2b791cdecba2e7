"""What the commands on one string do."""

from __future__ import annotations

from dkv.kv.codes import GETDEL, GETEX, GETRANGE, SET, SETNX, SETRANGE, STRLEN
from tests.kv.appliers.acting import TIME, ActingCase


class SetTests(ActingCase):
    """SET with its options."""

    def test_conditions(self) -> None:
        """A lock is given once; a value is exchanged only for the one that its client has seen."""
        self.check(
            ("SET k a XX", None),
            ("SET k a IFEQ ''", None),
            ("GET k", None),
            ("SET k a NX", "OK"),
            ("SET k b NX", None),
            ("SET k b XX", "OK"),
            ("SET k c IFEQ a", None),
            ("SET k c IFEQ b", "OK"),
            ("SET k d IFNE c", None),
            ("SET k d IFNE x", "OK"),
            ("SET new e IFNE x", "OK"),
            ("MGET k new", [b"d", b"e"]),
        )

    def test_get(self) -> None:
        """The old value is told, whether the new one was set or not."""
        self.check(
            ("SET k a GET", None),
            ("SET k b GET", b"a"),
            ("SET k c NX GET", b"b"),
            ("SET k c IFEQ x GET", b"b"),
            ("SET other c XX GET", None),
            ("GETSET k d", b"b"),
            ("MGET k other", [b"d", None]),
        )

    def test_deadlines(self) -> None:
        """A SET clears a deadline, unless it says otherwise."""
        for line, deadline in (
            ("SET k v PX 5000", TIME + 5_000),
            ("SET k v KEEPTTL", TIME + 5_000),
            ("SET k v XX KEEPTTL", TIME + 5_000),
            ("SET k v", 0),
            ("SET k v KEEPTTL", 0),
            ("SET k v EXAT 2000", 2_000_000),
            ("GETSET k v", 0),
            ("SETEX k 7 v", TIME + 7_000),
            ("APPEND k w", TIME + 7_000),
            ("SETRANGE k 0 x", TIME + 7_000),
        ):
            self.acting.do(line)
            self.assertEqual(self.acting.deadline(b"k"), deadline, line)

    def test_a_deadline_in_the_past(self) -> None:
        """Redis says OK, too, and the key is gone at once. 0 is a time like others, and not "never"."""
        for line in ("SET k v PXAT 1000000", "SET k v EXAT 1", "SET other v PXAT 1"):
            self.check(("SET k v", "OK"), (line, "OK"))
            self.assertIsNone(self.acting.deadline(line.split()[1].encode()), line)

    def test_expired(self) -> None:
        """An expired key is absent for every condition."""
        self.check(("SET k v PX 10", "OK"))
        self.acting.at(TIME + 10)
        self.check(("SET k w XX", None), ("SET k w IFEQ v GET", None), ("SETNX k w", 1), ("SET k x GET", b"w"))

    def test_setnx(self) -> None:
        """1 for the first, 0 for all others."""
        self.check(("SETNX k v", 1), ("SETNX k w", 0), ("GET k", b"v"))

    def test_shapes(self) -> None:
        """Anything may stand in the log."""
        self.check_shapes(SET, [b"k", b"v", 0, b"", 0, 0, 0])
        for arguments in ([b"k", b"v", 5, b"", 0, 0, 0], [b"k", b"v", 0, b"", 4, 0, 0], [b"k", b"v", 0, b"", 0, 0, 2]):
            with self.assertRaises(self.failureException):
                self.check_shapes(SET, list(arguments))
        self.check_shapes(SETNX, [b"k", b"v"])


class GetTests(ActingCase):
    """Reading commands, some of which change the key."""

    def test_getdel(self) -> None:
        """One client gets the value, and nobody after it."""
        self.check(("SET k v", "OK"), ("GETDEL k", b"v"), ("GETDEL k", None), ("EXISTS k", 0))

    def test_getex(self) -> None:
        """The value is told, and the deadline changes; a key that is not there stays so."""
        self.check(("GETEX k EX 10", None), ("SET k v", "OK"))
        for line, deadline in (
            ("GETEX k", 0),
            ("GETEX k EX 10", TIME + 10_000),
            ("GETEX k", TIME + 10_000),
            ("GETEX k PXAT 1000001", TIME + 1),
            ("GETEX k PERSIST", 0),
            ("GETEX k EXAT 1", None),
        ):
            self.check((line, b"v"))
            self.assertEqual(self.acting.deadline(b"k"), deadline, line)

    def test_persist_without_a_deadline_changes_nothing(self) -> None:
        """A client that watches the key must not be told that it changed."""
        self.check(("SET k v", "OK"))
        before = self.acting.keyspace.revision(self.acting.turn, 0, b"k")
        self.check(("GETEX k PERSIST", b"v"))
        self.assertEqual(self.acting.keyspace.revision(self.acting.turn, 0, b"k"), before)

    def test_parts(self) -> None:
        """Both ends are inclusive and may count from the end, as in Redis to the odd corner."""
        self.check(
            ("SET k hello", "OK"),
            *((f"GETRANGE k {ends}", wanted) for ends, wanted in (
                ("0 -1", b"hello"), ("1 3", b"ell"), ("-3 -2", b"ll"), ("-3 -5", b""), ("-100 -1", b"hello"),
                ("0 -100", b"h"), ("-100 -50", b"h"), ("3 1", b""), ("10 20", b""), ("4 9223372036854775807", b"o"),
            )),
            ("GETRANGE none 0 -1", b""),
            ("GETRANGE none 0 -100", b""),
            ("STRLEN k", 5),
            ("STRLEN none", 0),
        )  # fmt: skip

    def test_overwriting(self) -> None:
        """A value grows with zeros as far as is needed, and never beyond the limit; nothing makes no key."""
        self.check(
            ("SETRANGE k 5 ''", 0),
            ("EXISTS k", 0),
            ("SETRANGE k 2 ab", 4),
            ("GET k", b"\0\0ab"),
            ("SETRANGE k 1 xyzuv", 6),
            ("SETRANGE k 0 A", 6),
            ("GET k", b"Axyzuv"),
            ("SETRANGE k 1000 ''", 6),
            ("SETRANGE k 99 b", 100),
            ("SETRANGE k 100 b", "ERR the value would have 101 bytes, limits.value_bytes_max is 100"),
            (f"SETRANGE k {2**63 - 1} b", f"ERR the value would have {2**63} bytes, limits.value_bytes_max is 100"),
            ("STRLEN k", 100),
        )

    def test_shapes(self) -> None:
        """Anything may stand in the log."""
        self.check_shapes(GETDEL, [b"k"])
        self.check_shapes(GETEX, [b"k", 2, 10])
        self.check_shapes(STRLEN, [b"k"])
        self.check_shapes(GETRANGE, [b"k", 0, -1])
        self.check_shapes(SETRANGE, [b"k", 2, b"v"])
