"""Log lines: key=value on a terminal, JSON elsewhere.

Every line has timestamp, level, event, node and actor. Nothing is logged per operation. ``foreign.py`` makes such lines
of what libraries log, and ``log_writer.py`` writes all of them.
"""

from __future__ import annotations

from collections.abc import MutableMapping
from typing import Any, Protocol

import structlog

FIRST_KEYS = ("timestamp", "level", "node", "actor", "event")
"""What each line begins with."""


class Output(Protocol):
    """Takes the lines, without their ends, and must not wait or raise. ``terminal`` says whether people read them."""

    terminal: bool

    @property
    def dropped(self) -> int: ...

    def write(self, line: str) -> None: ...


class _Sink:
    """The logger that structlog wraps."""

    def __init__(self, output: Output) -> None:
        self.debug = self.info = self.warning = self.error = self.critical = output.write

    def __call__(self, *_: Any) -> _Sink:
        """This sink: structlog calls it to get the logger that it wraps."""
        return self


def configure(node: int, output: Output) -> None:
    """From now on, every logger of the process writes to ``output``, as ``node`` where it names no other."""
    global _output
    _output = output

    def arrange(_: Any, __: str, fields: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
        fields.setdefault("node", node)
        first = {key: fields.pop(key) for key in FIRST_KEYS if key in fields}
        return {**first, **fields}

    renderer: Any = structlog.processors.JSONRenderer(default=repr)
    if output.terminal:
        renderer = structlog.processors.LogfmtRenderer(bool_as_flag=False)
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            arrange,
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger("info"),
        logger_factory=_Sink(output),
    )


_output: Output | None = None


def lines_dropped() -> int:
    """How many lines of this process were dropped since the log could not be written."""
    return _output.dropped if _output is not None else 0


def line(level: str, event: str, **fields: Any) -> str:
    """The line that a logger would write, for the writer of lines, which cannot use a logger itself."""
    processed: Any = {"event": event, **fields}
    for process in structlog.get_config()["processors"]:
        processed = process(None, level, processed)
    return str(processed)


def get_logger(node: int, actor: str) -> Any:
    """The logger of one part of ``node``: ``log.info("event_name", **fields)``."""
    return structlog.get_logger(node=node, actor=actor)
