"""The replicated time under wrong clocks: leads and restarts, machines that sleep and nights, by random schedules.

It runs the product's own ``HeldTime`` and ``LeadTime``. Of the machines a minority has clocks that are wrong by hours,
drift and jump both ways. What must hold, whatever the schedule:

- the time never falls;
- no deadline that is set with a slot passes early: by at most ``EARLY`` of its length, and ``EARLY_MS``;
- the time is never ahead of the true one by more than right clocks may be;
- if all clocks are right, the time is the true one, after every night and sleep.

One thing is left out on purpose (``Run.misled``). If the time has fallen behind, since a wrong clock and a bare quorum
were all there was, then the nodes that were there know it, and a node that was away does not. This node with its right
clock and one with a wrong clock cannot tell, and take the right time at once. ``test_stamps`` shows it.

``python -m tests.models.stamps 2000`` runs all of it, and with each rule left out.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Mapping
from random import Random
from unittest.mock import patch

from dkv.configurations import Configuration
from dkv.paxos import held_time, lead_time
from dkv.paxos.held_time import HeldTime
from dkv.paxos.lead_time import LeadTime, reached
from tests.models.machines import MS_PER_HOUR, RIGHT_MS, Machine
from tests.models.truth import Violated

STEPS = 400
EARLY = 0.06
EARLY_MS = 2 * RIGHT_MS + held_time.KEPT_MS
AHEAD_MS = 1_000
RIGHT_TIME_MS = lead_time.LEAP_MS + 2_500

RULES = {
    "one_clock": "a lead begins at the latest time that a quorum has reached, and not by the leader's own clock",
    "median": "nor by the median of those that promised: a minority of all can be most of them",
    "walls": "acceptors go on from what they heard, and do not go by their wall clocks",
    "memory": "also across a restart",
    "own_course": "an acceptor follows a time that is behind what it holds",
    "sent": "it follows the time at which an Accept is sent: one that is sent again has an old stamp",
    "found": "a lead begins at the highest stamp that is known, or later",
    "at_once": "a lead follows the wall clocks slowly",
    "sleeps": "a leader whose machine has slept gives its lead up",
    "own_wall": "it follows the latest time that a quorum of wall clocks has reached, and not its own",
}
"""What breaks without a rule is one of the promises above."""


class _Walls(HeldTime):
    def now(self, turn: object) -> int:
        return int(turn.wall_ms)  # type: ignore[attr-defined]  # a Machine


class _Memory(HeldTime):
    def start(self, turn: object) -> None:
        pass


def _first(clocks: Mapping[int, float], configuration: Configuration) -> float | None:
    """The clock of the leader, which is the first that it counts."""
    return next(iter(clocks.values())) if reached(clocks, configuration) is not None else None


def _median(clocks: Mapping[int, float], configuration: Configuration) -> float | None:
    return sorted(clocks.values())[(len(clocks) - 1) // 2] if reached(clocks, configuration) is not None else None


class Run:
    """One random schedule; ``run`` raises ``Violated``. ``misled`` lets those meet that are told of above."""

    def __init__(self, seed: int, left_out: str = "", *, misled: bool = False) -> None:
        self.random = Random(seed)
        self.left_out = left_out
        self.misled = misled
        self.true = 1.8e12
        count = self.random.choice((3, 3, 5))
        wrong = self.random.randint(0, (count - 1) // 2)
        held = {"walls": _Walls, "memory": _Memory}.get(left_out, HeldTime)
        wrongs = self.random.sample(range(count), wrong)
        self.machines = [Machine(number, self.random, self.true, number in wrongs, held) for number in range(count)]
        self.all_right = wrong == 0
        self.nodes = Configuration(0, 1, frozenset(range(count)))
        self.leader: Machine | None = None
        self.time: LeadTime | None = None
        self.last = self.slot = self.ballot = 0
        self.chosen = (0, 0)
        self.recovered: int | None = None
        self.old: list[tuple[int, int, int]] = []
        self.earliest = float("inf")

    def run(self) -> None:
        """Everything in turn."""
        for _ in range(STEPS):
            self._pass(self.random.choice((1, 20, 300, 300, 2_000, 30_000)) * self.random.random())
            self._step()

    def _pass(self, passed_ms: float, *, asleep: bool = False) -> None:
        self.true += passed_ms
        for machine in self.machines:
            machine.pass_time(self.true, passed_ms, asleep=asleep)

    def _step(self) -> None:
        draw = self.random.random()
        wrongs = [machine for machine in self.machines if machine.wrong]
        if draw < 0.08 and wrongs:
            self.random.choice(wrongs).jump()
        elif draw < 0.16:
            self._restart(self.random.choice(self.machines))
        elif draw < 0.18:
            self._night()
        elif draw < 0.20:
            self._pass(self.random.uniform(0, 9) * MS_PER_HOUR, asleep=True)
            self.old.clear()
        elif self.time is None or draw < 0.30 or self._leapt():
            self._campaign()
        elif draw < 0.6:
            self._beat()
        else:
            self._propose()

    # --- what happens to machines ---

    def _restart(self, machine: Machine) -> None:
        """Its process ends, and perhaps begins again only later."""
        if machine is self.leader:
            self.leader = self.time = None
        if machine.up:
            machine.up = False
        else:
            machine.restart()

    def _night(self) -> None:
        """All are down."""
        self.leader = self.time = None
        for machine in self.machines:
            machine.up = False
        self._pass(self.random.uniform(0, 14) * MS_PER_HOUR)
        for machine in self.random.sample(self.machines, self.nodes.quorum):
            machine.restart()

    # --- the protocol ---

    def _leapt(self) -> bool:
        assert self.leader is not None
        assert self.time is not None
        return self.time.leapt(self.leader.now, self.leader.wall_ms) and self.left_out != "sleeps"

    def _quorum(self) -> list[Machine]:
        """The leader first, then as many others as happen to be heard; too few, perhaps."""
        ups = [machine for machine in self.machines if machine.up and machine is not self.leader]
        most = self.random.choice((self.nodes.quorum, self.nodes.quorum, len(self.machines)))
        others = self.random.sample(ups, min(most - 1, len(ups)))
        return [self.leader, *others] if self.leader is not None else []

    def _campaign(self) -> None:
        self.leader, self.time = self.random.choice(self.machines), None
        self.old.clear()  # a ballot that is overtaken gets no vote
        quorum = self._quorum()
        if not self.leader.up or len(quorum) < self.nodes.quorum or not self._may_promise(quorum):
            self.leader = None
            return
        now = self.leader.now
        clocks = {each.id: each.held.now(each) - now * 1000 for each in quorum}
        first = dict(list(clocks.items())[: self.nodes.quorum])
        self.slot, _, found = max(each.record for each in quorum)
        self.recovered = found if self.slot > self.chosen[0] else None
        self.ballot += 1
        found = 0 if self.left_out == "found" else max(found, self.last)
        rules = {"one_clock": _first, "median": _median}
        with patch.object(lead_time, "reached", rules.get(self.left_out, reached)):
            self.time = LeadTime(first, self.nodes, self.leader.wall_ms - now * 1000)
            self.time.saw(found)
            for node in list(clocks)[self.nodes.quorum :]:
                self.time.promised(node, clocks[node])

    def _may_promise(self, quorum: list[Machine]) -> bool:
        """Whether only a minority is wrong, or was away when the last slot was chosen."""
        misleading = [each for each in quorum if each.wrong or each.record[:2] < self.chosen]
        return self.misled or not any(each.wrong for each in quorum) or 2 * len(misleading) < len(self.machines)

    def _beat(self) -> None:
        """Answers to heartbeats come in."""
        assert self.leader is not None
        assert self.time is not None
        walls = {each.id: each.wall_ms - self.leader.now * 1000 - self.random.uniform(0, 50) for each in self._quorum()}
        rules = {"own_wall": _first}
        rate = 1e9 if self.left_out == "at_once" else lead_time.RATE
        with patch.object(lead_time, "reached", rules.get(self.left_out, reached)):
            self.time.clocks_are(self.leader.now, walls, self.nodes)
        with patch.object(lead_time, "RATE", rate):
            self.time.now(self.leader.now + 0.001)

    def _propose(self) -> None:
        """A slot is proposed, and accepted by those that are heard; an older Accept may come late."""
        assert self.leader is not None
        assert self.time is not None
        again = self.recovered is not None
        if self.recovered is None:
            self.slot += 1
            stamp = self.time.stamp(self.leader.now)
        else:  # It may be chosen, and keeps its stamp.
            stamp, self.recovered = self.recovered, None
        record = self.slot, self.ballot, stamp
        heard = self._quorum()[self.random.choice((0, 0, 0, 0, 1)) :]
        for machine in heard:
            self._accept(machine, record)
        if len(heard) >= self.nodes.quorum:
            self.chosen = record[:2]
            self._check(stamp, again)
        self.old = [*self.old[-5:], record]
        if self.random.random() < 0.1:
            self._accept(self.random.choice(self.machines), self.random.choice(self.old))
        if self.chosen != record[:2]:
            self.leader = self.time = None

    def _accept(self, machine: Machine, record: tuple[int, int, int]) -> None:
        assert self.leader is not None
        assert self.time is not None
        if machine.up:
            time = record[2] if self.left_out == "sent" else self.time.now(self.leader.now)
            with patch.object(held_time, "KEPT_MS", 1e18 if self.left_out == "own_course" else held_time.KEPT_MS):
                machine.accept(record, time)

    # --- what must hold ---

    def _check(self, stamp: int, again: bool) -> None:
        if stamp < self.last:
            raise Violated(f"the time falls by {self.last - stamp} ms")
        self.last = stamp
        if stamp > self.true + AHEAD_MS:
            raise Violated(f"the time is {(stamp - self.true) / 1000:.1f} s ahead")
        if self.all_right and not again and stamp < self.true - RIGHT_TIME_MS:
            raise Violated(f"the time is {(self.true - stamp) / 1000:.1f} s behind, and all clocks are right")
        # A deadline d after an earlier slot: it has passed when stamp - earlier stamp >= d.
        reach = stamp - self.true / (1 - EARLY)
        if reach > self.earliest + EARLY_MS:
            raise Violated(f"a deadline passes {(reach - self.earliest) / 1000:.1f} s early")
        if not again:  # What is proposed again was set when it was proposed first.
            self.earliest = min(self.earliest, reach)


def violations(left_out: str, seeds: Iterable[int], *, misled: bool = False) -> Iterator[tuple[int, str]]:
    """The seeds that break the promises without that rule, or with all rules if it is empty, and how."""
    for seed in seeds:
        try:
            Run(seed, left_out, misled=misled).run()
        except Violated as error:
            yield seed, str(error)


def main(runs: int) -> int:
    """Print what is found; status 1 if a promise is broken with all the rules."""
    broken = False
    for left_out in ("", *RULES):
        seed, text = next(violations(left_out, range(runs)), (-1, f"{runs} runs, nothing"))
        print(f"{left_out or 'all rules':15} {text if seed < 0 else f'run {seed}: {text}'}", flush=True)
        broken = broken or (seed >= 0 and not left_out)
    return int(broken)


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1])))
