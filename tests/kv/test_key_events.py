"""Events of keys: what is told, what is not, and when. ``tests/oracle`` compares them with those of real servers."""

from __future__ import annotations

from typing import Any
from unittest.mock import patch

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from dkv.client_events import KeyEvents
from dkv.configurations import first_configurations
from dkv.keys import APPLIED_THROUGH, NOTIFICATIONS, pack_number
from dkv.kv.codes import APPEND, EXEC, IDMP, INCRBY, NOTIFY, PUT
from dkv.kv.commands import interpret
from dkv.kv.key_events import EventCollector, NotWanted, as_redis_shows, canonical, is_canonical
from dkv.kv.machine import Machine
from dkv.kv.registry import Context
from dkv.records import Batch
from dkv.replies import OK, LogRequest
from dkv.settings import Limits
from dkv.wire.codec import decode_entries, encode_entries
from tests.kv.words.reading import words_of
from tests.turns import FakeTurn

BEGAN = 1_000_000
ALL = b"AnKE"


class OneMachine(SynchronousTestCase):
    """A machine that applies a slot for each call."""

    def setUp(self) -> None:
        self.turn = FakeTurn()
        self.slot = self.seq = 0
        self.time = BEGAN
        self.start()
        self.apply([NOTIFY, 0, 0, ALL])

    def start(self) -> None:
        """A machine over what is stored."""
        self.machine = Machine(decode_entries, first_configurations((1,)))
        self.machine.start(self.turn)

    def apply(self, *entries: list[Any], own: bool = True) -> list[Any]:
        """A slot with these entries; their results."""
        self.slot += 1
        self.machine.begin_slot(self.turn, self.slot, self.time)
        results: list[Any] = []
        if entries:
            self.seq += 1
            applied = self.machine.apply(self.turn, Batch(1, 2, 3, self.seq, encode_entries([*entries])), own)
            assert applied is not None
            results = applied
        self.turn.stage(APPLIED_THROUGH, pack_number(self.slot))
        return results

    def told(self) -> str:
        """What was told since the last time."""
        events = [event for each in self.machine.take_events() for event in each.events]
        return ", ".join(f"{name.decode()} {key.decode()}" + f" in {db}" * (db > 0) for db, name, key in events)

    def do(self, *lines: str, db: int = 0) -> str:
        """What is told for these requests, which are in one slot."""
        self.apply(*(entry_of(line, db) for line in lines))
        return self.told()

    def pass_ms(self, milliseconds: int) -> None:
        """So much time passes before the next slot."""
        self.time += milliseconds


def entry_of(line: str, db: int = 0) -> Any:
    """The entry of a request."""
    made = interpret(words_of(line), Context(Limits(), db))
    return made.entry if isinstance(made, LogRequest) else made


class CommandTests(OneMachine):
    """What Redis tells, too."""

    def check(self, *table: tuple[str, str]) -> None:
        """Each request, and what is told for it."""
        for line, told in table:
            self.assertEqual(self.do(line), told, line)

    def test_one_string(self) -> None:
        """A program that keeps copies of keys must hear of each change."""
        self.check(
            ("SET a 1", "new a, set a"),
            ("SET a 2", "set a"),
            ("SET a 2 NX", ""),
            ("GET a", ""),
            ("APPEND a 3", "append a"),
            ("INCR a", "incrby a"),
            ("INCRBYFLOAT a 1.5", "incrbyfloat a"),
            ("SETRANGE a 1 x", "setrange a"),
            ("INCR a", ""),
            ("GETDEL a", "del a"),
            ("GETDEL a", ""),
            ("SETNX a 1", "new a, set a"),
            ("DEL a b a", "del a"),
        )

    def test_deadlines(self) -> None:
        """A deadline that has passed ends a key at once; SET tells that it has been there for no time."""
        self.check(
            ("SET a 1 EX 10", "new a, set a, expire a"),
            ("SET a 1 KEEPTTL", "set a"),
            ("GETEX a", ""),
            ("GETEX a PX 50", "expire a"),
            ("PERSIST a", "persist a"),
            ("PERSIST a", ""),
            ("EXPIRE a 10", "expire a"),
            ("GETEX a PERSIST", "persist a"),
            ("GETEX a PERSIST", ""),
            ("EXPIRE a 10 XX", ""),
            ("EXPIRE a -1", "del a"),
            ("SET a 1 PXAT 1", "new a, set a, expire a, expired a"),
            ("SET a 1", "new a, set a"),
            ("GETEX a PXAT 1", "del a"),
            ("SET a 1", "new a, set a"),
            ("SET a 1 PXAT 1", "set a, expire a, expired a"),
        )

    def test_several_keys(self) -> None:
        """Each key has its own events, in the order of the request."""
        self.check(
            ("MSET b 1 a 2 b 3", "new b, set b, new a, set a, set b"),
            ("MSETNX c 1 a 2", ""),
            ("RENAME a a", ""),
            ("RENAME a b", "new b, rename_from a, rename_to b"),
            ("RENAMENX b c", "new c, rename_from b, rename_to c"),
            ("COPY c d", "new d, copy_to d"),
            ("COPY c d", ""),
            ("COPY c d REPLACE", "new d, copy_to d"),
            ("COPY c d DB 3", "new d in 3, copy_to d in 3"),
            ("UNLINK c d", "del c, del d"),
        )
        self.assertEqual(self.do("SET d 1", "FLUSHDB", db=3), "set d in 3")
        self.assertEqual(self.do("SET d 1", db=3), "new d in 3, set d in 3")

    def test_plain_puts(self) -> None:
        """They are stored together, if nobody wants to know of them; and told one by one."""
        puts = [[PUT, b"a", b"1"], [PUT, b"b", b"1"], [PUT, b"a", b"2"]]
        self.apply(*puts)
        self.assertEqual(self.told(), "new a, set a, new b, set b, set a")
        self.apply([NOTIFY, 0, 0, b""], *puts, [NOTIFY, 0, 0, b"$E"], *puts[:2], [NOTIFY, 0, 0, b""], *puts)
        self.assertEqual(self.told(), "set a, set b")

    def test_in_a_transaction(self) -> None:
        """The commands of an EXEC are told as others are."""
        self.apply([EXEC, 0, 100, [], [entry_of("SET a 1"), entry_of("DEL a"), entry_of("SET b 1")]])
        self.assertEqual(self.told(), "new a, set a, del a, new b, set b")


