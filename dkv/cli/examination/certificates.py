"""The certificates of nodes: whether they can be used, how long, and by what names clients know them."""

from __future__ import annotations

import ipaddress
import os
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from dkv.cli.examination.findings import Finding, note, problem
from dkv.config.config import Config, Member
from dkv.config.listen_endpoint import dialled_address

CA_KEY = "ca.key"
"""What ``dkv certs`` calls the private key of the CA."""

if TYPE_CHECKING:
    from dkv.tls.credentials import Credentials


def with_certificates(config: Config, members: Sequence[Member], asked: bool) -> list[Member]:
    """Those of ``members`` whose certificates belong on this machine: all, if the user has ``asked`` for them; else
    those whose certificate or key is here, since every node has only its own."""
    tls = config.tls
    if tls is None or asked:
        return list(members)
    return [each for each in members if any(map(os.path.exists, (tls.certificate_of(each.id), tls.key_of(each.id))))]


def examine_certificates(config: Config, members: Sequence[Member]) -> Iterator[Finding]:
    """What is wrong with the certificates of ``members``."""
    tls = config.tls
    if tls is None:
        return
    try:
        from dkv.tls.credentials import CredentialsError, load_credentials
    except ImportError as error:
        yield problem("[tls]", f"it needs {error.name}, which the extra 'tls' of this package brings along")
        return
    if not members:
        yield problem("[tls]", f"no node's certificate is on this machine, such as {tls.certificate}: dkv certs new")
    key = os.path.join(os.path.dirname(tls.ca), CA_KEY)
    if os.path.exists(key):
        yield note("[tls]", f"{key} is here: with it one can be any node and any user; keep it where no node runs")
    if tls.crl is None:
        yield note("[tls]", "without crl a certificate that was stolen is accepted until it expires")
    for member in members:
        try:
            credentials = load_credentials(tls, member.id, config.cluster)
        except CredentialsError as error:
            yield problem(f"node {member.id}", str(error))
            continue
        yield from _judge(member, credentials)


def _judge(member: Member, credentials: Credentials) -> Iterator[Finding]:
    where = f"node {member.id}"
    for warning in credentials.warnings:
        yield problem(where, warning)
    for line in credentials.expiring():
        yield problem(where, f"{line}: renew it, with `dkv certs renew` if it is of `dkv certs`")
    known = _hosts_of(credentials)
    for name in ("client_tls", "admin_tls"):
        endpoint = member.endpoints().get(name)
        address = None if endpoint is None else dialled_address(endpoint.advertise)
        if address is not None and _host(address[0]) not in known:
            text = f"its certificate does not name {address[0]}, so clients of {name} that check names refuse it"
            yield problem(where, f"{text}: dkv certs renew node{member.id} --host {address[0]}")


def _hosts_of(credentials: Credentials) -> set[str]:
    from cryptography import x509

    try:
        names = credentials.certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return set()
    addresses = (str(each) for each in names.get_values_for_type(x509.IPAddress))
    return {*(each.casefold() for each in names.get_values_for_type(x509.DNSName)), *addresses}


def _host(text: str) -> str:
    try:
        return str(ipaddress.ip_address(text))
    except ValueError:
        return text.casefold()
