"""The rules that make a change of members safe. R1 to R7 are about slots, the others about whom they concern."""

from __future__ import annotations

RULES = {
    "newest": "R1: slot s is decided by config(s), and not by the newest set that is known",
    "phase1_once": "R2: s is proposed once a quorum of config(s), not just of the first set, has promised the ballot",
    "beyond": "R3: s is proposed only when all slots up to s - ALPHA are applied",
    "unmerged": "R4: what a late promise reports is obeyed like what the first ones report",
    "behind": "R5: nothing is proposed at or below the highest slot that any promise reports as chosen",
    "old_confirm": "R6: a round of reads is confirmed by a quorum of config(T + 1): T slots were chosen when it began",
    "same_id": "R7: a node that lost its disk is another acceptor, with a new id",
    "standby_votes": "a vote counts only if its node is a member under config(s): others are fed, and count nowhere",
    "pending_lost": "a snapshot has the sets that are chosen and not yet in force",
    "marks_early": "the mark of a removed member's batches goes when its removal is in force, not when it is chosen",
    "late_batch": "a batch is skipped, by every learner alike, if its origin is no member under config(s)",
    "id_again": "a set with an id that was removed before has no effect, since nobody knows its batches any more",
}
