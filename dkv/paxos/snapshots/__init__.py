"""Snapshots between nodes: the state of a peer, for a node whose missing slots are in no log any more.

The **receiver** of that node asks the **donor** of a peer, chunk by chunk::

    receiver                              donor
      | SnapshotRequest(transfer, 0)        |  opens a view of its durable state, after slot S
      | ----------------------------------> |
      |    SnapshotChunk(transfer, 0, S)    |
      | <---------------------------------- |
      | writes it into a new generation     |
      | SnapshotRequest(transfer, 1)        |
      | ----------------------------------> |
      |    ...                              |
      |    SnapshotChunk without pairs      |  the view is closed soon
      | <---------------------------------- |
      | the learner puts the generation in force, in one commit
      | SnapshotTaken(transfer, S)          |  keeps the slots behind S in its log, until they are fetched
      | ----------------------------------> |

Invariants:

- A snapshot is what one view shows: every pair of it is of the same moment, after slot S exactly. All keys of the state
  are in it: values, tokens, the last batch of every origin, ``applied_through`` and the digest.
- A transfer has one donor, one view and one generation. If anything goes wrong the receiver gives up all three, and
  begins again with another donor, a new view and a new generation.
- One request is under way at a time, and it has one bounded answer. The next request says that the chunk before it is
  on the receiver's disk. So a lost message of either kind is only sent again.
- A generation is put in force only when its last chunk has come and all of it is on disk, by one commit, and only if it
  is ahead of what is applied. A crash before that commit leaves the old state in force.
- The node votes all the while: promise and records are no part of the state.
"""
