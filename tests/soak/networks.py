"""The network between the nodes of a soak: packets from one node to another are lost, all of them or a share.

Each direction of each pair is by itself. In namespaces the kernel drops packets; elsewhere nodes are ordered to drop
what they write to each other, message by message (``dkv/net/fault_orders.py``).
"""

from __future__ import annotations

import subprocess
from collections.abc import Mapping, Sequence
from typing import Protocol

from tests.integration.processes import HOST, Connection, RealNode, Refused

Shares = Mapping[tuple[int, int], float]
"""By (sender, receiver), the share that is lost, above 0 and at most 1. Pairs that are not in it lose nothing."""

BRIDGE = "cluster"
SUBNET = "10.77.0"
CLIENTS = f"{SUBNET}.254"
"""The end of the bridge where the clients are."""

ORDER_SECONDS = 600
CALL_SECONDS = 1.0


class Network(Protocol):
    """How nodes are reached, and what is lost between them."""

    def add(self, number: int) -> str:
        """Make a place for node ``number``; returns its address."""

    def remove(self, number: int) -> None:
        """Node ``number`` has ended for ever."""

    def prefix(self, number: int) -> Sequence[str]:
        """The command to run node ``number`` under."""

    def lose(self, shares: Shares, nodes: Sequence[RealNode]) -> None:
        """From now on lose these shares, and nothing else; called again and again.

        ``nodes`` are those that run and can be spoken to.
        """


class Namespaces:
    """A network namespace for each node, all of them on one bridge. Clients are on the bridge, and lose nothing.

    Only to be made in a sandbox, which removes it.
    """

    def __init__(self) -> None:
        self._rules: dict[int, str] = {}
        """By node, what is dropped where it receives."""
        _run("ip", "link", "set", "lo", "up")
        _run("ip", "link", "add", BRIDGE, "type", "bridge")
        _run("ip", "address", "add", f"{CLIENTS}/24", "dev", BRIDGE)
        _run("ip", "link", "set", BRIDGE, "up")

    def add(self, number: int) -> str:
        """Make the namespace; returns its address."""
        name, port, host = f"node{number}", f"port{number}", _host(number)
        _run("ip", "netns", "add", name)
        _run("ip", "link", "add", port, "type", "veth", "peer", "name", "eth0", "netns", name)
        _run("ip", "link", "set", port, "master", BRIDGE, "up")
        _run("ip", "-n", name, "address", "add", f"{host}/24", "dev", "eth0")
        for device in ("eth0", "lo"):
            _run("ip", "-n", name, "link", "set", device, "up")
        self._rules[number] = ""
        return host

    def remove(self, number: int) -> None:
        """Remove the namespace, and its end of the bridge with it."""
        del self._rules[number]
        _run("ip", "link", "delete", f"port{number}")
        _run("ip", "netns", "delete", f"node{number}")

    def prefix(self, number: int) -> Sequence[str]:
        """The command to run a node under: ``ip`` becomes the node."""
        return ("ip", "netns", "exec", f"node{number}")

    def lose(self, shares: Shares, nodes: Sequence[RealNode]) -> None:
        """Drop packets where they arrive. All rules of a node change at one moment."""
        for receiver, before in [*self._rules.items()]:
            lines = [
                f"-A INPUT -s {_host(sender)} -m statistic --mode random --probability {share} -j DROP"
                for (sender, to), share in sorted(shares.items())
                if to == receiver
            ]
            rules = "\n".join(("*filter", ":INPUT ACCEPT", *lines, "COMMIT", ""))
            if rules != before:
                _run(*self.prefix(receiver), "iptables-restore", text=rules)
                self._rules[receiver] = rules


class Orders:
    """Nodes on this host, which are ordered to drop what they write. A node that starts anew has no orders."""

    def __init__(self) -> None:
        self._told: dict[int, tuple[int, dict[int, float]]] = {}
        """By node, its process, and what that has been told to lose, by receiver."""

    def add(self, number: int) -> str:
        """Nothing is to be made; returns the address of this host."""
        return HOST

    def remove(self, number: int) -> None:
        """Forget its orders."""
        self._told.pop(number, None)

    def prefix(self, number: int) -> Sequence[str]:
        """None: the nodes run as they are."""
        return ()

    def lose(self, shares: Shares, nodes: Sequence[RealNode]) -> None:
        """Order each of ``nodes`` anew if its orders have changed. One that does not take them is asked next time."""
        for node in nodes:
            assert node.process is not None
            orders = {receiver: share for (sender, receiver), share in shares.items() if sender == node.number}
            told = node.process.pid, orders
            if self._told.get(node.number, (node.process.pid, {})) != told and self._order(node, orders):
                self._told[node.number] = told

    def _order(self, node: RealNode, orders: Mapping[int, float]) -> bool:
        """Give a node its orders, and return whether it took all. It takes none about a node that it does not know."""
        try:
            connection = node.connect(CALL_SECONDS)
        except OSError:
            return False  # it has just been started
        try:
            connection.call("DKV.FAULT", "CLEAR")
            taken = [self._takes(connection, receiver, share) for receiver, share in orders.items()]
        except (OSError, EOFError, Refused):
            return False
        finally:
            connection.close()
        return all(taken)

    def _takes(self, connection: Connection, receiver: int, share: float) -> bool:
        try:
            connection.call("DKV.FAULT", "DROP", receiver, str(share), "FOR", ORDER_SECONDS)
        except Refused:
            return False
        return True


def _host(number: int) -> str:
    return f"{SUBNET}.{number}"


def _run(*command: str, text: str = "") -> None:
    """Run a command that must not fail; its words are in the error if it does."""
    done = subprocess.run(command, input=text, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise OSError(f"{' '.join(command)}: {done.stderr.strip() or f'status {done.returncode}'}")
