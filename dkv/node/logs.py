"""Log lines: key=value on a terminal, JSON elsewhere; Twisted's own events among them.

Every line has timestamp, level, event, node and actor. Nothing is logged per operation.
"""

from __future__ import annotations

import sys
from collections.abc import MutableMapping
from typing import Any, TextIO

import structlog
from twisted.logger import ILogObserver, LogEvent, LogLevel, formatEvent
from zope.interface import implementer

TWISTED = "twisted"
"""The actor of events that Twisted itself, or a library, logs."""

DAEMON_LOG = "twistd.log"
"""Where a daemon logs unless it is told where: twistd's own choice."""

_FIRST_KEYS = ("timestamp", "level", "node", "actor", "event")
_LEVELS = {
    LogLevel.debug: "debug",
    LogLevel.info: "info",
    LogLevel.warn: "warning",
    LogLevel.error: "error",
    LogLevel.critical: "critical",
}


class _Sink:
    """Writes lines. A log that cannot be written, on a full disk for one, is no reason for a node to stop."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._lost = 0

    def __call__(self, *_: Any) -> _Sink:
        """This sink: as structlog asks for the logger to wrap."""
        return self

    def count_lost(self, _: Any, __: str, fields: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
        """A processor: say in the next line how many before it could not be written."""
        if self._lost:
            fields["lines_lost"] = self._lost
        return fields

    def write(self, line: str) -> None:
        """Write one line, at once."""
        try:
            self._stream.write(line + "\n")
            self._stream.flush()
            self._lost = 0
        except OSError:
            self._lost += 1

    debug = info = warning = error = critical = write


def open_stream(logfile: str | None, daemon: bool) -> TextIO:
    """Where twistd would log: ``--logfile``, appended to ("-" is stdout); else stdout, or a daemon's default file."""
    if not logfile:
        logfile = DAEMON_LOG if daemon else "-"
    return sys.stdout if logfile == "-" else open(logfile, "a", encoding="utf-8")


def configure(node: int, stream: TextIO) -> None:
    """From now on, every logger of the process writes to ``stream``, as ``node`` where it names no other."""
    sink = _Sink(stream)

    def arrange(_: Any, __: str, fields: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
        fields.setdefault("node", node)
        first = {key: fields.pop(key) for key in _FIRST_KEYS if key in fields}
        return {**first, **fields}

    renderer: Any = structlog.processors.JSONRenderer(default=repr)
    if stream.isatty():
        renderer = structlog.processors.LogfmtRenderer(bool_as_flag=False)
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            sink.count_lost,
            structlog.processors.format_exc_info,
            arrange,
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger("info"),
        logger_factory=sink,
    )


def get_logger(node: int, actor: str) -> Any:
    """The logger of one part of ``node``: ``log.info("event_name", **fields)``."""
    return structlog.get_logger(node=node, actor=actor)


@implementer(ILogObserver)
class TwistedObserver:
    """Turns Twisted's events into lines of ours, each a single line, with a failure's traceback in a field."""

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
