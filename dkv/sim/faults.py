"""Faults: what strikes the nodes of a run, when, and how it ends. Everything is drawn from one generator."""

from __future__ import annotations

from collections.abc import Callable, Collection
from random import Random

from dkv.actor import Address
from dkv.messages import Accept, Accepted, AcceptedSlot, AcceptSlot, Promise, PromiseSlot
from dkv.sim.clients import Crowd
from dkv.sim.network import Network
from dkv.sim.node import Node
from dkv.sim.plan import Plan
from dkv.sim.schedule import Schedule

MOMENTS = ("now", "sending", "voting", "committing", "durable")
"""When a crash happens: at once, or when the node next sends, sends a vote, begins a commit, or has one on disk."""


class Faults:
    """Strikes ``nodes`` as ``plan`` says, until ``stop``; ``lost(node)`` hears of each disk that is lost."""

    def __init__(
        self,
        schedule: Schedule,
        random: Random,
        plan: Plan,
        nodes: list[Node],
        network: Network,
        crowd: Crowd,
        leading: Collection[int],
        note: Callable[[int, str, str], None],
        lost: Callable[[int], None],
    ) -> None:
        self.slow: dict[int, float] = {}
        """How many times as long as planned the commits of a node take."""
        self._schedule = schedule
        self._random = random
        self._plan = plan
        self._nodes = nodes
        self._network = network
        self._crowd = crowd
        self._leading = leading
        self._note = note
        self._lost = lost
        self._doomed: dict[int, str] = {}
        self._contests = 0
        """How many more of those who ask for votes are cut off."""
        self._contested: list[tuple[int, int]] = []
        """The cuts of the one who is cut off for it now."""
        self._stopped = False
        self._strikes: dict[str, Callable[[Node], None]] = {
            "clock": self._leap,
            "contest": self._contest,
            "crash": self._crash,
            "flap": self._flap,
            "flipped-byte": self._flip,
            "full-disk": self._fill,
            "hang-up": self._hang_up,
            "lossy-link": self._lossy,
            "lost-disk": self._lose,
            "partition": self._partition,
            "pause": self._pause,
            "rotation": self._rotation,
            "slow-disk": self._slow,
            "stuck-disk": self._stick,
            "write-error": self._break,
        }

    def begin(self) -> None:
        """Strike now and then from now on."""
        if self._plan.strikes:
            self._schedule.after(self._random.expovariate(1 / self._plan.strike_seconds), self._strike)

    def stop(self) -> None:
        """Strike no more; nothing that lasts is undone by this."""
        self._stopped = True
        self._doomed.clear()
        self._contests = 0

    def _strike(self) -> None:
        if self._stopped:
            return
        strikes = self._plan.strikes
        kind = self._random.choices(list(strikes), list(strikes.values()))[0]
        self._strikes[kind](self._victim(0.5))
        self.begin()

    def _victim(self, bias: float) -> Node:
        """Any node, but a leader with the chance ``bias``."""
        leading = [node for node in self._nodes if node.number in self._leading]
        return self._random.choice(leading if leading and self._random.random() < bias else self._nodes)

    def _later(self, seconds: float, call: Callable[..., None], *arguments: object) -> None:
        """Undo something, unless all faults have been undone by then."""
        self._schedule.after(seconds, lambda: None if self._stopped else call(*arguments))

    def _lasting(self) -> float:
        return self._random.choice((0.05, 0.5, 1.0, 3.0, 8.0)) * self._random.uniform(0.5, 1.5)

    # --- processes ---

    def reached(self, node: Node, moment: str) -> None:
        """The node is about to do what a crash may have been waiting for."""
        if self._doomed.get(node.number) == moment and self._random.random() < 0.5:
            del self._doomed[node.number]
            self._kill(node)

    def sending(self, node: Node, to: Address, message: object) -> None:
        """The node is about to send ``message``."""
        if self._doomed:
            self.reached(node, "sending")
            if node.up and isinstance(message, Accepted | Promise | AcceptedSlot | PromiseSlot):
                self.reached(node, "voting")
        if self._contests and isinstance(message, Accept | AcceptSlot):
            self._asked(node)

    def _crash(self, node: Node) -> None:
        writing = [each for each in self._nodes if each.up and each.disk.committing]
        if writing and self._random.random() < self._plan.bias:
            node = self._random.choice(writing)
        if not node.up:
            return
        moment = self._random.choice(MOMENTS)
        if moment == "now":
            self._kill(node)
        else:
            self._doomed[node.number] = moment

    def _kill(self, node: Node) -> None:
        self._note(node.number, "crash", "kill -9")
        node.crash(keep=self._random.random() < self._plan.keep_chance)
        self.restart_later(node)

    def restart_later(self, node: Node) -> None:
        """Somebody, or systemd, starts the node again, more than once if it must be."""
        wait = self._random.expovariate(1 / self._plan.restart_seconds)
        self._later(wait, self._restart, node)

    def _restart(self, node: Node) -> None:
        if node.disk.full:
            self.restart_later(node)
        elif not node.up:
            node.start()

    def _pause(self, node: Node) -> None:
        if node.up and not node.clock.paused:
            self._note(node.number, "pause", "SIGSTOP")
            node.clock.pause()
            self._later(self._lasting(), self.resume, node)

    def resume(self, node: Node) -> None:
        """Let a paused node go on."""
        if node.up and node.clock.paused:
            self._note(node.number, "resume", "SIGCONT")
            node.resumed_at = self._schedule.now
            node.clock.resume()

    def _leap(self, node: Node) -> None:
        seconds = self._random.choice((0.3, 2.0, 3600.0))
        self._note(node.number, "leap", f"the clock leaps {seconds} s ahead")
        node.clock.leap(seconds)

    # --- disks ---

    def _slow(self, node: Node) -> None:
        self.slow[node.number] = self._random.choice((5.0, 50.0))
        self._note(node.number, "slow", f"the disk is {self.slow[node.number]:g} times slower")
        self._later(self._lasting(), self._hasten, node)

    def _hasten(self, node: Node) -> None:
        self.slow.pop(node.number, None)

    def _stick(self, node: Node) -> None:
        self._note(node.number, "stuck", "the disk finishes no commit")
        node.disk.stuck = True
        self._later(self._lasting(), node.disk.unstick)

    def _break(self, node: Node) -> None:
        self._note(node.number, "broken", "the next commit fails")
        node.disk.broken = True

    def _fill(self, node: Node) -> None:
        self._note(node.number, "full", "the disk is full")
        node.disk.full = True
        self._later(self._lasting(), self._empty, node)

    def _empty(self, node: Node) -> None:
        node.disk.full = False

    def _may_damage(self, node: Node) -> bool:
        """A minority's copies at most, and none before every member has met every other: else no cluster could help."""
        damaged = sum(each.damaged for each in self._nodes)
        met = all(each.damaged or each.members_seen() for each in self._nodes)
        return met and not node.damaged and damaged < (len(self._nodes) - 1) // 2

    def _flip(self, node: Node) -> None:
        if self._may_damage(node):
            node.damaged = True
            key = node.disk.flip(self._random)
            self._note(node.number, "flip", f"one bit of {key!r}")

    def _lose(self, node: Node) -> None:
        """The disk is replaced and initialised by somebody who knows no better."""
        if self._may_damage(node):
            self._note(node.number, "wipe", "the disk is lost and initialised anew")
            node.crash()
            node.damaged = True
            node.disk.wipe()
            self._lost(node.number)
            node.initialise()
            self.restart_later(node)

    # --- connections ---

    def _partition(self, node: Node) -> None:
        numbers = [each.number for each in self._nodes]
        kind = self._random.choice(("isolate", "isolate", "split", "bridge", "bridge", "one way", "link"))
        other = self._random.choice([number for number in numbers if number != node.number])
        if kind == "isolate":
            cuts = self._around(node)
        elif kind == "bridge":  # the other one sees both sides, which do not see each other
            cuts = [(node.number, number) for number in numbers if number not in (node.number, other)]
        elif kind == "split":
            side = set(self._random.sample(numbers, self._random.randint(1, len(numbers) - 1)))
            cuts = [(one, two) for one in numbers for two in numbers if one in side and two not in side]
        else:
            cuts = [(node.number, other)]
        if kind not in ("isolate", "one way"):
            cuts += [(two, one) for one, two in cuts]
        self._cut(cuts)
        self._later(self._lasting(), self._mend, cuts)

    def _around(self, node: Node) -> list[tuple[int, int]]:
        """Every direction to and from ``node``."""
        others = [each.number for each in self._nodes if each is not node]
        return [(node.number, other) for other in others] + [(other, node.number) for other in others]

    def _cut(self, cuts: list[tuple[int, int]]) -> None:
        for one, two in cuts:
            self._network.cut(one, two)

    def _mend(self, cuts: list[tuple[int, int]]) -> None:
        for one, two in cuts:
            self._network.mend(one, two)

    def _rotation(self, node: Node) -> None:
        """Cut off one node after the other, the leader of the moment mostly, each as the one before comes back.

        A leader that has just been elected, and has agreed on a slot or two, leaves the field to one with other
        values in the same slots.
        """
        self._rotate([], self._random.randint(2, 8), self._random.choice((0.7, 1.0, 1.5)))

    def _rotate(self, cuts: list[tuple[int, int]], times: int, seconds: float) -> None:
        self._mend(cuts)
        if times:
            cuts = self._around(self._victim(0.9))
            self._cut(cuts)
            self._later(self._random.uniform(0.5, 1.5) * seconds, self._rotate, cuts, times - 1, seconds)

    def _contest(self, node: Node) -> None:
        """Cut off each leader as it asks for votes, before, while or after it is heard, as the one before comes back.

        Each leaves a value in its own vote or in a few, which may be chosen and may not, and the next one has to tell.
        """
        self._contests = self._random.randint(2, 6)

    def _asked(self, node: Node) -> None:
        cuts = self._around(node)
        if cuts == self._contested or self._random.random() < 0.5:
            return
        self._contests -= 1
        ended, self._contested = self._contested, cuts
        delays = self._random.choice((0.0, 2.0, 8.0))
        if delays:
            self._later(delays * self._plan.weather.delay, self._replace, ended, cuts)
        else:
            self._replace(ended, cuts)  # at once: the message that is about to leave is held back
        if not self._contests:
            self._later(self._lasting(), self._mend, cuts)

    def _replace(self, ended: list[tuple[int, int]], cuts: list[tuple[int, int]]) -> None:
        self._mend(ended)
        self._cut(cuts)

    def _lossy(self, node: Node) -> None:
        other = self._random.choice([each.number for each in self._nodes if each is not node])
        self._network.lose(node.number, other, self._random.choice((0.2, 0.5, 1.0)))
        self._later(self._lasting(), self._network.lose, node.number, other, 0.0)

    def _flap(self, node: Node) -> None:
        other = self._random.choice([each.number for each in self._nodes if each is not node])
        self._toggle(node.number, other, self._random.randint(2, 20), self._random.choice((0.05, 0.3, 1.0)))

    def _toggle(self, one: int, other: int, times: int, seconds: float) -> None:
        """Cut and mend a link in turns, mended at the end."""
        for pair in ((one, other), (other, one)):
            (self._network.cut if times % 2 else self._network.mend)(*pair)
        if times:
            self._later(self._random.uniform(0.5, 1.5) * seconds, self._toggle, one, other, times - 1, seconds)

    def _hang_up(self, node: Node) -> None:
        client = self._random.choice(self._crowd.clients)
        if client.node is not None:
            self._note(0, "hang-up", f"client {client.number}")
            client.lose()
