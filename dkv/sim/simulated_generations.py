"""The generations of a simulated node's state: one durable store each, on the same disk as the log."""

from __future__ import annotations

from collections.abc import Callable

from dkv.sim.memory import MemoryStore
from dkv.storage.state_directories import FIRST_GENERATION


class SimulatedGenerations:
    """Made by ``make(generation)``, which gives an empty store. They outlive the node's lives; ``open`` begins one."""

    def __init__(self, make: Callable[[int], MemoryStore]) -> None:
        self._make = make
        self.stores: dict[int, MemoryStore] = {FIRST_GENERATION: make(FIRST_GENERATION)}
        """All that are on the disk, by number."""
        self.in_force = FIRST_GENERATION
        self._newest = FIRST_GENERATION
        self._before: list[int] = []

    def open(self, generation: int) -> None:
        """A life begins, with the generation that its log names: erase what an earlier life gave up."""
        self.in_force, self._before = generation, []
        self._newest = max(self.stores)
        for each in self.stores.keys() - {generation}:
            del self.stores[each]

    @property
    def current(self) -> MemoryStore:
        """The store in force."""
        return self.stores[self.in_force]

    def begin(self) -> int:
        """Make a new store."""
        self._newest += 1
        self.stores[self._newest] = self._make(self._newest)
        return self._newest

    def beside(self, generation: int) -> MemoryStore:
        """A store that is not in force."""
        assert generation != self.in_force
        return self.stores[generation]

    def switch(self, generation: int) -> None:
        """Put a store in force, for this life."""
        assert generation in self.stores
        self._before.append(self.in_force)
        self.in_force = generation

    def settle(self) -> None:
        """Erase those that were in force before."""
        before, self._before = self._before, []
        for each in before:
            self._erase(each)

    def abandon(self, generation: int) -> None:
        """Erase a store that is not in force."""
        assert generation != self.in_force
        self._erase(generation)

    def crash(self) -> None:
        """The process is gone: commits under way are lost."""
        for store in self.stores.values():
            store.crash()

    def close(self) -> None:
        """Nothing to do: they are in memory."""

    def _erase(self, generation: int) -> None:
        self.stores.pop(generation).crash()
