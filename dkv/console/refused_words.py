"""Which words of a client dkv does not have, for the log: it tells once what a library would need."""

from __future__ import annotations

from dkv.kv.registry import shown

WORDS_MAX = 16
"""So many different words of one connection are told."""

TRIED = frozenset(("CLIENT MAINT_NOTIFICATIONS",))
"""What libraries ask every server for, and go without: redis-py with each connection."""


class RefusedWords:
    """The words that one connection was refused, as far as they were told."""

    __slots__ = ("_told",)

    def __init__(self) -> None:
        self._told: frozenset[str] = frozenset()  # empty for nearly all clients, and shared by them

    def told_now(self, words: list[bytes]) -> str | None:
        """A command, or a command and its subcommand, as the log tells it; None if that is no news."""
        word = " ".join(map(shown, words))
        if word in self._told or word in TRIED or len(self._told) >= WORDS_MAX:
            return None
        self._told |= {word}
        return word
