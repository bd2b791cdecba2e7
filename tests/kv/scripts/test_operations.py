"""What the operations of scripts do: by the time of the slot, and step by step as their scripts do it."""

from __future__ import annotations

from dkv.kv.asks import UNKNOWN
from dkv.kv.codes import SCRIPT
from dkv.kv.effort import TOO_MUCH
from dkv.kv.machine import Machine
from dkv.kv.scripts.operations import DELETE_IF_EQUAL, DELETE_MATCHING
from tests.kv.appliers.acting import TIME, ActingCase
from tests.kv.test_machine import Node, batch

NO_INTEGER = "ERR value is not an integer or out of range"
NO_NUMBER = "ERR an argument of the script is not a number, or is missing"
NO_WORD = "ERR the script has too few keys or arguments"


class LockTests(ActingCase):
    def test_release(self) -> None:
        """Only the one whose token is there deletes it; a lock that is over is nobody's."""
        release = "EVALSHA delete-if-equal 1 k"
        self.check((f"{release} me", 0), ("SET k me PX 10", "OK"), (f"{release} you", 0), (f"{release}", 0))
        self.check((f"{release} me", 1), (f"{release} me", 0), ("SET k me PX 10", "OK"))
        self.acting.at(TIME + 10)
        self.check((f"{release} me", 0), ("EVALSHA ttl-if-equal 1 k me", 0))

    def test_extend(self) -> None:
        """Added to what is left, or in its place; a key that never expires is no lock."""
        extend = "EVALSHA extend-if-equal 1 k me"
        self.check(("SET k me", "OK"), (f"{extend} 5 0", 0), ("SET k me PX 100", "OK"), (f"{extend} 50 0", 1))
        self.assertEqual(self.acting.deadline(b"k"), TIME + 150)
        self.check((f"{extend} 70 1", 1), ("EVALSHA ttl-if-equal 1 k me", 70), (f"{extend} x 0", NO_NUMBER))
        self.check((f"{extend} x 1", NO_INTEGER), (f"{extend}", NO_WORD), ("PTTL k", 70), (f"{extend} 0 1", 1))
        self.check(("EXISTS k", 0))

    def test_other_lives(self) -> None:
        """Of one key, and of several, which are taken together or not at all."""
        self.check(("SET a me", "OK"), ("EVALSHA pexpire-if-equal 1 a me 9", 1), ("PTTL a", 9))
        self.check(("EVALSHA expire-if-equal 1 a me 9", 1), ("PTTL a", 9_000), ("EVALSHA expire-if-equal 1 a x 9", 0))
        self.check(("EVALSHA acquire-all 2 a b me 10", 0), ("EXISTS b", 0), ("EVALSHA release-all 2 a b me", 1))
        self.check(("EVALSHA acquire-all 2 a b me 10", 2), ("EVALSHA extend-all 2 a b me 20", 2), ("PTTL b", 20))
        self.check(("DEL b", 1), ("EVALSHA extend-all 2 a b me 30", 0), ("PTTL a", 20))
        self.check(("EVALSHA set-if-absent 1 a you 5", None), ("EVALSHA set-if-absent 1 c you 5", "OK"), ("PTTL c", 5))

    def test_exchange(self) -> None:
        """A new value for the one that was read, with the options that are there."""
        self.check(("EVALSHA set-if-equal 1 k new old", 0), ("SET k old", "OK"))
        self.check(("EVALSHA set-if-equal 1 k new old EX 5", "OK"), ("PTTL k", 5_000))
        self.check(("EVALSHA set-if-equal 1 k last new", "OK"), ("PTTL k", -1), ("GET k", b"last"))
        self.check(("EVALSHA set-if-equal 1 k x last EX 5 more", "OK"), ("PTTL k", -1))
        for options, wanted in (("FX 5", "ERR syntax error"), ("EX 0", "ERR invalid expire time in 'set' command")):
            self.check((f"EVALSHA set-if-equal 1 k y x {options}", wanted), ("GET k", b"x"))


