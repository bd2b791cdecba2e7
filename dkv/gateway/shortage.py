"""A shortage of disk space: writes that grow data are refused with MISCONF, on every node alike.

The decision is the cluster's, and this node obeys it (``dkv.paxos.space``). It is applied when a write would get its
number. What has a number is served: it may be chosen at any time.
"""

from __future__ import annotations

from collections.abc import Sequence

from dkv.actor import Turn
from dkv.gateway.availability import note_refusal
from dkv.gateway.batches import Batches
from dkv.gateway.gathering import Gathering
from dkv.gateway.lanes import Lanes
from dkv.gateway.runs import Run
from dkv.kv.machine import NOT_EXECUTED
from dkv.records import ShortDisk
from dkv.replies import Error, Result
from dkv.settings import MIB


class Shortage:
    """Falsy while all disks have room."""

    def __init__(self, lanes: Lanes, batches: Batches, gathering: Gathering) -> None:
        self._lanes = lanes
        self._batches = batches
        self._gathering = gathering
        self._refusal: Error | None = None

    def __bool__(self) -> bool:
        return self._refusal is not None

    def decided(self, disks: Sequence[ShortDisk]) -> None:
        """These disks are short of space from now on; none of them, if there are none."""
        self._refusal = refusal(disks) if disks else None

    def explain(self, results: Sequence[Result]) -> list[Result]:
        """The results of a batch, where a write with a token was not executed with the words of a direct refusal."""
        assert self._refusal is not None
        return [self._refusal if result == NOT_EXECUTED else result for result in results]

    def sift(self, turn: Turn, runs: list[Run]) -> list[Run]:
        """Refuse what grows data in these runs, which are about to get a number; the runs that still need one.

        A run of which nothing is left goes with the batch all the same if its connection waits for an earlier one: it
        must not be answered first.
        """
        assert self._refusal is not None
        note_refusal(turn, self._refusal, sum([run.refuse_growth(self._refusal) for run in runs]))
        waiting = self._batches.connections()
        kept, done = [], []
        for run in runs:
            if run.entries or run.connection in waiting:
                waiting.add(run.connection)
                kept.append(run)
            else:
                done.append(run)
        self._gathering.answered(len(done), turn.now)
        self._lanes.share_out(done, [])  # lets no others go: these stall behind reads alone
        return kept


def refusal(disks: Sequence[ShortDisk]) -> Error:
    """The answer to a write that grows data: which node has too little room, and what can be done."""
    fullest = min(disks, key=lambda disk: (disk.free_bytes, disk.node))
    others = f" (and {len(disks) - 1} more)" if len(disks) > 1 else ""
    return Error(
        f"MISCONF the disk of node {fullest.node}{others} has {fullest.free_bytes / MIB:.1f} MiB free and wants"
        f" {fullest.wanted_bytes / MIB:.1f} MiB, so no node takes writes that grow data; the request was not applied:"
        " delete keys, or make room there"
    )
