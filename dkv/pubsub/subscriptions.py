"""Who of a node's clients has subscribed to what."""

from __future__ import annotations

from collections.abc import Collection, Iterator

from dkv.pubsub.patterns import Patterns
from dkv.pubsub_messages import PATTERN, Count, Name

_NOBODY: dict[int, None] = {}


class Subscriptions:
    """The names that connections have subscribed to, and the connections of each name, both in order."""

    def __init__(self) -> None:
        self._connections: dict[Name, dict[int, None]] = {}
        self._names: dict[int, dict[Name, None]] = {}
        self._patterns = Patterns()
        self._changed: dict[Name, None] = {}

    def add(self, connection: int, name: Name) -> None:
        """A connection subscribes; nothing happens if it has already."""
        connections = self._connections.get(name)
        if connections is None:
            connections = self._connections[name] = {}
            if name[0] == PATTERN:
                self._patterns.add(name[1])
        if connection not in connections:
            connections[connection] = None
            self._names.setdefault(connection, {})[name] = None
            self._changed[name] = None

    def remove(self, connection: int, name: Name) -> None:
        """A connection does not want this any more; nothing happens if it did not."""
        names = self._names.get(connection)
        if names is not None and name in names:
            del names[name]
            if not names:
                del self._names[connection]
            self._forget(connection, name)

    def remove_all(self, connection: int) -> bool:
        """A connection wants nothing any more; whether it had subscribed to anything."""
        names = self._names.pop(connection, None)
        for name in names or ():
            self._forget(connection, name)
        return names is not None

    def _forget(self, connection: int, name: Name) -> None:
        connections = self._connections[name]
        del connections[connection]
        self._changed[name] = None
        if not connections:
            del self._connections[name]
            if name[0] == PATTERN:
                self._patterns.remove(name[1])

    def of(self, name: Name) -> Collection[int]:
        """The connections that have subscribed to this name itself."""
        return self._connections.get(name, _NOBODY)

    @property
    def compared(self) -> int:
        """How often a channel was compared with a pattern so far."""
        return self._patterns.compared

    def matching(self, channel: bytes) -> list[tuple[bytes, Collection[int]]]:
        """The patterns that a channel matches, with the connections of each."""
        return [(pattern, self._connections[PATTERN, pattern]) for pattern in self._patterns.matching(channel)]

    def names(self, kind: int) -> Iterator[bytes]:
        """All names of one kind."""
        return (name for each, name in self._connections if each == kind)

    @property
    def connections(self) -> int:
        """How many connections have subscribed to anything."""
        return len(self._names)

    @property
    def has_changed(self) -> bool:
        """Whether there are any changes."""
        return bool(self._changed)

    def changes(self) -> tuple[Count, ...]:
        """The counts of all names whose count may have changed since this was asked last."""
        changed, self._changed = self._changed, {}
        return tuple((kind, name, len(self.of((kind, name)))) for kind, name in changed)
