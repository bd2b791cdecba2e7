r"""Patterns for keys, as Redis has them: ``*``, ``?``, ``[abc]``, ``[a-z]``, ``[^x]``, and ``\`` before a plain byte.

They are matched in time that is linear in the length of the key, whatever pattern and key a client thinks up: what
stands between two ``*`` is looked for once, from left to right, without a step back.
"""

from __future__ import annotations

from collections.abc import Sequence

PATTERN_BYTES_MAX = 1024
"""No pattern may be longer: what is looked for between two ``*`` is kept as numbers of as many bits."""

Part = Sequence[frozenset[int]]
"""Consecutive bytes: which ones each of them may be."""

_ANY = frozenset(range(256))


class Glob:
    """A pattern of at most ``PATTERN_BYTES_MAX`` bytes.

    ``prefix`` is what all keys begin with that match. ``matches(key)`` tells of one key.
    """

    def __init__(self, pattern: bytes) -> None:
        assert len(pattern) <= PATTERN_BYTES_MAX
        parts = _parts(pattern)
        self.prefix = _literal_beginning(parts[0])
        self._matches_empty = pattern in (b"", b"*")  # in Redis no other pattern does, not even b"**"
        self._first, self._last = parts[0], parts[-1]
        self._is_exact = len(parts) == 1
        self._between = [_Sought(part) for part in parts[1:-1] if part]
        self._length_min = sum(map(len, parts))

    def matches(self, key: bytes) -> bool:
        """Whether the whole key is as the pattern says."""
        if not key:
            return self._matches_empty
        first, last = self._first, self._last
        end = len(key) - len(last)
        if len(key) < self._length_min or not _is_at(first, key, 0):
            return False
        if self._is_exact:
            return len(key) == self._length_min
        if not _is_at(last, key, end):
            return False
        position = len(first)
        for sought in self._between:
            position = sought.end_in(key, position, end)
            if position < 0:
                return False
        return True


class _Sought:
    """A part that stands somewhere between two ``*``: the first place is as good as any later one."""

    def __init__(self, part: Part) -> None:
        literal = _literal_beginning(part)
        self._literal = literal if len(literal) == len(part) else b""
        self._last = 1 << (len(part) - 1)
        self._places = [sum(1 << index for index, allowed in enumerate(part) if allowed is _ANY)] * 256
        """For each byte, a bit for each place of the part where it may stand."""
        for index, allowed in enumerate(part):
            for byte in () if self._literal or allowed is _ANY else allowed:
                self._places[byte] |= 1 << index

    def end_in(self, key: bytes, start: int, end: int) -> int:
        """Where the first occurrence in ``key[start:end]`` ends; -1 if there is none."""
        if self._literal:
            found = key.find(self._literal, start, end)
            return found + len(self._literal) if found >= 0 else -1
        # Shift-And (Baeza-Yates and Gonnet, 1992): a bit for each beginning of the part that ends at this byte.
        begun, last, places = 0, self._last, self._places
        for index in range(start, end):
            begun = (begun << 1 | 1) & places[key[index]]
            if begun & last:
                return index + 1
        return -1


def _literal_beginning(part: Part) -> bytes:
    """The bytes at the beginning of a part that may be nothing else."""
    found = bytearray()
    for allowed in part:
        if len(allowed) != 1:
            break
        found += bytes(allowed)
    return bytes(found)


def _is_at(part: Part, key: bytes, start: int) -> bool:
    """Whether the part stands in the key at ``start``."""
    return all(key[index] in allowed for index, allowed in enumerate(part, start))


def _parts(pattern: bytes) -> Sequence[Part]:
    """What stands before, between and behind the ``*`` of the pattern."""
    parts: list[list[frozenset[int]]] = [[]]
    position = 0
    while position < len(pattern):
        byte = pattern[position]
        if byte == ord("*"):
            parts.append([])
        elif byte == ord("?"):
            parts[-1].append(_ANY)
        elif byte == ord("["):
            allowed, position = _class_at(pattern, position + 1)
            parts[-1].append(allowed)
        else:
            if byte == ord("\\") and position + 1 < len(pattern):
                position += 1
            parts[-1].append(frozenset((pattern[position],)))
        position += 1
    return parts


def _class_at(pattern: bytes, position: int) -> tuple[frozenset[int], int]:
    """The bytes that the class allows whose ``[`` is before ``position``, and the position of its ``]``.

    As in Redis, a ``]`` that is missing is taken for granted, the bounds of a range may stand in either order, and
    ``-]`` is a range to that bracket.
    """
    negated = pattern[position : position + 1] == b"^"
    position += negated
    allowed: set[int] = set()
    while position < len(pattern) and pattern[position] != ord("]"):
        left = len(pattern) - position
        if pattern[position] == ord("\\") and left >= 2:
            position += 1
            allowed.add(pattern[position])
        elif left >= 3 and pattern[position + 1] == ord("-"):
            low, high = sorted((pattern[position], pattern[position + 2]))
            allowed.update(range(low, high + 1))
            position += 2
        else:
            allowed.add(pattern[position])
        position += 1
    return (_ANY - allowed if negated else frozenset(allowed)), position
