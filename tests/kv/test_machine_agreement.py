"""Two machines that apply one log have one state, whosever clients wait."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from dkv.kv.codes import APPEND
from dkv.records import Batch
from tests.kv.test_machine import ENTRIES, JUNK, SMALL, Node, batch


class AgreementTests(SynchronousTestCase):
    """Equal state on all nodes after the same slot (I9)."""

    @given(st.lists(st.tuples(SMALL, SMALL, SMALL, st.lists(st.one_of(ENTRIES, JUNK), max_size=4)), max_size=12))
    def test_two_nodes(self, log: list[tuple[int, int, int, list[Any]]]) -> None:
        """The node whose clients wait and one that only follows write the same, in the same order."""
        blobs = [str(index).encode() for index in range(len(log))]
        contents = dict(zip(blobs, (entries for *_, entries in log), strict=True))
        here, there = Node(contents.get), Node(contents.get)
        for blob, (origin, boot, seq, _) in zip(blobs, log, strict=True):
            one = Batch(origin, 9, boot, seq, blob)
            skipped = here.apply(one, own=True) is None
            self.assertEqual(there.apply(one, own=False) is None, skipped)
            self.assertEqual(list(here.turn.staged.items()), list(there.turn.staged.items()))
            self.assertEqual(here.machine.origins(), there.machine.origins())
        self.assertEqual(here.turn.stored, there.turn.stored)
        self.assertEqual((here.turn.persisted, here.turn.sent, here.turn.early), ({}, [], []))
        self.assertEqual((there.turn.notes, there.turn.measures, here.turn.notes), ([], [], []))

    def test_settings_do_not_judge(self) -> None:
        """The limit in the entry is the same on every node, whatever their configurations say."""
        entry = [APPEND, b"k", b"1234", 3]
        nodes = [Node(), Node()]
        results = [node.apply(batch([entry], 1, 1), own) for node, own in zip(nodes, (True, False), strict=True)]
        self.assertEqual(results[0], results[1])
        self.assertEqual(nodes[0].turn.stored, nodes[1].turn.stored)
