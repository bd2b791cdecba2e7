"""A soak, phase by phase: load and faults, then calm; and in the end the figures.

A phase has keys of its own. When its faults have ended, all nodes must serve and be even within a time, under load.
Then every key is read on every node, and again after the next phase, before it is erased. So what a phase wrote has
seen the faults, the compactions and the snapshots of two phases when its history is judged. Some keys, the *keepsakes*,
are written before everything and read after everything.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any

from dkv.client.blocking import Connection, Endpoint, NoAnswer, NotSent, ServerError, connect
from dkv.sim.history import Operation
from tests.soak.broken import RuleBroken
from tests.soak.cluster import SoakCluster, SoakNode
from tests.soak.court import Court
from tests.soak.faults import Fault, Weather, draw
from tests.soak.figures import DISK, MEMORY, Figures, megabytes
from tests.soak.journal import Journal
from tests.soak.load import ANSWER_SECONDS, CONNECT_SECONDS, Load, keys_of
from tests.soak.networks import Network
from tests.soak.operator import Operator
from tests.soak.watch import Watch

PHASE_SECONDS = 16.0
CALM_SECONDS_MAX = 60.0
"""So long after the last fault all nodes must serve and be even."""
LOOK_SECONDS = 0.05
SAMPLE_SECONDS = 0.5
KEEPSAKES = 2000
KEEPSAKE_BYTES = 400
DELETED_AT_ONCE = 100
NEWCOMERS = 3
"""So many nodes that join during a phase may be struck by its faults."""


@dataclass(slots=True)
class Totals:
    """What all phases together did."""

    phases: int = 0
    done: int = 0
    unknown: int = 0
    refused: int = 0
    faults: int = 0
    longest_pause: float = 0.0
    longest_calm: float = 0.0


class Soak:
    """A cluster that runs, under load and faults that are drawn from ``seed``, for ``seconds``.

    ``folder`` is where histories go, and ``tell`` is given every line to print.
    """

    def __init__(
        self, cluster: SoakCluster, network: Network, seed: int, seconds: float, tell: Callable[[str], None]
    ) -> None:
        self.totals = Totals()
        self.figures = Figures(
            [
                ("memory of the largest node", MEMORY, lambda: max(node.memory_bytes() for node in cluster.soaked)),
                ("disk of the largest node", DISK, lambda: max(node.disk_bytes() for node in cluster.soaked)),
            ]
        )
        self.court = Court()
        self.watch = Watch(cluster.soaked)
        self._cluster = cluster
        self._nodes: Sequence[SoakNode] = cluster.soaked
        self.operator = Operator(cluster, Random(f"{seed} members"), tell)
        self._weather = Weather(cluster.soaked, network, self.operator.begin, tell)
        self._seed = seed
        self._ends_at = time.monotonic() + seconds
        self._tell = tell
        self._sampled_at = 0.0

    def run(self) -> None:
        """Until the time is over; ``RuleBroken`` if a rule is broken."""
        try:
            keepsakes = [b"keepsake-%d" % index for index in range(KEEPSAKES)]
            kept = self._journal("keepsakes")
            self._write(kept, keepsakes)
            earlier: tuple[int, Journal] | None = None
            while time.monotonic() < self._ends_at:
                phase = self.totals.phases + 1
                journal = self._phase(phase)
                if earlier is not None:
                    self._close(*earlier)
                earlier = phase, journal
            if earlier is not None:
                self._close(*earlier)
            self._read(kept, keepsakes)
            kept.close()
            self.court.submit(kept.path)
            self.court.finish()
            self._judge_figures()
        finally:
            self.operator.close()
            self.court.close()

    def _endpoints(self) -> list[Endpoint]:
        """Where the members are now."""
        return [Endpoint(node.real.host, node.real.port) for node in self._nodes]

    # --- a phase ---

    def _phase(self, phase: int) -> Journal:
        """Load and faults, then calm, then a look at every key."""
        random = Random(f"{self._seed} phase {phase}")
        left = self._ends_at - time.monotonic()
        seconds = max(2.0, min(left, random.uniform(0.75, 1.25) * PHASE_SECONDS))
        numbers = [node.number for node in self._nodes]
        numbers += range(max(numbers) + 1, max(numbers) + 1 + NEWCOMERS)
        behind = random.random() < 0.5 or phase == 1
        faults = draw(random, numbers, seconds, disks=self._cluster.has_disks, behind=behind)
        self._tell(f"phase {phase}: {seconds:.0f} s, {len(faults)} faults")
        journal = self._journal(f"phase-{phase}")
        load = Load(phase, self._endpoints(), journal, random)
        try:
            self._play(faults, seconds)
            calm = self._calm_down()
        finally:
            stuck = load.stop()
        self._require_sane(load, stuck)
        self.operator.retire()
        self._read(journal, keys_of(phase))
        self._count(journal, len(faults), calm)
        return journal

    def _play(self, faults: Sequence[Fault], seconds: float) -> None:
        """Begin and end each fault at its time."""
        steps = [(fault.at, self._weather.begin, fault) for fault in faults]
        steps += [(fault.at + fault.seconds, self._weather.end, fault) for fault in faults]
        steps.sort(key=lambda step: step[0])
        began = time.monotonic()
        while time.monotonic() < began + seconds or steps:
            while steps and time.monotonic() >= began + steps[0][0]:
                _, step, fault = steps.pop(0)
                step(fault)
            self._look()
            self._weather.settle()
            time.sleep(LOOK_SECONDS)

    def _calm_down(self) -> float:
        """Wait until all members have applied what was chosen as the faults ended, and take writes; the change of
        members that is under way is complete; and each node that has left knows it.

        Returns how long that took, in seconds.
        """
        began = time.monotonic()
        target: int | None = None
        while True:
            self._look()
            self._weather.settle()
            late = time.monotonic() > began + CALM_SECONDS_MAX
            if self.operator.under_way:
                if late:
                    raise RuleBroken("members", f"a change does not come through in calm weather: {self.operator.said}")
                time.sleep(LOOK_SECONDS)
                continue
            members = [node for node in self._nodes if node not in self.operator.left]
            statuses = [node.status() for node in members]
            left = [node.status().get("member") for node in self.operator.left]
            if all(statuses):
                target = target or max(status["chosen_through"] for status in statuses)
                even = all(status["ready"] and status["applied_through"] >= target for status in statuses)
                if even and {*left} <= {"removed"} and all(node.takes_writes() for node in members):
                    self._require_members(statuses)
                    return time.monotonic() - began
            if late:
                keys = ("node", "member", "role", "leader", "chosen_through", "applied_through", "failing")
                seen = [{key: status.get(key) for key in (*keys, "catching_up")} for status in statuses]
                raise RuleBroken(
                    "recovery", f"{CALM_SECONDS_MAX:.0f} s after the last fault nodes are not even: {seen}; {left=}"
                )
            time.sleep(LOOK_SECONDS)

    def _require_members(self, statuses: Sequence[dict[str, Any]]) -> None:
        """All nodes say that the members are those whom the operator has made members."""
        for status in statuses:
            voters = {member["id"] for member in status["members"] if member["kind"] == "voter"}
            if voters != self.operator.voters or len(voters) != len(status["members"]):
                raise RuleBroken(
                    "members", f"by node {status['node']} they are {status['members']}, not {self.operator.voters}"
                )

    def _look(self) -> None:
        self.operator.look()
        self.watch.look()
        self.court.look()
        if time.monotonic() >= self._sampled_at + SAMPLE_SECONDS:
            self._sampled_at = time.monotonic()
            self.figures.sample()

    def _require_sane(self, load: Load, stuck: list[str]) -> None:
        if stuck:
            raise RuleBroken("clients", f"{', '.join(stuck)} still wait for an answer")
        strange = [text for client in load.clients for text in client.strange]
        if strange:
            raise RuleBroken("answers", f"no fault explains {strange[0]!r}")

    def _count(self, journal: Journal, faults: int, calm: float) -> None:
        """Add a phase to the totals, and print it."""
        refused = journal.refused.total()
        totals = self.totals
        totals.phases += 1
        totals.done += journal.done
        totals.unknown += journal.unknown
        totals.refused += refused
        totals.faults += faults
        totals.longest_pause = max(totals.longest_pause, journal.longest_pause)
        totals.longest_calm = max(totals.longest_calm, calm)
        memory = " ".join(f"{node.memory_bytes() >> 20}" for node in self._nodes)
        disk = " ".join(megabytes(node.disk_bytes()).removesuffix(" MiB") for node in self._nodes)
        words = ", ".join(f"{word} {count}" for word, count in journal.refused.most_common())
        self._tell(
            f"phase {totals.phases} done: {journal.done:,} answered, {journal.unknown} unknown, {refused} refused"
            f"{f' ({words})' if words else ''}; longest pause of writes {journal.longest_pause:.1f} s, even after"
            f" {calm:.1f} s; {len(self._nodes)} members, memory {memory} MiB, disk {disk} MiB"
        )

    def _close(self, phase: int, journal: Journal) -> None:
        """Read the keys of an earlier phase once more, judge its history, and erase them."""
        keys = keys_of(phase)
        self._read(journal, keys)
        journal.close()
        self.court.submit(journal.path)
        with self._connect(self._endpoints()[0]) as connection:
            for start in range(0, len(keys), DELETED_AT_ONCE):
                connection.call(b"DELETE", *keys[start : start + DELETED_AT_ONCE])

    # --- reading and writing while nothing is wrong ---

    def _journal(self, name: str) -> Journal:
        return Journal(Path(self._cluster.directory) / f"{name}.jsonl")

    def _connect(self, endpoint: Endpoint) -> Connection:
        return connect(endpoint, CONNECT_SECONDS, 2 * ANSWER_SECONDS)

    def _write(self, journal: Journal, keys: Iterable[bytes]) -> None:
        with self._connect(self._endpoints()[0]) as connection:
            for key in keys:
                value = key + b" " + b"x" * KEEPSAKE_BYTES
                called = time.monotonic()
                connection.call(b"PUT", key, value)
                journal.add(Operation("keeper", "put", key, (value,), called, time.monotonic()))

    def _read(self, journal: Journal, keys: Sequence[bytes]) -> None:
        """Read every key on every node. All of them serve, so each must answer."""
        for node, endpoint in zip(self._nodes, self._endpoints(), strict=True):
            try:
                with self._connect(endpoint) as connection:
                    for key in keys:
                        called = time.monotonic()
                        value = connection.call(b"GET", key)
                        assert value is None or isinstance(value, bytes), f"GET was answered {value!r:.60}"
                        reader = f"reader-{node.number}"
                        journal.add(Operation(reader, "get", key, (), called, time.monotonic(), value))
            except (NotSent, NoAnswer, ServerError) as error:
                raise RuleBroken("calm", f"node {node.number} did not answer a read in calm weather: {error}") from None

    # --- the end ---

    def _judge_figures(self) -> None:
        grown = [series.grows() for series in self.figures.series]
        if any(grown):
            raise RuleBroken("flat", "; ".join(filter(None, grown)))

    def summary(self) -> list[str]:
        """The figures of all, a line each."""
        totals = self.totals
        events: Counter[str] = self.watch.events
        changes: Counter[str] = self.operator.changes
        told = ("leader_elected", "catchup_started", "snapshot_receiving", "snapshot_installed", "paused")
        return [
            f"{totals.phases} phases, {totals.faults} faults, {self.watch.ended} ends of nodes on full disks",
            f"{changes.total()} changes of members ({', '.join(f'{name} {count}' for name, count in changes.items())}),"
            f" whose commands were given again {self.operator.repeated} times",
            f"{totals.done:,} operations answered, {totals.unknown:,} of unknown outcome, {totals.refused:,} refused",
            f"longest pause of acknowledged writes {totals.longest_pause:.1f} s, longest time to be even again"
            f" {totals.longest_calm:.1f} s",
            f"{self.court.judged} histories judged, {len(self.court.undecided)} of them undecided",
            "log lines: " + ", ".join(f"{name} {events[name]}" for name in told),
            *map(str, self.figures.series),
        ]
