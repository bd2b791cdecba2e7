"""Why two ends did not agree on TLS, in words that say what to mend."""

from __future__ import annotations

from typing import Any

from OpenSSL import SSL

_VERIFY = {
    3: "is of a CA of which this end has no list of revoked certificates",
    7: "has a wrong signature",
    9: "is not valid yet",
    10: "has expired",
    11: "is of a CA whose list of revoked certificates is not valid yet",
    18: "is signed by itself, and not by a CA of this cluster",
    19: "is of another CA",
    20: "is of another CA",
    21: "is of another CA",
    23: "is revoked",
    24: "is issued by a certificate that is no CA's",
    26: "may not be used for this (its extended key usage says so)",
}
"""What the numbers of OpenSSL say of the certificate of the other end."""

CRL_EXPIRED = 12
"""OpenSSL's number for a list of revoked certificates that should have been replaced by now."""

NO_TLS = "it does not speak TLS"

_ERRORS = (
    ("did not return a certificate", "it has shown no certificate"),
    ("alert certificate required", "the other end wants a certificate, and this end has shown none"),
    ("alert unknown ca", "the other end does not know the CA of this end's certificate"),
    (
        "alert certificate expired",
        "the other end says that this end's certificate has expired",
    ),
    ("alert certificate revoked", "the other end says that this end's certificate is revoked"),
    ("alert bad certificate", "the other end does not accept this end's certificate"),
    ("alert certificate unknown", "the other end does not accept this end's certificate"),
    ("alert unsupported certificate", "the other end says that this end's certificate may not be used for this"),
    ("alert protocol version", "the other end speaks no version of TLS that this end does"),
    ("alert handshake failure", "the other end has found no way to encrypt that both can"),
    ("unsupported protocol", "it speaks no version of TLS from 1.2 on"),
    ("version too low", "it speaks no version of TLS from 1.2 on"),
    ("no shared cipher", "it knows no cipher that this end accepts"),
    ("http request", NO_TLS),
    ("https proxy request", NO_TLS),
    ("wrong version number", NO_TLS),
    ("packet length too long", NO_TLS),
    ("record layer failure", NO_TLS),
    ("unexpected message", NO_TLS),
)
"""Words of OpenSSL's errors, and ours."""


def verdict_on(number: int, subject: str) -> str:
    """Why the certificate of the other end is refused, by OpenSSL's ``number``."""
    return f"its certificate ({subject}) {_VERIFY.get(number, f'is not accepted (error {number} of OpenSSL)')}"


def reason_of(error: SSL.Error) -> str:
    """One line for what OpenSSL has raised."""
    entries: Any = error.args[0] if error.args else ()
    texts = [str(entry[-1]) for entry in entries] if isinstance(entries, list | tuple) else []
    text = ", ".join(texts)
    for words, ours in _ERRORS:
        if words in text.casefold():
            return ours
    return f"TLS failed: {text}" if text else "TLS failed"
