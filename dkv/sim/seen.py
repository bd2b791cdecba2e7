"""Which writes of unknown outcome somebody may have seen: most of them nobody did, and need not be tried one by one."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence

from dkv.sim.history import Operation

_BETWEEN = b"\0\xff\0"


class Values:
    """The values that ``operations`` tell of: what the key held, or was expected to hold."""

    def __init__(self, operations: Iterable[Operation]) -> None:
        self._told = list(dict.fromkeys(value for each in operations for value in _values(each)))
        self._all = _BETWEEN.join(self._told)

    def show(self, operation: Operation) -> bool:
        """Whether what the operation wrote is part of one of them, or it wrote nothing of its own."""
        return _written(operation) in self._all

    def times(self, written: bytes) -> int:
        """How often what was written is in one of them at most."""
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
    """The writes of unknown outcome without which all that anybody was told can probably be explained.

    Nobody was told of their values, or others of the same explain that, such as the one that was sent again. This is a
    guess, and no more: such writes may have happened, and been overwritten.
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
    """Of each operation of unknown outcome the last one before it that is as good, by number; None if none is.

    That is one that does the same, or one that writes as many bytes which nobody was told of either: they make
    lengths, and no value that an answer is compared with. A number may be counted up before it is told, so not then.
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
