"""``dkv status`` says how nodes are connected with their peers."""

from __future__ import annotations

from functools import partial

from tests.cli.test_look import LookTestCase, status


class StatusPeersTests(LookTestCase):
    def test_dialled_over_tls(self) -> None:
        """Whoever switches a running cluster over sees which nodes still dial without TLS, and when none does."""
        plain, secured, lost = ({"node": 2, "tls": tls} for tls in (False, True, None))
        sees = partial(self.run_at, ["status"])
        before = sees(a=status(1, peers=[plain]), b=status(2, peers=[plain]), c=status(3, peers=[lost]))
        self.assertEqual(before.stdout.splitlines()[9:], [])
        between = sees(a=status(1, peers=[secured, lost]), b=status(4, peers=[secured, plain, plain]))
        lines = ["node 1 has dialled its peers over TLS", "node 4 has dialled nodes 2, 2 without TLS"]
        self.assertEqual(between.stdout.splitlines()[7:], lines)
        after = sees(a=status(1, peers=[secured]), b=status(3, peers=[secured]), c=status(2, peers=[lost]))
        self.assertEqual(after.stdout.splitlines()[9:], ["nodes 1, 3 have dialled their peers over TLS"])
