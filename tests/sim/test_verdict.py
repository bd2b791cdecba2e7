"""The answers of clients as a history: nothing that may have happened is left out, and nothing is made up."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from random import Random
from typing import Any, cast
from unittest.mock import Mock, patch

from twisted.trial.unittest import SynchronousTestCase

from dkv.kv.commands import interpret
from dkv.kv.registry import Context
from dkv.kv.sessions import MISMATCH, OLD
from dkv.replies import OK, Error
from dkv.settings import Limits
from dkv.sim.history import Operation
from dkv.sim.keyring import OPEN_WRITES_MAX, Keyring
from dkv.sim.plan import FAULTS
from dkv.sim.requests import Request
from dkv.sim.simulated_client import SimulatedClient
from dkv.sim.verdict import FLUSHING, Done, Executions, history, judge, wrong_reply
from dkv.sim.world import World

RING = Keyring(b"k", 1, 100)
OWN = Keyring(b"c1.", 1, 100, own=True)
TOKEN = (b"p", 1)
LIMITS = Limits(value_bytes_max=4)
SEEDS_MAX = 150
TIGHT = Limits(key_bytes_max=8, value_bytes_max=30)
REFUSED, UNCERTAIN = Error("TRYAGAIN no leader"), Error("UNCERTAIN it may happen")
FULL = Error("ERR the value would have 5 bytes, limits.value_bytes_max is 4")


def asked(text: str, reply: Any = None, at: int = 1, ring: Keyring = RING, **fields: Any) -> Request:
    """A request sent at ``at``, also its place in its client's order, and answered a tenth later, if it has a reply."""
    request = Request(1, 1, text.encode().split(), at, at, ring, **fields)
    request.first_place = request.last_place = at
    if reply is not None:
        request.reply, request.returned = None if reply == "nil" else reply, at + 0.1
    return request


def executions(requests: Sequence[Request], done: Sequence[tuple[Any, float]]) -> Executions:
    """The executions of the first request's token, from the log."""
    write = interpret(requests[0].words, Context(LIMITS))
    assert isinstance(write, list) or not done
    return {TOKEN: [Done(write, answer, 1.0, by) for answer, by in done if isinstance(write, list)]}


