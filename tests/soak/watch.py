"""Watches over the nodes of a soak: which have ended, and whether any log has a line that no fault explains."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Sequence
from typing import Any

from tests.soak.broken import RuleBroken
from tests.soak.cluster import SoakNode

FORBIDDEN = frozenset(
    (
        "uncaught",
        "uncaught_in_thread",
        "unraisable",
        "chosen_value_conflict",
        "digest_differs",
        "fenced",
        "fence_not_written",
        "foreign_batch_refused",
        "message_too_large",
        "fast_reactor_off",
    )
)
"""Events that no fault of the soak may lead to."""

FAILED = frozenset(("node_failed", "cannot_start"))
"""Events that only a full disk may lead to."""


class Watch:
    """Looks at all nodes now and then; ``RuleBroken`` if something is there that must not be."""

    def __init__(self, nodes: Sequence[SoakNode]) -> None:
        self.events: Counter[str] = Counter()
        """How often each event was logged, on all nodes together."""
        self.ended = 0
        """How many nodes ended because of full disks."""
        self._nodes = nodes

    def look(self) -> None:
        """Read what was logged since, and take note of nodes that have ended by themselves."""
        for node in self._nodes:
            for line in node.new_log_lines():
                self._judge(node, line)
            status = node.ending
            if status is None:
                continue
            if time.monotonic() > node.full_until:
                tail = node.real.cluster.tail(node.real)[-300:]
                raise RuleBroken("ended", f"node {node.number} ended by itself, status {status}: {tail!r}")
            self.ended += 1
            node.kill()  # it is no more: it is started again when there is room

    def _judge(self, node: SoakNode, line: dict[str, Any]) -> None:
        event = str(line.get("event"))
        self.events[event] += 1
        if event in FORBIDDEN or (event in FAILED and time.monotonic() > node.full_until):
            raise RuleBroken("log", f"node {node.number} logged {line}")
