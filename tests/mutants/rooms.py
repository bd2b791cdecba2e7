"""What is mutated, and by which tests each part is judged."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from dkv.settings import CLASSIC, LEADER


@dataclass(frozen=True, slots=True)
class Room:
    """Files of the product, as patterns below its root, and the test modules that should notice a mistake in them."""

    sources: tuple[str, ...]
    tests: tuple[str, ...]


ROOMS = (
    *(
        Room((f"dkv/{room}/**/*.py",), (f"tests/{room}/**/test_*.py",))
        for room in ("paxos", "kv", "gateway", "host", "storage")
    ),
)


def sources_of(room: Room, root: Path) -> Iterator[Path]:
    """The room's files that hold more than a docstring."""
    for pattern in room.sources:
        yield from sorted(path for path in root.glob(pattern) if path.name != "__init__.py")


def tests_of(room: Room, root: Path) -> list[str]:
    """The room's test modules, as trial wants their names."""
    paths = sorted(path for pattern in room.tests for path in root.glob(pattern))
    return [".".join(path.relative_to(root).with_suffix("").parts) for path in paths]


def mode_of(path: Path) -> str:
    """The mode of the simulated clusters in which the file's code runs."""
    return CLASSIC if "classic" in path.parts else LEADER
