"""``python -m benchmarks``: the measurements of ``dkv bench``, of dkv and other systems in turn."""

from __future__ import annotations

from typing import Any

import click

from benchmarks.etcd import Etcd
from benchmarks.redis_server import RedisServer
from dkv.cli.bench import EPILOG, bench, measure
from dkv.cli.benchmarks.benchmark import OtherSystem
from dkv.cli.group import Program

SYSTEMS = {
    system.name: system
    for system in (
        OtherSystem("redis", ("redis-server", "--version", "v="), RedisServer),
        OtherSystem("etcd", ("etcd", "--version", "etcd Version: "), Etcd),
    )
}
AGAINST = click.Option(
    ["--against"], multiple=True, type=click.Choice(tuple(SYSTEMS)), help="Measure this in turn with dkv. Repeatable."
)
HELP = """Measure how fast dkv is beside other systems on this machine.

Each system is started in a temporary directory, syncs every write to the disk, and is ended afterwards. Runs of
different systems take turns."""


def benchmarks(against: tuple[str, ...], **given: Any) -> int:
    """Measure dkv beside the systems that ``against`` names; the other options are those of ``dkv bench``."""
    return measure([SYSTEMS[name] for name in dict.fromkeys(against)], **given)


COMMAND = Program("benchmarks", callback=benchmarks, params=[*bench.params, AGAINST], help=HELP, epilog=EPILOG)

if __name__ == "__main__":
    COMMAND.main(prog_name="python -m benchmarks")
