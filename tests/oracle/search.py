"""Random sequences of requests, made up from the registry, until a difference shows."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from random import Random

from dkv.console.client_session import TABLE
from tests.oracle.comparison import Comparison
from tests.oracle.grammar import KEYS, Sequence, Words, parse
from tests.oracle.reference import Reference
from tests.oracle.run import Ask, Found, Pass, Restart, Step, find
from tests.oracle.shrinking import shrink

STEPS_MAX = 40

LEFT_OUT = frozenset((b"quit", b"help", b"info", b"command", b"client", b"config", b"set", b"select", b"hello"))
"""Commands whose replies tell of the server, or end the connection: they have tests of their own."""


class Search:
    """Looks for differences between dkv and ``reference``, the same ones for the same ``seed``."""

    def __init__(self, reference: Reference, seed: int, comparison: Comparison) -> None:
        self._reference = reference
        self._comparison = comparison
        self._seed = seed
        self._forms = known_forms(reference)
        self._seen: set[tuple[bytes, bytes, bytes]] = set()
        self.sequences = 0
        self.asked = 0

    def find(self, sequences: int) -> Iterator[Found]:
        """Differences in so many sequences, each shrunk. One that looks like another before it is left out."""
        for _ in range(sequences):
            steps = self._sequence(Random(f"{self._seed} {self.sequences}"))
            self.sequences += 1
            self.asked += len(steps)
            found = self._look(steps)
            if found is not None and found.looks not in self._seen:
                shrunk = shrink(found, self._look)
                if shrunk.looks not in self._seen:
                    yield shrunk
                self._seen |= {found.looks, shrunk.looks}

    def _look(self, steps: tuple[Step, ...]) -> Found | None:
        return find(self._reference, self._comparison, steps)

    def _sequence(self, random: Random) -> tuple[Step, ...]:
        words = Words(random, self._reference.time_ms)
        names = sorted(self._forms)
        favourites = random.sample(names, min(6, len(names)))
        steps: list[Step] = []
        if random.random() < 0.5:
            steps.append(Ask(0, (b"HELLO", b"3")))
        for _ in range(random.randint(1, STEPS_MAX)):
            dice = random.random()
            if dice < 0.04:
                steps.append(Pass(random.randint(1, 10)))
            elif dice < 0.06:
                steps.append(Restart())
            else:
                name = random.choice(favourites if random.random() < 0.5 else names)
                client = int(random.random() < 0.25)
                shown = name.upper() if random.random() < 0.8 else name
                steps.append(Ask(client, (*shown.split(b"|"), *words.arguments(self._forms[name]))))
        steps += [Ask(2, (b"GET", key)) for key in KEYS[:6]]
        return tuple(steps)


def known_forms(reference: Reference) -> Mapping[bytes, Sequence]:
    """The forms of the commands that dkv and the reference both have."""
    return {
        name: parse(command.arguments)
        for name, command in TABLE.items()
        if name not in LEFT_OUT and reference.knows(name)
    }
