"""Clients whose requests become a history, and what must hold of it: linearizable, nothing lost, no error."""

from __future__ import annotations

from pathlib import Path
from random import Random

from dkv.client.blocking import Endpoint
from dkv.sim.history import read_history
from tests.integration.processes import RealNode, wait_until
from tests.soak.journal import Journal
from tests.soak.judge import judge
from tests.soak.load import NodeClient, keys_of

PAUSE_SECONDS = 0.02
SECONDS = 30.0


class Recording:
    """Each node that is ``followed`` has a client, which asks it without an end and sees no error as long as it does.

    What all clients were told is one history, in the file ``path``.
    """

    def __init__(self, path: Path) -> None:
        self.journal = Journal(path)
        self._clients: dict[int, NodeClient] = {}
        self._left: list[NodeClient] = []

    def follow(self, *nodes: RealNode) -> None:
        """Begin to ask these nodes, which serve."""
        for node in nodes:
            endpoint = Endpoint(node.host, node.port)
            name, random = f"n{node.number}c{len(self._left) + len(self._clients)}", Random(node.number)
            client = NodeClient(name, keys_of(1), self.journal, random, PAUSE_SECONDS, endpoint)
            self._clients[node.number] = client
            client.start()

    def leave(self, *nodes: RealNode) -> None:
        """Ask these nodes no more: they may be switched off, or killed."""
        self._end([node.number for node in nodes])

    def _end(self, numbers: list[int]) -> None:
        for number in numbers:
            client = self._clients.pop(number)
            client.stop()
            assert client.join(SECONDS), f"{client.name} still waits for an answer"
            self._left.append(client)

    def wait_answers(self, count: int = 20) -> None:
        """Wait for so many more answers: the cluster serves."""
        goal = self.journal.done + count
        wait_until(lambda: self.journal.done >= goal, SECONDS, lambda: f"{count} more answers; {self.problems()}")

    def problems(self) -> str:
        """The errors that clients have seen; empty if there are none."""
        strange = [text for client in (*self._left, *self._clients.values()) for text in client.strange]
        told = [f"{count} refused: {word}" for word, count in self.journal.refused.items()]
        return "; ".join([*strange, *told, *([f"{self.journal.unknown} unknown"] if self.journal.unknown else [])])

    def stop(self) -> None:
        """End all clients. Nothing is added any more."""
        self._end([*self._clients])
        self.journal.close()

    def verdict(self) -> str:
        """Once stopped: the errors that were seen, or the first rule that broke; empty if all is well."""
        with self.journal.path.open("rb") as lines:
            return self.problems() or judge(read_history(lines))
