"""Lines of the log for what Twisted, the standard library and Python itself have to say in a node's process."""

from __future__ import annotations

import logging
import sys
import threading
from collections.abc import Callable
from typing import Any

import structlog
from twisted.logger import ILogObserver, LogEvent, LogLevel, formatEvent
from zope.interface import implementer

TWISTED = "twisted"
"""The actor of events that Twisted, or a library through it, logs."""

PYTHON = "python"
"""The actor of what the standard library logs, and of exceptions that nobody caught."""

_LEVELS = {
    LogLevel.debug: "debug",
    LogLevel.info: "info",
    LogLevel.warn: "warning",
    LogLevel.error: "error",
    LogLevel.critical: "critical",
}


@implementer(ILogObserver)
class TwistedObserver:
    """Turns each event of Twisted's into a single line of ours, with a failure's traceback in a field."""

    def __init__(self) -> None:
        self._log = structlog.get_logger(actor=TWISTED)  # of the node that the process was configured for

    def __call__(self, event: LogEvent) -> None:
        """Log one event."""
        level = _LEVELS.get(event.get("log_level", LogLevel.info), "info")
        text = formatEvent(event).strip()
        fields = {"source": event.get("log_namespace", "-")}
        failure = event.get("log_failure") or event.get("failure")  # the latter from twisted.python.log
        if failure is not None:
            fields["exception"] = failure.getTraceback()
            text = text.partition("\n")[0] or failure.getErrorMessage()
        getattr(self._log, level)(text, **fields)


class _Handler(logging.Handler):
    """Hands on what libraries log with the standard library's ``logging``, which would otherwise go to stderr."""

    def emit(self, record: logging.LogRecord) -> None:
        log = structlog.get_logger(actor=PYTHON)
        fields: dict[str, Any] = {"exc_info": record.exc_info} if record.exc_info else {}
        level = logging.getLevelName(record.levelno).lower()
        getattr(log, level, log.warning)(record.getMessage().strip(), source=record.name, **fields)


def take_over(end: Callable[[BaseException], None]) -> None:
    """From now on, log what libraries log and exceptions that nobody catches: no program can parse a traceback.

    ``end(error)`` ends the process after an exception that nobody caught in the main thread.
    """

    def uncaught(_: object, error: BaseException, __: object) -> None:
        _log_uncaught("uncaught", error)
        end(error)

    logging.basicConfig(handlers=[_Handler()], level=logging.WARNING, force=True)
    sys.excepthook = uncaught
    threading.excepthook = lambda thrown: _log_uncaught("uncaught_in_thread", thrown.exc_value)
    sys.unraisablehook = lambda thrown: _log_uncaught("unraisable", thrown.exc_value)


def _log_uncaught(event: str, error: BaseException | None) -> None:
    structlog.get_logger(actor=PYTHON).critical(event, error=str(error), exc_info=error)
