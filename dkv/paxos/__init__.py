"""Paxos: one role a file. Roles react to messages and touch nothing else.

Read ``acceptor`` first: its votes are what Paxos is about. Then read ``proposer`` (phase 1) and ``leadership`` (phase
2), which ask for votes, and ``elector``, which sees to it that one proposer does. ``learner`` applies what was chosen,
and ``catchup`` fetches what was missed. The other files are parts of these.

The rules that they keep. Comments cite them by these codes; docs/known-bugs.md says more.

I1: an acceptor's promise never falls, restarts included; it votes for nothing below its promise.
I2: no Promise and no Accepted reaches anybody before what it says is on disk.
I3: one slot has at most one value in one ballot, and after a value is chosen no later ballot proposes another one.
I4: a Promise reports everything that was accepted above its ``chosen_through``.
I5: a ballot belongs to one life of one node, and is on that node's own disk before a peer hears of it.
I6: Accepts need a quorum of Promises for this very ballot, and carry the value of the highest ballot reported.
I7: what is called chosen was accepted by a majority; a mark covers only what was accepted in its own ballot.
I8: a chosen value never changes; slots are applied one after another; marks never fall.
I9: after the same slot all nodes have the same state.
I10: a batch takes effect once, and so does a write with a token.
I11: a read is served after all that was acknowledged before it, and a quorum confirmed the leader since it arrived.
I12: records are erased up to a mark on disk, and the state on disk makes up for them; nobody is told they are empty.
I13: all nodes tell the same events of keys for the same slots, each life once and in order.

The bugs that broke them, in other systems or in drafts of this one:

B1: a promise or a vote was not on disk before the reply left.
B2: a write was acknowledged before it was on a majority's disks.
B3: a ballot was used again after a restart.
B4: a late Promise of an earlier ballot was counted.
B5: accepting did not raise the promise.
B6: one variable stood for the promised and the accepted ballot.
B7: "accepted" was answered for any value at a chosen slot.
B8: the acceptor's state was written and never read back.
B9: an older state of the acceptor was written after a newer one.
B10: a deposed leader served reads.
B11: the applied mark and the data were not written together, or gaps in the log were skipped at start.
B12: a node whose disk was wiped voted again.
B13: the chosen prefix of the log was answered as "nothing accepted".
B14: a slot was applied before the one below it, or the node's own older value was taken for the chosen one.
B15: a test for duplicates dropped what was new, or was not loaded back.
B16: "is this chosen value mine?" was decided by an id that was not unique.
B17: catch-up came in one unbounded message, from the first peer only.
B19: one partly connected node forced elections without end.
B20: a node that was behind never caught up while clients wrote.
B21: a node that stood still took the others for dead.
B22: a snapshot was not the whole state as it was after one slot.
B23: an acceptor's answer reached its own proposer before the commit.
B24: a promise was stored with a slot, and a later one replaced it.
B25: a leader announced its learner's mark, which counts other ballots too.
B26: a value that came by catch-up was stored as accepted at a low ballot, and not as chosen.
B27: a proposer confirmed a round of reads in the name of its acceptor.
B28: a batch number was used again for other bytes, or was given up.
B29: state was erased at once, and the applied mark was written later.
B30: there were two ways to promise on one disk, and one did not know what the other had promised.
B31: a proposer insisted on its own value.
B32: a read index served reads that arrived after it.
B33: the members were what a node's file said.
B34: an older copy of a directory voted again.
B38: a bad replica made the good ones give up.
B41: a node was ready although it served nothing.
"""