class HistoryTests(SynchronousTestCase):
    """The operations of a history."""

    def kinds(self, *requests: Request, done: Sequence[tuple[Any, float]] = ()) -> list[tuple[str, Any, Any]]:
        """Kind, return and result of each operation; ``done``: answer and time of each execution of the token."""
        return [(each.kind, each.returned, each.result) for each in history(requests, executions(requests, done))]

    def test_outcomes(self) -> None:
        """Known outcomes, unknown ones, and requests that certainly were not executed."""
        self.assertEqual(self.kinds(asked("append k a", 3)), [("append", 1.1, 3)])
        self.assertEqual(self.kinds(asked("append k a")), [("append", None, None)])
        self.assertEqual(self.kinds(asked("append k a", UNCERTAIN)), [("append", None, None)])
        self.assertEqual(self.kinds(asked("append k a", REFUSED), asked("get k", REFUSED)), [])
        self.assertEqual(self.kinds(asked("put k a", REFUSED, unsure=True)), [("put", None, None)])
        self.assertEqual(self.kinds(asked("echo 1", b"1"), asked("idmp new", b"#1.0")), [])

    def test_several_keys(self) -> None:
        """A DELETE stays one operation."""
        (operation,) = history([asked("delete a b c", 2)], {})
        self.assertEqual(operation, Operation(1, "delete", b"a", (b"b", b"c"), 1, 1.1, 2))

    def test_refused_for_its_length(self) -> None:
        """A refused append tells how long the value was, also as the answer to a repeated write."""
        self.assertEqual(self.kinds(asked("append k ab", FULL)), [("strlen", 1.1, 3)])
        again = asked("append k ab", FULL, token=TOKEN, unsure=True)
        self.assertEqual(self.kinds(again, done=[(FULL, 1.05)]), [("strlen", 1.1, 3)])

    def test_executed_again(self) -> None:
        """A producer that was evicted began anew: its write happened twice, and the answer is that of either."""
        answered, lost = asked("append k a", 3, token=TOKEN), asked("append k a", token=TOKEN)
        told, other = ("append", 1.1, 3), ("append", 9.0, 4)
        self.assertEqual(self.kinds(answered, done=[(3, 1.05)]), [told])
        self.assertEqual(self.kinds(answered, done=[(3, 1.05), (4, 9.0)]), [told, other])
        self.assertEqual(self.kinds(answered, done=[(4, 9.0), (3, 1.05)]), [told, other])
        self.assertEqual(self.kinds(answered, done=[(3, 1.05), (FULL, 9.0)]), [told])
        self.assertEqual(self.kinds(lost, done=[(3, 1.05), (4, 9.0)]), [("append", 1.05, 3), other])
        repeat = asked("append k a", 4, at=2, token=TOKEN, repeats=answered)
        self.assertEqual(self.kinds(answered, repeat, done=[(3, 1.05), (4, 9.0)]), [told, other])

    def test_never_executed(self) -> None:
        """Nobody has seen a write that the log does not have by now."""
        for answer in (None, UNCERTAIN, OLD, MISMATCH):
            lost = asked("append k a", answer, token=TOKEN, unsure=True)
            self.assertEqual(self.kinds(lost), [])
            self.assertEqual(self.kinds(lost, done=[(3, 9.0)]), [("append", 9.0, 3)])

    def test_another_write_with_the_token(self) -> None:
        """It is no execution of this one."""
        writes = [asked("append k a", 1, token=TOKEN), asked("put k b", MISMATCH, at=2, token=TOKEN)]
        self.assertEqual(self.kinds(*writes, done=[(1, 1.05)]), [("append", 1.1, 1)])

    def test_flushes(self) -> None:
        """A flush of the database deletes every key of it, and leaves nothing to see of it but that."""
        requests = [asked("append k x", 1), asked("delete k m", 2, at=3), asked("get other", "nil", at=4)]
        deleted = [each for each in history(requests, {}, [(2.0, 2.5)]) if each.client == FLUSHING]
        expected = {(key, "delete", 2.0, 2.5, None) for key in (b"k", b"m", b"other")}
        self.assertEqual({(each.key, each.kind, each.called, each.returned, each.result) for each in deleted}, expected)
        appended = [asked("append k x", 1), asked("append k y", 1, at=3)]
        self.assertIsNone(judge(appended, {}, [(2.0, 2.5)]))
        self.assertIsNotNone(judge(appended, {}, [(0.2, 0.5)]))
        self.assertIsNotNone(judge(appended, {}))

    def test_flushes_in_own_order(self) -> None:
        """There a flush comes behind all that was answered when it was chosen, and before what was sent later."""
        appended = [asked("append c1.1 x", 1, ring=OWN), asked("append c1.1 y", 1, at=3, ring=OWN)]
        self.assertIsNone(judge(appended, {}, [(2.0, 2.5)]))
        for after, by in ((0.2, 0.5), (3.2, 3.5)):
            self.assertIsNotNone(judge(appended, {}, [(after, by)]))

    def test_own_order(self) -> None:
        """Two requests under way at once are judged as one after the other where no other client is to blame."""
        for ring, complains in ((RING, False), (OWN, True)):
            write, read = asked("put k a", OK, ring=ring), asked("get k", "nil", ring=ring)
            write.returned, read.last_place, read.first_place = 5.0, 2, 2
            self.assertEqual(judge([write, read], {}) is not None, complains)
            self.assertIsNone(judge([read, write], {}) if ring is RING else None)

    def test_own_order_with_unknown_outcomes(self) -> None:
        """A write without an answer may happen between any later ones."""
        lost = asked("put k a", ring=OWN)
        reads = [asked("get k", reply, at, OWN) for at, reply in ((2, "nil"), (3, b"a"))]
        self.assertIsNone(judge([lost, *reads], {}))
        self.assertIsNotNone(judge([lost, *reads, asked("get k", "nil", 4, OWN)], {}))
        again = asked("put k a", OK, ring=OWN, token=TOKEN, unsure=True)
        again.last_place = 4
        self.assertIsNone(judge([again, *reads], {}))
        self.assertIsNotNone(judge([again, *reads, asked("get k", "nil", 5, OWN)], {}))
        lost = asked("put k a", ring=OWN, token=TOKEN)
        self.assertIsNone(judge([lost, *reads], executions([lost], [(OK, 9.0)])))
        self.assertIsNotNone(judge([lost, *reads], {}), "it was seen though the log has it not")

    def test_own_order_of_writes_that_are_executed_twice(self) -> None:
        """Two that were sent again and again to nodes that had forgotten their producer: each may follow the other."""
        writes = [asked("put k a", ring=OWN, token=TOKEN), asked("delete k", at=2, ring=OWN, token=(b"p", 2))]
        done: dict[tuple[bytes, int], list[Done]] = {}
        for number, answer in ((0, OK), (1, 1)):
            write = interpret(writes[number].words, Context(LIMITS))
            assert isinstance(write, list)
            done[b"p", number + 1] = [Done(write, answer, at, at + 0.1) for at in (5.0, 6.0)]
        self.assertIsNone(judge(writes, done))


