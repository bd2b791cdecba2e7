"""The files that a config names: whether they are there, who may read and change them, and how strong secrets are."""

from __future__ import annotations

import os
import stat
from collections import Counter
from collections.abc import Iterator, Sequence

from dkv.cli.examination.findings import Finding, note, problem
from dkv.config.config import Config
from dkv.config.peer_secret_file import PeerSecretError, load_peer_secrets
from dkv.config.plain_file import open_plain
from dkv.console.admin_token import TokenError
from dkv.node.admin_access import read_tokens

DISTINCT_CHARACTERS_MIN = 8
"""A random secret of twenty characters has more different ones, all but certainly."""


def examine_files(config_path: str, config: Config, nodes: Sequence[int]) -> Iterator[Finding]:
    """What is wrong with the files; those of certificates are ``nodes``' own."""
    yield from _modes(config_path, secret=False)
    tls = config.tls
    for path in filter(None, (config.users_file, config.peer_secret_file, config.admin_token_file)):
        yield from _modes(path, secret=True)
    if tls is not None:
        for path in (tls.ca, *filter(None, (tls.crl,)), *(tls.certificate_of(node) for node in nodes)):
            yield from _modes(path, secret=False)
        for node in nodes:
            yield from _modes(tls.key_of(node), secret=True)
    yield from _secrets(config)


def _modes(path: str, secret: bool) -> Iterator[Finding]:
    """Whether other users of the machine may do to the file what they must not; that it is missing is said elsewhere,
    where it is read."""
    try:
        mode = os.stat(path).st_mode
    except OSError:
        return
    if mode & stat.S_IWOTH:
        yield problem("files", f"every user of this machine may change {path}: chmod o-w it")
    if secret and mode & stat.S_IROTH:
        yield problem("files", f"every user of this machine may read {path}: chmod 600 it")


def _secrets(config: Config) -> Iterator[Finding]:
    """Whether the secrets can be used, and can be guessed."""
    if config.peer_secret_file is not None:
        try:
            load_peer_secrets(config.peer_secret_file)
        except PeerSecretError as error:
            yield problem("peer_secret_file", str(error))
    if config.admin_token_file is not None:
        try:
            read_tokens(config.admin_token_file)
        except TokenError as error:
            yield problem("admin_token_file", str(error))
    seen: Counter[str] = Counter()
    for path in filter(None, (config.peer_secret_file, config.admin_token_file)):
        lines = _lines(path)
        seen.update(set(lines))
        if any(len(set(line)) < DISTINCT_CHARACTERS_MIN for line in lines):
            yield problem(path, "a secret in it could be guessed: `openssl rand -hex 32` makes a good one")
        if len(lines) > 1:
            yield note(path, f"{len(lines)} secrets are accepted: remove the old ones when nobody uses them any more")
    if any(count > 1 for count in seen.values()):
        yield problem("admin_token_file", "it has a secret of peer_secret_file: whoever may read metrics can be a node")


def _lines(path: str) -> list[str]:
    """The secrets in a file, unjudged."""
    try:
        with open_plain(path) as file:
            lines = [line.strip().decode("utf-8", "replace") for line in file]
    except OSError:
        return []
    return [line for line in lines if line and not line.startswith("#")]