class ExpiryTests(OneMachine):
    """Each key that has expired is told once, before anything that happens to it afterwards."""

    def test_at_the_slot_that_erases(self) -> None:
        """Without anybody looking at it, and in the order of the deadlines."""
        self.do("SET b 1 PX 20", "SET a 1 PX 20", "SET c 1 PX 10", "SET d 1 PX 30")
        self.pass_ms(25)
        self.assertEqual(self.do("SET a 2"), "expired c, expired a, expired b, new a, set a")
        self.pass_ms(25)
        self.apply()
        self.assertEqual(self.told(), "expired d")
        self.apply()
        self.assertEqual(self.told(), "")

    @patch("dkv.kv.erasure.ERASED_MAX", 0)
    def test_before_the_eraser_comes(self) -> None:
        """A key that is stored still, and does not exist any more, is touched."""
        for line, told in (
            ("SET a 2", "expired a, new a, set a"),
            ("PUT a 2", "expired a, new a, set a"),
            ("SETNX a 2", "expired a, new a, set a"),
            ("SET a 2 EX 9", "expired a, new a, set a, expire a"),
            ("SET a 2 PXAT 1", "expired a, new a, set a, expire a, expired a"),
            ("APPEND a 2", "expired a, new a, append a"),
            ("DEL a", "expired a"),
            ("MSET b 1 a 1", "new b, set b, expired a, new a, set a"),
            ("RENAME source a", "expired a, new a, rename_from source, rename_to a"),
            ("COPY source a", "expired a, new a, copy_to a"),
        ):
            self.do("SET a 1 PX 5", "SET source 1", "DEL b")
            self.pass_ms(5)
            self.assertEqual(self.do(line), told)
            self.pass_ms(5)
            self.assertEqual(self.do("DEL a", "DEL source").count("expired"), 0)
        for line in ("GET a", "PERSIST a", "SET a 1 XX", "GETEX a PX 5", "RENAME a b", "EXPIRE a 1"):
            self.do("SET a 1 PX 5")
            self.pass_ms(5)
            self.assertEqual(self.do(line), "", line)
            self.assertEqual(self.do("DEL a"), "expired a")

    def test_a_flush_comes_first(self) -> None:
        """As in Redis, nobody hears of the keys that a flush takes, whether they would have expired or not."""
        with patch("dkv.kv.erasure.ERASED_MAX", 0):
            self.do("SET a 1 PX 5", "SET b 1 PX 50")
            self.pass_ms(5)
            self.assertEqual(self.do("FLUSHDB"), "")
        self.pass_ms(50)
        self.apply()
        self.assertEqual(self.told(), "")


