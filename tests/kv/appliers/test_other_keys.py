"""What the commands do that give a value another key, or tell something about a key."""

from __future__ import annotations

from dkv.keys import DEADLINE, STATE
from dkv.kv.asks import UNKNOWN
from dkv.kv.codes import COPY, MEMORY, OBJECT, RENAME, RENAMENX, TYPE
from tests.kv.appliers.acting import TIME, ActingCase


class OtherKeyTests(ActingCase):
    """RENAME, COPY and the like."""

    def test_rename(self) -> None:
        """The value and its deadline take the place of what was there."""
        self.check(
            ("RENAME a b", "ERR no such key"),
            ("RENAME a a", "ERR no such key"),
            ("SET a 1 PX 100", "OK"),
            ("SET b 2 PX 500", "OK"),
            ("RENAME a b", "OK"),
            ("MGET a b", [None, b"1"]),
            ("RENAME b b", "OK"),
            ("GET b", b"1"),
            ("DBSIZE", 1),
        )
        self.assertEqual(self.acting.deadline(b"b"), TIME + 100)

    def test_onto_itself(self) -> None:
        """A key that is renamed to itself has not changed, for those who watch it."""
        self.check(("SET a 1", "OK"))
        before = self.acting.keyspace.revision(self.acting.turn, 0, b"a")
        self.check(("RENAME a a", "OK"), ("RENAMENX a a", 0))
        self.assertEqual(self.acting.keyspace.revision(self.acting.turn, 0, b"a"), before)

    def test_renamenx(self) -> None:
        """A key that exists is not overwritten, not even by itself."""
        self.check(
            ("RENAMENX a b", "ERR no such key"),
            ("MSET a 1 b 2", "OK"),
            ("RENAMENX a b", 0),
            ("RENAMENX a a", 0),
            ("RENAMENX a c", 1),
            ("MGET a b c", [None, b"2", b"1"]),
        )

    def test_copy(self) -> None:
        """A copy has the deadline of its source, also in another database."""
        self.check(
            ("COPY a b", 0),
            ("SET a 1 PX 100", "OK"),
            ("SET b 2", "OK"),
            ("COPY a b", 0),
            ("COPY a b REPLACE", 1),
            ("COPY a a DB 3", 1),
            ("MGET a b", [b"1", b"1"]),
        )
        self.assertEqual([self.acting.deadline(b"b"), self.acting.deadline(b"a", 3)], [TIME + 100] * 2)
        self.check(("MGET a b", [b"1", None]), ("DBSIZE", 1), db=3)
        self.acting.at(TIME + 100)
        self.check(("COPY a c", 0), ("SET a 5", "OK"), ("COPY a b", 1), ("COPY a a DB 3", 1), ("DBSIZE", 2))

    def test_telling(self) -> None:
        """What redis-cli --bigkeys and --memkeys ask for."""
        self.check(
            ("TYPE a", "none"),
            ("OBJECT ENCODING a", None),
            ("OBJECT FREQ a", None),
            ("MEMORY USAGE a", None),
            ("SET a -12", "OK"),
            ("TYPE a", "string"),
            ("OBJECT ENCODING a", b"int"),
            ("OBJECT REFCOUNT a", 1),
            ("OBJECT IDLETIME a", 0),
            (f"SET b {'x' * 44}", "OK"),
            ("OBJECT ENCODING b", b"embstr"),
            (f"SET b {'x' * 45}", "OK"),
            ("OBJECT ENCODING b", b"raw"),
        )
        self.assertIn("LFU", getattr(self.acting.do("OBJECT FREQ a"), "text", ""))

    def test_memory(self) -> None:
        """The bytes in the state on disk, index included: as many as are stored."""
        for line in ("SET key value", "SET key value PX 100"):
            self.acting.do("DEL key")
            before = self.stored_bytes()
            self.check((line, "OK"))
            self.check(("MEMORY USAGE key", self.stored_bytes() - before))

    def stored_bytes(self) -> int:
        """What all keys, and the index of deadlines, take in the state."""
        pairs = self.acting.turn.stored.items()
        return sum(len(name) + len(stored) for name, stored in pairs if name[:1] in (STATE, DEADLINE))

    def test_shapes(self) -> None:
        """Anything may stand in the log."""
        for code in (RENAME, RENAMENX):
            self.check(("SET a v", "OK"))
            self.check_shapes(code, [b"a", b"b"])
        self.check_shapes(COPY, [b"a", b"b", 3, 0])
        for arguments in ([b"a", b"b", 16, 0], [b"a", b"b", -1, 0], [b"a", b"b", 0, 2]):
            self.assertIs(self.acting.apply([COPY, 0, 100, *arguments]), UNKNOWN)
        self.check_shapes(TYPE, [b"a"])
        self.check_shapes(OBJECT, [b"a", b"encoding"])
        self.assertIs(self.acting.apply([OBJECT, 0, 100, b"a", b"ENCODING"]), UNKNOWN)
        self.check_shapes(MEMORY, [b"a"])
