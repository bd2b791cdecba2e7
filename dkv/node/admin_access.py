"""Who may see the pages of a node's admin ports, and what the node warns of there: its own exposed ports."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from twisted.web.http import FORBIDDEN, UNAUTHORIZED

from dkv.config.config import Config, Member
from dkv.config.exposure import Exposure, exposures, may_visit
from dkv.config.listen_endpoint import ListenEndpoint
from dkv.config.peer_secret_file import others_may_read
from dkv.console.admin import Guard, Refused
from dkv.console.admin_token import AdminTokens, TokenError, parse_tokens
from dkv.console.cautions import Caution
from dkv.node.protection import Protection

ADMIN_TOKEN = "admin_token"
"""The kind of the file of tokens, beside those of ``Protection``."""

FILE_BYTES_MAX = 65_536

_SHUT = Refused(
    FORBIDDEN,
    "other machines reach this port, and nothing keeps strangers out: set admin_token_file in the config file, or let "
    "the port listen on 127.0.0.1",
)
_NO_TOKEN = Refused(UNAUTHORIZED, 'this page is for operators: send a token, as in "Authorization: Bearer TOKEN"')


class AdminAccess:
    """Of ``member``, a node of the cluster that ``config`` describes."""

    def __init__(self, config: Config, member: Member, log: Any) -> None:
        self._config = config
        self._log = log
        self._exposures: list[Exposure] = exposures(config, member)
        self._tokens: AdminTokens | None = None

    def load(self, protection: Protection) -> None:
        """Read the tokens, and let ``protection`` read them again when they change; ``ProtectionError`` if there is a
        file of tokens and it cannot be used."""
        path = self._config.admin_token_file
        if path is not None:
            self._take(protection.watch(ADMIN_TOKEN, [path], lambda: read_tokens(path), self._take))

    def tell_exposures(self) -> None:
        """Log which ports are open to everyone, and the like: once, at the start."""
        for exposure in self._exposures:
            self._log.warning("exposed", exposure=exposure.name, reason=exposure.text)
        config = self._config
        for caution in _readable(config.admin_token_file, config.users_file, config.peer_secret_file):
            self._log.warning("exposed", exposure=caution.name, reason=caution.text)

    def cautions(self) -> Iterator[Caution]:
        """What is exposed."""
        yield from (Caution(*exposure) for exposure in self._exposures)
        yield from _readable(self._config.admin_token_file, self._config.users_file, self._config.peer_secret_file)

    def guard(self, name: str, endpoint: ListenEndpoint) -> Guard:
        """The guard of the port ``admin`` or ``admin_tls``, by its ``name``."""
        if self._tokens is not None:
            return self._ask_for_token
        return _let_pass if may_visit(self._config, name, endpoint) else _keep_out

    def _ask_for_token(self, request: Any) -> Refused | None:
        assert self._tokens is not None, "this guard stands where there are tokens"
        return None if self._tokens.accept(request.getHeader(b"authorization")) else _NO_TOKEN

    def _take(self, tokens: AdminTokens) -> None:
        self._tokens = tokens


def read_tokens(path: str) -> AdminTokens:
    """The tokens in the file at ``path``; ``TokenError``, of one line, if there are none."""
    try:
        with open(path, encoding="utf-8") as file:
            text = file.read(FILE_BYTES_MAX)
    except OSError as error:
        raise TokenError(f"cannot read the admin token file {path}: {error.strerror}") from None
    except UnicodeDecodeError:
        raise TokenError(f"the admin token file {path} is no text") from None
    try:
        return parse_tokens(text)
    except TokenError as error:
        raise TokenError(f"the admin token file {path}: {error}") from None


def _readable(*paths: str | None) -> Iterator[Caution]:
    for path in filter(None, paths):
        if others_may_read(path):
            yield Caution("readable_secret", f"every user of this machine may read {path}: chmod 600 it")


def _let_pass(_: Any) -> None:
    """Nobody is asked for anything."""


def _keep_out(_: Any) -> Refused:
    return _SHUT
