"""What a node's actors note: one log line each, and the few facts that ``INFO`` shows.

Actors note elections, losses and refusals, never single operations, so every note is worth its line.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from dkv.actor import CATCHUP, ELECTOR, LEARNER, MEASURES, PROPOSER
from dkv.ballot import Ballot
from dkv.console.node_metrics import NodeMetrics
from dkv.console.readiness import Readiness
from dkv.settings import CLASSIC, LEADER

ERRORS = frozenset({"chosen_value_conflict", "digest_differs"})
WARNINGS = frozenset(
    {
        "foreign_batch_refused",
        "leader_lost",
        "paused",
        "quorum_lost",
        "stepped_down",
        "vote_withheld",
    }
)


_ROLES = {
    "leading": "leader",
    "phase1_started": "candidate",
    "phase1_ended": "follower",
    "stepped_down": "follower",
}
"""What a node is after its proposer's events; a follower before any."""


class Notes:
    """Takes the notes of one node; ``get_logger`` gives the logger of an actor of it. In classic mode nobody leads."""

    def __init__(self, get_logger: Callable[[str], Any], mode: str = LEADER) -> None:
        self._get_logger = get_logger
        self._loggers: dict[str, Any] = {}
        self._leader = 0
        self._ballot = Ballot(0, 0)
        self._loading = True
        self.metrics: NodeMetrics | None = None
        """What counts the notes, once there is something."""
        self.readiness: Readiness | None = None
        """What judges by them whether the node serves, once there is something."""
        self.role = "peer" if mode == CLASSIC else "follower"
        self.catching_up = False

    def note(self, actor: str, event: str, **fields: Any) -> None:
        """Log the event; remember who leads."""
        if self.metrics is not None:
            self.metrics.note(actor, event, fields)
        if self.readiness is not None:
            self.readiness.note(actor, event, fields)
        if event in MEASURES:
            return
        logger = self._loggers.get(actor)
        if logger is None:
            logger = self._loggers[actor] = self._get_logger(actor)
        shown = {name: str(value) if type(value) is Ballot else value for name, value in fields.items()}
        log = logger.error if event in ERRORS else logger.warning if event in WARNINGS else logger.info
        log(event, **shown)
        if actor == ELECTOR and event == "leader_elected":
            self._leader, self._ballot = fields["leader"], fields["ballot"]
        elif actor == ELECTOR and event == "leader_lost":
            self._leader = 0
        elif actor == LEARNER and event == "replayed":
            self._loading = False
        elif actor == PROPOSER and event in _ROLES:
            self.role = _ROLES[event]
        elif actor == CATCHUP:
            self.catching_up = event == "catchup_started"

    @property
    def leader_ballot(self) -> str | None:
        """The ballot of the leader that this node follows, or is; None without one."""
        return str(self._ballot) if self._leader else None

    def status(self) -> Mapping[str, object]:
        """Who leads, as far as this node knows (0 is nobody), and whether it still replays its log."""
        return {
            "loading": int(self._loading),
            "dkv_role": "follower" if self.role == "candidate" else self.role,
            "dkv_leader": self._leader,
            "dkv_ballot": str(self._ballot),
        }