class CounterTests(ActingCase):
    def test_sums(self) -> None:
        """Sums, and lives that begin with the first one."""
        self.check(
            ("EVALSHA add-if-present 1 n 5", None), ("EVALSHA add 1 n 5", 5), ("EVALSHA add-if-present 1 n 5", 10)
        )
        self.check(("EVALSHA add-and-pexpire 1 a 1 50", 1), ("EVALSHA add-and-pexpire 1 a 1 90", 2), ("PTTL a", 50))
        self.check(("EVALSHA add-and-expire 1 b 5 3", 3), ("EVALSHA add-and-expire 1 b 9 3", 6), ("TTL b", 5))
        self.check(("EVALSHA count-and-expire 1 c 5", 1), ("EVALSHA count-and-expire 1 c 9", 2), ("TTL c", 5))
        self.check(("EVALSHA raise-number 1 d 7", 7), ("EVALSHA raise-number 1 d 7", None), ("GET d", b"7"))

    def test_doubles(self) -> None:
        """A number that a script has seen is a double: a client is told what is left of it, as by Redis."""
        self.check(("SET n 9007199254740992", "OK"), ("EVALSHA add 1 n 1", 9007199254740992))
        self.check(("GET n", b"9007199254740993"), ("EVALSHA raise-number 1 x 1.5", 1), ("GET x", b"1.5"))

    def test_what_failed_half_way(self) -> None:
        """What was done before stays, as in Redis."""
        self.check(("EVALSHA add-and-pexpire 1 n 1 soon", NO_INTEGER), ("GET n", b"1"), ("PTTL n", -1))
        self.check(("EVALSHA hit 1 h 0", NO_WORD), ("GET h", b"1"))

    def test_windows(self) -> None:
        """Each of these counts from the first one on."""
        self.check(("EVALSHA count-in-window 1 a 2 5", [2, 5_000]), ("EVALSHA count-in-window 1 a 2 9", [4, 5_000]))
        self.check(("SET b 1", "OK"), ("EVALSHA count-in-window 1 b 2 5", [3, 5_000]), ("SET c 1", "OK"))
        self.check(("EVALSHA count-in-plain-window 1 c 2 5", [3, -1]), ("EVALSHA hit 1 h 0 50", [1, 50]))
        self.acting.at(TIME + 20)
        self.check(("EVALSHA hit 1 h 0 50", [2, 30]), ("EVALSHA hit 1 h 1 70", [3, 70]), ("SET i 9", "OK"))
        self.check(("EVALSHA hit-or-reset 1 i 0 50", [1, 50]), ("EVALSHA hit-or-reset 1 i 1 60", [2, 60]))
        self.check(("EVALSHA hit-or-begin 1 j 40", [1, 40]), ("EVALSHA hit-or-begin 1 j 90", [2, 40]))
        self.check(("EVALSHA value-and-ttl 1 j", [b"2", 40]), ("EVALSHA value-and-ttl 1 none", [None, -2]))

    def test_sliding(self) -> None:
        """What was counted in the window before counts in part, the less the longer it is ago."""
        acquire, look = "EVALSHA acquire-sliding 2 old new 4 10", "EVALSHA sliding-window 2 old new 10"
        self.check(
            (f"{acquire} 3", 1), (f"{acquire} 2", None), (look, [None, -2, b"3", 20_000]), (f"{acquire} 5", None)
        )
        self.acting.at(TIME + 12_500)
        self.check((look, [b"3", 7_500, b"0", 17_500]), (f"{acquire} 2", 1), (f"{acquire} 1", None))
        self.acting.at(TIME + 18_000)
        self.check((f"{acquire} 2", 1), (f"{acquire} 1", None), (f"{acquire} x", NO_NUMBER), (f"{acquire}", NO_NUMBER))
        self.check(("EVALSHA acquire-sliding 1 old 4 10 1", NO_WORD), (f"{acquire} 0.5", None))


class PatternTests(ActingCase):
    def test_deleting(self) -> None:
        """All that match, and nothing else."""
        for name, wanted in (("1 a*", 2), ("0 b*", None)):
            self.check(("MSET a1 v a2 v b1 v c v", "OK"))
            word = "delete-matching" if wanted else "delete-matching-quietly"
            self.check((f"EVALSHA {word} {name}", wanted), ("EXISTS c", 1), ("DBSIZE", 2 if wanted else 3))

    def test_what_is_too_much(self) -> None:
        """A few thousand keys go at once; of too many none goes, and all nodes go on."""
        node = Node()
        for seq, count in enumerate((4_000, 12_000), 1):
            keys = [[1, b"k%d" % number, b""] for number in range(count)]
            node.apply(batch(keys, 1, 2 * seq - 1))
            answers = node.apply(batch([[SCRIPT, 0, 0, DELETE_MATCHING, [b"k*"], []]], 1, 2 * seq))
            self.assertEqual(answers, [count if count == 4_000 else TOO_MUCH])
        self.assertIsInstance(node.machine, Machine)
        self.assertEqual(node.get(b"k7"), b"")


class ShapeTests(ActingCase):
    def test_of_wrong_shape(self) -> None:
        """Anything may stand in the log."""
        for wrong in (
            [DELETE_IF_EQUAL, [b"k"]],
            [DELETE_IF_EQUAL, [b"k"], [], []],
            [b"1", [b"k"], []],
            [DELETE_IF_EQUAL, b"k", b"v"],
            [99, [], []],
            [DELETE_IF_EQUAL, [b"k", 1], []],
            [DELETE_IF_EQUAL, [b"k"], [[b"v"]]],
            [0, [], []],
        ):
            self.assertIs(self.acting.apply([SCRIPT, 0, 100, *wrong]), UNKNOWN)
