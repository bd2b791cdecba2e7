"""Who may see the pages of a node's admin ports."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.web.http import FORBIDDEN, UNAUTHORIZED

from dkv.config.config import Config
from dkv.config.exposure import asks_for_certificate, may_visit
from dkv.config.listen_endpoint import ListenEndpoint
from dkv.config.plain_file import open_plain
from dkv.console.admin import Guard, Refused
from dkv.console.admin_channel import certificate_of
from dkv.console.admin_token import AdminTokens, TokenError, parse_tokens
from dkv.net.securing import Shown
from dkv.node.protection import Protection
from dkv.security.users import Users

ADMIN_TOKEN = "admin_token"
"""The kind of the file of tokens, beside those of ``Protection``."""

FILE_BYTES_MAX = 65_536

_SHUT = Refused(
    FORBIDDEN,
    "other machines reach this port, and nothing keeps strangers out: set admin_token_file in the config file, or let "
    "the port listen on 127.0.0.1",
)
_TOKEN = 'send a token, as in "Authorization: Bearer TOKEN"'
_CERTIFICATE = "show the certificate of a user who may do what is `admin`"


class AdminAccess:
    """Of one node of the cluster that ``config`` describes."""

    def __init__(self, config: Config) -> None:
        self._config = config
        self._tokens: AdminTokens | None = None

    def load(self, protection: Protection) -> None:
        """Read the tokens, and let ``protection`` read them again when they change; ``ProtectionError`` if there is a
        file of tokens and it cannot be used."""
        path = self._config.admin_token_file
        if path is not None:
            self._take(protection.watch(ADMIN_TOKEN, [path], lambda: read_tokens(path), self._take))

    def guard(self, name: str, endpoint: ListenEndpoint, users: Callable[[], Users | None]) -> Guard:
        """The guard of the port ``admin`` or ``admin_tls``, by its ``name``. ``users`` tells the users of the moment,
        None if there are none and everybody may do everything."""
        with_certificate = asks_for_certificate(self._config, name)
        if self._tokens is None and not with_certificate:
            return _let_pass if may_visit(self._config, name, endpoint) else _keep_out
        ways = [_TOKEN] * (self._tokens is not None) + [_CERTIFICATE] * with_certificate
        refusal = Refused(UNAUTHORIZED, f"this page is for operators: {', or '.join(ways)}")

        def judge(request: Any) -> Refused | None:
            if self._has_token(request) or (with_certificate and _is_operator(certificate_of(request), users())):
                return None
            return refusal

        return judge

    def _has_token(self, request: Any) -> bool:
        return self._tokens is not None and self._tokens.accept(request.getHeader(b"authorization"))

    def _take(self, tokens: AdminTokens) -> None:
        self._tokens = tokens


def read_tokens(path: str) -> AdminTokens:
    """The tokens in the file at ``path``; ``TokenError``, of one line, if there are none."""
    try:
        with open_plain(path) as file:
            text = file.read(FILE_BYTES_MAX).decode()
    except OSError as error:
        raise TokenError(f"cannot read the admin token file {path}: {error.strerror}") from None
    except UnicodeDecodeError:
        raise TokenError(f"the admin token file {path} is no text") from None
    try:
        return parse_tokens(text)
    except TokenError as error:
        raise TokenError(f"the admin token file {path}: {error}") from None


def _is_operator(shown: Shown | None, users: Users | None) -> bool:
    """Whether a certificate that the node believes is that of somebody who may do what is ``admin``."""
    if shown is None or users is None:
        return shown is not None
    user = users.by_certificate(shown.users)
    return user is not None and user.rights.allows("admin")


def _let_pass(_: Any) -> None:
    """Nobody is asked for anything."""


def _keep_out(_: Any) -> Refused:
    return _SHUT
