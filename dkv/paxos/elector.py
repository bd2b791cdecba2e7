"""The elector: is the leader alive, and if not, should this node's proposer run phase 1?

Paxos is safe if any node runs phase 1, and makes progress when one node alone does (Paxos Made Simple, section 2.4). To
see to that is all that an elector is for: nothing here is needed for safety, and nothing is on disk.

The leader's elector sends heartbeats, and gives up when no quorum answers. The others wait for a random time since
they last heard the leader, then poll. A candidate runs phase 1 only if a majority would grant it an election, because
nobody there hears a live leader (the pre-vote of Raft, section 9.6 of Ongaro's dissertation). Granting changes nothing
at the voter, not even a timer. Who polls, who grants and who is counted while members change is in
``dkv.paxos.electorate``; the standings of a node, and the ways between them, are in ``dkv.paxos.standing``. A leader
that goes away by itself names its successor, which needs no poll (``dkv.paxos.succession``).

Heartbeats also carry the proof that a node can serve, for which hearing the leader is not enough (B41): with each of
them the leader asks its proposer for a read barrier, and each follower learns whether its own answers arrive.
"""

from __future__ import annotations

from typing import assert_never

from dkv import noted
from dkv.actor import ELECTOR, GATEWAY, PROPOSER, RECEIVER, Address, Turn
from dkv.ballot import ZERO, Ballot
from dkv.client_events import LeaderIs, Replayed
from dkv.configurations import Configurations
from dkv.events import (
    Campaign,
    DiskMeasured,
    HandOver,
    Leading,
    MembersAre,
    PeerDown,
    PeerHeard,
    PeerUp,
    Progress,
    PromiseRaised,
    StepDown,
    Stopped,
    TimerFired,
)
from dkv.messages import Barrier, DiskSpace, Heartbeat, HeartbeatAck, Poll, PollAnswer, Resigned, TakeOver
from dkv.paxos.election_timer import ElectionTimer
from dkv.paxos.electorate import Electorate
from dkv.paxos.heartbeats import Heartbeats
from dkv.paxos.proof import Proof
from dkv.paxos.space import Space
from dkv.paxos.standing import (
    Follower,
    Leader,
    Leaderless,
    Standing,
    campaigns,
    hears_leader,
    leader_heard,
    leader_lost,
    poll_granted,
    proposer_leads,
    proposer_stopped,
)
from dkv.paxos.succession import Succession
from dkv.settings import Limits, Timings

_FromElectors = Heartbeat | HeartbeatAck | Poll | PollAnswer | Resigned | TakeOver | DiskSpace
_FromThisNode = Leading | Stopped | Barrier | PromiseRaised | Progress | Replayed | MembersAre | HandOver
_FromTheHost = PeerHeard | PeerUp | PeerDown | DiskMeasured | TimerFired
ElectorMessage = _FromElectors | _FromThisNode | _FromTheHost

HASTE_SECONDS = (0.02, 0.15)
"""How long to wait when the leader is known to be gone: long enough that two nodes seldom poll at once."""


