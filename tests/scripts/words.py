"""The words of a trace: messages, commits, notes and replies as a reader of the paper would write them.

A field that tells a reader nothing (the random number of a poll, the count of votes) has no place in them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import fields
from typing import Any

from dkv import messages, noted, pubsub_messages, state_messages
from dkv.actor import Note
from dkv.ballot import ZERO, Ballot
from dkv.keys import (
    APPLIED_THROUGH,
    CHOSEN_THROUGH,
    COMPACTED,
    GENERATION,
    PROMISE,
    RECORD,
    SLOT_PROMISE,
    slot_of,
    unpack_ballot,
    unpack_compacted,
    unpack_number,
)
from dkv.kv.codes import GET
from dkv.kv.description import describe
from dkv.kv.membership import NAME
from dkv.records import Batch, SlotRecord, UncheckedEntry, Value, unpack_record
from dkv.replies import Error, Simple
from dkv.sim.disk import Disk
from dkv.storage.state_directories import FIRST_GENERATION
from dkv.wire.codec import decode_entries

MESSAGES: dict[type, str] = {
    messages.Prepare: "{ballot} from slot {from_slot}",
    messages.Promise: "{ballot}: chosen through {chosen_through}{compacted_through}, {records}",
    messages.Nack: "{ballot}: promised {promised}",
    messages.Accept: "{ballot} slot {slot}: {value}; chosen through {chosen_through}",
    messages.Accepted: "{ballot} slot {slot}",
    messages.GiveWay: "{ballot}{compacted_through}",
    messages.ChosenOtherwise: "{ballot} slot {slot}",
    messages.ChosenMark: "{ballot} through slot {chosen_through}",
    messages.PrepareSlot: "{ballot} slot {slot}",
    messages.PromiseSlot: "{ballot} slot {slot}: {record}",
    messages.NackSlot: "{ballot} slot {slot}: promised {promised}",
    messages.AcceptSlot: "{ballot} slot {slot}: {value}",
    messages.AcceptedSlot: "{ballot} slot {slot}",
    messages.SlotSettled: "slot {slot}; chosen through {chosen_through}",
    messages.SlotChosen: "{ballot} slot {slot}",
    messages.ChosenThrough: "{through}",
    messages.Voted: "{ballot}",
    messages.Submit: "{batches}",
    messages.Want: "batch {seq}",
    messages.BarrierRequest: "{number}",
    messages.Barrier: "{number}: through slot {through}",
    messages.Confirm: "{ballot} round {round}",
    messages.Confirmed: "{ballot} round {round}",
    state_messages.ReadChosen: "from slot {from_slot}",
    state_messages.ChosenSlots: "from slot {first_slot}: {values}; chosen through {chosen_through}",
    state_messages.CompactedThrough: "{through}",
    state_messages.AppliedDigest: "through slot {through}",
    state_messages.StateCheck: "after slot {slot}",
    state_messages.StateDigest: "after slot {slot}",
    state_messages.SnapshotRequest: "chunk {chunk}",
    state_messages.SnapshotChunk: "{chunk} of the state after slot {through}: {pairs}",
    state_messages.SnapshotRefused: "{reason}",
    state_messages.SnapshotTaken: "through slot {through}",
    messages.Poll: "chosen through {chosen_through}",
    messages.PollAnswer: "{granted}",
    messages.Resigned: "{ballot}",
    messages.TakeOver: "{ballot}",
    messages.Heartbeat: "{ballot} beat {beat}",
    messages.HeartbeatAck: "{ballot} beat {beat}",
    messages.DiskSpace: "{free_bytes} bytes free",
    pubsub_messages.Published: "{number}: {postings}",
    pubsub_messages.SubscriberCounts: "{number}: {counts}",
    pubsub_messages.CountsHeard: "{number}",
}
"""The words behind the name of each message; the braces hold its fields."""

NOTES: dict[Note[...], str] = {
    noted.catchup_ended: "holds all chosen slots through {chosen_through}",
    noted.catchup_started: "fetches slots {from_slot} to {through} from node {peer}",
    noted.chosen: "knows that all slots through {through} are chosen",
    noted.compacted: "has compacted all slots through {through}",
    noted.digest_agrees: "agrees with node {peer} again",
    noted.digest_differs: "differs from node {peer} in what slot {slot} came to",
    noted.duplicates_suppressed: "executes nothing: the token was used before",
    noted.handing_over: "asks node {to} to take over from ballot {ballot}",
    noted.leader_elected: "follows node {leader} in ballot {ballot}",
    noted.leader_lost: "has no leader: {reason}",
    noted.leading: "leads in ballot {ballot}: chosen through {chosen_through}, slots to recover: {recovering}",
    noted.paused: "finds that it stood still for {seconds} s",
    noted.phase1_ended: "gives up ballot {ballot}: {reason}",
    noted.phase1_started: "campaigns in ballot {ballot}",
    noted.quorum_heard: "hears a majority again",
    noted.quorum_lost: "hears no majority any more",
    noted.snapshot_installed: "puts a snapshot in force: the state after slot {through}",
    noted.snapshot_received: "receives no more of the snapshot from node {peer}: {reason}",
    noted.snapshot_receiving: "receives a snapshot from node {peer}: the state after slot {through}",
    noted.snapshot_sending: "sends a snapshot to node {peer}: its state after slot {through}",
    noted.snapshot_sent: "sends no more of the snapshot to node {peer}: {reason}",
    noted.state_agrees: "has the state of node {peer} again",
    noted.state_differs: "has another state than node {peer} after slot {slot}",
    noted.stepped_down: "leads no more in ballot {ballot}: {reason}",
    noted.taking_over: "takes over from node {leader}",
    noted.vote_withheld: "withholds its vote in ballot {ballot}: it has not met nodes {unseen}",
    noted.voting: "has met all other nodes: it votes from now on",
}
"""The words for the notes of a node; a note that is not here is not shown."""

STORED: dict[bytes, Callable[[bytes, bytes], str]] = {
    PROMISE: lambda key, value: f"promised {_ballot(value)}",
    SLOT_PROMISE: lambda key, value: f"promised {_ballot(value)} for slot {slot_of(key)}",
    RECORD: lambda key, value: f"slot {slot_of(key)} {record(unpack_record(value))}",
    CHOSEN_THROUGH: lambda key, value: f"chosen through {unpack_number(value)}",
    GENERATION: lambda key, value: _generation(unpack_number(value)),
    COMPACTED: lambda key, value: f"compacted through {unpack_compacted(value)[0]}",
    APPLIED_THROUGH: lambda key, value: f"applied through {unpack_number(value)}",
}
"""The words for the keys of a disk, by their prefixes. A key that is not here, or has no words, is not shown."""


def message(about: Any) -> str:
    """A message in words."""
    shown = {each.name: _field(each.name, getattr(about, each.name)) for each in fields(about)}
    return f"{type(about).__name__} {MESSAGES[type(about)].format_map(shown)}"


def note(event: Note[...], about: Mapping[str, Any]) -> str | None:
    """A note in words; None if it is not worth a line."""
    template = NOTES.get(event)
    return None if template is None else template.format_map(about)


def _field(name: str, value: Any) -> Any:
    match name:
        case "compacted_through":
            return f", compacted through {value}" if value else ""
        case "granted":
            return "granted" if value else "refused"
        case "records":
            return "; ".join(f"slot {slot} {record(held)}" for slot, held in value) or "nothing above"
        case "record":
            return "nothing accepted" if value is None else record(value)
        case "value":
            return commands(value)
        case "values":
            return " | ".join(map(commands, value)) or "nothing"
        case "pairs":
            return f"{len(value)} keys" if value else "it ends"
        case "batches":
            return " + ".join(f"batch {_number(batch)}: {_batch(batch)}" for batch in value)
    return value


def _ballot(stored: bytes) -> Ballot:
    return Ballot(*unpack_ballot(stored))


def record(held: SlotRecord) -> str:
    """The record of an acceptor for a slot."""
    if held.ballot == ZERO:
        return f"learned as chosen: {commands(held.value)}"
    return f"accepted in {held.ballot}{' and chosen' if held.chosen else ''}: {commands(held.value)}"


def commands(value: Value) -> str:
    """The commands of a slot."""
    return " + ".join(map(_batch, value.batches)) or "no-op"


def writes(value: Value) -> bool:
    """Whether a slot holds commands that change something."""
    return any(entry[0] != GET for batch in value.batches for entry in decode_entries(batch.blob) or ())


def _batch(batch: Batch) -> str:
    entries = decode_entries(batch.blob)
    if entries is None:
        return "?"
    return ", ".join(map(command, entries)) or "empty batch"


def _number(batch: Batch) -> str:
    """Batches of a gateway's first life are counted, those of later ones named with the start too."""
    return f"{batch.seq}" if batch.boot == 1 else f"{batch.boot}-{batch.seq}"


