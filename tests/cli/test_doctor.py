"""``dkv doctor``: for each thing that may be wrong, a config that has it, and the line that says what to mend."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from click.testing import Result
from twisted.trial.unittest import SynchronousTestCase

from dkv.cli.examination.findings import PROBLEM, Finding
from dkv.client import survey
from dkv.security.passwords import hash_of
from tests.certificates import Certificates
from tests.cli.commands import run

NODE = '[[node]]\nid = {id}\nclient = "127.0.0.1:500{id}"\npeer = "127.0.0.1:600{id}"\n'
SECRET = "4f0c1d9b7a6e5f3c2b1a09d8e7f6a5b4\n"
TOKEN = "b4a5f6e7d8c9b0a1f2e3d4c5b6a79880\n"
PASSWORD = hash_of(b"secret", bytes(16)).text


class DoctorTestCase(SynchronousTestCase):
    def setUp(self) -> None:
        self.patch(survey, "in_parallel", lambda jobs: [job() for job in jobs])
        self.folder = Path(self.mktemp()).absolute()
        self.folder.mkdir()
        os.chmod(self.folder, 0o700)

    def write(self, name: str, text: str, mode: int = 0o600) -> Path:
        """A file beside the config."""
        path = self.folder / name
        path.write_text(text)
        path.chmod(mode)
        return path

    def config(self, top: str = "", nodes: str = "", bottom: str = "", cluster: str = "shop") -> Path:
        """A config of three nodes on the loopback address, or of ``nodes``."""
        tables = nodes or "".join(NODE.format(id=number) for number in (1, 2, 3))
        return self.write("cluster.toml", f'cluster = "{cluster}"\n{top}\n{tables}\n{bottom}\n')

    def doctor(self, *words: str) -> Result:
        return run("doctor", "--config", str(self.folder / "cluster.toml"), *words)

    def examined(self, *words: str) -> list[Finding]:
        """What is found without asking nodes. The exit status must say whether there are problems."""
        result = self.doctor("--offline", "--output", "json", *words)
        found = [Finding(**json.loads(line)) for line in result.stdout.splitlines()]
        self.assertEqual(result.exit_code, int(any(each.level == PROBLEM for each in found)), found)
        return found

    def texts(self, *words: str) -> list[str]:
        """The same, as lines."""
        return [f"{each.level} {each.where}: {each.text}" for each in self.examined(*words)]


class SettingsTests(DoctorTestCase):
    def test_a_lab(self) -> None:
        """On the loopback address, as `dkv cluster` makes it, nothing is wrong."""
        self.config()
        result = self.doctor("--offline")
        self.assertEqual((result.stdout, result.exit_code), ("0 problems, 0 notes\n", 0))

    def test_no_config(self) -> None:
        """A config that no node would start with is a problem, not a usage error: everything else looks well."""
        (found,) = self.texts()
        self.assertIn("problem config: cannot read the config file", found)
        self.write("cluster.toml", "cluster = 7\n")
        (found,) = self.texts()
        self.assertIn("cluster = 7 must be a string", found)
        self.config()
        (found,) = self.texts("--node", "7")
        self.assertIn("node 7 is not a member of cluster 'shop'", found)

    def test_usage(self) -> None:
        """What leaves nothing to examine, or names a node of no config, is refused."""
        for words in (["--offline"], ["--node", "1", "--offline"], ["--data-dir", "x"]):
            self.assertEqual(run("doctor", *words).exit_code, 2)

    def test_open(self) -> None:
        """A port that other machines reach is named, with what to set."""
        self.config(nodes=NODE.format(id=1).replace("127.0.0.1:5001", "10.0.0.1:5001"))
        found = self.texts()
        self.assertEqual(len(found), 2)
        self.assertIn("problem node 1: the port client (10.0.0.1:5001) is open to everyone who reaches it", found[0])
        self.assertIn("can be read and changed on its way", found[1])

    def test_of_one_node(self) -> None:
        """With --node the ports of that node are examined, and not those of the others."""
        others = NODE.format(id=1) + NODE.format(id=2).replace("127.0.0.1", "10.0.0.2") + NODE.format(id=3)
        self.config(nodes=others)
        self.assertEqual(self.texts("--node", "1"), [])
        self.assertEqual({line[:14] for line in self.texts()}, {"problem node 2"})

    def test_switches_of_a_lab(self) -> None:
        """Fault orders are for a lab; half of a way to TLS or to a secret is to be walked on; two nodes help nobody."""
        self.config("allow_faults = true")
        (found,) = self.texts()
        self.assertIn("note allow_faults: a client may order nodes to lose messages", found)
        self.config("allow_faults = true", NODE.format(id=1).replace("127.0.0.1:5001", "10.0.0.1:5001"))
        self.assertTrue(any(line.startswith("problem allow_faults: ") for line in self.texts()))
        self.write("secret", SECRET)
        self.config('peer_secret_file = "secret"\npeer_secret = "allow"', NODE.format(id=1) + NODE.format(id=2))
        one, two = self.texts()
        self.assertIn('note peer_secret: nodes that know no secret are let in: set "require"', one)
        self.assertIn("note [[node]]: 2 nodes tolerate no more failures than 1", two)


class FilesTests(DoctorTestCase):
    def test_modes(self) -> None:
        """A secret that every user of the machine may read is none; a config that everyone may change is anyone's."""
        self.write("secret", SECRET, 0o644)
        self.write("token", TOKEN, 0o604)
        self.config('peer_secret_file = "secret"\nadmin_token_file = "token"').chmod(0o666)
        found = self.texts()
        config, secret, token = (self.folder / name for name in ("cluster.toml", "secret", "token"))
        self.assertEqual(
            found,
            [
                f"problem files: every user of this machine may change {config}: chmod o-w it",
                f"problem files: every user of this machine may read {secret}: chmod 600 it",
                f"problem files: every user of this machine may read {token}: chmod 600 it",
            ],
        )

    def test_missing(self) -> None:
        """A node would not start; each file that it misses has a line."""
        self.config('peer_secret_file = "secret"\nadmin_token_file = "token"\nusers_file = "users.toml"')
        found = self.texts()
        self.assertEqual(len(found), 3)
        for name in ("secret", "token", "users.toml"):
            self.assertTrue(any(f"{self.folder / name}: No such file" in line for line in found), (name, found))

    def test_weak(self) -> None:
        """Secrets that could be guessed, that serve two ends, or that were to be removed."""
        self.write("secret", "abcabcabcabcabcabcabcabcabcabcabc\n")
        self.write("token", "short\n")
        self.config('peer_secret_file = "secret"\nadmin_token_file = "token"')
        found = self.texts()
        self.assertTrue(any(f"{self.folder / 'secret'}: a secret in it could be guessed" in line for line in found))
        self.assertTrue(any("the token in line 1 has fewer than 20 characters" in line for line in found))
        self.write("secret", SECRET + TOKEN)
        self.write("token", TOKEN)
        found = self.texts()
        self.assertTrue(any("problem admin_token_file: it has a secret of peer_secret_file" in line for line in found))
        self.assertTrue(any(f"note {self.folder / 'secret'}: 2 secrets are accepted" in line for line in found))

    def test_nothing_of_a_secret_is_shown(self) -> None:
        """What is wrong with a secret is said without it."""
        self.write("secret", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\n")
        self.write("token", "hunter2hunter2hunter2 hunter2\n")
        self.config('peer_secret_file = "secret"\nadmin_token_file = "token"')
        output = self.doctor("--offline").output
        self.assertNotIn("aaaaaaaa", output)
        self.assertNotIn("hunter2", output)


class CertificateTests(DoctorTestCase):
    def begin(self, **settings: str) -> Certificates:
        """A cluster whose nodes have certificates that are right."""
        made = Certificates(self.folder / "certs", "shop")
        for path in made.directory.iterdir():
            path.chmod(0o600)
        self.config(bottom=made.settings(crl=str(made.crl), peers="require", **settings))
        return made

    def replace(self, number: int, pair: Any) -> None:
        """Let node ``number`` have this certificate and key."""
        for path, ending in ((pair.certificate, "pem"), (pair.key, "key")):
            os.replace(path, self.folder / "certs" / f"node{number}.{ending}")

    def test_right(self) -> None:
        """Certificates that are right are no finding, for all nodes and for one."""
        self.begin()
        self.assertEqual(self.texts(), [])
        self.assertEqual(self.texts("--node", "2"), [])

    def test_wrong(self) -> None:
        """A certificate that the other nodes would refuse is found before they do."""
        made = self.begin()
        self.replace(1, made.expired(1))
        self.replace(2, made.other_cluster(2))
        self.replace(3, made.other_authority(3))
        found = {each.where: each.text for each in self.examined()}
        self.assertRegex(found["node 1"], "the certificate has expired .* ago: others refuse it: renew it")
        self.assertIn("this is node 2 of 'shop'", found["node 2"])
        self.assertIn("was not issued by the CA in", found["node 3"])

    def test_ends_soon(self) -> None:
        """A week before the end there is time to renew a certificate."""
        made = self.begin()
        self.replace(1, made.node(1, "soon", days=6))
        (found,) = self.texts()
        self.assertIn("problem node 1: the certificate expires in 5 days: renew it, with `dkv certs renew`", found)

    def test_keys(self) -> None:
        """A key that belongs to another certificate, and one that everyone may read."""
        made = self.begin()
        (made.directory / "node1.key").write_bytes((made.directory / "node2.key").read_bytes())
        (made.directory / "node3.key").chmod(0o644)
        found = self.texts()
        self.assertEqual(len(found), 2)
        self.assertTrue(any("does not belong to the certificate" in line for line in found))
        self.assertTrue(any("may read " in line and "node3.key: chmod 600 it" in line for line in found))

    def test_those_of_this_machine(self) -> None:
        """A node's machine has the certificate of no other node; one that has none at all is not prepared."""
        made = self.begin()
        for number in (2, 3):
            (made.directory / f"node{number}.pem").unlink()
            (made.directory / f"node{number}.key").unlink()
        self.assertEqual(self.texts(), [])
        (found,) = self.texts("--node", "2")
        self.assertIn("problem node 2: cannot read", found)
        (made.directory / "node1.key").unlink()
        (found,) = self.texts()
        self.assertIn("node1.key: No such file", found)
        (made.directory / "node1.pem").unlink()
        (found,) = self.texts()
        self.assertIn("no node's certificate is on this machine", found)

    def test_the_key_of_the_ca(self) -> None:
        """A node that is taken over must not become all nodes."""
        made = self.begin()
        (made.directory / "ca.key").write_text("")
        (found,) = self.texts()
        self.assertIn("note [tls]: ", found)
        self.assertIn("ca.key is here: with it one can be any node and any user", found)

    def test_names_and_lists(self) -> None:
        """Clients refuse a certificate without the name that they connect to; without a list nothing is revoked."""
        made = Certificates(self.folder / "certs", "shop")
        for path in made.directory.iterdir():
            path.chmod(0o600)
        node = NODE.format(id=1) + 'client_tls = { bind = "127.0.0.1:5101", advertise = "db1.example:5101" }\n'
        self.config(nodes=node, bottom=made.settings())
        one, two = self.texts()
        self.assertIn("its certificate does not name db1.example, so clients of client_tls that check names", one)
        self.assertIn("note [tls]: without crl a certificate that was stolen is accepted", two)


class UsersTests(DoctorTestCase):
    ADMIN = f'[user.root]\npassword = "{PASSWORD}"\nmay = ["all"]\nkeys = ["*"]\nchannels = ["*"]\n'

    def found(self, users: str, mode: int = 0o600) -> list[str]:
        """What is found where these are the users."""
        self.write("users.toml", users, mode)
        self.config('users_file = "users.toml"')
        return self.texts()

    def test_right(self) -> None:
        """Somebody may administrate, and nobody may do anything without a password."""
        self.assertEqual(self.found(self.ADMIN), [])

    def test_default(self) -> None:
        """A door that is open to everybody is found, although there are users."""
        (found,) = self.found(self.ADMIN + '[user.default]\nmay = ["read", "write"]\nkeys = ["*"]\n')
        self.assertIn("problem", found)
        self.assertIn("whoever has not said who they are may do what is `write`", found)
        (found,) = self.found(self.ADMIN + '[user.default]\nmay = ["read"]\nkeys = ["public:*"]\n')
        self.assertIn("note", found)

    def test_nobody_administrates(self) -> None:
        """A cluster whose members nobody can change is found before a node is lost."""
        (found,) = self.found(f'[user.app]\npassword = "{PASSWORD}"\nmay = ["read", "write"]\nkeys = ["*"]\n')
        self.assertIn("no user may order what is `admin`", found)

    def test_proofs(self) -> None:
        """A user that nobody can be, a certificate that nobody is asked for, a password that was to be removed."""
        found = self.found(self.ADMIN + '[user.app]\nmay = ["read"]\nkeys = ["*"]\n')
        self.assertEqual(len(found), 1)
        self.assertIn("nobody can be the user app", found[0])
        (found_one,) = self.found(self.ADMIN + '[user.app]\ncertificate = "app"\nmay = ["read"]\nkeys = ["*"]\n')
        self.assertIn('set client_certificates = "optional" or "required" in [tls]', found_one)
        two = f'password = ["{PASSWORD}", "{hash_of(b"other", bytes(16)).text}"]'
        (found_one,) = self.found(self.ADMIN.replace(f'password = "{PASSWORD}"', two))
        self.assertIn("note", found_one)
        self.assertIn("the user root has 2 passwords", found_one)

    def test_wrong(self) -> None:
        """A file that a node would refuse, and one that shows its hashes to everyone."""
        self.assertIn("is not TOML", self.found("[user")[0])
        self.assertIn("users.toml: ", self.found("[user.x]\nmay = 7\n")[0])
        (found,) = self.found(self.ADMIN, 0o644)
        self.assertIn("every user of this machine may read ", found)
