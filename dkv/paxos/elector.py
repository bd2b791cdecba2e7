"""The elector: is the leader alive, and if not, should this node's proposer run phase 1?

Nothing here is needed for safety, and nothing is on disk. The leader's elector sends heartbeats and gives up when no
quorum answers. The others wait for a randomised time since they last heard the leader, then poll: only a candidate
whom a majority would grant an election (nobody there hears a live leader) runs phase 1 (the pre-vote of Raft,
section 9.6 of Ongaro's dissertation). Granting changes nothing at the voter, not even a timer.

Heartbeats also carry the proof that a node can serve, to which hearing the leader is not enough (B41): with each of
them the leader asks its proposer for a read barrier, and each follower learns whether its own answers arrive.
"""

from __future__ import annotations

from collections.abc import Iterable
from math import inf
from typing import assert_never

from dkv.actor import ELECTOR, GATEWAY, PROPOSER, Address, Turn
from dkv.ballot import ZERO, Ballot
from dkv.events import (
    Campaign,
    LeaderIs,
    Leading,
    PeerDown,
    PeerHeard,
    PeerUp,
    Progress,
    PromiseRaised,
    QuorumHeard,
    StepDown,
    Stopped,
    TimerFired,
)
from dkv.messages import Barrier, BarrierRequest, Heartbeat, HeartbeatAck, Poll, PollAnswer, Resigned
from dkv.paxos.quorum import is_quorum
from dkv.settings import Limits, Timings

ElectorMessage = (
    Heartbeat
    | HeartbeatAck
    | Barrier
    | PeerHeard
    | Poll
    | PollAnswer
    | Resigned
    | Leading
    | Stopped
    | PromiseRaised
    | Progress
    | PeerUp
    | PeerDown
    | TimerFired
)

NO_BOOT = 0
"""In the barrier requests of electors, for whom nobody waits: gateways name their boot, which counts from 1."""

HASTE_SECONDS = (0.02, 0.15)
"""How long to wait when the leader is known to be gone: long enough that two nodes seldom poll at once."""


