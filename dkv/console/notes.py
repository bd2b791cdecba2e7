"""The ways of a node's notes: to the log, to the parts that count or judge them, and into ``INFO``.

The table in ``dkv.noted`` says what actors note, and how it is logged. Nothing is noted for a single operation.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from dkv import noted
from dkv.actor import Note, NoteFields, Takers
from dkv.ballot import Ballot
from dkv.settings import CLASSIC, LEADER


class Notes:
    """Takes the notes of one node; ``get_logger`` gives the logger of an actor. In classic mode nobody leads."""

    def __init__(self, get_logger: Callable[[str], Any], mode: str = LEADER) -> None:
        self._get_logger = get_logger
        self._loggers: dict[str, Any] = {}
        self._leader = 0
        self._ballot = Ballot(0, 0)
        self._loading = True
        self.role = "peer" if mode == CLASSIC else "follower"
        self.catching_up = False
        self._takers: dict[Note[...], list[Callable[..., None]]] = {event: [] for event in noted.TABLE}
        self.add(
            dict(
                (
                    noted.leader_elected.to(self._on_leader_elected),
                    noted.leader_lost.to(self._on_leader_lost),
                    noted.replayed.to(self._on_replayed),
                    noted.phase1_started.to(self._becomes("candidate")),
                    noted.phase1_ended.to(self._becomes("follower")),
                    noted.leading.to(self._becomes("leader")),
                    noted.stepped_down.to(self._becomes("follower")),
                    noted.catchup_started.to(self._catches_up(True)),
                    noted.catchup_ended.to(self._catches_up(False)),
                )
            )
        )

    def add(self, takers: Takers) -> None:
        """Let these take the notes too."""
        for event, take in takers.items():
            self._takers[event].append(take)

    def note(self, actor: str, event: Note[NoteFields], /, *_: NoteFields.args, **fields: NoteFields.kwargs) -> None:
        """Give the note to whatever takes it, and log it if it is a line of the log."""
        for take in self._takers[event]:
            take(**fields)
        if event.level is None:
            return
        logger = self._loggers.get(actor)
        if logger is None:
            logger = self._loggers[actor] = self._get_logger(actor)
        shown = {name: str(value) if type(value) is Ballot else value for name, value in fields.items()}
        getattr(logger, event.level)(event.name, **shown)

    def _on_leader_elected(self, *, leader: int, ballot: Ballot) -> None:
        """``INFO`` names the leader from now on."""
        self._leader, self._ballot = leader, ballot

    def _on_leader_lost(self, **_: object) -> None:
        """``INFO`` names no leader, but still the last ballot."""
        self._leader = 0

    def _on_replayed(self, **_: object) -> None:
        """The node has applied the log that it held at its start: it no longer loads."""
        self._loading = False

    def _becomes(self, role: str) -> Callable[..., None]:
        def take(**_: object) -> None:
            self.role = role

        return take

    def _catches_up(self, catching_up: bool) -> Callable[..., None]:
        def take(**_: object) -> None:
            self.catching_up = catching_up

        return take

    @property
    def leader_ballot(self) -> str | None:
        """The ballot of the leader, which may be this node; None if no leader is known."""
        return str(self._ballot) if self._leader else None

    def status(self) -> Mapping[str, object]:
        """The leader that this node knows (0 is none), and whether the node still replays its log."""
        return {
            "loading": int(self._loading),
            "dkv_role": "follower" if self.role == "candidate" else self.role,
            "dkv_leader": self._leader,
            "dkv_ballot": str(self._ballot),
        }