class ReplyTests(SynchronousTestCase):
    """Replies that no request can have."""

    def complaint(self, *requests: Request, done: Sequence[tuple[Any, float]] = ()) -> str | None:
        """The sentence about these requests."""
        crowd = Mock(requests=requests, limits=LIMITS, unanswered=[])
        return wrong_reply(crowd, executions(requests, done))

    def test_fitting(self) -> None:
        """The answers that each kind of request may get."""
        fitting: list[tuple[str, Any]] = [
            ("get k", "nil"), ("get k", b"abcd"), ("get k", REFUSED), ("put k abcd", OK), ("put k a", UNCERTAIN),
            ("append k a", 4), ("append k ab", FULL), ("delete a b a", 2), ("delete a", 0), ("echo x", b"x"),
            ("put k abcde", Error("ERR the value has 5 bytes, limits.value_bytes_max is 4")),
        ]  # fmt: skip
        for text, reply in fitting:
            self.assertIsNone(self.complaint(asked(text, reply)), text)

    def test_not_fitting(self) -> None:
        """A wrong kind, a count too high, a limit not kept, or kept where it is not reached."""
        wrong: list[tuple[str, Any]] = [
            ("get k", 1), ("get k", b"abcde"), ("get k", UNCERTAIN), ("put k a", 1), ("put k a", "nil"),
            ("append k a", 5), ("append k a", -1), ("delete a a", 2), ("delete a", 2), ("echo x", b"y"),
            ("put k abcde", OK), ("put k abcde", REFUSED), ("put k a", Error("ERR the value has 1 bytes")),
            ("append k a", Error("ERR the value would have 4 bytes, limits.value_bytes_max is 4")),
        ]  # fmt: skip
        for text, reply in wrong:
            self.assertIn("was answered", self.complaint(asked(text, reply)) or "", (text, reply))

    def test_repeats(self) -> None:
        """Each answer is that of an execution: a repeat is answered as at first, unless its producer was evicted."""
        first = asked("append k a", 3, token=TOKEN)
        repeat = asked("append k a", 4, at=2, token=TOKEN, repeats=first)
        self.assertIn("not 3 as when it was executed", self.complaint(first, repeat, done=[(3, 1.05)]) or "")
        self.assertIsNone(self.complaint(first, repeat, done=[(3, 1.05), (4, 2.05)]))

    def test_mismatch(self) -> None:
        """Only a token of another write may be refused."""
        refused = asked("append k a", MISMATCH, at=2, token=TOKEN)
        self.assertIn("no other write had token", self.complaint(refused) or "")
        self.assertIsNone(self.complaint(refused, asked("append k b", 1, token=TOKEN)))


class KeyringTests(SynchronousTestCase):
    """Which keys are used."""

    def test_open_writes(self) -> None:
        """A key with many writes of unknown outcome is used no more, for a retry either."""
        ring, random = Keyring(b"k", 1, 100), Random(1)
        key = ring.choose(random)
        for _ in range(OPEN_WRITES_MAX):
            self.assertTrue(ring.takes_writes([key]))
            ring.opened([key])
        self.assertFalse(ring.takes_writes([b"other", key]))
        self.assertNotEqual(ring.choose(random), key)
        ring.settled([key])
        self.assertTrue(ring.takes_writes([key]))

    def test_lengths(self) -> None:
        """Some keys are as long as they may be."""
        ring, random = Keyring(b"k", 1, 9), Random(1)
        lengths = Counter(len(ring.choose(random)) for _ in range(2000))
        self.assertEqual((max(lengths), min(lengths)), (9, 2))


class CrowdTests(SynchronousTestCase):
    """Clients do all that they are made for."""

    def test_everything_happens(self) -> None:
        """A thing that no seed does finds nothing."""
        seen = Counter({"echo": 0, "idmp": 0})
        for seed in range(1, SEEDS_MAX + 1):
            with patch("dkv.sim.plan._limits", lambda random: random.choice((Limits(), TIGHT))):
                world = World(seed, 3, 5.0, frozenset(FAULTS))
            for node in world.nodes:
                node.start()
            world.run(1.0)
            world.crowd.begin()
            world.faults.begin()
            for _ in range(100):
                world.run(0.05)
                clients = cast(list[SimulatedClient], world.crowd.clients)
                under_way = [len({each.sent for each in client._waiting}) for client in clients]
                seen["messages under way"] += max(under_way) > 1
            self.assertIsNone(world.violation)
            seen["executed again"] += max(map(len, world.executions.values()), default=0) > 1
            for request in world.crowd.requests:
                seen[request.words[0].decode()] += 1
                seen["several keys"] += len(set(request.keys)) > 1
                seen["its own key"] += request.in_own_order
                seen["a repeat"] += request.repeats is not None
                seen["another write's token"] += request.reply == MISMATCH
                seen["forgotten"] += request.reply == OLD
                seen["appended too much"] += request.length_seen is not None
                seen["too long"] += isinstance(request.reply, Error) and request.reply.text.startswith(
                    "ERR the value has"
                )
                seen["an issued producer"] += request.token is not None and request.token[0].startswith(b"#")
            if all(seen.values()):
                return
        self.fail(str(seen))
