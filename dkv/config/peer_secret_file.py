"""The file with the peer secret: one secret in a line, the first one that of this node."""

from __future__ import annotations

import os
from codecs import BOM_UTF8

from dkv.config.plain_file import open_plain

SECRET_BYTES_MIN = 32
"""Whoever connects may ask for a proof of the secret and then guess at home; a random secret of this length lasts."""

SECRETS_MAX = 8
FILE_BYTES_MAX = 16384

ADVICE = "`openssl rand -hex 32` makes a good one"


class PeerSecretError(Exception):
    """The file does not hold a secret as it should; the text says in one line what to mend, and no part of a secret."""


def load_peer_secrets(path: str) -> list[bytes]:
    """The secrets in the file at ``path``. Empty lines, and lines that begin with ``#``, are none.

    A byte order mark, and spaces at the ends of lines, are no part of a secret. Editors leave them there, and the same
    secret would differ from one machine to the next.
    """
    try:
        with open_plain(path) as file:
            data = file.read(FILE_BYTES_MAX + 1)
    except OSError as error:
        raise PeerSecretError(f"cannot read peer_secret_file {path}: {error.strerror}") from None
    if len(data) > FILE_BYTES_MAX:
        raise PeerSecretError(f"peer_secret_file {path} is longer than {FILE_BYTES_MAX} bytes: is it another file?")
    secrets = []
    for number, line in enumerate(data.removeprefix(BOM_UTF8).split(b"\n"), 1):
        secret = line.strip()
        if secret and not secret.startswith(b"#"):
            if len(secret) < SECRET_BYTES_MIN:
                raise PeerSecretError(
                    f"line {number} of peer_secret_file {path} is shorter than {SECRET_BYTES_MIN} characters, so it"
                    f" could be guessed: {ADVICE}"
                )
            secrets.append(secret)
    if not 1 <= len(secrets) <= SECRETS_MAX:
        raise PeerSecretError(
            f"peer_secret_file {path} has {len(secrets)} secrets: write one in a line, at most {SECRETS_MAX}; {ADVICE}"
        )
    return secrets


def others_may_read(path: str) -> bool:
    """Whether other users of this machine may read the file."""
    try:
        return bool(os.stat(path).st_mode & 0o007)
    except OSError:
        return False
