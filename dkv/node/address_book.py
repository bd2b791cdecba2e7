"""Where a node finds the other nodes: the log says who they are, and it or the config file where."""

from __future__ import annotations

from dkv.config.config import Config
from dkv.config.listen_endpoint import EndpointError, ListenEndpoint, client_string, shortest
from dkv.configurations import Configurations
from dkv.identity import in_words


class AddressBook:
    """The addresses that node ``node`` knows.

    An address in the log is newer than the one in the config file, which is used where the log has none. Who is a
    member is never taken from the file. There is one exception, which decides nothing: a node asks nodes of its file
    for the log (``hints``), for the members that it knows may all be gone. If the log does not name the node itself
    yet, these are all nodes of the file; else those with later ids than the log has: they may have replaced others.
    """

    def __init__(self, config: Config, node: int) -> None:
        self._node = node
        self._listed = {member.id: member for member in config.members}
        self.hints = frozenset(self._listed) - {node}
        """The other nodes of the config file."""

    def peers(self, held: Configurations, applied: int) -> dict[int, str]:
        """The client endpoint strings of the nodes to talk with, "" where nobody tells.

        The log says who they are (``Configurations.contacts``), and hints are added. At one address there is one node:
        a new node is often where another was until it lost its disk. So the latest is dialled there, and this node
        itself is nobody else.
        """
        joins = self._node not in held.known(applied) and not held.was_removed(self._node, applied)
        nodes = held.contacts(self._node, applied) | (self.hints if joins else held.later(self.hints))
        addresses = {node: self._peer(held, node) for node in sorted(nodes)}
        at = {address: node for node, address in addresses.items()} | {self._peer(held, self._node): self._node}
        return {node: address if at[address] == node else "" for node, address in addresses.items()}

    def clients(self, held: Configurations, applied: int) -> list[str]:
        """The addresses at which clients find the members, as far as they are known."""
        found = (self.client(held, node) for node in sorted(held.known(applied)))
        return [each for each in found if each]

    def client(self, held: Configurations, node: int) -> str:
        """The address of one node for clients, "" if nobody tells it."""
        record, listed = held.record(node), self._listed.get(node)
        if record is not None and record.client:
            return record.client
        return "" if listed is None else _address(listed.client)

    def client_tls(self, held: Configurations, node: int) -> str:
        """The address of one node for clients with TLS; "" if it has none, or nobody tells it.

        The log does not know which of a node's ports that is. The config file tells, while it has the same address for
        clients as the log.
        """
        record, listed = held.record(node), self._listed.get(node)
        if listed is None:
            return ""
        secured = listed.client if listed.client_is_tls else listed.client_tls
        if secured is None:
            return ""
        if record is not None and record.client not in ("", _address(listed.client)):
            return ""
        return _address(secured)

    def peer(self, held: Configurations, node: int) -> str:
        """The address of one node for its peers, as an operator writes it; "" if nobody tells it."""
        record, listed = held.record(node), self._listed.get(node)
        if record is not None and record.peer:
            return record.peer
        return "" if listed is None else _address(listed.peer)

    def difference(self, held: Configurations, applied: int) -> str | None:
        """How the nodes of the config file differ from the members, in words; None if they do not.

        It is no mistake: the file of a node that was down during a change may be the newer one, or the older.
        """
        known = held.known(applied)
        if self._node not in known or known == self._listed.keys():
            return None
        return f"the config file lists the nodes {in_words(self._listed)}, and the members are {in_words(known)}"

    def _peer(self, held: Configurations, node: int) -> str:
        text = self.peer(held, node)
        try:
            return client_string(text) if text else ""
        except EndpointError:
            return text  # Whoever dials it says that it is none.


def _address(endpoint: ListenEndpoint) -> str:
    """The address that an operator would write."""
    return shortest(endpoint) or endpoint.advertise
