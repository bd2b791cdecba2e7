"""The log of a node in a program that is not its own: events of ``twisted.logger``, where the program looks for them.

The namespace of an event is ``dkv`` and the node's actor, such as ``dkv.elector``. The event has ``dkv_node``,
``dkv_actor``, ``dkv_event`` and ``dkv_fields``; its text is a line for people. A failure is in ``log_failure``.
"""

from __future__ import annotations

from typing import Any

from twisted.logger import Logger, LogLevel
from twisted.python.failure import Failure

NAMESPACE = "dkv"


class TwistedLog:
    """Logs what one ``actor`` of ``node`` has to say; what a structlog logger of dkv is, but for "debug"."""

    def __init__(self, node: int, actor: str) -> None:
        self._log = Logger(namespace=f"{NAMESPACE}.{actor}")
        self._names = {"dkv_node": node, "dkv_actor": actor}

    def info(self, event: str, **fields: Any) -> None:
        """Something that happens in good times too."""
        self._emit(LogLevel.info, event, fields)

    def warning(self, event: str, **fields: Any) -> None:
        """Something for the operator to look at."""
        self._emit(LogLevel.warn, event, fields)

    def error(self, event: str, **fields: Any) -> None:
        """Something that does not work."""
        self._emit(LogLevel.error, event, fields)

    def critical(self, event: str, **fields: Any) -> None:
        """The end of the node."""
        self._emit(LogLevel.critical, event, fields)

    def _emit(self, level: Any, event: str, fields: dict[str, Any]) -> None:
        error = fields.pop("exc_info", None)
        failure = {}
        if isinstance(error, BaseException):
            failure["log_failure"] = Failure(error)  # type: ignore[no-untyped-call]  # Twisted's has no annotations
        text = "".join(f" {name}={_shown(value)}" for name, value in fields.items())
        names = self._names | {"dkv_event": event, "dkv_fields": fields, "dkv_text": text}
        self._log.emit(level, "node {dkv_node}: {dkv_event}{dkv_text}", **names, **failure)


def _shown(value: Any) -> str:
    text = str(value)
    return repr(value) if not text or " " in text or "\n" in text else text
