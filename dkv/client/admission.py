"""What a client shows a node so that it is let in: TLS with these files, a user, a password."""

from __future__ import annotations

import ssl
from dataclasses import dataclass, field


class TlsFileError(ValueError):
    """A file for TLS cannot be used. The text is one line, and names the file."""


@dataclass(frozen=True, slots=True)
class Tls:
    """Connections by TLS. The certificate of a node must be signed by a CA of the file ``ca``, or without it by one
    that this machine trusts, and it must name the host that is dialled.

    ``certificate`` and ``key`` are the client's own, for nodes that want one; ``key`` may be in the file of
    ``certificate``. All are names of PEM files. They are read for each connection: new files need no restart.
    """

    ca: str | None = None
    certificate: str | None = None
    key: str | None = None

    def context(self) -> ssl.SSLContext:
        """The settings of one connection; ``TlsFileError`` if a file cannot be used."""
        if self.key is not None and self.certificate is None:
            raise TlsFileError("a key for TLS needs the certificate that belongs to it")
        context = self._trusting()
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        if self.certificate is not None:
            self._show(context, self.certificate)
        return context

    def _trusting(self) -> ssl.SSLContext:
        try:
            return ssl.create_default_context(cafile=self.ca)
        except (OSError, ValueError) as error:
            raise TlsFileError(f"cannot read certificates of a CA in {self.ca}: {_why(error)}") from None

    def _show(self, context: ssl.SSLContext, certificate: str) -> None:
        key = self.key or certificate
        try:
            context.load_cert_chain(certificate, key, password=_no_passphrase)
        except _Encrypted:
            raise TlsFileError(f"the key in {key} has a passphrase, which nobody is asked for here") from None
        except (OSError, ValueError) as error:
            text = f"cannot use the certificate in {certificate} with the key in {key}: {_why(error)}"
            if self.key is None and isinstance(error, ssl.SSLError):
                text += "; a key in a file of its own must be named, too"
            raise TlsFileError(text) from None


class _Encrypted(Exception):
    pass


def _no_passphrase() -> str:
    """OpenSSL would ask for it at the terminal, in the midst of a program."""
    raise _Encrypted


def _why(error: OSError | ValueError) -> str:
    if isinstance(error, ssl.SSLError):
        return (error.reason or "it is not in PEM").lower().replace("_", " ")
    return (isinstance(error, OSError) and error.strerror) or "it is not in PEM"


@dataclass(frozen=True, slots=True)
class Admission:
    """How a client gets in at a node: without TLS if ``tls`` is None, and as whoever may come in if it has no password.

    A password without a ``user`` is that of the user ``default``, as in Redis.
    """

    tls: Tls | None = None
    user: bytes | None = None
    password: bytes | None = field(default=None, repr=False)

    @property
    def greeting(self) -> tuple[bytes, ...]:
        """The request that goes before all others; empty if there is nothing to be said.

        With TLS there always is: only an answer shows that the node has accepted the client's certificate, and so no
        request is sent to a node that has not.
        """
        if self.password is None:
            return NOBODYS_GREETING if self.tls else ()
        return (b"AUTH", self.password) if self.user is None else (b"AUTH", self.user, self.password)


NOBODYS_GREETING = (b"PING",)
"""The greeting of a client that does not say who it is."""

NO_USER = "NOAUTH"
"""A node's word to a client that has not said who it is, where that is required."""

NAMELESS_PASSWORD = "ERR AUTH <password> called without any password configured for the default user"
"""The beginning of its answer to a password without a user, where each password is that of a user with a name."""


def wants_user(text: str) -> bool:
    """Whether an error of a node says that the client should have named its user."""
    return text.startswith((NO_USER, NAMELESS_PASSWORD))


OPEN = Admission()
"""Without TLS, as nobody in particular."""
