"""The generations of a node's state, as its actors reach them in a turn."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from dkv.events import Captured, StateWritten
from dkv.host.layers import Layers
from dkv.keys import APPLIED_THROUGH, GENERATION, pack_number, unpack_number
from dkv.storage.store import Generations, StoreFailed, StoreView


class TurnStates:
    """``States`` for the turns of one actor; ``deliver`` puts a message from it into the mailbox of an actor here.

    ``installing()`` hears of a switch: what this turn sends must wait for the commit that has it.
    """

    def __init__(
        self,
        generations: Generations,
        layers: Layers,
        role: str,
        deliver: Callable[[str, StateWritten | Captured], None],
        installing: Callable[[], None],
        failed: Callable[[StoreFailed], None],
    ) -> None:
        self._generations = generations
        self._layers = layers
        self._role = role
        self._deliver = deliver
        self._installing = installing
        self._failed = failed

    def view(self) -> DurableState:
        return DurableState(self._generations.current.view())

    def capture(self, role: str) -> bool:
        if not self._layers.state.all_written:
            return self._layers.state.close_for(role)
        self._deliver(role, Captured(self.view()))
        return True

    def begin(self) -> int:
        return self._generations.begin()

    def write(self, generation: int, pairs: Mapping[bytes, bytes]) -> None:
        def written(failure: StoreFailed | None) -> None:
            if failure is None:
                self._deliver(self._role, StateWritten(generation))
            else:
                self._failed(failure)

        self._generations.beside(generation).commit(pairs, written)

    def install(self, generation: int) -> None:
        self._generations.switch(generation)
        self._layers.install(self._generations.current)
        self._layers.persist(GENERATION, pack_number(generation))
        self._installing()

    def abandon(self, generation: int) -> None:
        self._generations.abandon(generation)


class DurableState:
    """The durable state at the moment when it was asked for.

    It is what the slots up to ``applied_through`` amount to: each write-back has that mark and all that belongs to it,
    and a view has whole write-backs.
    """

    def __init__(self, view: StoreView) -> None:
        self.get = view.get
        self.read = view.read
        self.close = view.close
        self.applied_through = unpack_number(view.get(APPLIED_THROUGH))
