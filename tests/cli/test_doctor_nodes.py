"""``dkv doctor``: data directories that are not a node's, and nodes that do not agree."""

from __future__ import annotations

import json
import os

from dkv.cli import doctor
from dkv.client import survey
from dkv.client.admission import Tls
from dkv.client.endpoint import Endpoint
from dkv.client.survey import Answer
from dkv.storage.data_directory import initialise
from tests.certificates import Certificates
from tests.cli.commands import run
from tests.cli.test_doctor import NODE, DoctorTestCase
from tests.cli.test_look import resp
from tests.client.fakes import Answers, FakeNodes


class DirectoryTests(DoctorTestCase):
    def make(self, cluster: str = "shop", node: int = 1) -> str:
        path = str(self.folder / "data")
        initialise(path, cluster, node, [1, 2, 3], b"of all clusters ")
        return path

    def test_right(self) -> None:
        """The node's own directory, which only its user may enter."""
        self.config()
        self.assertEqual(self.texts("--node", "1", "--data-dir", self.make()), [])

    def test_wrong(self) -> None:
        """That of another node or cluster, one that is open, and none."""
        self.config(cluster="store")
        found = self.texts("--node", "2", "--data-dir", self.make())
        self.assertTrue(any("it belongs to cluster 'shop'" in line for line in found))
        self.assertTrue(any("it belongs to node 1, not to node 2" in line for line in found))
        os.chmod(self.folder / "data", 0o755)
        self.config()
        (line,) = self.texts("--node", "1", "--data-dir", str(self.folder / "data"))
        self.assertIn("other users of this machine may enter it (mode 755): chmod 700 it", line)
        (line,) = self.texts("--data-dir", str(self.folder / "none"))
        self.assertIn("there is no such directory", line)


class NodesTests(DoctorTestCase):
    MEMBERS = ({"id": 1, "kind": "voter"}, {"id": 2, "kind": "voter"})

    def status(self, node: int, **fields: object) -> bytes:
        own = {"node": node, "cluster": "shop", "mode": "leader", "version": "1", "members": self.MEMBERS}
        return resp(json.dumps(own | {"failing": {}, "warnings": [], "faults": []} | fields).encode())

    def found(self, **answers: Answers) -> list[str]:
        """What is found if nodes a, b ... answer this."""
        nodes = FakeNodes(self, **answers)
        self.patch(survey, "connect", nodes.connect)
        result = run("doctor", "--endpoints", ",".join(f"{name}:1" for name in answers), "--output", "json")
        found = [json.loads(line) for line in result.stdout.splitlines()]
        self.assertEqual(result.exit_code, int(bool(found)))
        return [f"{each['level']} {each['where']}: {each['text']}" for each in found]

    def test_well(self) -> None:
        """Nodes that agree, and warn of nothing."""
        self.assertEqual(self.found(a=self.status(1), b=self.status(2)), [])

    def test_each(self) -> None:
        """What a node says of itself: why it is not ready, what it warns of, what its config says differently."""
        failing, warnings = {"served": "nobody has answered"}, [{"name": "open", "text": "a port is open"}]
        one = self.status(
            1, failing=failing, warnings=warnings, config_differs="the file lists 4", faults=[{"node": 2}]
        )
        self.assertEqual(
            self.found(a=one, b=self.status(2), c=None, d=b"-NOAUTH Authentication required.\r\n"),
            [
                "problem nodes: cannot connect to c:1: Connection refused",
                "problem d:1: NOAUTH Authentication required. (see --user)",
                "problem node 1: it is not ready: nobody has answered",
                "problem node 1: a port is open",
                "problem node 1: the file lists 4",
                "problem node 1: a fault order is in force: dkv drop-rules clear",
            ],
        )

    def test_they_differ(self) -> None:
        """Versions, modes, clusters and members that are not the same everywhere."""
        for field, value, text in (
            ("version", "2", "not all have the same version of dkv: 1 on node 1; 2 on node 2"),
            ("mode", "classic", "not all have the same mode: leader on node 1; classic on node 2"),
            ("cluster", "other", "not all have the same cluster: shop on node 1; other on node 2"),
            (
                "members",
                [{"id": 1, "kind": "voter"}],
                "the same set of members: voter 1, voter 2 on node 1; voter 1 on",
            ),
        ):
            (found,) = self.found(a=self.status(1), b=self.status(2, **{field: value}))
            self.assertIn(text, found)

    def test_clocks(self) -> None:
        """A clock that is off lets keys expire at a wrong time once it counts."""
        leader = self.status(1, replicated_time_ms=1_795_000_000_123, clock_offset_ms={"1": 0, "2": -60_000})
        (found,) = self.found(a=leader, b=self.status(2))
        self.assertIn("the clock of node 2 is 60.0 s behind the replicated time", found)

    def test_those_of_the_config(self) -> None:
        """Without --endpoints the nodes of the config are asked; what both config and node say is said once."""
        self.config(nodes=NODE.format(id=1).replace("127.0.0.1:5001", "10.0.0.1:5001"), cluster="store")
        opened, _ = self.examined()
        warnings = [{"name": "open_client", "text": opened.text}]
        nodes = FakeNodes(self, **{"10.0.0.1": self.status(1, warnings=warnings)})
        self.patch(survey, "connect", nodes.connect)
        lines = self.doctor().stdout.splitlines()
        self.assertEqual(len(lines), 4)
        self.assertEqual(lines[0], f"problem  node 1: {opened.text}")
        self.assertIn("it belongs to cluster 'shop', and the config file is that of 'store'", lines[2])
        self.assertEqual(lines[3], "3 problems, 0 notes")

    def test_by_tls(self) -> None:
        """Nodes that take clients by TLS alone are reached all the same: the config says whom to believe."""
        made = Certificates(self.folder / "certs", "shop")
        node = NODE.format(id=1).replace("client =", "client_tls =")
        self.config(nodes=node, bottom=made.settings())
        asked: list[Endpoint] = []

        def ask(endpoints: tuple[Endpoint, ...], *_: object) -> list[list[Answer]]:
            asked.extend(endpoints)
            return []

        self.patch(doctor, "ask_all", ask)
        self.doctor()
        (endpoint,) = asked
        self.assertEqual((str(endpoint), endpoint.access.tls), ("127.0.0.1:5001", Tls(str(made.ca))))
        self.config(nodes=NODE.format(id=1) + 'client_tls = "127.0.0.1:5101"\n', bottom=made.settings())
        self.doctor()
        self.doctor("--ca", str(made.ca))
        self.assertEqual([str(each) for each in asked[1:]], ["127.0.0.1:5001", "127.0.0.1:5101"])
        pair = made.client("root")
        self.doctor("--cert", str(pair.certificate), "--key", str(pair.key))
        shown = Tls(str(made.ca), str(pair.certificate), str(pair.key))
        self.assertEqual((str(asked[3]), asked[3].access.tls), ("127.0.0.1:5101", shown))
