"""Strangers at every port of a real cluster, in every state before a node knows them, while its users are served.

``python -m tests.siege`` is the long form, with a hundred thousand of each kind.
"""

from __future__ import annotations

from collections.abc import Sequence

from twisted.trial.unittest import SynchronousTestCase

from tests.integration.processes import Connection, Refused
from tests.siege.beginnings import ADMIN_TLS, BEGINNINGS, CLIENT_TLS, PEER
from tests.siege.besieged import Assault, assail
from tests.siege.fortress import APP, PASSWORDS, ROOT, SECRET, TOKEN, Fortress, FortressNode
from tests.siege.outside import Door

STRANGERS = 40
"""Of each kind: together more than a thousand."""


class SiegeTest(SynchronousTestCase):
    """Whoever can reach a port stops a user's cluster, with nothing but patience, if this fails."""

    def setUp(self) -> None:
        self.fortress = Fortress(peers="allow")
        self.addCleanup(self.fortress.close)
        self.fortress.start()

    def test_strangers_at_every_port(self) -> None:
        """All of them at once at the leader: deadlines end each, and no user fails or waits for long."""
        node = self.fortress.fortress_nodes[self.fortress.leader().number - 1]
        assaults = [
            Assault(node, node.host, node.port_of(kind), kind, name, STRANGERS, STRANGERS)
            for kind, beginnings in BEGINNINGS.items()
            for name in beginnings
        ]
        outcome = assail(assaults, self.fortress.users())
        self.assertEqual(list(outcome.broken()), [], "\n".join(outcome.lines()))
        self.assertEqual({seen.closed + seen.refused for _, seen in outcome.assaults}, {STRANGERS})
        self.assertGreater(outcome.service.requests, 100)
        node.stop()
        self.assertEqual(node.logged("uncaught"), [])

    def test_what_a_scanner_finds(self) -> None:
        """No port takes what is broken: an old version, a weak cipher, a new handshake within, a session once more.

        A session that is taken up again would bring in a client whose certificate was revoked meanwhile.
        """
        node = self.fortress.fortress_nodes[0]
        pair = self.fortress.certificates.node(2, "look")
        for kind, shown in (
            (CLIENT_TLS, ()),
            (ADMIN_TLS, ()),
            (PEER, ("-cert", str(pair.certificate), "-key", str(pair.key))),
        ):
            door = Door(node.host, node.port_of(kind), self.fortress.certificates.ca, shown)
            versions = door.versions()
            self.assertEqual([each for each in versions if versions[each].startswith("refused")], ["tls1", "tls1_1"])
            for cipher in door.ciphers():
                self.assertRegex(cipher, "^ECDHE-ECDSA-(AES[0-9]+-GCM|CHACHA20)-")
            self.assertFalse(door.renegotiates())
            self.assertEqual((door.resumed("tls1_2"), door.resumed("tls1_3")), (0, 0))
            turned_away = [end.startswith("refused") for end in door.strangers().values()]
            self.assertEqual(turned_away, 2 * [kind == PEER])

    def test_no_way_around_the_gate(self) -> None:
        """Requests that are sent at once are each judged by whom the client is at that point, whatever surrounds them.

        Nor does a wrong or a right password show anywhere afterwards.
        """
        node = self.fortress.fortress_nodes[0]
        root = node.connect()
        self.addCleanup(root.close)
        root.call("SET", "secret", "untouched")
        app, admin = ("AUTH", APP, PASSWORDS[APP]), ("AUTH", ROOT, PASSWORDS[ROOT])
        theft, whoami = ("SET", "secret", "stolen"), ("ACL", "WHOAMI")
        denied, key = "NOAUTH Authentication required.", "NOPERM No permissions to access a key"
        for requests, answers in (
            (
                [("AUTH", APP, "guessed"), theft],
                ["WRONGPASS invalid username-password pair or user is disabled.", denied],
            ),
            ([app, theft], ["OK", key]),
            ([admin, app, theft, whoami], ["OK", "OK", key, b"app"]),
            ([admin, ("RESET",), theft], ["OK", "RESET", denied]),
            ([("MULTI",), theft, whoami], [denied] * 3),
            ([app, ("IDMP", "p", 1, *theft), ("IDMP", "p", 1, "EXEC")], ["OK", key, "ERR EXEC without MULTI"]),
            ([app, ("SET", "siege:large", "v" * 100_000), ("STRLEN", "siege:large")], ["OK", "OK", 100_000]),
        ):
            self.assertEqual(self.said_at_once(node, requests), answers)
        aborted = "EXECABORT Transaction discarded because of previous errors."
        answers = self.said_at_once(node, [app, ("MULTI",), admin, theft, ("EXEC",), whoami])
        self.assertEqual(answers[3:], [key, aborted, b"app"])
        self.assertEqual(root.call("GET", "secret"), b"untouched")
        told = root.call("CLIENT", "LIST") + root.call("ACL", "GETUSER", APP).__repr__().encode()
        told += node.log_path.read_bytes()
        for secret in (*PASSWORDS.values(), "guessed", "$scrypt$", TOKEN, SECRET):
            self.assertNotIn(secret.encode(), told)

    def said_at_once(self, node: FortressNode, requests: Sequence[Sequence[str | int]]) -> list[object]:
        """What the node answers to requests that come in one piece, errors as their texts."""
        connection = node.connect_unknown(tls=False)
        self.addCleanup(connection.close)
        words = [[str(word).encode() for word in request] for request in requests]
        pieces = [b"".join([b"*%d\r\n" % len(each), *(b"$%d\r\n%s\r\n" % (len(w), w) for w in each)]) for each in words]
        connection.socket.sendall(b"".join(pieces))
        return [self.answer(connection) for _ in requests]

    def answer(self, connection: Connection) -> object:
        try:
            return connection.read()
        except Refused as refusal:
            return str(refusal)
