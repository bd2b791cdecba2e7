"""``dkv cluster``: a whole cluster on this machine, in the foreground."""

from __future__ import annotations

import os
import shlex
from pathlib import Path

import click

from dkv.cli import nodes as processes
from dkv.cli.access import ENDPOINTS
from dkv.cli.layout import ADMIN_PORTS_FROM, BASE_PORT, NODES, PEER_PORTS_FROM, prepare
from dkv.cli.nodes import script
from dkv.cli.output import say_if_taken as say
from dkv.cli.own import node_process
from dkv.cli.types import PathName, Whole
from dkv.client.blocking import Endpoint
from dkv.settings import LEADER, MODES, PORT_MAX
from dkv.storage.guard import private_files


@click.command(
    short_help="Run a cluster on this machine.",
    epilog="Exit status: 0 stopped by Ctrl-C, SIGTERM or SIGHUP (a second one kills the nodes), 1 a node did not start "
    "or all have ended, 2 usage.",
)
@click.option("--nodes", type=Whole(1, PEER_PORTS_FROM), help=f"How many nodes a new cluster has.  [default: {NODES}]")
@click.option(
    "--base-port",
    type=Whole(1, PORT_MAX - ADMIN_PORTS_FROM - PEER_PORTS_FROM),
    help="The first node's port for clients; the next nodes' ports follow. Those for peers are "
    f"{PEER_PORTS_FROM} above, those for operators {ADMIN_PORTS_FROM}.  [default: {BASE_PORT}]",
)
@click.option(
    "--mode",
    type=click.Choice(MODES),
    help=f"How a new cluster agrees: by a leader, or each node by itself.  [default: {LEADER}]",
)
@click.option(
    "--tls",
    is_flag=True,
    help="A new cluster has TLS on all its ports, with certificates that are made in <data-dir>/certs.",
)
@click.option("--data-dir", type=PathName(), default="data", show_default=True, help="Where everything is kept.")
@click.option("--config", type=PathName(), help="A config file to use instead of <data-dir>/cluster.toml.")
def cluster(
    nodes: int | None, base_port: int | None, mode: str | None, tls: bool, data_dir: Path, config: Path | None
) -> int:
    """Run all nodes of a cluster on this machine until Ctrl-C, and again on the same data the next time.

    The data directories are <data-dir>/node1 and so on, the logs node1.log beside them. If all are new they are
    initialised, and a config file is written to <data-dir>/cluster.toml unless --config names one. What it makes is
    for this user alone.

    What it prints is lost where nobody takes it, and the cluster runs on. For the logs logrotate needs copytruncate.
    """
    with processes.Signals() as signals, private_files():  # from here on a signal leaves nothing half done
        layout = prepare(data_dir, config, nodes, base_port, mode, tls)
        members = [node_process(layout, member.id) for member in layout.config.members]
        return processes.run(members, signals, lambda: _welcome([member.endpoint for member in members]))


def _welcome(endpoints: list[Endpoint]) -> None:
    """Say that the cluster serves, and what to type next."""
    first, second, dkv = endpoints[0], endpoints[1 % len(endpoints)], script("dkv")
    all_of_them = ",".join(map(str, endpoints))
    where = "" if all_of_them == ENDPOINTS else f" --endpoints {all_of_them}"
    say("cluster ready")
    say("")
    say("In another terminal, try")
    tls = first.access.tls
    if tls is None:
        say(f"  telnet {first.host} {first.port}            then type: PUT x 1, GET x, HELP, QUIT")
        say(f"  redis-cli -h {second.host} -p {second.port} get x")
    else:
        ca = shlex.quote(os.path.relpath(tls.ca or ""))
        where += f" --ca {ca}"
        say(f"  redis-cli --tls --cacert {ca} -h {second.host} -p {second.port} get x")
    say(f"  {dkv} put x 2{where}")
    say(f"  {dkv} get x{where}")
    say("Ctrl-C stops all nodes; the same command starts them again on the same data.")
