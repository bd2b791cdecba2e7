"""``dkv user``: the users of a cluster, in the file that its nodes read."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, ClassVar

import click

from dkv.cli.access_options import is_at_terminal
from dkv.cli.named_commands import NamedCommands
from dkv.cli.output import Failure, Status, say
from dkv.cli.table import Table, cell
from dkv.cli.types import PathName
from dkv.security.passwords import PASSWORD_BYTES_MAX, SALT_BYTES, hash_of
from dkv.security.rights import CATEGORIES
from dkv.security.toml_text import NotToml, parsed
from dkv.security.users import EVERYTHING, HASHES_MAX, UsersError, parse_users
from dkv.security.users_text import added, changed, passwords_of, removed
from dkv.storage.state_directories import sync_directory

FILE = "users.toml"
NOBODY = "# There is no user: nobody gets in.\n"
"""A file without users. A node that runs takes an empty one for a mistake."""

NEW_PASSWORD = "DKV_NEW_PASSWORD"
STATUSES = "Exit status: 0 done, 1 nothing was changed, and the message says why, 2 usage."

Command = Callable[..., int]


class _Commands(NamedCommands):
    """Those of users."""

    meant: ClassVar[Mapping[str, str]] = {
        "create": "add",
        "new": "add",
        "delete": "remove",
        "del": "remove",
        "rm": "remove",
        "ls": "list",
    }


def _in_file(command: Command) -> Command:
    """Give a command the option ``--file``."""
    return click.option(
        "--file",
        "path",
        type=PathName(dir_okay=False),
        default=FILE,
        show_default=True,
        envvar="DKV_USERS_FILE",
        show_envvar=True,
        help="The file of users.",
    )(command)


def _list_option(name: str, metavar: str, help: str, **more: Any) -> Callable[[Command], Command]:
    return click.option(name, name.removeprefix("--"), multiple=True, metavar=metavar, help=help, **more)


_RIGHTS = (
    click.option(
        "--may",
        multiple=True,
        type=click.Choice((*CATEGORIES, EVERYTHING)),
        help="A category of commands that the user may use. May be given several times, like the others here.",
    ),
    _list_option("--keys", "PATTERN", "A pattern of the keys that the user may use, such as 'app:*'."),
    _list_option("--channels", "PATTERN", "A pattern of the channels that the user may use."),
    _list_option("--certificate", "NAME", "A name in a client certificate that proves the user."),
)


def _with_rights(command: Command) -> Command:
    for option in reversed(_RIGHTS):
        command = option(command)
    return command


def _with_password(command: Command) -> Command:
    return click.option(
        "--password-file",
        type=PathName(dir_okay=False),
        metavar="FILE",
        help=f"A file with the password in its first line. Else it is in the variable {NEW_PASSWORD}, or asked for.",
    )(command)


@click.group(cls=_Commands, short_help="Add users of a cluster, and change and remove them.")
def user() -> None:
    """Change the file of users. The nodes whose config file names it (users_file) take it over within seconds.

    Each node reads a file of its own: copy it to all of them. It has hashes of passwords, never a password.
    docs/security.md tells what users may do.
    """


@user.command("add", short_help="Add a user, and make the file if there is none.", epilog=STATUSES)
@click.argument("name")
@_with_rights
@click.option("--no-password", is_flag=True, help="The user has no password: a certificate, or the user default.")
@_with_password
@_in_file
def add(
    path: Path,
    name: str,
    may: tuple[str, ...],
    keys: tuple[str, ...],
    channels: tuple[str, ...],
    certificate: tuple[str, ...],
    no_password: bool,
    password_file: Path | None,
) -> int:
    """Add the user NAME. Without --may it may do nothing but look after its own connection."""
    fields = {"certificate": certificate, "may": may, "keys": keys, "channels": channels}
    # before anybody types a password for nothing
    _change(path, lambda text: added(text.removeprefix(NOBODY), name, fields))
    if not no_password:
        fields["password"] = (_new_hash(name, password_file),)
    _edit(path, lambda text: added(text.removeprefix(NOBODY), name, fields))
    say(f"added user {name} to {path}")
    if lacks := _lacks(may, keys, channels):
        say(f"{lacks} yet: see dkv user rules --help")
    return Status.DONE


@user.command("remove", short_help="Remove a user, whose connections end.", epilog=STATUSES)
@click.argument("name")
@_in_file
def remove(path: Path, name: str) -> int:
    """Remove the user NAME."""
    _edit(path, lambda text: removed(text, name) or NOBODY)
    say(f"removed user {name} from {path}")
    return Status.DONE


def _lacks(may: tuple[str, ...], keys: tuple[str, ...], channels: tuple[str, ...]) -> str:
    """What a new user cannot do for want of a right, as the beginning of a sentence; "" if nothing is missing."""
    if not may:
        return "it may do nothing"
    if not keys and {"read", "write", "all"} & set(may):
        return "it may use no key"
    if not channels and {"pubsub", "all"} & set(may):
        return "it may use no channel"
    return ""


@user.command("rules", short_help="Change what a user may do.", epilog=STATUSES)
@click.argument("name")
@_with_rights
@click.option(
    "--none",
    "emptied",
    multiple=True,
    type=click.Choice(("may", "keys", "channels", "certificate")),
    help="Leave this list empty.",
)
@_in_file
def rules(path: Path, name: str, emptied: tuple[str, ...], **lists: tuple[str, ...]) -> int:
    """Change what the user NAME may do. A list that is given takes the place of the one before; the others stay."""
    given = {field: values for field, values in lists.items() if values}
    twice = sorted(given.keys() & set(emptied))
    if twice:
        raise click.UsageError(f"--none {twice[0]} and --{twice[0]} contradict each other")
    fields = given | dict.fromkeys(emptied, ())
    if not fields:
        raise click.UsageError("nothing is to be changed: give --may, --keys, --channels, --certificate or --none")
    _edit(path, lambda text: changed(text, name, fields))
    say(f"changed user {name} in {path}")
    return Status.DONE


@user.command("password", short_help="Change the password of a user.", epilog=STATUSES)
@click.argument("name")
@click.option("--keep-old", is_flag=True, help="The earlier passwords stay right, too, until --drop-old.")
@click.option("--drop-old", is_flag=True, help="Set no password: only the newest one stays right.")
@_with_password
@_in_file
def password(path: Path, name: str, keep_old: bool, drop_old: bool, password_file: Path | None) -> int:
    """Give the user NAME another password.

    With --keep-old both are right: give the new one to all clients, then use --drop-old.
    """
    if keep_old and drop_old:
        raise click.UsageError("--keep-old and --drop-old contradict each other")
    old = passwords_of(_read(path), name) if _exists(path, name) else []
    if keep_old and len(old) >= HASHES_MAX:
        message = f"user {name} has {HASHES_MAX} passwords, which is the most: use --drop-old first"
        raise Failure(Status.FAILED, "USERS", message)
    new = [] if drop_old else [_new_hash(name, password_file)]

    def passwords(text: str) -> list[str]:
        return [*new, *(passwords_of(text, name) if keep_old else [])] or passwords_of(text, name)[:1]

    _edit(path, lambda text: changed(text, name, {"password": passwords(text)}))
    say(f"changed user {name} in {path}")
    return Status.DONE


@user.command("list", short_help="List the users.", epilog=STATUSES)
@_in_file
def list_users(path: Path) -> int:
    """List the users, what they may do, and by what they prove who they are."""
    text = _read(path, must_exist=True)
    try:
        document = parsed(text)
        users = parse_users(document)
    except NotToml as error:
        raise Failure(Status.FAILED, "USERS", f"{path} is not TOML{error}") from None
    except UsersError as error:
        raise Failure(Status.FAILED, "USERS", f"{path}: {error}") from None
    table = Table("USER", "MAY", "KEYS", "CHANNELS", "PASSWORDS", "CERTIFICATES")
    rows = []
    for name in users.names:
        found = users.find(name)
        assert found is not None, "it is one of the names"
        written = document["user"][name]
        databases = written.get("database", {})
        keys = [*written.get("keys", []), *(f"{key} in {db}" for db in databases for key in databases[db]["keys"])]
        rows.append(
            [
                cell(name),
                cell(" ".join(written.get("may", []))),
                cell(" ".join(keys)),
                cell(" ".join(written.get("channels", []))),
                cell(len(found.hashes)),
                cell(" ".join(sorted(found.certificates))),
            ]
        )
    table.add(rows)
    return Status.DONE


# --- the file ---


def _read(path: Path, must_exist: bool = False) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError:
        if must_exist:
            raise Failure(Status.FAILED, "FILE", f"there is no file {path}: dkv user add makes it") from None
        return ""
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
        raise Failure(Status.FAILED, "FILE", f"cannot read {path}: {why}") from None


def _change(path: Path, change: Callable[[str], str]) -> str:
    try:
        return change(_read(path))
    except UsersError as error:
        raise Failure(Status.FAILED, "USERS", f"{path}: {error}") from None


def _edit(path: Path, change: Callable[[str], str]) -> None:
    with _alone(path):
        _write(path, _change(path, change))


@contextmanager
def _alone(path: Path) -> Iterator[None]:
    """While entered, no other command changes the file: of two changes at once one would be lost."""
    target = Path(os.path.realpath(path))
    try:
        descriptor = os.open(target.with_name(f".{target.name}.lock"), os.O_RDWR | os.O_CREAT, 0o600)
    except OSError as error:
        raise Failure(Status.FAILED, "FILE", f"cannot write {path}: {error.strerror}; it is as it was") from None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _exists(path: Path, name: str) -> bool:
    """Whether there is this user; ``Failure`` if not."""
    _change(path, lambda text: " ".join(passwords_of(text, name)))
    return True


def _write(path: Path, text: str) -> None:
    """Put ``text`` in place of what the file has: all of it or nothing. A new file is for its owner alone; one that is
    there keeps its owner and its mode."""
    target = Path(os.path.realpath(path))
    part = target.with_name(f".{target.name}.{os.getpid()}.part")
    try:
        descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            with open(descriptor, "w", encoding="utf-8") as file:
                file.write(text)
                if target.exists():
                    before = target.stat()
                    with suppress(PermissionError):
                        os.fchown(file.fileno(), before.st_uid, before.st_gid)
                    os.fchmod(file.fileno(), before.st_mode & 0o777)
                file.flush()
                os.fsync(file.fileno())
            os.rename(part, target)
            sync_directory(str(target.parent))
        except BaseException:
            with suppress(OSError):
                part.unlink(missing_ok=True)
            raise
    except OSError as error:
        raise Failure(Status.FAILED, "FILE", f"cannot write {path}: {error.strerror}; it is as it was") from None


# --- the password ---


def _new_hash(name: str, file: Path | None) -> str:
    return hash_of(_checked(_new_password(name, file)), os.urandom(SALT_BYTES)).text


def _new_password(name: str, file: Path | None) -> bytes:
    if file is not None:
        try:
            with open(file, "rb") as opened:
                return opened.readline(PASSWORD_BYTES_MAX + 2).rstrip(b"\r\n")
        except OSError as error:
            raise click.UsageError(f"cannot read the password in {file}: {error.strerror}") from None
    variable = os.environ.get(NEW_PASSWORD)
    if variable is not None:
        return os.fsencode(variable)
    if not is_at_terminal():
        text = f"nobody is there to type the new password of {name}: set {NEW_PASSWORD}, or give --password-file"
        raise click.UsageError(text)
    typed: str = click.prompt(f"new password of {name}", hide_input=True, confirmation_prompt="once more", err=True)
    return os.fsencode(typed)


def _checked(password: bytes) -> bytes:
    if not password:
        raise click.UsageError("the password is empty")
    if len(password) > PASSWORD_BYTES_MAX:
        raise click.UsageError(f"the password has more than {PASSWORD_BYTES_MAX} bytes")
    return password
