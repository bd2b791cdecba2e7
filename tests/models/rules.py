"""The rules that make a change of members safe. R1 to R7 are about slots, the others about whom they concern."""

from __future__ import annotations

RULES = {
    "newest": "R1: slot s is decided by config(s), and not by the newest set that is known",
    "phase1_once": "R2: s is proposed once a quorum of config(s), not just of the first set, has promised the ballot",
    "beyond": "R3: s is proposed only when all slots up to s - ALPHA are applied",
    "unmerged": "R4: what a late promise reports is obeyed like what the first ones report",
    "behind": "R5: a leader begins above all that is reported as chosen, and counts a late promise once it is there",
    "old_confirm": "R6: a round of reads is confirmed by a quorum of config(T + 1): T slots were chosen when it began",
    "unpromised_read": "and that quorum has promised the ballot, with its reports",
    "same_id": "R7: a node that lost its disk is another acceptor, with a new id",
    "met_only": "the first change writes down the incarnations of the first members: those who met them may have gone",
    "standby_votes": "a vote counts only if its node is a member under config(s): others are fed, and count nowhere",
    "pending_lost": "a snapshot has the sets that are chosen and not yet in force",
    "many_changes": "no set follows while another one is pending, or the few that are kept would not reach far enough",
    "marks_early": "the mark of a removed member's batches goes when its removal is in force, not when it is chosen",
    "late_batch": "a batch is skipped, by every learner alike, if its origin is no member under config(s)",
    "id_again": "a set with an id that was removed before has no effect, since nobody knows its batches any more",
    "refused_early": "a removed node's batches are lost when its removal is in force, and not when it is chosen",
    "refused_unseen": "and only if it has applied each slot before: a snapshot does not say which of them took effect",
    "numbered_early": "a gateway numbers batches once its node is a member: a batch that is skipped is never asked for",
    "reported_unseen": "a batch that a late promise reports is taken: its gateway may know, and send the next",
    "waits_for_ever": "a leader stops if it lacks a promise that reports more than it knows to be chosen",
    "nacks_applied": "a higher promise stops a leader if its node decides a slot that is not counted, applied or not",
    "polls_newest": "a poll asks also the set that is in force: it can have a leader that works",
    "polls_in_force": "and those that are pending: they can be in force where the leader is",
}
"""What breaks without a rule is safety, or the promise that a cluster works again once its network is whole."""
