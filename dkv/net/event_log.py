"""What connections need of a structlog logger."""

from __future__ import annotations

from typing import Any, Protocol


class EventLog(Protocol):
    """Takes events by name, with their fields."""

    def info(self, event: str, **fields: Any) -> Any:
        """Something that happens in good times too."""

    def warning(self, event: str, **fields: Any) -> Any:
        """Something for the operator to look at."""
