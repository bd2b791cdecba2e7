"""What the ``dkv`` command says, as text or as JSON, and the statuses that it exits with."""

from __future__ import annotations

import base64
import json
import os
import select
import shlex
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from enum import IntEnum
from typing import Any

import click

TRACEBACK = "DKV_TRACEBACK"


class Status(IntEnum):
    """What a script may conclude."""

    DONE = 0
    ABSENT = 1
    FAILED = 1  # of init and cluster, which have no absent keys
    USAGE = 2
    UNREACHABLE = 3
    REFUSED = 4
    UNCERTAIN = 5
    INTERNAL = 70  # EX_SOFTWARE of sysexits.h
    OUTPUT = 74  # EX_IOERR
    INTERRUPTED = 130  # as shells count a Ctrl-C
    NO_READER = 141  # as they count a tool whose output nobody reads any more: SIGPIPE


class Failure(Exception):
    """Ends the command with ``status``. ``word`` is stable, for programs; the message is one line for a person."""

    def __init__(self, status: Status, word: str, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.word = word
        self.message = one_line(message)


def one_line(text: str) -> str:
    """``text`` without anything that would move a terminal's cursor; server, file names and users may send that."""
    return "".join(character if character.isprintable() else "?" for character in text)


def shell_word(data: bytes) -> str:
    """A word of a command line that a shell reads as ``data``."""
    text = os.fsdecode(data)
    if text.isprintable():
        return shlex.quote(text)
    bare = "".join(chr(byte) if 32 <= byte < 127 and byte not in b"'\\" else f"\\x{byte:02x}" for byte in data)
    return f"$'{bare}'"


def say(line: str) -> None:
    """Print a line at once, also into a pipe."""
    emit(line.encode("utf-8", "surrogateescape"))


def say_if_taken(line: str) -> None:
    """Print a line if stdout takes it now: for a command that has more to do than to wait for a reader, or to end for
    want of one, or of room on a disk."""
    if sys.stdout is None:
        return
    try:
        descriptor = sys.stdout.fileno()
    except OSError:  # nothing that could keep us waiting, such as a test's buffer
        say(line)
        return
    poll = select.poll()
    poll.register(descriptor, select.POLLOUT)
    if poll.poll(0):
        with suppress(OSError):
            os.write(descriptor, line.encode("utf-8", "surrogateescape") + b"\n")


def complain(message: str) -> None:
    """Print one line on stderr."""
    try:
        click.echo(f"dkv: {one_line(message)}".encode("utf-8", "backslashreplace"), err=True)
    except OSError:
        pass  # the status says what it can


def answer(text: bytes, fields: dict[str, Any], as_json: bool) -> None:
    """Print what a command found out, as one line of ``text`` or as a JSON object of ``fields``."""
    emit(json.dumps(fields, ensure_ascii=False).encode() if as_json else text)


def emit(line: bytes) -> None:
    """Print bytes and a line's end; ``Failure`` if stdout takes no more, such as on a full disk."""
    if sys.stdout is None:
        raise Failure(Status.OUTPUT, "OUTPUT", "cannot write the output: stdout is closed")
    try:
        click.echo(line)
    except OSError as error:
        raise _unwritten(error) from None


def _unwritten(error: OSError) -> Failure:
    """The failure for an error of stdout, of which nothing is expected any more."""
    # Python would try to write the rest of the buffer at exit, fail again, and replace the status.
    with open(os.devnull, "wb") as nowhere:
        os.dup2(nowhere.fileno(), sys.stdout.fileno())
    if isinstance(error, BrokenPipeError):
        return Failure(Status.NO_READER, "NO_READER", "nobody reads the output")
    return Failure(Status.OUTPUT, "OUTPUT", f"cannot write the output: {error.strerror}")


def _is_from_click(error: OSError) -> bool:
    """Whether printing failed where click does so by itself: help texts, versions, scripts for shells."""
    *_, (frame, _) = traceback.walk_tb(error.__traceback__)
    return frame.f_code is click.echo.__code__


@contextmanager
def surprises() -> Iterator[None]:
    """Make a ``Failure`` of whatever nobody has thought of: a traceback helps no user, and its status would say that
    there is no such key. ``DKV_TRACEBACK`` in the environment shows it all the same."""
    try:
        yield
    except (Failure, click.ClickException, click.Abort, click.exceptions.Exit):
        raise
    except Exception as error:
        if isinstance(error, OSError) and _is_from_click(error):
            raise _unwritten(error) from None
        if os.environ.get(TRACEBACK):
            traceback.print_exc()
        text = (
            f"internal error: {type(error).__name__}: {error!s:.200}; a write that was under way may or may not happen"
        )
        raise Failure(Status.INTERNAL, "INTERNAL", f"{text} ({TRACEBACK}=1 shows where)") from error


def bytes_field(name: str, data: bytes | None) -> dict[str, Any]:
    """``{name: text}`` where ``data`` is UTF-8 (null where it is None), else ``{name_base64: ...}``."""
    if data is None:
        return {name: None}
    try:
        return {name: data.decode()}
    except UnicodeDecodeError:
        return {f"{name}_base64": base64.b64encode(data).decode()}
