"""The directories that are left of a cluster which has lost its majority for ever: what each of them holds.

Nobody can vote any more, so what the survivors hold is read from their disks, all of them at once and while none of
them can start. Not a byte of them changes.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator, Sequence
from contextlib import ExitStack, contextmanager

from dkv.configurations import Configurations, first_configurations, unpack_configurations
from dkv.keys import (
    APPLIED_THROUGH,
    CHOSEN_THROUGH,
    COMPACTED,
    CONFIGURATIONS,
    RECORD,
    record_key,
    slot_of,
    unpack_compacted,
    unpack_number,
)
from dkv.records import SlotRecord, digest_after, unpack_record
from dkv.storage.data_directory import DirectoryError, load_members, refuse_fenced
from dkv.storage.log_check import check_log
from dkv.storage.stopped import StoppedNode, stopped_node


class Survivor:
    """What the log of one stopped node holds, which was checked before.

    ``chosen_through`` is the last slot up to which all values are known here to be chosen, ``accepted_through`` the
    last one that has a record at all; ``compacted_through`` and ``applied_through`` are the node's marks.
    """

    def __init__(self, stopped: StoppedNode) -> None:
        self.stopped = stopped
        self.node = stopped.identity.node
        self.compacted_through, self._compacted_digest = unpack_compacted(stopped.log.get(COMPACTED))
        self.applied_through = unpack_number(stopped.state.get(APPLIED_THROUGH))
        self.chosen_through = max(unpack_number(stopped.log.get(CHOSEN_THROUGH)), self.applied_through)
        while (record := self.record(self.chosen_through + 1)) is not None and record.chosen:
            self.chosen_through += 1  # as the node itself would find at its next start
        self.open_slots = [slot_of(key) for key, _ in stopped.log.scan(RECORD, record_key(self.chosen_through + 1))]
        """The slots above ``chosen_through`` that have a record, in order. Gaps are normal."""
        self.accepted_through = self.open_slots[-1] if self.open_slots else self.chosen_through

    def record(self, slot: int) -> SlotRecord | None:
        """The record of a slot; None where nothing was accepted, or it is compacted."""
        data = self.stopped.log.get(record_key(slot)) if slot > self.compacted_through else None
        return None if data is None else unpack_record(data)

    def digests(self, slots: Collection[int]) -> dict[int, bytes]:
        """The digest of the log up to each of the ``slots``, without those whose digest cannot be known here."""
        found = {}
        digest, slot = self._compacted_digest, self.compacted_through
        if slot in slots:
            found[slot] = digest
        last = min(max(slots, default=0), self.chosen_through)
        for key, data in self.stopped.log.scan(RECORD, record_key(slot + 1)):
            slot = slot_of(key)
            if slot > last:
                break
            digest = digest_after(digest, unpack_record(data).value)
            if slot in slots:
                found[slot] = digest
        return found

    def members(self) -> Configurations:
        """The sets of members of the cluster, as the slots up to ``applied_through`` have made them.

        Directories of formats 1 and 2 that were never started since do not say: then it is all that were met.
        """
        stored, identity = self.stopped.state.get(CONFIGURATIONS), self.stopped.identity
        if stored is not None:
            return unpack_configurations(stored)
        return first_configurations(identity.members or {identity.node, *load_members(self.stopped.log)})


@contextmanager
def survivors_in(directories: Sequence[str]) -> Iterator[list[Survivor]]:
    """The survivors in ``directories``, by node. None of them can start meanwhile.

    ``DirectoryError``, which names the directory, if one is in use, fenced, damaged, or no data directory at all; if
    two of them belong to different clusters or to one node; also if damage is found later.
    """
    _refuse_same_path(directories)
    with ExitStack() as opened:
        found = [_checked(opened.enter_context(stopped_node(each))) for each in directories]
        for number, each in enumerate(found):
            for other in found[:number]:
                _refuse_pair(other.stopped, each.stopped)
        yield sorted(found, key=lambda each: each.node)


def _checked(stopped: StoppedNode) -> Survivor:
    try:
        refuse_fenced(stopped.log, stopped.directory)
        check_log(stopped.log, stopped.state)
    except DirectoryError as error:
        text = str(error)
        raise DirectoryError(text if stopped.directory in text else f"{stopped.directory} is damaged: {text}") from None
    return Survivor(stopped)


def _refuse_same_path(directories: Sequence[str]) -> None:
    """Before anything is locked: the second lock of one directory would look like a node that runs."""
    seen: dict[str, str] = {}
    for each in directories:
        path = os.path.realpath(each)
        if path in seen:
            raise DirectoryError(f"{seen[path]} and {each} are the same directory; name each survivor once")
        seen[path] = each


def _refuse_pair(one: StoppedNode, two: StoppedNode) -> None:
    us, them = one.identity, two.identity
    if us.cluster != them.cluster:
        raise DirectoryError(
            f"{one.directory} belongs to cluster {us.cluster!r}, {two.directory} to cluster {them.cluster!r}; "
            f"name directories of one cluster"
        )
    if us.cluster_key != them.cluster_key:
        raise DirectoryError(
            f"{one.directory} and {two.directory} have different cluster keys: they belong to two clusters named "
            f"{us.cluster!r}; name directories of one cluster"
        )
    if us.members and them.members and us.members != them.members:
        raise DirectoryError(
            f"the clusters of {one.directory} and {two.directory} began with different members; "
            f"name directories of one cluster"
        )
    if us.node == them.node:
        copies = "is a copy of the other" if us.incarnation == them.incarnation else "was made in place of the other"
        raise DirectoryError(
            f"{one.directory} and {two.directory} are both directories of node {us.node}, and one of them {copies}; "
            f"name the one that the node ran on last"
        )
