"""What the ``dkv`` command says, as text or as JSON, and the statuses that it exits with."""

from __future__ import annotations

import base64
import json
import os
import sys
from enum import IntEnum
from typing import Any

import click


class Status(IntEnum):
    """What a script may conclude."""

    DONE = 0
    ABSENT = 1
    FAILED = 1  # of init and cluster, which have no absent keys
    USAGE = 2
    UNREACHABLE = 3
    REFUSED = 4
    UNCERTAIN = 5
    OUTPUT = 74  # EX_IOERR of sysexits.h
    INTERRUPTED = 130  # as shells count a Ctrl-C


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


def say(line: str) -> None:
    """Print a line at once, also into a pipe."""
    emit(line.encode("utf-8", "surrogateescape"))


def complain(message: str) -> None:
    """Print one line on stderr."""
    click.echo(f"dkv: {one_line(message)}".encode("utf-8", "backslashreplace"), err=True)


def answer(text: bytes, fields: dict[str, Any], as_json: bool) -> None:
    """Print what a command found out, as one line of ``text`` or as a JSON object of ``fields``."""
    emit(json.dumps(fields, ensure_ascii=False).encode() if as_json else text)


def emit(line: bytes) -> None:
    """Print bytes and a line's end; ``Failure`` if stdout takes no more, such as on a full disk."""
    try:
        click.echo(line)
    except OSError as error:
        # What is left in the buffer would fail again at exit and replace the status.
        with open(os.devnull, "wb") as nowhere:
            os.dup2(nowhere.fileno(), sys.stdout.fileno())
        raise Failure(Status.OUTPUT, "OUTPUT", f"cannot write the output: {error.strerror}") from None


def bytes_field(name: str, data: bytes | None) -> dict[str, Any]:
    """``{name: text}`` where ``data`` is UTF-8 (null where it is None), else ``{name_base64: ...}``."""
    if data is None:
        return {name: None}
    try:
        return {name: data.decode()}
    except UnicodeDecodeError:
        return {f"{name}_base64": base64.b64encode(data).decode()}
