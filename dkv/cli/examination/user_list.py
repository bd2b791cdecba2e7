"""The file of users: whether a node would take it, and who may do what that nobody meant."""

from __future__ import annotations

from collections.abc import Iterator

from dkv.cli.examination.findings import Finding, note, problem
from dkv.config.config import Config
from dkv.config.tls_settings import OFF
from dkv.node.exposed import CHANGING
from dkv.node.node_users import load_users
from dkv.security.users import User, Users, UsersError


def examine_users(config: Config) -> Iterator[Finding]:
    """What is wrong with the users."""
    path = config.users_file
    if path is None:
        return
    try:
        users = load_users(path)
    except UsersError as error:
        yield problem("users_file", str(error))
        return
    yield from _default(path, users.default)
    named = [user for user in map(users.find, users.names) if user is not None]
    if not any(user.rights.allows("admin") for user in named if user.has_proof or user is users.default):
        yield problem(path, "no user may order what is `admin`: nobody could change members or take a backup")
    for user in named:
        yield from _one(path, user, users, config)


def _default(path: str, default: User | None) -> Iterator[Finding]:
    if default is None:
        return
    may = [category for category in CHANGING if default.rights.allows(category)]
    if may:
        text = f"whoever has not said who they are may do what is {', '.join(f'`{each}`' for each in may)}"
        yield problem(path, f"{text}: take it from `may` of [user.default], or give the user a password")
    else:
        yield note(path, "whoever has not said who they are may do what [user.default] allows")


def _one(path: str, user: User, users: Users, config: Config) -> Iterator[Finding]:
    """One user."""
    shows = config.tls is not None and config.tls.client_certificates != OFF
    if user is not users.default and not user.has_proof and not user.rights.are_none:
        yield note(path, f"nobody can be the user {user.name}: it has neither a password nor a certificate")
    if user.certificates and not shows:
        text = f"the user {user.name} has a certificate, and nobody is asked for one"
        yield problem(path, f'{text}: set client_certificates = "optional" or "required" in [tls]')
    if len(user.hashes) > 1:
        yield note(path, f"the user {user.name} has {len(user.hashes)} passwords: remove the old one when it is unused")
