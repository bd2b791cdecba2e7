"""A DELETE of several keys tells how many keys existed, and not which: the count is compared with each key's history.

Each key's history gets its own ``delete``, whose result is known only if all keys existed, or none. If the histories
of the keys are good, the count must still be possible. It is not if more keys must have existed at that time than were
counted, or fewer can have. It is not checked that all keys were deleted at one moment.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from dkv.sim.history import Operation, readable


@dataclass(frozen=True, slots=True)
class Miscount:
    """A ``delete`` of several keys with a wrong count: from ``least`` to ``most`` of its keys can have existed."""

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
    """The operation, split into one for each of its keys; an operation with one key stays as it is."""
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
    """None if the count is possible. ``is_refuted(part, told)``: no order exists if ``part`` had that result."""
    least = most = 0
    for part in its_parts:
        least += is_refuted(part, replace(part, result=0))
        most += not is_refuted(part, replace(part, result=1))
    assert isinstance(operation.result, int)
    return None if least <= operation.result <= most else Miscount(operation, least, most)
