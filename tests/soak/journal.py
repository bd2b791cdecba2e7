"""What the clients of one phase asked and were told: the lines of a history, which ``dkv check`` reads as well."""

from __future__ import annotations

import json
import threading
from collections import Counter
from pathlib import Path
from typing import IO, Any

from dkv.sim.history import Operation, as_fields, history_line


class Journal:
    """The history of one phase, in the file ``path``. Clients write to it from their threads.

    A refused request is in the file with ``failed``: whoever looks for the origin of a value finds it.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.done = 0
        self.unknown = 0
        self.refused: Counter[str] = Counter()
        """How many requests were refused, by the first word of the error, or ``NotSent``."""
        self.last_done = 0.0
        self.longest_pause = 0.0
        """The longest time between two writes that were acknowledged, in seconds."""
        self._lock = threading.Lock()
        self._file: IO[str] = path.open("a")

    def add(self, operation: Operation) -> None:
        """An operation that was answered, or whose outcome is unknown."""
        line = history_line(operation)
        with self._lock:
            self._file.write(line + "\n")
            if operation.returned is None:
                self.unknown += 1
                return
            self.done += 1
            if operation.kind != "get":
                if self.last_done:
                    self.longest_pause = max(self.longest_pause, operation.returned - self.last_done)
                self.last_done = max(self.last_done, operation.returned)

    def refuse(self, operation: Operation, word: str) -> None:
        """An operation that certainly was not executed."""
        fields: dict[str, Any] = as_fields(operation) | {"failed": True}
        with self._lock:
            self._file.write(json.dumps(fields) + "\n")
            self.refused[word] += 1

    def close(self) -> None:
        """Everything is in the file."""
        with self._lock:
            self._file.close()