class Elector:
    """One elector of the cluster; ``node`` is its own id."""

    def __init__(self, node: int, configurations: Configurations, limits: Limits, timings: Timings) -> None:
        self._node = node
        self._timings = timings
        self._standing: Standing = Leaderless()
        self._highest_led = ZERO
        self._electorate = Electorate(node, configurations, limits, timings)
        self._members = self._electorate.members
        self._hearing = self._electorate.hearing
        self._contenders = self._electorate.contenders
        self._grants = self._electorate.grants
        self._succession = Succession(node, self._electorate, limits, timings)
        self._boots: dict[int, int] = {}
        self._timer = ElectionTimer(timings)
        self._heartbeats = Heartbeats(node)
        self._proof = Proof()
        self._space = Space(node)

    def start(self, turn: Turn) -> None:
        """Begin to wait for a leader."""
        self._grants.start(turn.random.getrandbits(32))
        self._timer.wait_at_random(turn)
        self._hearing.start(turn)

    def receive(self, turn: Turn, sender: Address, message: ElectorMessage) -> None:
        """React to one message."""
        match message:
            case PeerHeard():
                self._on_peer_heard(turn, message)
            case Heartbeat():
                self._on_heartbeat(turn, sender, message)
            case HeartbeatAck():
                self._on_heartbeat_ack(turn, sender, message)
            case Poll():
                self._on_poll(turn, sender, message)
            case PollAnswer():
                self._on_poll_answer(turn, sender, message)
            case Resigned():
                self._on_resigned(turn, sender, message)
            case TakeOver():
                self._on_take_over(turn, sender, message)
            case DiskSpace():
                self._space.said(sender.node, message, turn.now)
            case PeerUp():
                self._on_peer_up(turn, message)
            case PeerDown():
                self._on_peer_down(turn, message)
            case DiskMeasured():
                self._space.measured(turn, message, self._members.others)
            case TimerFired():
                self._on_timer(turn, message)
            case _:
                self._receive_here(turn, message)

    def _receive_here(self, turn: Turn, message: _FromThisNode) -> None:
        """React to what another actor of this node says."""
        match message:
            case Leading():
                self._on_leading(turn, message)
            case Stopped():
                self._on_stopped(turn, message)
            case Barrier():
                self._on_barrier(turn, message)
            case PromiseRaised():
                self._on_promise_raised(turn, message)
            case Progress():
                self._electorate.progress = message
            case Replayed():
                self._on_replayed(turn)
            case MembersAre():
                self._on_members_are(turn, message)
            case HandOver():
                self._on_hand_over(turn, message)
            case _:
                assert_never(message)

    # --- following ---

    def _on_heartbeat(self, turn: Turn, sender: Address, message: Heartbeat) -> None:
        """A leader says that it is there: follow it, put the own election off, and answer."""
        ballot = message.ballot
        if ballot < self._highest_led:
            return  # It was overtaken, and learns that from the acceptors; followers must not go back to it.
        if ballot.node != sender.node:
            return  # Only the owner of a ballot leads in it.
        fresh = self._campaigns(turn.now)
        if isinstance(self._standing, Leader) or (self._standing.campaign_began is not None and not fresh):
            # A quorum promised the higher ballot. The own phase 1 may go on only while the poll behind it is fresh.
            turn.send(self._here(PROPOSER), StepDown(f"node {sender.node} leads in ballot {ballot}"))
        followed = self._standing.ballot
        self._standing = leader_heard(ballot, turn.now, self._standing.campaign_began if fresh else None)
        if ballot != followed:
            self._tell_leader(turn, ballot)
        self._space.obey(turn, message.short)
        self._timer.put_off(turn)
        turn.send(sender, HeartbeatAck(ballot, message.beat, self._electorate.chosen_through, turn.wall_ms))
        self._prove(turn, min(message.acked, message.confirmed), message.chosen_through)
        self._proof.ask(message.beat, turn.now)

    def _on_peer_heard(self, turn: Turn, message: PeerHeard) -> None:
        """Bytes of a member came in. Those of the leader stand for a heartbeat stuck behind a large frame."""
        self._hearing.signs.came(message.node, turn.now)
        standing = self._standing
        if not isinstance(standing, Follower) or standing.ballot.node != message.node:
            return
        # Not for ever: a node that stopped leading goes on talking, and its silence as a leader must be noticed.
        if turn.now - standing.beat_at < 4 * self._timings.election_seconds_max:
            standing.heard_at = turn.now
            self._timer.put_off(turn)

    def _on_peer_up(self, turn: Turn, message: PeerUp) -> None:
        """A member is connected: it hears of this leader at once. A leader that was restarted leads no more."""
        self._hearing.signs.came(message.node, turn.now)
        restarted = self._boots.get(message.node, message.boot) != message.boot
        self._boots[message.node] = message.boot
        if isinstance(self._standing, Leader):
            self._heartbeats.send(turn, self._standing, message.node)
        elif restarted and self._follows(message.node):
            self._leader_gone(turn, "it restarted")

    def _on_peer_down(self, turn: Turn, message: PeerDown) -> None:
        """No connection with a member is left: a process that was killed need not be waited for."""
        self._hearing.signs.lost(message.node)
        if isinstance(self._standing, Leader):
            self._standing.answers.lost(message.node)
        elif self._follows(message.node):
            self._leader_gone(turn, "its connection was lost")

    def _on_resigned(self, turn: Turn, sender: Address, message: Resigned) -> None:
        """A member gave its ballot up. It may be an earlier one than that in which its node leads now."""
        self._contenders.gave_up(sender.node, message.ballot)
        if isinstance(self._standing, Follower) and self._standing.ballot == message.ballot:
            self._leader_gone(turn, "it resigned")

    def _on_promise_raised(self, turn: Turn, message: PromiseRaised) -> None:
        """The own acceptor promised a ballot: its owner is about to lead, and is given the time to do so."""
        self._contenders.promised(message.ballot, turn.now)
        self._timer.put_off(turn)

    def _follows(self, node: int) -> bool:
        return isinstance(self._standing, Follower) and self._standing.ballot.node == node

    def _tell_leader(self, turn: Turn, ballot: Ballot) -> None:
        self._highest_led = ballot
        self._proof.drop()  # What was asked of another leader says nothing about this one.
        turn.note(noted.leader_elected, leader=ballot.node, ballot=ballot)
        for role in (GATEWAY, RECEIVER):
            turn.send(self._here(role), LeaderIs(ballot.node, ballot))

    def _leader_gone(self, turn: Turn, reason: str) -> None:
        """The leader that this node follows is known to be gone: poll soon."""
        assert isinstance(self._standing, Follower)
        self._tell_lost(turn, self._standing.ballot, reason)
        self._standing = leader_lost(self._standing)
        self._timer.wait(turn, turn.random.uniform(*HASTE_SECONDS))

    def _tell_lost(self, turn: Turn, leader: Ballot, reason: str) -> None:
        turn.note(noted.leader_lost, leader=leader.node, ballot=leader, reason=reason)
        turn.send(self._here(GATEWAY), LeaderIs(0, self._highest_led))

    def _hears_leader(self, now: float) -> bool:
        return hears_leader(self._standing, now, self._timings.election_seconds_min)

    # --- polling and campaigning ---

    def _on_replayed(self, turn: Turn) -> None:
        """The state is that of the log by now, so this node may campaign; at once if nobody else has a vote."""
        self._electorate.replayed = True
        if self._electorate.is_sole_voter:
            self._timer.wait(turn, 0.0)

    def _on_poll(self, turn: Turn, sender: Address, message: Poll) -> None:
        """A candidate asks for an election. A leader that asks for one leads no more, whatever is heard of it."""
        if self._follows(sender.node):
            self._leader_gone(turn, "it polls")
        turn.send(sender, PollAnswer(message.number, self._would_grant(turn.now, sender.node, message)))

    def _would_grant(self, now: float, candidate: int, poll: Poll) -> bool:
        """Whether an election would help. To answer yes binds this node to nothing."""
        if self._hears_leader(now):
            return False  # A node that alone lost the leader must not depose it (B19).
        if self._campaigns(now):
            return False  # This node is about to lead: campaigns that cross end each other.
        return self._electorate.welcomes(now, candidate, poll)

    def _poll(self, turn: Turn) -> None:
        """Nobody led for a full timeout: ask all members whether they would grant an election."""
        if isinstance(self._standing, Follower):
            self._tell_lost(turn, self._standing.ballot, f"silent for {turn.now - self._standing.heard_at:.3f} s")
            self._standing = leader_lost(self._standing)
        self._timer.wait_at_random(turn)
        if self._electorate.may_campaign:
            self._electorate.poll(turn)
            self._campaign_if_granted(turn)

    def _on_poll_answer(self, turn: Turn, sender: Address, message: PollAnswer) -> None:
        """A member answers. Answers to earlier polls are of another time, and say nothing about this one."""
        if message.granted and self._grants.add(sender.node, message.number):
            self._campaign_if_granted(turn)

    def _campaign_if_granted(self, turn: Turn) -> None:
        if isinstance(self._standing, Leader) or self._hears_leader(turn.now):
            return  # A leader was found since this node asked.
        if self._electorate.granted:
            self._grants.close()
            self._campaign(turn)

    def _campaign(self, turn: Turn) -> None:
        if not isinstance(self._standing, Leader):
            self._standing = poll_granted(self._standing, turn.now)
            turn.send(self._here(PROPOSER), Campaign())

    def _campaigns(self, now: float) -> bool:
        return campaigns(self._standing, now, self._timings.election_seconds_max)

    # --- leading ---

    def _on_leading(self, turn: Turn, message: Leading) -> None:
        """The own proposer has its quorum of Promises: tell everybody, unless a higher ballot found its leader."""
        if message.ballot < self._highest_led:
            turn.send(self._here(PROPOSER), StepDown(f"node {self._highest_led.node} leads in {self._highest_led}"))
            return
        self._standing = proposer_leads(message.ballot, self._members.others, turn.now)
        self._tell_leader(turn, message.ballot)
        self._beat(turn, self._standing)

    def _on_heartbeat_ack(self, turn: Turn, sender: Address, message: HeartbeatAck) -> None:
        """A follower answers. What it answered of an earlier lead is no support for this one."""
        standing = self._standing
        if isinstance(standing, Leader) and message.ballot == standing.ballot:
            standing.answers.came(sender.node, turn.now)
            standing.answered[sender.node] = message.beat
            standing.counts[sender.node] = message.chosen_through
            self._heartbeats.answered(turn, sender.node, message)

    def _beat(self, turn: Turn, leader: Leader) -> None:
        self._space.decide(turn, self._members.in_force.voters)
        self._heartbeats.send_all(turn, leader, self._members.others, self._space.short)
        self._proof.ask(self._heartbeats.number, turn.now)

    def _on_stopped(self, turn: Turn, message: Stopped) -> None:
        """The own proposer stopped. A leader that was overtaken by nobody in sight polls at once: see ADR 0003."""
        if isinstance(self._standing, Leader):
            self._tell_lost(turn, self._standing.ballot, "this node stepped down")
        self._standing = proposer_stopped(self._standing)
        overtaken = message.by > message.ballot
        if message.led:
            self._timer.wait_at_random(turn)
        elif overtaken:
            return  # A candidate that was overtaken has nothing to give up: the other one goes on.
        if overtaken and self._contenders.may_lead(message.by, turn.now):
            return  # Overtaking it in turn, both could go on like that for ever.
        for node in self._members.others:
            turn.send(Address(node, ELECTOR), Resigned(message.ballot))
        if overtaken and not self._hears_leader(turn.now):
            self._poll(turn)

    # --- handing the lead over ---

    def _on_members_are(self, turn: Turn, message: MembersAre) -> None:
        """The members change, or a change takes force: a leader that is no voter any more names a successor."""
        self._members.update(message)
        if isinstance(self._standing, Leader):
            self._succession.look(turn, self._standing)

    def _on_hand_over(self, turn: Turn, message: HandOver) -> None:
        """An operator wants another node to lead, or this node is about to stop. It may be asked again and again."""
        if isinstance(self._standing, Leader):
            self._succession.hand_over(turn, self._standing, message.to)

    def _on_take_over(self, turn: Turn, sender: Address, message: TakeOver) -> None:
        """The leader wants this node to lead. No other node can allow a campaign without a poll."""
        if message.ballot != self._highest_led or message.ballot.node != sender.node:
            return  # It comes late, or twice: another node has led since, or this one.
        if self._electorate.may_campaign and not self._campaigns(turn.now):
            turn.note(noted.taking_over, leader=sender.node, ballot=message.ballot)
            self._campaign(turn)

    # --- can this node serve? ---

    def _on_barrier(self, turn: Turn, message: Barrier) -> None:
        """A quorum has confirmed the ballot since heartbeat ``message.number`` was sent."""
        self._heartbeats.barrier_came(message)
        if isinstance(self._standing, Leader):
            self._prove(turn, message.number, message.through)

    def _prove(self, turn: Turn, answered: int, through: int) -> None:
        """Note that a read sent when the proof was asked for could be served now, once ``through`` is applied.

        What is heard alone proves nothing: this node's messages must have arrived, and a quorum answered (B41).
        """
        if self._proof.answered_by(answered):
            turn.note(noted.may_serve, at=self._proof.take(), through=through)

    # --- time ---

    def _on_timer(self, turn: Turn, message: TimerFired) -> None:
        """A tick, or the time for an election, which a leader has no use for."""
        if message.name == "tick":
            self._tick(turn)
            # Twice as long for a node that does not lead: it only looks at the time.
            times = 1 if isinstance(self._standing, Leader) else 2
            self._hearing.tick_in(turn, self._timings.heartbeat_seconds * times)
        elif not isinstance(self._standing, Leader) and self._timer.fired(turn):
            self._poll(turn)

    def _tick(self, turn: Turn) -> None:
        leader = self._standing if isinstance(self._standing, Leader) else None
        if self._hearing.paused(turn):
            if leader is not None:
                leader.answers.refresh(turn.now)
            self._timer.wait_at_random(turn)
        if leader is not None:
            answered = leader.answers.within(turn.now, self._timings.election_seconds_max)
            if self._electorate.supports(answered):
                self._beat(turn, leader)
                self._succession.look(turn, leader)
            else:
                turn.send(self._here(PROPOSER), StepDown("no quorum answers its heartbeats"))
        self._hearing.look(turn, self._members.in_force)

    def _here(self, role: str) -> Address:
        return Address(self._node, role)
