"""Where the line client is: its cluster, its node and the leader, told when it starts and when one of them changes."""

from __future__ import annotations

import time
from typing import Any

from dkv.cli.node_status import STATUS_REQUEST, status_fields
from dkv.client.blocking import Endpoint
from dkv.client.survey import ask_one
from dkv.settings import CLASSIC

LOOK_SECONDS = 1.0
"""How long a node has to say how it is, and how often it is asked at most while the client stays there."""


class Whereabouts:
    """Asks on a connection of its own, so that a transaction of the user goes on undisturbed."""

    def __init__(self) -> None:
        self._told = ""
        self._endpoint: Endpoint | None = None
        self._asked_at = 0.0

    def news(self, endpoint: Endpoint | None) -> str | None:
        """A sentence if there is something new to tell of the node at ``endpoint``, where the client is now."""
        now = time.monotonic()
        if endpoint is None or (endpoint == self._endpoint and now - self._asked_at < LOOK_SECONDS):
            return None
        moved, self._endpoint, self._asked_at = endpoint != self._endpoint, endpoint, now
        fields, _ = status_fields(ask_one(endpoint, [STATUS_REQUEST], LOOK_SECONDS)[0])
        told = _sentence(endpoint, fields) if "cluster" in fields else ""
        if not told or (told == self._told and not moved):
            return None
        self._told = told
        return told


def _sentence(endpoint: Endpoint, fields: dict[str, Any]) -> str:
    node, leader = fields.get("node"), fields.get("leader")
    if fields.get("mode") == CLASSIC:
        leads = "no node leads in classic mode"
    elif not leader:
        leads = "no node leads at the moment"
    else:
        leads = "this node leads" if leader == node else f"node {leader} leads"
    return f"cluster {fields['cluster']!r}, node {node} at {endpoint}: {leads}"
