"""A cluster for one command, on free ports of this machine: for scenarios and benchmarks."""

from __future__ import annotations

import secrets
import signal
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from dkv.cli.layout import (
    ADMIN_PORTS_FROM,
    PEER_PORTS_FROM,
    Layout,
    check_ports,
    client_endpoint,
    local_member,
    operators_endpoint,
    prepare,
)
from dkv.cli.nodes import NodeProcess
from dkv.cli.output import Failure, Status
from dkv.config.config import Config, Member

STOP_SECONDS = 10.0
PORTS = range(20_000, 30_000)
PORT_TRIES = 20


def own_nodes(directory: Path, nodes: int, mode: str) -> list[NodeProcess]:
    """Nodes, not started, with a config and data directories in ``directory``; ``Failure`` if they cannot be made."""
    room = ADMIN_PORTS_FROM + PEER_PORTS_FROM
    for attempt in range(PORT_TRIES):
        base_port = PORTS[0] + secrets.randbelow((len(PORTS) - room) // nodes) * nodes
        try:
            layout = prepare(directory, None, nodes, base_port, mode)
        except Failure as failure:
            if failure.word != "PORT" or attempt == PORT_TRIES - 1:
                raise
            continue
        return [node_process(layout, member.id) for member in layout.config.members]
    raise Failure(Status.FAILED, "PORT", "no free ports were found")


def node_process(layout: Layout, number: int) -> NodeProcess:
    """A node of ``layout``, not started."""
    member = layout.config.member(number)
    endpoint, operators = client_endpoint(layout.config, member), operators_endpoint(layout.config, member)
    return NodeProcess(number, layout.node_arguments(number), layout.log_path(number), endpoint, operators)


def further_member(config: Config, number: int) -> Member:
    """Member ``number`` on free ports that no member of ``config`` has."""
    taken = {each.bind for member in config.members for each in member.endpoints().values()}
    for _ in range(PORT_TRIES):
        port = PORTS[0] + secrets.randbelow(len(PORTS) - ADMIN_PORTS_FROM)
        member = local_member(number, port)
        if not taken.isdisjoint(each.bind for each in member.endpoints().values()):
            continue
        try:
            check_ports(replace(config, members=(member,)))
        except Failure:
            continue
        return member
    raise Failure(Status.FAILED, "PORT", "no free ports were found")


def end(nodes: Sequence[NodeProcess]) -> None:
    """End the nodes that were started: cleanly, or by force after ``STOP_SECONDS``."""
    started = [node for node in nodes if hasattr(node, "process")]
    for node in started:
        if node.running:
            node.process.terminate()
    deadline = time.monotonic() + STOP_SECONDS
    for node in started:
        while node.running and time.monotonic() < deadline:
            time.sleep(0.01)  # between two looks
        if node.running:
            node.process.kill()
        node.process.wait()


def end_as_interrupted() -> None:
    """Let a SIGTERM, and the SIGHUP of a terminal that is closed, end the command as a Ctrl-C does."""
    signal.signal(signal.SIGTERM, interrupt)
    if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:  # as under nohup
        signal.signal(signal.SIGHUP, interrupt)


def interrupt(*_: object) -> None:
    """A signal handler: a SIGTERM ends the command as a Ctrl-C does, so that it leaves nothing behind."""
    raise KeyboardInterrupt
