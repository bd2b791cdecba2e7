"""TLS between a client's requests and the bytes of its connection. It does no I/O, so every client can use it."""

from __future__ import annotations

import ssl

from dkv.client.admission import Tls, TlsFileError

READ_BYTES = 256 * 1024
WRITE_BYTES_MAX = 16 * 1024 * 1024
"""As much is made into records at a time."""

_OF_CERTIFICATES = {
    "TLSV13_ALERT_CERTIFICATE_REQUIRED": "it wants a certificate of this client",
    "TLSV1_ALERT_UNKNOWN_CA": "it does not trust the CA of this client's certificate",
    "SSLV3_ALERT_CERTIFICATE_EXPIRED": "this client's certificate has expired",
    "SSLV3_ALERT_CERTIFICATE_REVOKED": "this client's certificate was revoked",
    "SSLV3_ALERT_BAD_CERTIFICATE": "it does not accept this client's certificate",
    "SSLV3_ALERT_UNSUPPORTED_CERTIFICATE": "it does not accept this client's certificate",
    "SSLV3_ALERT_CERTIFICATE_UNKNOWN": "it does not accept this client's certificate",
    "SSLV3_ALERT_HANDSHAKE_FAILURE": "it takes no TLS as this client offers it, or wants a certificate of this client",
}
"""A node's reasons for not taking a client, by OpenSSL's name of its alert."""

_PLAIN = frozenset(("WRONG_VERSION_NUMBER", "HTTP_REQUEST", "UNEXPECTED_MESSAGE", "RECORD_LAYER_FAILURE"))
"""OpenSSL's names for an answer that is not TLS at all."""

_UNTRUSTED = frozenset((2, 18, 19, 20, 21, 24))
_EXPIRED, _NOT_YET = 10, 9
_OTHER_NAME = frozenset((62, 64))
"""X509_V_ERR_... of OpenSSL."""

NO_TLS = "it does not speak TLS: leave TLS out, or name its port for TLS"
NO_HANDSHAKE = "it closed the connection when TLS began: maybe it does not speak TLS"
SLOW_HANDSHAKE = "the handshake of TLS takes too long: maybe it does not speak TLS"


class TlsFailure(ConnectionError):
    """TLS with the other end is not possible, or has ended. The text says why, in one line."""


class TlsLayer:
    """The TLS of one connection to ``host``. Bytes for the other end are in ``outgoing`` whenever a method returns."""

    def __init__(self, tls: Tls, host: str) -> None:
        self.is_open = False
        """Whether the handshake is done."""
        self._incoming, self._sealed = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._ca = tls.ca
        self._host = host.partition("%")[0]  # an interface of IPv6 is no part of the name
        self.failure: TlsFailure | None = None
        """Why nothing more can be read."""
        try:
            self._end = tls.context().wrap_bio(self._incoming, self._sealed, server_hostname=self._host)
        except TlsFileError as error:
            raise TlsFailure(str(error)) from None
        except ValueError as error:  # such as a host that cannot be a name at all
            raise TlsFailure(str(error)) from None

    @property
    def outgoing(self) -> bytes:
        """The bytes to send now."""
        return self._sealed.read()

    def shake(self, data: bytes) -> None:
        """Begin or go on with the handshake, after ``data`` has come; ``TlsFailure`` if it fails."""
        self._incoming.write(data)
        try:
            self._end.do_handshake()
        except ssl.SSLWantReadError:
            return
        except OSError as error:
            raise self._of(error) from None
        self.is_open = True

    def seal(self, data: bytes) -> bytes:
        """The bytes to send for ``data``."""
        rest = memoryview(data)
        while rest:
            try:
                rest = rest[self._end.write(rest[:WRITE_BYTES_MAX]) :]
            except OSError as error:
                raise self._of(error) from None
        return self.outgoing

    def opened(self, data: bytes) -> bytes:
        """What the other end has said, ``data`` and what came before it being read; ``TlsFailure`` behind its end."""
        self._incoming.write(data)
        parts = []
        while self.failure is None:
            try:
                part = self._end.read(READ_BYTES)
            except ssl.SSLWantReadError:
                break
            except OSError as error:
                self.failure = self._of(error)
                break
            if not part:
                self.failure = TlsFailure("it closed the connection")
            parts.append(part)
        plain = b"".join(parts)
        if self.failure is not None and not plain:
            raise self.failure
        return plain

    def farewell(self) -> bytes:
        """The bytes that tell the other end that nothing follows."""
        try:
            self._end.unwrap()
        except OSError:
            pass  # it has not said the same yet, and nobody waits for that
        return self.outgoing

    def _of(self, error: OSError) -> TlsFailure:
        """The failure for an error of OpenSSL."""
        if isinstance(error, ssl.SSLCertVerificationError):
            return TlsFailure(self._of_certificate(error))
        if isinstance(error, ssl.SSLZeroReturnError | ssl.SSLEOFError):
            return TlsFailure("it closed the connection")
        reason = (isinstance(error, ssl.SSLError) and error.reason) or ""
        if reason in _PLAIN and not self.is_open:
            return TlsFailure(NO_TLS)
        if reason in _OF_CERTIFICATES:
            return TlsFailure(_OF_CERTIFICATES[reason])
        return TlsFailure(f"TLS fails: {reason.lower().replace('_', ' ') or error}")

    def _of_certificate(self, error: ssl.SSLCertVerificationError) -> str:
        code = error.verify_code
        if code in _UNTRUSTED:
            return f"its certificate is not signed by a CA {f'in {self._ca}' if self._ca else 'of this machine'}"
        if code == _EXPIRED:
            return "its certificate, or that of its CA, has expired"
        if code == _NOT_YET:
            return "its certificate, or that of its CA, is not valid yet: compare the clocks"
        if code in _OTHER_NAME or "mismatch" in error.verify_message:
            return f"its certificate does not name the host {self._host}"
        return f"its certificate is not accepted: {error.verify_message}"
