"""The writes of unknown outcome that somebody may have seen: nobody saw most, and they need no trial of their own."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence

from dkv.sim.history import Operation

_BETWEEN = b"\0\xff\0"


class Values:
    """The values in ``operations``: those that the key held, or was expected to hold."""

    def __init__(self, operations: Iterable[Operation]) -> None:
        self._told = list(dict.fromkeys(value for each in operations for value in _values(each)))
        self._all = _BETWEEN.join(self._told)

    def show(self, operation: Operation) -> bool:
        """Whether the bytes that the operation wrote are part of one of them, or it wrote no bytes of its own."""
        return _written(operation) in self._all

    def times(self, written: bytes) -> int:
        """The most times that the written bytes occur in one of them."""
        return max((value.count(written) for value in self._told), default=0)


def _values(operation: Operation) -> Iterator[bytes]:
    if operation.kind == "get" and isinstance(operation.result, bytes):
        yield operation.result
    elif operation.kind == "cas" and operation.arguments[0] is not None:
        yield operation.arguments[0]
    elif operation.kind == "incr" and isinstance(operation.result, int):
        yield b"%d" % (operation.result - operation.arguments[0])


def _written(operation: Operation) -> bytes:
    return operation.arguments[-1] if operation.kind in ("put", "append", "cas") else b""


def spare(history: Sequence[Operation]) -> list[Operation]:
    """The writes of unknown outcome without which all answers can probably be explained.

    No answer shows their values, or other writes of the same value explain it, such as one that was sent again. This
    is only a guess: such writes may have happened and been overwritten.
    """
    unknown = [each for each in history if each.returned is None and each.kind != "get"]
    if not unknown:
        return []
    values = Values(history)
    done = Counter(_does(each) for each in history if each.returned is not None)
    spares = []
    for each in unknown:
        same, written = _does(each), _written(each)
        if not values.show(each) or (each.arguments and same in done and done[same] >= values.times(written)):
            spares.append(each)
        elif same in done:
            done[same] += 1
    return spares


def _does(operation: Operation) -> object:
    return operation.kind, operation.arguments


def twins(maybe: Sequence[Operation], known: Sequence[Operation]) -> list[int | None]:
    """For each operation of unknown outcome, by number, the last earlier one that is as good, or None.

    That is one that does the same, or one that writes as many bytes, if no answer shows either: such bytes make only
    lengths, and no value that is compared. It does not hold for numbers, which may be counted up before they are seen.
    """
    values = None if any(each.kind == "incr" for each in (*maybe, *known)) else Values((*maybe, *known))
    numbers: dict[object, int] = {}
    found = []
    for number, each in enumerate(maybe):
        same: object = (each.kind, each.arguments, each.returned is None, each.result)
        if values is not None and each.kind in ("put", "append") and not values.show(each):
            same = (each.kind, len(each.arguments[0]), each.returned is None, each.result)
        found.append(numbers.get(same))
        numbers[same] = number
    return found
