"""What a node's actors note: one log line each, and the few facts that ``INFO`` shows.

Actors note elections, losses and refusals, never single operations, so every note is worth its line.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from dkv.actor import ELECTOR, LEARNER, PROPOSER
from dkv.ballot import Ballot
from dkv.settings import CLASSIC, LEADER

WARNINGS = frozenset(
    {
        "chosen_value_conflict",
        "foreign_batch_refused",
        "leader_lost",
        "paused",
        "quorum_lost",
        "stepped_down",
        "vote_withheld",
    }
)


COUNTED = frozenset({"duplicates_suppressed"})
"""What is no event for people: too many would come of it."""


class Journal:
    """Takes the notes of one node; ``get_logger`` gives the logger of an actor of it. In classic mode nobody leads."""

    def __init__(self, get_logger: Callable[[str], Any], mode: str = LEADER) -> None:
        self._follower = "peer" if mode == CLASSIC else "follower"
        self._get_logger = get_logger
        self._loggers: dict[str, Any] = {}
        self._leader = 0
        self._ballot = Ballot(0, 0)
        self._leading = False
        self._loading = True

    def note(self, actor: str, event: str, **fields: Any) -> None:
        """Log the event; remember who leads."""
        if event in COUNTED:
            return
        logger = self._loggers.get(actor)
        if logger is None:
            logger = self._loggers[actor] = self._get_logger(actor)
        shown = {name: str(value) if type(value) is Ballot else value for name, value in fields.items()}
        log = logger.warning if event in WARNINGS else logger.info
        log(event, **shown)
        if actor == ELECTOR and event == "leader_elected":
            self._leader, self._ballot = fields["leader"], fields["ballot"]
        elif actor == ELECTOR and event == "leader_lost":
            self._leader = 0
        elif actor == LEARNER and event == "replayed":
            self._loading = False
        elif actor == PROPOSER and event in ("leading", "stepped_down"):
            self._leading = event == "leading"

    def status(self) -> Mapping[str, object]:
        """Who leads, as far as this node knows (0 is nobody), and whether it still replays its log."""
        return {
            "loading": int(self._loading),
            "dkv_role": "leader" if self._leading else self._follower,
            "dkv_leader": self._leader,
            "dkv_ballot": str(self._ballot),
        }
