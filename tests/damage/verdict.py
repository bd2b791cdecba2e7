"""What becomes of a damaged directory, found out without processes: thousands of places in minutes.

A directory is opened and checked as a node does at its start. Then everything in it is compared with what the intact
one held: the log key by key, and the state after the log is replayed. What the log has lost of its votes or starts
counts as detected if its peers, by what is on *their* disks, refuse the node for good.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from shutil import copytree

from dkv.configurations import first_configurations
from dkv.identity import Acquaintance, Identity, Votes
from dkv.keys import (
    APPLIED_KEYS,
    APPLIED_THROUGH,
    BOOT,
    CHOSEN_THROUGH,
    COMPACTED,
    MEMBER,
    RECORD,
    record_key,
    slot_of,
    unpack_compacted,
    unpack_number,
)
from dkv.kv.machine import Machine
from dkv.net.acquaintances import Acquaintances, Objection, hello_of
from dkv.records import unpack_record
from dkv.settings import LEADER
from dkv.storage.data_directory import DirectoryError, load_members, open_directory
from dkv.storage.lives import votes_of
from dkv.storage.log_check import check_log
from dkv.storage.store import StoreFailed
from dkv.wire.codec import decode_entries
from tests.damage.filled import CLUSTER, MEMBERS, STRUCK
from tests.turns import FakeTurn

FRAME_BYTES_MAX = 32 << 20

REFUSED = "detected at the start"
ON_READ = "detected on read"
BY_PEERS = "detected by peers"
HARMLESS = "harmless"
WRONG = "WRONG"

Pairs = dict[bytes, bytes]


@dataclass(frozen=True)
class Verdict:
    """What became of a directory: one of the kinds above, and the line that an operator reads, or what is wrong."""

    kind: str
    text: str = ""


@dataclass(frozen=True)
class Contents:
    """All that a directory holds: ``state`` with the log replayed, so that it does not matter how old it was.

    ``peers`` is what it keeps of the other members.
    """

    identity: Identity
    votes: Votes
    peers: dict[int, Acquaintance]
    log: Pairs
    state: Pairs
    through: int


def read_contents(directory: Path, node: int = STRUCK) -> Contents:
    """Open a directory as a node does, which begins a life, and read all of it; errors as of the opening."""
    store, states, identity = open_directory(str(directory), CLUSTER, node, print, MEMBERS)
    try:
        check_log(store, states.current)
        peers = load_members(store)
        log = dict(store.scan(b""))
        state = {key: value for key, value in states.current.scan(b"") if key[:1] in APPLIED_KEYS}
        votes = votes_of(store)
    finally:
        states.close()
        store.close()
    through = max(unpack_number(log.get(CHOSEN_THROUGH)), unpack_number(state.get(APPLIED_THROUGH)))
    return Contents(identity, votes, peers, log, replayed(log, state), through)


def replayed(log: Mapping[bytes, bytes], state: Mapping[bytes, bytes]) -> Pairs:
    """The state after every record of the log that follows it without a gap; marks and digest are left out."""
    turn, machine = FakeTurn(stored=dict(state)), Machine(decode_entries, first_configurations(MEMBERS))
    machine.start(turn)
    slot = unpack_number(state.get(APPLIED_THROUGH)) + 1
    while (data := log.get(record_key(slot))) is not None:
        chosen = unpack_record(data).value
        machine.begin_slot(turn, slot, chosen.time)
        for batch in chosen.batches:
            machine.apply(turn, batch, own=False)
        slot += 1
    merged = dict(state)
    for key, value in turn.staged.items():
        if value is None:
            merged.pop(key, None)
        else:
            merged[key] = value
    return {key: value for key, value in merged.items() if key[:1] in APPLIED_KEYS and len(key) > 1}


class Judge:
    """Knows what the intact directory held, and what the peers' disks keep of its node."""

    def __init__(self, kept: Path, scratch: Path) -> None:
        """``kept`` has copies of all three directories, which opening changes: ``scratch`` takes copies of them."""
        copies = {node: Path(copytree(kept / f"node{node}", scratch / f"node{node}")) for node in MEMBERS}
        self.intact = read_contents(copies[STRUCK])
        self._peers = [self._acquaintances(copies[node], node) for node in MEMBERS if node != STRUCK]

    @staticmethod
    def _acquaintances(directory: Path, node: int) -> Acquaintances:
        store, states, identity = open_directory(str(directory), CLUSTER, node, print, MEMBERS)
        try:
            known: dict[int, Acquaintance] = load_members(store)
            votes = votes_of(store)
        finally:
            states.close()
            store.close()
        me = hello_of(identity, LEADER, FRAME_BYTES_MAX, votes)
        return Acquaintances(me, [each for each in MEMBERS if each != node], known)

    def judge(self, directory: Path) -> Verdict:
        """Open the directory, and say what became of the damage. Any other error is a finding, too."""
        try:
            found = read_contents(directory)
        except DirectoryError as error:
            return self._line(REFUSED, str(error))
        except StoreFailed as error:
            return self._line(ON_READ, str(error))
        except Exception as error:  # a traceback in front of an operator
            return Verdict(WRONG, f"{type(error).__name__}: {error}")
        refusals = self.refusals(found)
        if refusals and all(each.for_good for each in refusals):
            return self._line(BY_PEERS, refusals[0].reason)
        different = self._difference(found)
        return Verdict(WRONG, different) if different else Verdict(HARMLESS)

    def refusals(self, found: Contents) -> list[Objection]:
        """What the peers have against the node that runs on what was found."""
        hello = hello_of(found.identity, LEADER, FRAME_BYTES_MAX, found.votes)
        objections = [peer.objection(hello) for peer in self._peers]
        return [each for each in objections if each is not None]

    def _line(self, kind: str, line: str) -> Verdict:
        """A line of an operator's must be one, and not a program's."""
        bad = "\n" in line or "Traceback" in line
        return Verdict(WRONG, f"not one line: {line!r}") if bad else Verdict(kind, line)

    def _difference(self, found: Contents) -> str:
        """What is not as it was, in words; empty if all that counts is."""
        intact = self.intact
        compacted = max(unpack_compacted(each.log.get(COMPACTED))[0] for each in (found, intact))
        ours, theirs = (self._counting(each.log, compacted) for each in (found, intact))
        for what, one, other in (("state", found.state, intact.state), ("log", ours, theirs)):
            changed = sorted(key for key in one.keys() | other.keys() if one.get(key) != other.get(key))
            if changed:
                return f"{len(changed)} keys of the {what} differ, such as {changed[0]!r}"
        forgotten = [
            node for node, known in intact.peers.items() if not self._still_knows(found.peers.get(node), known)
        ]
        return f"it knows other things of the nodes {forgotten}" if forgotten else ""

    @staticmethod
    def _still_knows(found: Acquaintance | None, known: Acquaintance) -> bool:
        """The same directory and life. Fewer votes are a bound that is lower, and as true."""
        if found is None:
            return False
        return replace(found, votes=known.votes) == known and known.votes.covers(found.votes)

    @staticmethod
    def _counting(log: Pairs, compacted: int) -> Pairs:
        """The keys that must not differ: marks may be older, and compacted records are nobody's."""
        passing = (BOOT, CHOSEN_THROUGH, COMPACTED)  # and what is kept of members, which is compared by its meaning
        return {
            key: value
            for key, value in log.items()
            if key not in passing and key[:1] != MEMBER and not (key[:1] == RECORD and slot_of(key) <= compacted)
        }
