"""What the commands on deadlines do."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from dkv.kv.appliers.expiring import deadline
from dkv.kv.asks import UNKNOWN
from dkv.kv.codes import ABSOLUTE, EXPIRE, KEEP_LIFE, NEVER_DIES, NO_LIFE, PERSIST, RELATIVE, TTL
from dkv.kv.stored import DEADLINE_MAX, Held
from tests.kv.appliers.acting import TIME, ActingCase


class ExpiringTests(ActingCase):
    """Deadlines, judged by the time of the slot."""

    def test_setting(self) -> None:
        """Each form sets the deadline that it says; a key that does not exist gets none."""
        self.check(("EXPIRE k 10", 0), ("SET k v", "OK"))
        for line, moment in (
            ("EXPIRE k 10", TIME + 10_000),
            ("PEXPIRE k 10", TIME + 10),
            ("EXPIREAT k 2000", 2_000_000),
            ("PEXPIREAT k 1000001", TIME + 1),
            (f"PEXPIREAT k {2**63 - 1}", DEADLINE_MAX),
        ):
            self.check((line, 1))
            self.assertEqual(self.acting.deadline(b"k"), moment, line)
        self.check(("PERSIST k", 1), ("PERSIST k", 0), ("PERSIST none", 0), ("GET k", b"v"))

    def test_the_past(self) -> None:
        """A deadline that is not ahead deletes the key, and counts as set."""
        for number in ("0", "-5", "-9223372036854775"):
            self.check(("SET k v", "OK"), (f"EXPIRE k {number}", 1), ("EXISTS k", 0))
        for moment in (0, TIME, 1, -TIME):
            self.check(("SET k v", "OK"), (f"PEXPIREAT k {moment}", 1), ("EXISTS k", 0))
        self.check(("SET k v", "OK"), (f"PEXPIRE k -{TIME}", 1), ("EXISTS k", 0))

    def test_conditions(self) -> None:
        """NX, XX, GT and LT: a key without a deadline lives longer than any other."""
        self.check(
            ("SET k v", "OK"),
            ("EXPIRE k 10 XX", 0),
            ("EXPIRE k 10 GT", 0),
            ("EXPIRE k 10 XX LT", 0),
            ("TTL k", -1),
            ("EXPIRE k 10 LT", 1),
            ("EXPIRE k 10 LT", 0),
            ("EXPIRE k 10 GT", 0),
            ("EXPIRE k 10 NX", 0),
            ("EXPIRE k 11 GT XX", 1),
            ("EXPIRE k 9 LT XX", 1),
            ("TTL k", 9),
            ("PERSIST k", 1),
            ("EXPIRE k 5 NX", 1),
            ("EXPIRE k -1 GT", 0),
            ("EXPIRE k -1 LT", 1),
            ("EXISTS k", 0),
        )

    def test_telling(self) -> None:
        """Seconds are rounded to the nearest, as in Redis; all four are of the same moment."""
        self.check(("TTL k", -2), ("PEXPIRETIME k", -2), ("SET k v", "OK"), ("PTTL k", -1), ("EXPIRETIME k", -1))
        self.check(("PEXPIRE k 1499", 1), ("TTL k", 1), ("PTTL k", 1499))
        self.check(("PEXPIREAT k 2000500", 1), ("EXPIRETIME k", 2001), ("PEXPIRETIME k", 2_000_500))
        self.acting.at(2_000_499)
        self.check(("PTTL k", 1), ("TTL k", 0))
        self.acting.at(2_000_500)
        self.check(("PTTL k", -2), ("PERSIST k", 0), ("EXPIRE k 10", 0))

    @given(st.sampled_from((NO_LIFE, KEEP_LIFE, RELATIVE, ABSOLUTE, NEVER_DIES)), st.integers(), st.booleans())
    def test_any_life(self, life: int, milliseconds: int, exists: bool) -> None:
        """Whatever an entry says, a deadline is one: 0 is none, and what is not ahead erases the key."""
        moment = deadline(life, milliseconds, Held(b"", 7, (1, 1)) if exists else None, TIME)
        wanted = {RELATIVE: TIME + milliseconds, ABSOLUTE: milliseconds}.get(life)
        if wanted is not None:
            self.assertEqual(moment, wanted if wanted > 0 else -1)
        else:
            self.assertEqual(moment, 7 if exists and life == KEEP_LIFE else 0)

    def test_shapes(self) -> None:
        """Anything may stand in the log."""
        self.check_shapes(EXPIRE, [b"k", 2, 10, 0])
        self.check_shapes(PERSIST, [b"k"])
        self.check_shapes(TTL, [b"k", 3])
        for arguments in ([b"k", 1, 10, 0], [b"k", 4, 10, 0], [b"k", 2, 10, 16], [b"k", 2, 10, -1]):
            self.assertIs(self.acting.apply([EXPIRE, 0, 100, *arguments]), UNKNOWN)
        for kind in (-1, 4):
            self.assertIs(self.acting.apply([TTL, 0, 100, b"k", kind]), UNKNOWN)
