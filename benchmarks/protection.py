"""``python -m benchmarks.protection``: what TLS and users cost. Clusters with and without them are measured in turn."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import click

from dkv.cli.benchmarks.drivers import BUILT_IN
from dkv.cli.benchmarks.parts import Row
from dkv.cli.benchmarks.results import facts, say_rows, write_markdown
from dkv.cli.benchmarks.rounds import Comparison, Rounds
from dkv.cli.benchmarks.systems import OwnDkv
from dkv.cli.benchmarks.workload import Workload
from dkv.cli.layout import CONFIG_NAME, HOST
from dkv.cli.nodes import NodeProcess
from dkv.cli.types import PathName, Seconds, Whole
from dkv.client.admission import Admission, Tls
from dkv.client.endpoint import Endpoint
from dkv.config.config import load_config, render_config
from dkv.config.tls_settings import REQUIRE, TlsSettings
from dkv.security.passwords import SALT_BYTES, hash_of
from dkv.settings import LEADER
from dkv.tls.authority import Authority

PLAIN = "plain"
USER, PASSWORD = "app", b"only for a benchmark"
USERS = """[user.app]
password = "{password}"
may = ["read", "write", "admin"]
keys = ["key:*", "ready?"]
"""
"""A user who is not allowed everything, so that every request is judged."""

WORKLOADS = tuple(
    Workload(operation, clients, pipeline)
    for operation in ("set", "get")
    for clients, pipeline in ((1, 1), (64, 1), (50, 16))
)
CLUSTERS = ((PLAIN, False, False), ("TLS", True, False), ("users", False, True), ("TLS, users", True, True))
"""The name of each, whether it has TLS, and whether it has users."""

PART = "protection"


class ProtectedDkv(OwnDkv):
    """A cluster with TLS on its ports for clients and peers, or with users, or both."""

    def __init__(self, name: str, directory: Path, tls: bool, users: bool, life: ExitStack) -> None:
        self.name = name
        self._tls, self._users = tls, users
        super().__init__(directory, 3, LEADER, BUILT_IN, life)

    def make_nodes(self, directory: Path, count: int, mode: str) -> list[NodeProcess]:
        """As without protection, and then a config that asks for it."""
        nodes = super().make_nodes(directory, count, mode)
        path = directory / CONFIG_NAME
        config = load_config(str(path), {})
        if self._tls:
            members = tuple(replace(member, client_is_tls=True) for member in config.members)
            config = replace(config, members=members, tls=_certificates(directory, config.cluster, count))
        if self._users:
            (directory / "users.toml").write_text(USERS.format(password=hash_of(PASSWORD, os.urandom(SALT_BYTES)).text))
            config = replace(config, users_file=str(directory / "users.toml"))
        path.write_text(render_config(config))
        tls = Tls(str(directory / "ca.pem")) if self._tls else None
        access = Admission(tls, USER.encode() if self._users else None, PASSWORD if self._users else None)
        for node in nodes:
            node.endpoint = Endpoint(node.endpoint.host, node.endpoint.port, access)
        return nodes


def _certificates(directory: Path, cluster: str, count: int) -> TlsSettings:
    """The files of a new CA and of all nodes."""
    authority = Authority.create(cluster)
    (directory / "ca.pem").write_bytes(authority.own.certificate_pem)
    for number in range(1, count + 1):
        issued = authority.node(number, [HOST])
        (directory / f"node{number}.pem").write_bytes(issued.certificate_pem)
        (directory / f"node{number}.key").write_bytes(issued.key_pem)
        os.chmod(directory / f"node{number}.key", 0o600)
    ca, certificate, key = (str(directory / name) for name in ("ca.pem", "node{id}.pem", "node{id}.key"))
    return TlsSettings(ca, certificate, key, peers=REQUIRE)


def rows(rounds: Rounds) -> Iterator[Row]:
    """A row for each workload and cluster."""
    for workload in WORKLOADS:
        yield from _rows_of(rounds.compare(workload))


def _rows_of(comparison: Comparison) -> Iterator[Row]:
    for name in comparison.samples:
        sample = comparison.of(name)
        assert sample is not None, "every cluster can do all of them"
        row: Row = {"workload": comparison.workload.name, "cluster": name}
        fields = sample.fields()
        row |= {each: fields[each] for each in ("ops_per_second", "p50_ms", "p99_ms", "cpu_us_per_op")}
        ratio = comparison.ratio(name)
        yield row | {"of_plain": None if ratio is None else round(1 / ratio, 2)}


@click.command()
@click.option("--rounds", type=Whole(most=1_000), default=3, show_default=True, help="Medians are of so many runs.")
@click.option("--seconds", type=Seconds(3_600), default=1.0, show_default=True, help="Of a run, about.")
@click.option("--markdown", type=PathName(dir_okay=False, writable=True), help="Write it to this file as well.")
def protection(rounds: int, seconds: float, markdown: Path | None) -> None:
    """Measure four clusters of three nodes: plain, with TLS, with users, and with both."""
    with tempfile.TemporaryDirectory(prefix="dkv-bench-") as parent, ExitStack() as life:
        clusters = []
        for name, tls, users in CLUSTERS:
            directory = Path(parent, name)
            directory.mkdir()
            clusters.append(ProtectedDkv(name, directory, tls, users, life))
        about = facts(Path(parent))
        said = say_rows(PART, rows(Rounds(clusters, rounds, seconds)), False, lambda: None)
    if markdown is not None:
        write_markdown(markdown, "python -m benchmarks.protection", about, {PART: said})


if __name__ == "__main__":
    protection.main(prog_name="python -m benchmarks.protection")
