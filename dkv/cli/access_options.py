"""The options by which a command gets in at nodes: TLS, a user, a password."""

from __future__ import annotations

import getpass
import os
from collections.abc import Callable
from functools import update_wrapper
from pathlib import Path
from typing import Any

import click

from dkv.cli.types import PathName
from dkv.client.admission import Tls
from dkv.client.url import Destination

PASSWORD = "DKV_PASSWORD"
VARIABLES = frozenset((PASSWORD, *(f"DKV_{name}" for name in ("TLS", "CA", "CERT", "KEY", "USER", "PASSWORD_FILE"))))
"""The variables that get a command in at nodes."""

PASSWORD_BYTES_MAX = 64 * 1024
TERMINAL = "/dev/tty"


def _named(option: str) -> str:
    """The name of an option here: commands have arguments of their own, such as a key."""
    return "access_" + option.removeprefix("--").replace("-", "_")


def _file(option: str, variable: str, help: str) -> Callable[[Any], Any]:
    return click.option(
        option,
        _named(option),
        type=PathName(dir_okay=False),
        metavar="FILE",
        envvar=variable,
        show_envvar=True,
        help=help,
    )


OPTIONS = (
    click.option(
        "--tls",
        _named("--tls"),
        is_flag=True,
        envvar="DKV_TLS",
        show_envvar=True,
        help="Connect by TLS. dkvs:// and rediss:// in the addresses, --ca and --cert say the same.",
    ),
    _file("--ca", "DKV_CA", "The certificates (PEM) of the CA that nodes have theirs of.  [default: this machine's]"),
    _file("--cert", "DKV_CERT", "A certificate of your own, for nodes that want one."),
    _file("--key", "DKV_KEY", "Its private key.  [default: in the same file]"),
    click.option(
        "--user",
        _named("--user"),
        metavar="NAME",
        envvar="DKV_USER",
        show_envvar=True,
        help=f"The user that you are. The password is in --password-file or in the variable {PASSWORD}; else it is "
        "asked for.",
    ),
    _file("--password-file", "DKV_PASSWORD_FILE", "A file with the password in its first line."),
)


def environment_of_others() -> dict[str, str]:
    """The variables of a process that is no command on the user's cluster, and so need not know what gets one in there:
    a node, or a command on a cluster that was made for a moment."""
    return {name: text for name, text in os.environ.items() if name not in VARIABLES}


def admits(command: Callable[..., int], where: str = "endpoints") -> Callable[..., int]:
    """Give a command the options by which it gets in at its argument ``where``, a ``Destination`` or None."""

    def run(
        access_tls: bool,
        access_ca: Path | None,
        access_cert: Path | None,
        access_key: Path | None,
        access_user: str | None,
        access_password_file: Path | None,
        **arguments: Any,
    ) -> int:
        to: Destination | None = arguments[where]
        if to is not None:
            files = Tls(*(None if path is None else str(path) for path in (access_ca, access_cert, access_key)))
            wanted = files if access_tls or files != Tls() or to.with_tls else None
            arguments[where] = admitted(to, wanted, access_user, access_password_file)
        return command(**arguments)

    update_wrapper(run, command)
    for option in reversed(OPTIONS):
        run = option(run)
    return run


def admitted(to: Destination, tls: Tls | None, user: str | None, password_file: Path | None) -> Destination:
    """``to``, with what gets a command in there; a usage error if that is contradictory or cannot be read."""
    try:
        if tls is not None:
            tls.context()
        named = None if user is None else os.fsencode(user)
        to = to.admitting(tls, named, None)
        return to.admitting(None, None, _password(to, password_file))
    except ValueError as error:
        raise click.UsageError(str(error)) from None


def _password(to: Destination, file: Path | None) -> bytes | None:
    """The password, from where the user says it is; None if none is needed, or if ``to`` has it already."""
    if file is not None:
        return _first_line(file)
    if to.password is not None:
        return None
    if variable := os.environ.get(PASSWORD):
        return os.fsencode(variable)
    return None if to.user is None else _typed(os.fsdecode(to.user))


def _first_line(file: Path) -> bytes:
    try:
        with open(file, "rb") as opened:
            line = opened.readline(PASSWORD_BYTES_MAX).rstrip(b"\r\n")
    except OSError as error:
        raise ValueError(f"cannot read the password in {file}: {error.strerror}") from None
    if not line:
        raise ValueError(f"the first line of {file} is empty, and should be the password")
    return line


def is_at_terminal() -> bool:
    """Whether somebody is there who could type a password. Python would read it from stdin otherwise, and warn."""
    try:
        os.close(os.open(TERMINAL, os.O_RDWR | os.O_NOCTTY))
    except OSError:
        return False
    return True


def _typed(user: str) -> bytes:
    """The password that is typed, without an echo, at the terminal: stdin may be the data of the command."""
    if not is_at_terminal():
        text = f"nobody is there to type the password of user {user}: set {PASSWORD}, or give --password-file"
        raise ValueError(text)
    try:
        return os.fsencode(getpass.getpass(f"password of {user}: "))
    except EOFError:
        raise click.Abort from None
