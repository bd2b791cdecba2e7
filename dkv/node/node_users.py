"""The users of one node: their file, which is read again when it changes, and the checks of their passwords."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator

from dkv.config.config import Config
from dkv.config.plain_file import open_plain
from dkv.console.cautions import Caution
from dkv.console.client_session import ClientSession
from dkv.console.logins import Logins
from dkv.net.client_connection import ClientConnection
from dkv.net.clients import Clients
from dkv.net.interpreter import Interpreter
from dkv.node.owner import Owner
from dkv.node.password_checks import PasswordChecks
from dkv.node.protection import Protection
from dkv.security.toml_text import NotToml, parsed
from dkv.security.users import Users, UsersError, parse_users

FILE_BYTES_MAX = 4 << 20
"""No file of users is longer."""

KEY_BYTES = 32

USERS = "users"
"""The kind of the file, where a node tells of what it cannot use."""


def load_users(path: str) -> Users:
    """The users of the file at ``path``; ``UsersError`` if there are none to be had."""
    try:
        with open_plain(path) as file:
            text = file.read(FILE_BYTES_MAX + 1)
    except OSError as error:
        raise UsersError(f"cannot read the file of users {path}: {error.strerror}") from None
    if len(text) > FILE_BYTES_MAX:
        raise UsersError(f"the file of users {path} has more than {FILE_BYTES_MAX} bytes")
    try:
        return parse_users(parsed(text.decode()))
    except UnicodeDecodeError:
        raise UsersError(f"the file of users {path} is not TOML: it is not UTF-8") from None
    except NotToml as error:
        raise UsersError(f"the file of users {path} is not TOML{error}") from None
    except UsersError as error:
        raise UsersError(f"{path}: {error}") from None


class NodeUsers:
    """The users of a node of the cluster that ``config`` describes: everybody may do everything if that names no file.

    ``ProtectionError`` if it names one that cannot be read, or is wrong.
    """

    def __init__(self, owner: Owner, config: Config, protection: Protection) -> None:
        self._reactor = owner.reactor
        self._log = owner.get_logger("users")
        self._checks = PasswordChecks(owner.reactor)
        self._users: Users | None = None
        self._connections: Callable[[], Iterable[ClientConnection]] = tuple
        self._logins: Logins | None = None
        path = config.users_file
        if path is not None:
            self._users = protection.watch(USERS, [path], lambda: self._load(path), self._changed)

    def _load(self, path: str) -> Users:
        """Read the file, on a thread. While the node runs, an empty file is refused. It would end all connections and
        let nobody in, and nearly always it is an accident: an editor has just begun to write, or the disk is full."""
        users = load_users(path)
        if self._users is not None and not os.stat(path).st_size:
            raise UsersError(f"the file of users {path} is empty; to let nobody in, leave a comment in it")
        return users

    @property
    def in_force(self) -> Users | None:
        """The users of the moment; None if there is no file of them."""
        return self._users

    def serve(self, clients: Clients) -> Logins:
        """From now on these clients are users."""
        self._connections = clients.connected
        key = os.urandom(KEY_BYTES)
        self._logins = Logins(self._reactor, self._users, self._checks.try_password, key, clients.complaints)
        return self._logins

    def cautions(self) -> Iterator[Caution]:
        """A warning if the file lets nobody in."""
        if self._users is not None and self._users.are_shut_out:
            text = "nobody can get in: no user in users_file has a password or a certificate; `dkv user add` makes one"
            yield Caution("no_user", text)

    def stop(self) -> None:
        """Check no more passwords."""
        self._checks.stop()

    def _changed(self, users: Users) -> None:
        """Other users are in force: living connections get the rights of theirs, or end."""
        self._users = users
        if self._logins is None:
            return  # The node is still starting.
        self._logins.replace(users)
        ended = 0
        for connection in list(self._connections()):
            if not _goes_on(connection.interpreter, users):
                ended += 1
                connection.kill()
        self._log.info("users_changed", users=len(users.names), connections_ended=ended)


def _goes_on(client: Interpreter, users: Users) -> bool:
    """Give a client the rights that it has among these users; False if it is none of them, or listens to too much."""
    if not isinstance(client, ClientSession):
        return True
    user = client.known_to(users)
    if user is None:
        return False
    client.become(user)
    return client.may_listen
