"""The config itself: ports that are open to everyone, and switches that belong into a lab."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from dkv.cli.examination.findings import Finding, note, problem
from dkv.config.config import Config, Member
from dkv.config.exposure import exposures, is_local
from dkv.config.tls_settings import ALLOW, PREFER


def examine_settings(config: Config, members: Sequence[Member]) -> Iterator[Finding]:
    """What is wrong with the settings, and with the ports of ``members``."""
    for member in members:
        for exposure in exposures(config, member):
            yield problem(f"node {member.id}", exposure.text)
    if config.allow_faults:
        local = all(is_local(member.client) for member in members)
        text = "a client may order nodes to lose messages and to hold their disks: take it out of the config file"
        yield note("allow_faults", text) if local else problem("allow_faults", text)
    if config.peer_secret == ALLOW:
        yield note("peer_secret", 'nodes that know no secret are let in: set "require" when all nodes know it')
    if config.tls is not None and config.tls.peers in (ALLOW, PREFER):
        yield note("peers", f'"{config.tls.peers}" is a step on the way to "require": nodes are let in without TLS')
    if len(config.members) % 2 == 0:
        yield note("[[node]]", f"{len(config.members)} nodes tolerate no more failures than {len(config.members) - 1}")
