"""An upgrade to a version with another protocol between nodes, as docs/operations.md describes it."""

from __future__ import annotations

import json
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

import dkv
from tests.integration.processes import RealCluster, RealNode, Refused, wait_until

NEWER = "import dkv.wire.codec\n\ndkv.wire.codec.PROTOCOL += 1\n"


class UpgradeTest(SynchronousTestCase):
    """Node by node, without a wait: versions never mix, whichever has a majority serves, and nothing is lost."""

    def setUp(self) -> None:
        self.cluster = RealCluster()
        self.addCleanup(self.cluster.close)
        self.cluster.start()
        place = Path(self.mktemp()).absolute()
        place.mkdir()
        (place / "sitecustomize.py").write_text(NEWER, encoding="utf-8")
        self.newer = ("env", f"PYTHONPATH={place}:{Path(dkv.__file__).parent.parent}")

    def upgrade(self, node: RealNode) -> None:
        node.stop()
        node.start(*self.newer)

    def misfits(self, node: RealNode) -> int:
        """Of how many peers the node says, as ``dkv status`` shows, that their version is another one."""
        try:
            peers = json.loads(node.call("DKV.STATUS"))["peers"]
        except OSError:
            return 0  # it does not take clients yet
        said = [str(peer["problem"]) for peer in peers]
        return sum("speaks protocol" in text and "run the same version on both" in text for text in said)

    def refuses(self, node: RealNode) -> bool:
        """Whether it refuses a write that it certainly has not proposed."""
        try:
            node.call("PUT", "alone", "x")
        except Refused as refusal:
            return str(refusal).startswith(("CLUSTERDOWN ", "TRYAGAIN "))
        return False

    def test_node_by_node(self) -> None:
        """An operator who upgrades is told in words what does not fit, and finds every write when it is done."""
        one, two, three = self.cluster.nodes
        one.call("PUT", "before", "1")
        self.upgrade(three)
        wait_until(lambda: self.misfits(three) == 2, 15.0, "the newer node says what does not fit")
        wait_until(lambda: self.misfits(one) == 1, 15.0, "so do the others")
        wait_until(one.serves, 15.0, "the older two are a majority")
        one.call("PUT", "with an older majority", "2")

        self.upgrade(two)
        wait_until(two.serves, 20.0, "the newer two are a majority")
        two.call("PUT", "with a newer majority", "3")
        wait_until(lambda: self.refuses(one), 20.0, "the older one knows that it is alone")

        self.upgrade(one)
        self.cluster.wait_ready()
        for node in self.cluster.nodes:
            values = [node.call("GET", f"with {each} majority") for each in ("an older", "a newer")]
            self.assertEqual([node.call("GET", "before"), *values], [b"1", b"2", b"3"])
            self.assertEqual(self.misfits(node), 0)