class Elector:
    """One elector of the cluster; ``node`` is its own id, ``members`` are all ids."""

    def __init__(self, node: int, members: Iterable[int], limits: Limits, timings: Timings) -> None:
        self._node = node
        self._members = tuple(sorted(members))
        self._limits = limits
        self._timings = timings
        self._chosen_through: int | None = None  # None: this node's acceptor does not vote yet
        self._leader: Ballot | None = None
        self._highest_led = ZERO
        self._leader_heard_at = 0.0
        self._leader_beat_at = 0.0
        self._leading: Ballot | None = None
        self._beat = 0
        self._acked_at: dict[int, float] = {}
        self._acked: dict[int, int] = {}  # by node, the last heartbeat of this ballot that it answered
        self._confirmed = Barrier(0, 0, 0)
        self._asked_beat = 0  # whose proof is under way; 0: none is
        self._asked_at = 0.0
        self._heard_at: dict[int, float] = {}
        self._boots: dict[int, int] = {}
        self._quorum_heard = True
        self._poll_number = 0
        self._granted: set[int] = set()
        self._campaign_began: float | None = None
        self._given_up: dict[int, Ballot] = {}
        self._promised = ZERO
        self._promised_at = -inf
        self._election_due = 0.0
        self._ticked_at = 0.0
        self._tick_seconds = timings.heartbeat_seconds  # twice that for who does not lead: it is only to see time pass

    def start(self, turn: Turn) -> None:
        """Begin to wait for a leader."""
        self._ticked_at = turn.now
        self._poll_number = turn.random.getrandbits(32)
        if len(self._members) == 1:
            self._wait(turn, 0.0)
        else:
            self._wait_at_random(turn)
        turn.set_timer("tick", self._tick_seconds)

    def receive(self, turn: Turn, sender: Address, message: ElectorMessage) -> None:
        """React to one message."""
        match message:
            case PeerHeard():
                self._on_peer_heard(turn, message)
            case Heartbeat():
                self._on_heartbeat(turn, sender, message)
            case HeartbeatAck():
                if message.ballot == self._leading:
                    self._acked_at[sender.node] = turn.now
                    self._acked[sender.node] = message.beat
            case Barrier():
                self._on_barrier(turn, message)
            case Poll():
                self._on_poll(turn, sender, message)
            case PollAnswer():
                self._on_poll_answer(turn, sender, message)
            case Resigned():
                self._on_resigned(turn, sender, message)
            case Leading():
                self._on_leading(turn, message)
            case Stopped():
                self._on_stopped(turn, message)
            case PromiseRaised():
                self._promised, self._promised_at = message.ballot, turn.now
                self._put_off(turn)
            case Progress():
                self._chosen_through = message.chosen_through
            case PeerUp():
                self._on_peer_up(turn, message)
            case PeerDown():
                self._on_peer_down(turn, message)
            case TimerFired():
                self._on_timer(turn, message)
            case _:
                assert_never(message)

    # --- following ---

    def _on_heartbeat(self, turn: Turn, sender: Address, message: Heartbeat) -> None:
        if message.ballot < self._highest_led or message.ballot.node != sender.node:
            return  # A deposed leader learns of it from the acceptors.
        if self._leading is not None or (self._campaign_began is not None and not self._campaigns(turn.now)):
            self._leading = self._campaign_began = None
            turn.send(self._here(PROPOSER), StepDown(f"node {sender.node} leads in ballot {message.ballot}"))
        self._leader_beat_at = self._leader_heard_at = turn.now
        self._follow(turn, message.ballot)
        self._put_off(turn)
        turn.send(sender, HeartbeatAck(message.ballot, message.beat))
        self._prove(turn, min(message.acked, message.confirmed), message.chosen_through)
        self._ask_proof(turn, message.beat)

    def _on_peer_heard(self, turn: Turn, message: PeerHeard) -> None:
        self._heard_at[message.node] = turn.now
        if self._leader is None or self._leader.node != message.node or self._leading is not None:
            return
        # A leader whose heartbeats are stuck behind a large frame is alive; one that only follows by now is not one.
        if turn.now - self._leader_beat_at < 4 * self._timings.election_seconds_max:
            self._leader_heard_at = turn.now
            self._put_off(turn)

    def _on_peer_up(self, turn: Turn, message: PeerUp) -> None:
        self._heard_at[message.node] = turn.now
        restarted = self._boots.get(message.node, message.boot) != message.boot
        self._boots[message.node] = message.boot
        if self._leading is not None:
            self._send_heartbeat(turn, self._leading, message.node)
        elif restarted and self._leader is not None and self._leader.node == message.node:
            self._leader_gone(turn, "it restarted")

    def _on_peer_down(self, turn: Turn, message: PeerDown) -> None:
        self._heard_at.pop(message.node, None)
        self._acked_at.pop(message.node, None)
        if self._leading is None and self._leader is not None and self._leader.node == message.node:
            self._leader_gone(turn, "its connection was lost")

    def _on_resigned(self, turn: Turn, sender: Address, message: Resigned) -> None:
        self._given_up[sender.node] = max(message.ballot, self._given_up.get(sender.node, ZERO))
        if message.ballot == self._leader and self._leading is None:
            self._leader_gone(turn, "it resigned")

    def _follow(self, turn: Turn, ballot: Ballot) -> None:
        if ballot == self._leader:
            return
        self._leader = self._highest_led = ballot
        self._asked_beat = 0  # What was asked of another leader says nothing about this one.
        turn.note("leader_elected", leader=ballot.node, ballot=ballot)
        turn.send(self._here(GATEWAY), LeaderIs(ballot.node, ballot))

    def _leader_gone(self, turn: Turn, reason: str) -> None:
        self._lose_leader(turn, reason)
        self._wait(turn, turn.random.uniform(*HASTE_SECONDS))

    def _lose_leader(self, turn: Turn, reason: str) -> None:
        assert self._leader is not None
        turn.note("leader_lost", leader=self._leader.node, ballot=self._leader, reason=reason)
        self._leader = None
        turn.send(self._here(GATEWAY), LeaderIs(0, self._highest_led))

    def _hears_leader(self, now: float) -> bool:
        if self._leading is not None:
            return True
        return self._leader is not None and now - self._leader_heard_at < self._timings.election_seconds_min

    # --- polling ---

    def _on_poll(self, turn: Turn, sender: Address, message: Poll) -> None:
        if self._leader is not None and self._leading is None and self._leader.node == sender.node:
            self._leader_gone(turn, "it polls")
        turn.send(sender, PollAnswer(message.number, self._would_grant(turn.now, sender.node, message)))

    def _would_grant(self, now: float, candidate: int, poll: Poll) -> bool:
        """Not while a leader is heard, or about to be; nor to one whose catch-up would be an outage."""
        if self._chosen_through is None or self._hears_leader(now) or self._campaigns(now):
            return False
        may_come_to_lead = self._promised.node != candidate and self._promised.node in self._heard_at
        if may_come_to_lead and now - self._promised_at < self._timings.election_seconds_min:
            return False
        return poll.chosen_through + self._limits.poll_lag_slots_max >= self._chosen_through

    def _poll(self, turn: Turn) -> None:
        if self._leader is not None:
            self._lose_leader(turn, f"silent for {turn.now - self._leader_heard_at:.3f} s")
        self._wait_at_random(turn)
        if self._chosen_through is None:
            return
        self._poll_number += 1
        self._granted = {self._node}
        for node in self._others():
            turn.send(Address(node, ELECTOR), Poll(self._poll_number, self._chosen_through))
        self._campaign_if_granted(turn)

    def _campaigns(self, now: float) -> bool:
        """Whether this node's proposer runs phase 1 on the word of a poll that is still fresh."""
        return self._campaign_began is not None and now - self._campaign_began < self._timings.election_seconds_max

    def _on_poll_answer(self, turn: Turn, sender: Address, message: PollAnswer) -> None:
        if message.number != self._poll_number or not message.granted or not self._granted:
            return
        self._granted.add(sender.node)
        self._campaign_if_granted(turn)

    def _campaign_if_granted(self, turn: Turn) -> None:
        if is_quorum(self._granted, self._members) and not self._hears_leader(turn.now):
            self._granted = set()
            self._campaign_began = turn.now
            turn.send(self._here(PROPOSER), Campaign())

    # --- leading ---

    def _on_leading(self, turn: Turn, message: Leading) -> None:
        if message.ballot < self._highest_led:
            turn.send(self._here(PROPOSER), StepDown(f"node {self._highest_led.node} leads in {self._highest_led}"))
            return
        self._leading, self._campaign_began = message.ballot, None
        self._acked_at, self._acked = dict.fromkeys(self._others(), turn.now), {}
        self._follow(turn, message.ballot)
        self._send_heartbeats(turn)

    def _send_heartbeats(self, turn: Turn) -> None:
        assert self._leading is not None
        self._beat += 1
        for node in self._others():
            self._send_heartbeat(turn, self._leading, node)
        turn.send(self._here(PROPOSER), BarrierRequest(NO_BOOT, self._beat))  # its Confirms travel with the heartbeats
        self._ask_proof(turn, self._beat)

    def _send_heartbeat(self, turn: Turn, ballot: Ballot, node: int) -> None:
        acked, confirmed = self._acked.get(node, 0), self._confirmed
        beat = Heartbeat(ballot, self._beat, acked, confirmed.number, confirmed.through)
        turn.send(Address(node, ELECTOR), beat)

    def _on_stopped(self, turn: Turn, message: Stopped) -> None:
        """The proposer stopped. A leader whom nobody in sight overtook polls at once: see ADR 0003."""
        self._leading = self._campaign_began = None
        if self._leader == message.ballot:
            self._lose_leader(turn, "this node stepped down")
        overtaken = message.by > message.ballot
        if message.led:
            self._wait_at_random(turn)
        elif overtaken:
            return
        if overtaken and self._may_lead(turn.now, message.by):
            return  # Overtaking it in turn, both could go on like that for ever.
        for node in self._others():
            turn.send(Address(node, ELECTOR), Resigned(message.ballot))
        if overtaken and not self._hears_leader(turn.now):
            self._poll(turn)

    def _may_lead(self, now: float, ballot: Ballot) -> bool:
        """Whether whoever began ``ballot`` is there and has not given it up, as far as is known."""
        heard = now - self._heard_at.get(ballot.node, -inf) < self._timings.silence_seconds
        return heard and ballot > self._given_up.get(ballot.node, ZERO)

    def _heard_by_quorum(self, now: float) -> bool:
        acked = {node for node, at in self._acked_at.items() if now - at < self._timings.election_seconds_max}
        return is_quorum(acked | {self._node}, self._members)

    # --- can this node serve? ---

    def _on_barrier(self, turn: Turn, message: Barrier) -> None:
        """A quorum has confirmed the ballot since heartbeat ``message.number`` was sent."""
        self._confirmed = message
        if self._leading is not None:
            self._prove(turn, message.number, message.through)

    def _ask_proof(self, turn: Turn, beat: int) -> None:
        """One proof at a time, of what is sent now with ``beat``: as leader, or in answer to the leader."""
        if self._asked_beat == 0:
            self._asked_beat, self._asked_at = beat, turn.now

    def _prove(self, turn: Turn, answered: int, through: int) -> None:
        """Note that a read sent when the proof was asked for could be served now, once ``through`` is applied.

        What is heard alone proves nothing: this node's messages must have arrived, and a quorum answered (B41).
        """
        if 0 < self._asked_beat <= answered:
            self._asked_beat = 0
            turn.note("may_serve", at=self._asked_at, through=through)

    # --- time ---

    def _on_timer(self, turn: Turn, message: TimerFired) -> None:
        if message.name == "tick":
            self._tick(turn)
            self._tick_seconds = self._timings.heartbeat_seconds * (1 if self._leading is not None else 2)
            turn.set_timer("tick", self._tick_seconds)
        elif self._leading is None:
            if turn.now < self._election_due:
                turn.set_timer("election", self._election_due - turn.now)
            else:
                self._poll(turn)

    def _tick(self, turn: Turn) -> None:
        late = turn.now - self._ticked_at - self._tick_seconds
        self._ticked_at = turn.now
        if late > self._timings.election_seconds_min / 2:
            self._forgive_pause(turn, late)
        if self._leading is not None:
            if self._heard_by_quorum(turn.now):
                self._send_heartbeats(turn)
            else:
                turn.send(self._here(PROPOSER), StepDown("no quorum answers its heartbeats"))
        self._watch_quorum(turn)

    def _forgive_pause(self, turn: Turn, late: float) -> None:
        """This node itself stood still: what it did not hear meanwhile says nothing about the others (B21)."""
        turn.note("paused", seconds=round(late, 3))
        self._acked_at = dict.fromkeys(self._acked_at, turn.now)
        self._heard_at = dict.fromkeys(self._heard_at, turn.now)
        self._wait_at_random(turn)

    def _watch_quorum(self, turn: Turn) -> None:
        heard = {node for node, at in self._heard_at.items() if turn.now - at < self._timings.silence_seconds}
        quorum = is_quorum(heard | {self._node}, self._members)
        if quorum != self._quorum_heard:
            self._quorum_heard = quorum
            turn.note("quorum_heard" if quorum else "quorum_lost", heard=sorted(heard))
            turn.send(self._here(GATEWAY), QuorumHeard(quorum))

    def _put_off(self, turn: Turn) -> None:
        """Someone leads: no election before a full random timeout from now. The timer finds out when it fires."""
        self._election_due = turn.now + self._random_timeout(turn)

    def _wait_at_random(self, turn: Turn) -> None:
        self._wait(turn, self._random_timeout(turn))

    def _wait(self, turn: Turn, seconds: float) -> None:
        self._election_due = turn.now + seconds
        turn.set_timer("election", seconds)

    def _random_timeout(self, turn: Turn) -> float:
        return turn.random.uniform(self._timings.election_seconds_min, self._timings.election_seconds_max)

    def _others(self) -> tuple[int, ...]:
        return tuple(node for node in self._members if node != self._node)

    def _here(self, role: str) -> Address:
        return Address(self._node, role)
