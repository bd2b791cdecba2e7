"""``dkv compare`` against nodes that hold what a test says, and answer by the real orders."""

from __future__ import annotations

import json
from typing import Any, Self
from unittest.mock import Mock

from click.testing import Result
from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from dkv.actor import LEARNER, Address
from dkv.cli import compare
from dkv.cli.reply_text import as_json
from dkv.client.blocking import Endpoint, NotSent, ServerError
from dkv.console import comparison
from dkv.console.comparison import HeldState
from dkv.console.inspection import Inspection
from dkv.console.orders import ORDERS
from dkv.events import Captured, CaptureMissed
from dkv.identity import Identity
from dkv.keys import APPLIED_THROUGH, pack_number
from dkv.kv.stored import string_header
from dkv.replies import Error, Local
from tests.cli.commands import run
from tests.turns import FakeTurn, FakeView

State = dict[bytes, bytes]


def values(**pairs: str) -> State:
    """A state with these keys and values, all written in slot 7."""
    return {b"S\0" + key.encode(): string_header(7, 0) + value.encode() for key, value in pairs.items()}


class HeldNode:
    """A node whose learner has the state captured at once. ``applied`` are its slots, one look after another."""

    def __init__(self, number: int, state: State, applied: tuple[int, ...] = (7,)) -> None:
        self.state = state
        self.views: list[FakeView] = []
        self._applied = list(applied)
        self._turn = FakeTurn()
        self._node = Mock(spec=Inspection)
        self._node.identity = Identity("c", number, 9, 1)
        self.comparison = self._node.comparison = HeldState(number, self._capture, lambda: 0.0)

    def _capture(self, role: str, sender: Address, message: Any) -> None:
        if message.slot < self._node.applied_through:
            answer: Any = CaptureMissed(message.slot)
        else:
            self.views.append(FakeView({APPLIED_THROUGH: pack_number(message.slot), **self.state}))
            answer = Captured(self.views[-1])
        self._later = answer

    def call(self, *words: bytes) -> Any:
        """What the node answers."""
        if len(self._applied) > 1 and words[1] == b"STATE":
            self._node.applied_through = self._applied.pop(0)
        else:
            self._node.applied_through = self._applied[0]
        local = ORDERS[words[0].lower()].answer(Mock(node=self._node), list(words))
        assert isinstance(local, Local)
        reply: Any = local.reply
        if words[1] == b"HOLD":
            self.comparison.receive(self._turn, Address(1, LEARNER), self._later)
        if isinstance(reply, Error):
            raise ServerError(reply.text)
        return list(reply) if isinstance(reply, list | tuple) else reply

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.closed = True


class CompareTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.patch(compare, "pause", lambda seconds: None)

    def compare(self, *nodes: HeldNode | None, options: tuple[str, ...] = ()) -> Result:
        """Run the command; None is a node that is down."""
        self.nodes = [node for node in nodes if node is not None]

        def connect(endpoint: Endpoint, *seconds: float) -> HeldNode:
            node = nodes[endpoint.port - 1]
            if node is None:
                raise NotSent(f"cannot connect to {endpoint}: nobody listens there")
            node.endpoint = endpoint  # type: ignore[attr-defined]  # as a connection has it
            return node

        self.patch(compare, "connect", connect)
        endpoints = ",".join(f"n:{number}" for number in range(1, len(nodes) + 1))
        return run("compare", "--endpoints", endpoints, *options)

    def test_equal(self) -> None:
        """The sentence that an operator wants to read; the states are given back."""
        state = values(a="1", b="22") | {b"B1": b"mark"}
        result = self.compare(*(HeldNode(number, state) for number in (1, 2, 3)))
        self.assertEqual(result.stdout, "equal: 2 keys, 41 bytes at slot 7 on nodes 1, 2, 3\n")
        self.assertEqual(result.exit_code, 0)
        self.assertTrue(all(view.closed for node in self.nodes for view in node.views))

    def test_differs(self) -> None:
        """The first key that differs, with what each node has."""
        right = values(a="1", b="2", c="3")
        wrong = right | values(b="two") | {b"S\0d": b"x"}
        result = self.compare(HeldNode(1, right), HeldNode(2, wrong), HeldNode(3, values(a="1")))
        lines = result.stdout.splitlines()
        self.assertEqual(lines[0], "differs: key b at slot 7")
        self.assertRegex(lines[1], r"^  node 1: 1 bytes, revision 7\.0, digest [0-9a-f]{32}$")
        self.assertRegex(lines[2], r"^  node 2: 3 bytes, revision 7\.0, digest [0-9a-f]{32}$")
        self.assertEqual(lines[3:], ["  node 3: absent"])
        self.assertEqual(result.exit_code, 1)
        self.assertTrue(all(view.closed for node in self.nodes for view in node.views))

    @given(st.lists(st.dictionaries(st.binary(min_size=1, max_size=2), st.binary(max_size=9), max_size=8), min_size=2))
    def test_the_first_key(self, states: list[dict[bytes, bytes]]) -> None:
        """However the pages of the nodes are cut: a difference is found, and it is the first one."""
        self.patch(comparison, "PAGE_BYTES", 40)
        held = [{b"S\0" + key: string_header(1, 0) + value for key, value in state.items()} for state in states]
        keys = sorted({key for state in states for key in state})
        expected = next((key for key in keys if len({state.get(key) for state in states}) > 1), None)
        result = self.compare(
            *(HeldNode(number, state) for number, state in enumerate(held, 1)), options=("--output", "json")
        )
        told = json.loads(result.stdout)
        if expected is None:
            self.assertEqual((told["equal"], told["keys"], result.exit_code), (True, len(states[0]), 0))
        else:
            self.assertEqual((told["equal"], told["key"], result.exit_code), (False, as_json(expected), 1))
            present = [value is not None for value in told["found"].values()]
            self.assertEqual(present, [expected in state for state in states])

    def test_other_keys(self) -> None:
        """A token, the last batch of an origin, or the members: no key of a user, but no less wrong."""
        others = ((b"Tp", "a token, p"), (b"Bo", "the last batch of an origin, o"), (b"M", "the sets of members"),
                  (b"E" + bytes(9) + b"k", "the deadline of key k"), (b"L", "the replicated time"),
                  (b"S\x11k", "key k in space 17"), (b"U", "the counts of the databases"),
                  (b"Z12", "the last erasure in a bucket of keys, 12"))  # fmt: skip
        for key, name in others:
            result = self.compare(HeldNode(1, {key: b"1"}), HeldNode(2, {}))
            self.assertEqual(result.stdout.splitlines()[0], f"differs: {name} at slot 7")

    def test_under_load(self) -> None:
        """The slot is ahead of all nodes: where slots are applied, one that is past cannot be compared."""
        state = values(a="1")
        nodes = [HeldNode(number, state, (100, 100, 130, 131)) for number in (1, 2)]
        self.assertEqual(self.compare(*nodes).stdout, "equal: 1 key, 17 bytes at slot 160 on nodes 1, 2\n")

    def test_past_the_slot(self) -> None:
        """Slots came faster than expected: another slot, further ahead."""
        state = values(a="1")
        slow, fast = HeldNode(1, state, (100, 100, 101)), HeldNode(2, state, (100, 100, 101, 500))
        result = self.compare(slow, fast)
        self.assertEqual(result.exit_code, 0)
        self.assertGreater(int(result.stdout.split(" slot ")[1].split()[0]), 499)

    def test_never_at_one_slot(self) -> None:
        """A sentence, and the states are given back."""
        self.patch(compare, "REACH_SECONDS", 0.0)
        result = self.compare(HeldNode(1, {}), HeldNode(2, {}))
        self.assertEqual(result.exit_code, 4)
        self.assertIn("did not come to one slot in 5 tries", result.stderr)
        self.assertTrue(all(view.closed for node in self.nodes for view in node.views))

    def test_a_node_is_down(self) -> None:
        """The others are compared, and the status says that one was not; one alone is no comparison."""
        result = self.compare(HeldNode(1, {}), None, HeldNode(3, {}))
        self.assertEqual((result.stdout, result.exit_code), ("equal: 0 keys, 0 bytes at slot 7 on nodes 1, 3\n", 1))
        self.assertIn("left out: cannot connect to n:2", result.stderr)
        result = self.compare(HeldNode(1, {}), None)
        self.assertEqual(result.exit_code, 3)

    def test_somebody_else_compares(self) -> None:
        """His comparison goes on, and this one says why it does not."""
        busy = HeldNode(2, {})
        busy.call(b"DKV.COMPARE", b"HOLD", b"9")
        result = self.compare(HeldNode(1, {}), busy)
        self.assertEqual(result.exit_code, 4)
        self.assertIn("held for somebody else", result.stderr)
        self.assertEqual(busy.comparison.held(), (9, b"held"))

    def test_odd_answers(self) -> None:
        """Something that is no node of dkv, or of another version."""
        odd = HeldNode(1, {})
        for answer in (None, b"x", [1, 2], [1, 2, 3, 4]):
            self.patch(odd, "call", lambda *words, answer=answer: answer)
            result = self.compare(odd, HeldNode(2, {}))
            self.assertEqual(result.exit_code, 4)
            self.assertIn("a node of dkv would not answer", result.stderr)
