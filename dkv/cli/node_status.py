"""What a node says of itself: DKV.STATUS, which it answers whatever its state."""

from __future__ import annotations

import json
from typing import Any

from dkv.client.survey import Answer

STATUS_REQUEST = (b"DKV.STATUS",)

STATUS_SECONDS = 2.0
"""A node answers this from memory: one that takes longer is as good as gone."""


def status_fields(found: Answer) -> tuple[dict[str, Any], str]:
    """The fields of a DKV.STATUS; or None, and the reason."""
    if found.problem:
        return {}, found.problem
    try:
        fields = json.loads(found.reply if isinstance(found.reply, bytes) else b"")
    except (ValueError, RecursionError):
        fields = None
    if not isinstance(fields, dict):
        return {}, f"{found.endpoint} does not answer as a node of dkv would"
    return fields, ""
