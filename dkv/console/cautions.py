"""What a node warns its operators of while it serves: a port that is open to everyone, a certificate that ends soon."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import NamedTuple


class Caution(NamedTuple):
    """Something that an operator must mend although the node serves. ``text`` is one line and says what to mend.

    Several may have the same name.
    """

    name: str
    text: str


TellCautions = Callable[[], Iterable[Caution]]
"""What a part of the node warns of at this moment; asked whenever somebody looks, so it must cost little."""
