"""Operations on keys that belong together, written briefly, and what is asked of their verdict."""

from __future__ import annotations

from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from dkv.sim.history import Kind, Operation
from dkv.sim.joint import Tolerance
from dkv.sim.linearize import Verdict, check


def op(kind: Kind, key: str, *arguments: Any, at: tuple[float, float | None], result: Any = None) -> Operation:
    """An operation, called and returned at these times."""
    full = {"set": (None, None, False), "expire": (None,)}.get(kind, ())
    given_ = arguments + full[len(arguments) - 1 :]
    return Operation(1, kind, key.encode(), given_, at[0], at[1], result)


def do(*acts: tuple[Any, ...], at: tuple[float, float | None], result: tuple[Any, ...] | None = None) -> Operation:
    """A transaction."""
    return Operation(1, "atomic", b"", acts, at[0], at[1], result)


class JointCase(SynchronousTestCase):
    """Deadlines are kept to the moment, or with up to ``late`` more."""

    def judge(self, *history: Operation, late: float = 1.0) -> Verdict:
        """The verdict, which must be one."""
        verdict = check(history, tolerance=Tolerance(0.0, late))
        self.assertFalse(verdict.undecided)
        return verdict

    def assert_bad(self, *history: Operation) -> None:
        """It is found, among much else, too, and told in a few operations."""
        before = [op("set", "old", b"%d" % at, None, 3, at=(-100 + at, -99.5 + at), result=True) for at in range(20)]
        self.assertFalse(self.judge(*before, *history).linearizable)
        window = self.judge(*history).window
        assert window is not None
        self.assertLessEqual({window.blocked, *window.operations}, {*history})
        self.assertIn("No order of these explains", window.text)

    def assert_good(self, *history: Operation) -> None:
        """It is not called wrong."""
        self.assertEqual(self.judge(*history), Verdict(True))
