"""The name that a user probably meant, where there is none of that name."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from difflib import get_close_matches

ALIKE = 0.6
"""How alike two words are whose user may have meant the other one; 1 is equal."""


def did_you_mean(word: str, names: Iterable[str], known: Mapping[str, str] | None = None) -> str:
    """The question for the one or two of ``names`` that are most like ``word``, in either case; empty if none is.

    ``known`` has names for words that people know from elsewhere.
    """
    meant = {name.casefold(): name for name in names} | dict(known or {})
    folded = word.casefold()
    words = [folded] if folded in meant else get_close_matches(folded, meant, n=2, cutoff=ALIKE)
    found = dict.fromkeys(meant[each] for each in words)
    return f"Did you mean {' or '.join(found)}?" if found else ""
