"""The operator of a soak: changes members one change after another, with the commands that people have.

A command that does not end well is given again as it was, since its message says so. It must come through once the
faults are over.
"""

from __future__ import annotations

import queue
import re
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from random import Random
from typing import Any

from tests.integration.processes import child_environment, free_ports
from tests.soak.broken import RuleBroken
from tests.soak.cluster import SoakCluster, SoakNode

DONE = 0
WRONG_COMMAND = 2
COMMAND_SECONDS_MAX = 60.0
WAIT_SECONDS = "10"
"""How long a command waits for a node or for the end of its change, before it is given again."""
ANSWER_SECONDS = "2"
AGAIN_SECONDS = 0.5

CHANGES = {"replace": 4, "replace all": 1, "grow": 2, "shrink": 4, "move": 2, "try out": 2}
"""How often each change is drawn, where it is possible. ``grow`` adds two voters, and ``shrink`` removes two; ``move``
gives a node other ports; ``try out`` adds a standby and removes it."""


def draw_change(random: Random, voters: Sequence[int], size: int) -> tuple[str, list[int]]:
    """The next change, and the voters that it is about. There are ``size`` voters, or two more."""
    possible = [name for name in CHANGES if name != ("shrink" if len(voters) <= size else "grow")]
    change = random.choices(possible, [CHANGES[name] for name in possible])[0]
    count = {"replace": 1, "replace all": len(voters), "shrink": 2, "move": 1}.get(change, 0)
    return change, sorted(random.sample(sorted(voters), count))


class Operator:
    """Works in a thread of its own, on one change at a time. ``tell`` is given what it does, line by line.

    Nodes that join are put among ``cluster.soaked``, and are started like all others. Nodes that leave stay there until
    the end of the phase, and may come back as often as faults like: they must keep quiet.
    """

    def __init__(self, cluster: SoakCluster, random: Random, tell: Callable[[str], None]) -> None:
        self.changes: Counter[str] = Counter()
        """How many changes of each kind are complete."""
        self.said = ""
        """What the last command said that did not end well."""
        self.repeated = 0
        """How often a command was given again."""
        self.voters = {node.number for node in cluster.soaked}
        self.left: list[SoakNode] = []
        """Nodes that have left, and are to be retired."""
        self._cluster = cluster
        self._size = len(self.voters)
        self._next = max(self.voters) + 1
        self._random = random
        self._tell = tell
        self._thread: threading.Thread | None = None
        self._broken: Exception | None = None
        self._closing = False
        self._errands: queue.SimpleQueue[Callable[[], None]] = queue.SimpleQueue()
        """What is to be done to nodes by the thread that starts and kills them."""

    def begin(self) -> None:
        """Begin with the next change, unless one is under way."""
        if not self.under_way:
            change, nodes = draw_change(self._random, sorted(self.voters), self._size)
            self._tell(f"members: {' '.join([change, *map(str, nodes)])}")
            self._thread = threading.Thread(target=self._work, args=(change, nodes), name="operator", daemon=True)
            self._thread.start()

    @property
    def under_way(self) -> bool:
        """Whether a change is not complete."""
        return self._thread is not None and self._thread.is_alive()

    def look(self) -> None:
        """Do what the operator wants done to nodes; raise what has ended its work."""
        while not self._errands.empty():
            self._errands.get()()
        if self._broken is not None:
            raise self._broken

    def retire(self) -> None:
        """Switch off the nodes that have left, for ever."""
        for node in self.left:
            self._cluster.retire(node)
        self.left.clear()

    def close(self) -> None:
        """Give no command any more."""
        self._closing = True
        if self._thread is not None:
            self._thread.join(COMMAND_SECONDS_MAX)

    # --- in its thread ---

    def _work(self, change: str, nodes: list[int]) -> None:
        try:
            self._carry_out(change, nodes)
            self.changes[change] += 1
        except _Closed:
            pass
        except Exception as error:  # not lost with its thread: `look` raises it
            self._broken = error

    def _carry_out(self, change: str, nodes: list[int]) -> None:
        if change in ("replace", "replace all"):
            new = [self._join() for _ in nodes]
            self._dkv("replace", *nodes, *(word for number in new for word in ("--with", number)))
            self.voters |= {*new}
            self._leave(nodes)
        elif change == "grow":
            new = [self._join(), self._join()]
            self._dkv("member", "promote", *new)
            self.voters |= {*new}
        elif change == "shrink":
            self._dkv("member", "remove", *nodes)
            self._leave(nodes)
        elif change == "move":
            self._move(self._node(nodes[0]))
        else:
            number = self._join()
            self._dkv("member", "remove", number)
            self._leave([number])

    def _join(self) -> int:
        """A new node that was added as a standby."""
        number = self._next
        self._next += 1
        node = self._cluster.make(number)
        member = self._node(min(self.voters)).real
        self._give([*node.real.init_command(), "--join", f"{member.host}:{member.port}"])
        self._cluster.soaked.append(node)
        self._dkv("member", "add", f"{node.real.host}:{node.real.port}")
        return number

    def _move(self, node: SoakNode) -> None:
        client, peer, admin = free_ports(3)
        host = node.real.host
        self._dkv("member", "move", node.number, "--peer", f"{host}:{peer}", "--client", f"{host}:{client}")

        def go() -> None:
            node.real.port, node.real.peer_port, node.real.admin_port = client, peer, admin
            self._cluster.write_config()
            node.kill()  # it is started like any that was killed

        self._errands.put(go)

    def _leave(self, nodes: Sequence[int]) -> None:
        self.voters -= {*nodes}
        self.left += map(self._node, nodes)

    def _node(self, number: int) -> SoakNode:
        return next(node for node in self._cluster.soaked if node.number == number)

    def _dkv(self, *words: Any) -> None:
        endpoints = ",".join(f"{node.real.host}:{node.real.port}" for node in self._cluster.soaked)
        options = ["--endpoints", endpoints, "--wait", WAIT_SECONDS, "--timeout", ANSWER_SECONDS]
        self._give([sys.executable, "-m", "dkv.cli.main", *map(str, words), *options])

    def _give(self, command: Sequence[str]) -> None:
        """Give a command until it ends well."""
        while True:
            done = subprocess.run(
                command,
                capture_output=True,
                text=True,
                timeout=COMMAND_SECONDS_MAX,
                env=child_environment(),
                check=False,
            )
            if done.returncode == DONE:
                return
            shown = " ".join(command[command.index("dkv.cli.main") + 1 :])
            last = (done.stderr or done.stdout).strip().rpartition("\n")[2]
            self._say(f"dkv {shown.partition(' --endpoints')[0]}: status {done.returncode}: {last}")
            if done.returncode == WRONG_COMMAND or "Traceback" in done.stderr:
                raise RuleBroken("members", self.said)
            self.repeated += 1
            time.sleep(AGAIN_SECONDS)
            if self._closing:
                raise _Closed

    def _say(self, text: str) -> None:
        """Tell of a command that did not end well, unless that is as the last time."""
        if _kind(text) != _kind(self.said):
            self._tell(text)
        self.said = text


def _kind(text: str) -> str:
    """A text without what changes from one look to the next."""
    return re.sub("[0-9.]+", "", text)


class _Closed(Exception):
    """The soak ends: the change under way is left as it is."""
