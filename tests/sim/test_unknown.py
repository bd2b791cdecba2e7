"""Many writes of unknown outcome: they keep nobody from an answer, and the answer stays the right one."""

from __future__ import annotations

from dataclasses import replace
from random import Random
from typing import Any

from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from dkv.sim import linearize
from dkv.sim.history import Kind, Operation
from dkv.sim.linearize import Verdict, check
from dkv.sim.model import step
from dkv.sim.seen import spare
from tests.sim.histories import compare_with_definition, op, tiny_histories

STEPS = 200_000


@st.composite
def open_histories(draw: st.DrawFn) -> list[Operation]:
    """A few answers among writes of which most have none: many alike, many that nobody saw."""
    history = []
    for client in range(draw(st.integers(2, 6))):
        kind: Kind = draw(
            st.sampled_from(("put", "append", "delete") if draw(st.integers(0, 2)) else ("get", "strlen"))
        )
        value = draw(st.sampled_from((b"1", b"2", b"3", b"33")))
        arguments = (value,) if kind in ("put", "append") else ()
        result: dict[Kind, st.SearchStrategy[Any]] = {
            "put": st.none(),
            "append": st.integers(1, 4),
            "delete": st.integers(0, 1),
            "get": st.sampled_from((None, b"1", b"12", b"2")),
            "strlen": st.integers(0, 3),
        }
        called, known = draw(st.integers(0, 6)), not arguments or draw(st.integers(0, 3)) == 0
        operation = Operation(client, kind, b"k", arguments, float(called))
        if known:
            operation = replace(operation, returned=called + draw(st.integers(0, 4)) + 0.5, result=draw(result[kind]))
        history.append(operation)
    return history


def hard_history(seed: int, count: int = 120) -> list[Operation]:
    """The answers of a correct server if a third of the answers, or of the requests, are lost."""
    random = Random(seed)
    free = [0.0] * random.choice((3, 6, 10))
    asked = []
    for at in range(count):
        client = min(range(len(free)), key=free.__getitem__)
        called, seconds = free[client], 0.1 + random.random()
        free[client] += seconds
        lost = random.random() < 0.33
        took = random.choice((random.random(), 20.0 * random.random(), 1e9)) if lost else seconds * random.random()
        asked.append((called + took, client, called, None if lost else called + seconds, at))
    history: list[Operation] = []
    value: Any = None
    for when, client, called, returned, at in sorted(asked, key=lambda each: each[0]):
        kind = random.choice(("put", "append", "delete", "get", "get"))
        operation = Operation(client, kind, b"k", (b"%d." % at,) if kind in ("put", "append") else (), called)  # type: ignore[arg-type]
        if when < 1e9:
            before, (_, value) = value, step(value, operation)
            result = {"get": before, "append": len(value or b""), "delete": int(before is not None)}.get(kind)
            operation = operation if returned is None else replace(operation, returned=returned, result=result)
        history.append(operation)
    return history


class UnknownTests(SynchronousTestCase):
    """A history that cannot be decided finds nothing."""

    def test_same_verdict(self) -> None:
        """Nothing that is left out, or taken for another, changes what the definition says."""
        compare_with_definition(self, open_histories(), 800, 100)

    def test_hard_histories(self) -> None:
        """A third of all answers lost, and still a verdict, where a million steps were not enough otherwise."""
        for seed in (0, 4, 6, 7, 10, 11, 12, 13, 14, 17, 19):
            self.assertEqual(check(hard_history(seed), STEPS), Verdict(True), seed)

    def test_without_patience(self) -> None:
        """Where a search takes long, and a proof is looked for in a part, no correct server is accused."""
        self.patch(linearize, "PATIENCE_STEPS", 1)
        late = [
            *(op(1, "append 2", 1), op(2, "append 2", 4), op(3, "put 1", 5, 5), op(4, "put 2", 6, 6)),
            *(op(5, "get", 6, 11, b"12"), op(6, "get", 8, 10, b"2")),  # the first was true before the second was
        ]
        compare_with_definition(self, open_histories() | tiny_histories(), 800, 100, [late])

    def test_spare(self) -> None:
        """Writes that nobody saw are left out at first, and those that another one explains."""
        again, unseen = op(1, "append 1", 0), [op(5, "append 3", 0), op(6, "put 0", 0)]
        history = [op(1, "append 1", 0, 1, 1), op(2, "append 2", 0), op(3, "delete", 0), op(4, "get", 1, 2, b"12")]
        self.assertEqual(spare([*history, again, *unseen, again]), [again, *unseen, again])
        self.assertEqual(spare([*history, again, op(4, "get", 3, 4, b"112"), again]), [again])
        self.assertEqual(spare(history), [])

    def test_sent_again(self) -> None:
        """Each write sent three times, and executed once or twice: still a verdict."""
        writes = [op(1, f"append {at:02}", at, at + 0.5, 2 * at + 2) for at in range(30)]
        again = [op(1, f"append {at:02}", at) for at in range(30) for _ in range(2)]
        told = b"".join(b"%02d" % at for at in range(30))
        self.assertEqual(check([*writes, *again, op(2, "get", 40, 41, told)], STEPS), Verdict(True))
        self.assertEqual(check([*writes, *again, op(2, "get", 40, 41, told + b"07")], STEPS), Verdict(True))

    def test_unseen_and_yet_needed(self) -> None:
        """A value that nobody read may have been the one that was deleted, or have made a length."""
        writes = [op(1, "put a", 0), op(1, "put b", 0), op(1, "append c", 0)]
        self.assertTrue(check([*writes, op(2, "delete", 1, 2, 1), op(2, "append xy", 3, 4, 4)]).linearizable)
        self.assertTrue(check([*writes, *(op(2, "delete", at, at + 1, 1) for at in (1, 3, 5))]).linearizable)
        self.assertFalse(check([*writes, *(op(2, "delete", at, at + 1, 1) for at in (1, 3, 5, 7))]).linearizable)

    def test_alike(self) -> None:
        """Only one or two of a hundred deletes that may have happened are tried."""
        deletes = [op(at, "delete", 0) for at in range(100)]
        writes = [op(1, f"put {at}", at, at + 0.5) for at in range(20)]
        reads = [op(2, "get", at + 0.6, at + 0.7, None) for at in range(0, 20, 2)]
        self.assertEqual(check([*deletes, *writes, *reads], STEPS), Verdict(True))
        self.assertFalse(check([*deletes, *writes, op(2, "get", 30, 31, b"18")], STEPS).linearizable)
