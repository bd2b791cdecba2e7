"""A DELETE of several keys tells how many of them were there, and not which: that count is held against each key.

Each key's history gets a ``delete`` of its own, whose result is known only if all keys were there, or none. Where the
keys' histories are good as they are, the count must still be possible: it is not if more keys than counted must have
been there at that time, or fewer can have been. That they were deleted at one moment is not checked.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from dkv.sim.history import Operation, readable


@dataclass(frozen=True, slots=True)
class Miscount:
    """A ``delete`` of several keys that counted wrongly: from ``least`` to ``most`` of its keys can have been there."""

    operation: Operation
    least: int
    most: int

    @property
    def operations(self) -> tuple[Operation, ...]:
        """The one."""
        return (self.operation,)

    @property
    def sentence(self) -> str:
        """What cannot be explained."""
        keys = ", ".join(map(readable, self.operation.keys))
        some = f"{self.least}" if self.least == self.most else f"{self.least} to {self.most}"
        return (
            f"Client {readable(self.operation.client)} deleted the keys {keys} and was told that "
            f"{readable(self.operation.result)} of them existed; it must have been {some}."
        )


def parts(operation: Operation) -> list[Operation]:
    """What the operation did to each of its keys; with one key, that is itself."""
    if not operation.arguments or operation.kind != "delete":
        return [operation]
    return [_part(operation, key) for key in operation.keys]


def _part(operation: Operation, key: bytes) -> Operation:
    told = {len(operation.keys): 1, 0: 0}.get(operation.result) if isinstance(operation.result, int) else None
    return replace(operation, key=key, arguments=(), result=told)


def counts_some(operation: Operation) -> bool:
    """Whether it counted some of its keys and not others."""
    return len(operation.keys) > 1 and operation.result not in (None, 0, len(operation.keys))


def miscount(
    operation: Operation, its_parts: list[Operation], is_refuted: Callable[[Operation, Operation], bool]
) -> Miscount | None:
    """None if the count is possible; ``is_refuted(part, told)``: there is no order if ``part`` had been ``told``."""
    least = most = 0
    for part in its_parts:
        least += is_refuted(part, replace(part, result=0))
        most += not is_refuted(part, replace(part, result=1))
    assert isinstance(operation.result, int)
    return None if least <= operation.result <= most else Miscount(operation, least, most)