def command(entry: UncheckedEntry) -> str:
    """An entry as a client typed it. That a change of members names the first ones tells a reader nothing."""
    shown = [field for field in entry if not (isinstance(field, list) and field[:1] == [NAME])]
    return b" ".join(describe(shown)).decode()


def reply(answer: Any) -> str:
    """The answer to a client."""
    match answer:
        case None:
            return "nil"
        case bytes():
            return answer.decode()
        case Simple():
            return answer.text
        case Error():
            return answer.text.partition(" ")[0]  # which tells a client what to conclude
    return str(answer)


def reason(text: str) -> str:
    """Why a node is refused or ends, without the advice to its operator."""
    return text.partition(". ")[0].partition(": it ")[0]


def commit(writes: Mapping[bytes, bytes | None]) -> str:
    """The part of a commit that matters to the protocol; empty if nothing does."""
    written = sorted((key, value) for key, value in writes.items() if value is not None)
    told = [say(key, value) for prefix, say in STORED.items() for key, value in written if key[:1] == prefix]
    return "; ".join(filter(None, told))


def disk(held: Disk) -> Iterator[str]:
    """The same of all that a disk holds: of its log, and of the state in force."""
    for prefix in STORED:
        for key, value in (*held.log.scan(prefix), *held.states.current.scan(prefix)):
            told = STORED[prefix](key, value)
            if told:
                yield told


def _generation(number: int) -> str:
    """Nothing of the first one, in which every node begins."""
    return "" if number == FIRST_GENERATION else f"the state is generation {number}"
