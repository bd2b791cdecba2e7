"""dkv member and dkv replace with real processes: from a lost disk to a cluster that may lose another one."""

from __future__ import annotations

import json
import subprocess
import sys
from threading import Event, Thread
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from dkv.client.blocking import Endpoint, NoAnswer, ServerError
from dkv.client.outcome import Unreachable
from dkv.client.session import Session
from dkv.settings import CLASSIC, LEADER
from tests.integration.processes import (
    HOST,
    RealCluster,
    RealNode,
    Refused,
    child_environment,
    free_ports,
    wait_until,
)

SECONDS = 60.0


class MemberCommandTests(SynchronousTestCase):
    """Three nodes, and those that are to join."""

    def setUp(self) -> None:
        self.joined: list[RealNode] = []

    def start(self, mode: str = LEADER) -> None:
        self.cluster = RealCluster(mode=mode)
        self.addCleanup(self.cluster.close)
        self.cluster.start()
        self.one, self.two, self.three = self.cluster.nodes
        self.asked = self.one

    def dkv(self, *words: str, status: int = 0) -> str:
        """What the command prints, which must end with this status. It is given one address."""
        command = [sys.executable, "-m", "dkv.cli.main", *words, "--endpoints", f"{HOST}:{self.asked.port}"]
        done = subprocess.run(command, capture_output=True, text=True, env=child_environment(), timeout=SECONDS)
        self.assertEqual(done.returncode, status, done.stdout + done.stderr)
        return done.stdout + done.stderr

    def new_node(self, number: int) -> RealNode:
        """A node with a config file that lists it and those before it."""
        client, peer, admin = free_ports(3)
        node = RealNode(self.cluster, number, client, peer, admin)
        node.config_path = self.cluster.directory / f"cluster{number}.toml"
        self.joined.append(node)
        tables = [
            f'[[node]]\nid = {each.number}\nclient = "{HOST}:{each.port}"\npeer = "{HOST}:{each.peer_port}"\n'
            for each in self.joined
        ]
        node.config_path.write_text("".join([self.cluster.config_path.read_text(), *tables]))
        self.addCleanup(node.kill)
        return node

    def join(self, number: int) -> RealNode:
        """A new node that runs on a directory of ``dkv init --join``, which has added it."""
        node = self.new_node(number)
        self.start_joined(node)
        return node

    def start_joined(self, node: RealNode) -> None:
        """Add a node, and start it."""
        command = [*node.init_command(), "--join", f"{HOST}:{self.asked.port}"]
        subprocess.run(command, check=True, capture_output=True, env=child_environment(), timeout=SECONDS)
        node.start()
        wait_until(lambda: self.answers(node), SECONDS, f"node {node.number} answers")

    def answers(self, node: RealNode) -> bool:
        try:
            return bool(node.call("DKV.STATUS"))
        except OSError:
            return False

    def members(self) -> dict[str, Any]:
        fields: dict[str, Any] = json.loads(self.dkv("member", "list", "--output", "json"))
        return fields

    def test_a_lost_disk(self) -> None:
        """Node 3 is gone for good, and node 4 takes its place. Clients of the nodes that stay see no error."""
        self.start()
        self.three.kill()
        wait_until(self.one.serves, SECONDS, "two of three serve")
        stop, errors = Event(), []

        def write() -> None:
            connection = self.one.connect()
            while not stop.is_set():
                try:
                    connection.call("SET", "written", "on")
                except (OSError, EOFError, Refused) as error:
                    errors.append(repr(error))
                    break
            connection.close()

        writer = Thread(target=write)
        writer.start()
        try:
            self.join(4)
            self.assertIn("you may switch off node 3", self.dkv("replace", "3"))
            self.assertIn("nothing to change", self.dkv("replace", "3"))
        finally:
            stop.set()
            writer.join()
        self.assertEqual(errors, [])
        self.assertEqual(self.members()["voters"], [1, 2, 4])
        self.two.kill()
        wait_until(self.one.serves, SECONDS, "nodes 1 and 4 serve")

    def test_a_lost_disk_of_a_machine_that_stays(self) -> None:
        """Node 4 is where node 3 was: nobody dials the lost node there, and so the new one keeps its connections."""
        self.start()
        self.three.kill()
        self.asked = self.two
        new = RealNode(self.cluster, 4, self.three.port, self.three.peer_port, self.three.admin_port)
        new.config_path = self.cluster.directory / "cluster4.toml"
        new.config_path.write_text(self.cluster.config_path.read_text().replace("id = 3", "id = 4"))
        self.addCleanup(new.kill)
        self.start_joined(new)
        self.assertIn("node 4 becomes a voter", self.dkv("replace", "3"))
        self.assertEqual(self.members()["voters"], [1, 2, 4])
        wait_until(new.serves, SECONDS, "the new node serves")
        self.assertEqual([line["peer"] for line in new.logged("peer_lost")], [])
        self.one.kill()
        self.asked = self.two
        wait_until(self.two.serves, SECONDS, "nodes 2 and 4 serve")

    def test_a_session_outlives_the_nodes_that_it_was_given(self) -> None:
        """Three nodes are replaced one by one and switched off. A client that was given only these sees no error."""
        self.start()
        session = Session([Endpoint(HOST, node.port) for node in self.cluster.nodes], 10.0)
        self.addCleanup(session.close)
        stop = Event()
        errors: list[str] = []
        count = 0

        def write() -> None:
            nonlocal count
            while not stop.is_set() and not errors:
                try:
                    session.call(b"IDMP", b"writer", b"%d" % (count + 1), b"APPEND", b"written", b"x")
                    count += 1
                except (Unreachable, NoAnswer, ServerError) as error:
                    errors.append(repr(error))

        def goes_on(before: int) -> None:
            wait_until(lambda: count >= before + 10 or errors, SECONDS, "the session goes on")
            self.assertEqual(errors, [])

        writer = Thread(target=write)
        writer.start()
        try:
            for old, number in zip(self.cluster.nodes, (4, 5, 6), strict=True):
                self.asked = self.join(number)
                self.dkv("replace", str(old.number))
                goes_on(count)
                old.stop()
                goes_on(count)
        finally:
            stop.set()
            writer.join()
        self.assertEqual(session.call(b"GET", b"written"), b"x" * count)

    def check_all_at_once(self, mode: str) -> None:
        """Three new nodes in the place of three old ones, which are switched off then."""
        self.start(mode)
        self.one.call("SET", "key", "value")
        new = [self.join(number) for number in (4, 5, 6)]
        text = self.dkv("replace", "1", "2", "3", "--with", "4", "--with", "5", "--with", "6")
        self.assertIn("you may switch off node 1", text)
        for node in self.cluster.nodes:
            node.kill()
        wait_until(lambda: all(node.serves() for node in new), SECONDS, "the new nodes serve")
        self.assertEqual([node.call("GET", "key") for node in new], [b"value"] * 3)

    def test_all_at_once(self) -> None:
        """With a leader, which hands over."""
        self.check_all_at_once(LEADER)

    def test_all_at_once_in_classic_mode(self) -> None:
        """Where nobody leads."""
        self.check_all_at_once(CLASSIC)

    def test_clients_of_a_removed_node(self) -> None:
        """They are told where to go, and the first members' addresses are in no log before the first change."""
        self.start()
        four = self.join(4)
        self.dkv("replace", "2", "--with", "4")
        refused = self.assertRaises(Refused, self.two.call, "GET", "key")
        places = ", ".join(f"{HOST}:{node.port}" for node in (self.one, self.three, four))
        self.assertIn(f"removed from the cluster; the request was not applied: send it to {places}", str(refused))

    def test_refused(self) -> None:
        """A standby that never arrives, and sets that could not work: nothing is changed."""
        self.start()
        four = self.new_node(4)
        four.make_directory_by(self.one)
        four.start()
        wait_until(lambda: self.answers(four), SECONDS, "node 4 answers")
        self.dkv("member", "add", f"{HOST}:{four.port}")
        four.kill()
        wait_until(
            lambda: "is not connected" in self.dkv("replace", "3", "--with", "4", "--dry-run", status=4),
            SECONDS,
            "node 4 is missed",
        )
        self.dkv("replace", "3", "--with", "4", "--wait", "1", status=4)
        self.assertIn("--yes", self.dkv("member", "remove", "3", status=4))
        fields = self.members()
        self.assertEqual((fields["voters"], fields["standbys"]), ([1, 2, 3], [4]))
