"""The output of the ``dkv`` command, as text or as JSON, and its exit statuses."""

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
    """Exit statuses, from which a script may draw conclusions."""

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
    """``text`` without anything that moves a terminal's cursor: servers, file names and users may contain such."""
    return "".join(character if character.isprintable() else "?" for character in text)


def counted(number: int, noun: str) -> str:
    """A number of things, such as "1 key" and "2,000 keys"."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def shell_word(data: bytes) -> str:
    """The word that a shell reads as ``data``."""
    text = os.fsdecode(data)
    if text.isprintable():
        return shlex.quote(text)
    return escaped_word(data)


def escaped_word(data: bytes) -> str:
    """``data`` as ``$'...'``, with escapes for all that is not plain ASCII."""
    bare = "".join(chr(byte) if 32 <= byte < 127 and byte not in b"'\\" else f"\\x{byte:02x}" for byte in data)
    return f"$'{bare}'"


def say(line: str) -> None:
    """Print a line at once, also into a pipe."""
    emit(line.encode("utf-8", "surrogateescape"))


def say_if_taken(line: str) -> None:
    """Print a line if stdout takes it now: for a command that must neither wait for a reader nor end without one, or
    without room on a disk."""
    if sys.stdout is None:
        return
    try:
        descriptor = sys.stdout.fileno()
    except OSError:  # it cannot make us wait, such as a test's buffer
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
        pass  # the status has to say it all


def answer(text: bytes, fields: dict[str, Any], as_json: bool) -> None:
    """Print a command's result, as one line of ``text`` or as a JSON object of ``fields``."""
    emit(json.dumps(fields, ensure_ascii=False).encode() if as_json else text)


def emit(line: bytes, newline: bool = True) -> None:
    """Print bytes, and the end of a line; ``Failure`` if stdout takes no more, for example on a full disk."""
    if sys.stdout is None:
        raise Failure(Status.OUTPUT, "OUTPUT", "cannot write the output: stdout is closed")
    try:
        click.echo(line, nl=newline)
    except OSError as error:
        raise _unwritten(error) from None


def _unwritten(error: OSError) -> Failure:
    """The failure for an error of stdout, which is not used any more."""
    # At exit Python would try to write the rest of the buffer, fail again, and replace the status.
    with open(os.devnull, "wb") as nowhere:
        os.dup2(nowhere.fileno(), sys.stdout.fileno())
    if isinstance(error, BrokenPipeError):
        return Failure(Status.NO_READER, "NO_READER", "nobody reads the output")
    return Failure(Status.OUTPUT, "OUTPUT", f"cannot write the output: {error.strerror}")


def _is_from_click(error: OSError) -> bool:
    """Whether printing failed inside click, which prints help texts, versions and scripts for shells by itself."""
    *_, (frame, _) = traceback.walk_tb(error.__traceback__)
    return frame.f_code is click.echo.__code__


@contextmanager
def surprises() -> Iterator[None]:
    """Turn every unexpected exception into a ``Failure``: a traceback helps no user, and its status would mean that
    there is no such key. With ``DKV_TRACEBACK`` in the environment the traceback is shown all the same."""
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
