"""What a node's parts do not know of themselves, and an operator wants to: the program, its files and its disk."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Surroundings:
    """Handed to ``Inspection`` by the process.

    ``build`` has the labels of ``dkv_build_info``. ``lines_dropped`` counts the lines of the log that were lost.
    """

    build: Mapping[str, str]
    lines_dropped: Callable[[], int]