class UndoneTests(OneMachine):
    """What did not happen is not told."""

    def test_repeats(self) -> None:
        """A write with a token happens once."""
        once = [IDMP, b"p", 1, [APPEND, b"a", b"1", 100]]
        self.apply(once, once)
        self.assertEqual(self.told(), "new a, append a")
        self.apply(once, own=False)
        self.assertEqual(self.told(), "")

    @patch("dkv.kv.effort.EFFORT_MAX", 10_000)
    def test_too_much(self) -> None:
        """A transaction that is undone, with what it wanted to be told from then on."""
        self.do("SET a 1 PX 5")
        self.pass_ms(5)
        with patch("dkv.kv.erasure.ERASED_MAX", 0):
            many = [entry_of("INCR a"), [NOTIFY, 0, 100, b"xE"], *[[INCRBY, 0, 100, b"a", 1]] * 20]
            results = self.apply([PUT, b"b", b""], [EXEC, 0, 100, [], many], [PUT, b"c", b""], [PUT, b"a", b""])
        self.assertIn("too long at once", results[1].text)
        self.assertEqual(self.told(), "new b, set b, new c, set c, expired a, new a, set a")
        self.assertEqual(self.turn.load(NOTIFICATIONS), ALL)

    def test_unknown_settings(self) -> None:
        """Anything may stand in the log; all nodes go on as they were."""
        others: tuple[Any, ...] = (b"KEA", b"KEm", b"?", b"nA", b"EK", "KE", 7, None, [])
        for letters in others:
            self.assertIn("does not know", self.apply([NOTIFY, 0, 100, letters])[0].text)
        self.assertIn("does not know", self.apply([NOTIFY, 0, 100])[0].text)
        self.assertIn("does not know", self.apply([NOTIFY, 0, 100, b"AKE", b""])[0].text)
        self.assertEqual(self.turn.load(NOTIFICATIONS), ALL)


class SettingTests(OneMachine):
    """What is wanted is part of the state."""

    def test_after_a_restart(self) -> None:
        """A node that starts again tells the same; what it had collected it forgets."""
        self.apply([PUT, b"a", b""])
        self.start()
        self.assertEqual(self.told(), "")
        self.assertEqual(self.do("SET a 1"), "set a")

    def test_nothing_is_wanted(self) -> None:
        """Then the state is as if nothing ever was; and letters without a way to tell them are kept."""
        for letters in (b"A", b"", b"$x"):
            self.assertEqual(self.apply([NOTIFY, 0, 100, letters], [PUT, b"a", b""], entry_of("DEL a")), [OK, OK, 1])
            self.assertEqual(self.machine.take_events(), [])
            self.assertEqual(self.turn.load(NOTIFICATIONS), letters or None)

    def test_kinds(self) -> None:
        """Only those that are wanted are told."""
        self.pass_ms(1)
        for letters, told in (
            (b"$E", "set a, set b"),
            (b"gK", "expire a, del b"),
            (b"xE", "expired a"),
            (b"nKE", "new a, new b"),
            (b"lshzetdKE", ""),
        ):
            self.apply([NOTIFY, 0, 100, letters])
            self.apply(entry_of("SET a 1 PX 1"), entry_of("SET b 1"), entry_of("DEL b"))
            self.pass_ms(1)
            self.apply()
            self.assertEqual(self.told(), told, letters)

    def test_ways(self) -> None:
        """Each event is told as it was wanted when it happened."""
        self.machine.take_events()
        settings = [[NOTIFY, 0, 100, letters] for letters in (b"$K", b"$E", b"$KE")]
        put = [PUT, b"a", b""]
        self.apply(put, settings[0], put, put, settings[1], settings[2], put)
        event = (0, b"set", b"a")
        self.assertEqual(
            self.machine.take_events(),
            [
                KeyEvents(((0, b"new", b"a"), event), True, True, 2),
                KeyEvents((event, event), True, False, 2),
                KeyEvents((event,), True, True, 2),
            ],
        )
        self.assertEqual(
            [*KeyEvents(((3, b"set", b"a:__:b"),)).messages()],
            [(b"__keyspace@3__:a:__:b", b"set"), (b"__keyevent@3__:set", b"a:__:b")],
        )

    def test_nothing_is_kept(self) -> None:
        """However many slots are applied, what was taken is gone."""
        collector = EventCollector()
        for slot in range(3):
            collector.want((b"AKE", b"xE")[slot % 2])
            collector.take(slot)
        self.assertEqual(len(collector._parts), 1)


class LetterTests(SynchronousTestCase):
    @given(st.text("Ag$lshzxeKEtdn").map(str.encode))
    def test_canonical(self, letters: bytes) -> None:
        """However people write it, all nodes store it in one form, which means the same."""
        form = canonical(letters)
        self.assertTrue(is_canonical(form))
        self.assertEqual(canonical(form), form)
        self.assertEqual(set(form.replace(b"A", b"g$lshzxetd")), set(letters.replace(b"A", b"g$lshzxetd")))
        self.assertNotIn(b"n", as_redis_shows(form) if b"A" in form else b"")

    def test_refused(self) -> None:
        """What dkv cannot tell is not promised."""
        for letters in (b"KEAm", b"q", b"KE\xff", b"kea"):
            self.assertRaises(NotWanted, canonical, letters)
            self.assertFalse(is_canonical(letters))
