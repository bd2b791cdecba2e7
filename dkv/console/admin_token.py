"""The tokens that open the admin port: the lines of a file. Only their digests are kept."""

from __future__ import annotations

import hashlib
import hmac
import re

TOKEN_CHARACTERS_MIN = 20
"""Twenty random letters and digits cannot be guessed over a network."""
TOKENS_MAX = 16
_TOKEN = re.compile(r"[A-Za-z0-9._~+/-]+=*")
"""What RFC 6750 lets a bearer token consist of."""


class TokenError(ValueError):
    """The text holds no tokens. The message is one line, and shows nothing of the text."""


class AdminTokens:
    """Knows whether somebody has one of the tokens."""

    def __init__(self, tokens: list[str]) -> None:
        self._digests = [_digest(token.encode()) for token in tokens]

    def accept(self, authorization: bytes | None) -> bool:
        """Whether this value of the header Authorization has one of them. Takes the same time for all that have not."""
        scheme, _, token = (authorization or b"").partition(b" ")
        given = _digest(token.strip(b" "))
        right = False
        for digest in self._digests:
            right |= hmac.compare_digest(digest, given)
        return right and scheme.lower() == b"bearer"


def parse_tokens(text: str) -> AdminTokens:
    """The tokens of a file, one on each line; lines that begin with # and empty ones are left out."""
    lines = [(number, line.strip()) for number, line in enumerate(text.splitlines(), 1)]
    tokens = [(number, line) for number, line in lines if line and not line.startswith("#")]
    if not tokens:
        raise TokenError("there is no token in it")
    if len(tokens) > TOKENS_MAX:
        raise TokenError(f"there are more than {TOKENS_MAX} tokens in it")
    for number, token in tokens:
        if not _TOKEN.fullmatch(token):
            raise TokenError(f"line {number} is no token: use letters, digits and . _ ~ + / - only")
        if len(token) < TOKEN_CHARACTERS_MIN:
            raise TokenError(f"the token in line {number} has fewer than {TOKEN_CHARACTERS_MIN} characters")
    return AdminTokens([token for _, token in tokens])


def _digest(token: bytes) -> bytes:
    return hashlib.sha256(token).digest()
