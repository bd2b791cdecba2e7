"""The directory of a CA: every change is whole, nothing is overwritten by chance, keys are their owner's alone."""

from __future__ import annotations

import os
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from dkv.tls.authority import Authority, AuthorityError, crls
from dkv.tls.authority_files import CertificateDirectory
from tests.tls.test_authority import uris, verdict

HOSTS = {1: ["127.0.0.1"], 2: ["db2.example"]}


class DirectoryTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.place = Path(self.mktemp())
        self.directory = CertificateDirectory.create(self.place, "shop", HOSTS, ["admin"], 100)

    def contents(self) -> dict[str, bytes]:
        """All files, hidden ones too."""
        return {each.name: each.read_bytes() for each in self.place.iterdir()}

    def verdicts(self) -> dict[str, str]:
        """What OpenSSL finds wrong with the certificate of each name, by the files that nodes read."""
        authorities, lists = self.directory.authorities(), (self.place / "crl.pem").read_bytes()
        return {name: verdict(authorities, self.directory.certificate(name), lists) for name in self.directory.names()}

    def states(self) -> dict[str, str]:
        """The state of each name as it is shown."""
        return {each.name: each.state for each in self.directory.listed()}

    def test_new(self) -> None:
        """All that a cluster needs, and the keys for nobody else, whatever the umask."""
        names = {"ca.pem", "ca.key", "crl.pem", "issued.pem"}
        names |= {f"{name}.{kind}" for name in ("node1", "node2", "admin") for kind in ("pem", "key")}
        self.assertEqual(self.contents().keys(), names)
        self.assertEqual(self.verdicts(), {"node1": "", "node2": "", "admin": ""})
        self.assertEqual({each.stat().st_mode & 0o777 for each in self.place.glob("*.key")}, {0o600})
        self.assertEqual(self.place.stat().st_mode & 0o777, 0o700)

    def test_keys_belong_to_their_owner_whatever_the_umask(self) -> None:
        """A umask of 0 must not give keys away, and what is left of an earlier command must not either."""
        (self.place / ".node1.key.part").touch(mode=0o666)
        self.addCleanup(os.umask, os.umask(0))
        self.directory.renew("node1", 100)
        self.assertEqual((self.place / "node1.key").stat().st_mode & 0o777, 0o600)

    def test_nothing_is_overwritten(self) -> None:
        """A second CA in the place of the first would cut off all nodes and clients that have the first one's."""
        before = self.contents()
        self.assertRaisesRegex(
            AuthorityError, "not an empty directory", CertificateDirectory.create, self.place, "shop", HOSTS, [], 100
        )
        self.assertRaisesRegex(AuthorityError, "node2.pem exists", self.directory.add_node, 2, ["db2"], 100)
        self.assertRaisesRegex(AuthorityError, "admin.pem exists", self.directory.add_client, "admin", 100)
        self.assertRaisesRegex(AuthorityError, "cannot be called", self.directory.add_client, "ca", 100)
        self.assertEqual(self.contents(), before)
        self.assertEqual([each.name for each in self.place.parent.iterdir() if each.name.startswith(".")], [])

    def test_all_or_nothing(self) -> None:
        """A name that is wrong, or a full disk, leaves no half of a directory, and no half of a change."""
        other = self.place.with_name("other")
        self.assertRaises(AuthorityError, CertificateDirectory.create, other, "shop", HOSTS, ["a b"], 100)
        self.assertEqual([each.name for each in self.place.parent.iterdir()], [self.place.name])
        before = self.contents()

        def full(_: int) -> None:
            raise OSError(28, "No space left on device")

        self.patch(os, "fsync", full)
        error = self.assertRaises(AuthorityError, self.directory.renew, "node1", 100)
        self.assertIn("No space left", str(error))
        self.assertRaises(AuthorityError, self.directory.revoke, "admin")
        self.assertRaises(AuthorityError, self.directory.add_authority)
        self.assertEqual(self.contents(), before)

    def test_more(self) -> None:
        """A node that joins later, and another client."""
        self.directory.add_node(10, ["db10"], 100)
        self.directory.add_client("app", 100)
        self.assertEqual(self.directory.names(), ["node1", "node2", "node10", "admin", "app"])
        self.assertEqual(set(self.verdicts().values()), {""})

    def test_renewed(self) -> None:
        """The same names in a new certificate; or other hosts, if the node has moved."""
        before = self.directory.certificate("node2")
        self.directory.renew("node2", 200)
        after = self.directory.certificate("node2")
        self.assertEqual((uris(after), after.subject), (uris(before), before.subject))
        self.assertGreater(after.not_valid_after_utc, before.not_valid_after_utc)
        self.directory.renew("node2", 200, ["moved.example"])
        self.assertIn("moved.example", str(self.directory.certificate("node2").extensions[3].value))
        self.assertEqual(uris(self.directory.certificate("node2")), uris(before))
        self.assertRaisesRegex(AuthorityError, "is a client", self.directory.renew, "admin", 200, ["host"])
        self.assertEqual(self.verdicts(), {"node1": "", "node2": "", "admin": ""})

    def test_the_owner_stays(self) -> None:
        """A key that root renews for a node of another user would else be refused by that node: it cannot read it."""
        given: dict[str, tuple[int, int]] = {}
        self.patch(os, "chown", lambda path, user, group: given.update({path.name: (user, group)}))
        now = (self.place / "node1.key").stat()
        self.directory.renew("node1", 100)
        owner = (now.st_uid, now.st_gid)
        self.assertEqual(given, {f".{name}.part": owner for name in ("node1.key", "node1.pem", "issued.pem")})

    def test_all_certificates_of_a_name_are_revoked(self) -> None:
        """A key that was stolen may be that of the certificate before the present one."""
        before = self.directory.certificate("admin")
        self.directory.renew("admin", 100)
        self.assertEqual(self.directory.revoke("admin"), 2)
        lists = (self.place / "crl.pem").read_bytes()
        for each in (before, self.directory.certificate("admin")):
            self.assertIn("revoked", verdict(self.directory.authorities(), each, lists))
        self.assertEqual(self.directory.revoke("admin"), 0)
        self.assertEqual(self.states()["admin"], "revoked")
        self.directory.renew("admin", 100)
        self.assertEqual(self.verdicts(), {"node1": "", "node2": "", "admin": ""})
        self.assertIn("revoked", verdict(self.directory.authorities(), before, (self.place / "crl.pem").read_bytes()))

    def test_a_list_that_is_lost(self) -> None:
        """The next list would let in what was revoked. Nothing is done until the old one is back."""
        self.directory.revoke("node1")
        path = self.place / "crl.pem"
        path.write_bytes(b"")
        before = self.contents()
        for change in (lambda: self.directory.revoke("admin"), self.directory.add_authority):
            self.assertRaisesRegex(AuthorityError, "crl.pem lacks the list of a CA.*put back the file", change)
        self.assertEqual(self.contents(), before)
        self.assertEqual(self.states()["crl.pem"], "missing")
        path.unlink()
        self.assertEqual(self.states()["crl.pem"], "missing")
        self.assertRaisesRegex(AuthorityError, "cannot read .*crl.pem", self.directory.revoke, "admin")

    def test_a_file_that_is_empty(self) -> None:
        """The line names it."""
        for name in ("issued.pem", "ca.pem"):
            (self.place / name).write_bytes(b"")
            self.assertRaisesRegex(AuthorityError, f"{name}: there is no certificate", self.directory.revoke, "admin")

    def test_a_record_that_is_cut_off(self) -> None:
        """A thief would keep a certificate that is not in it. That is said, and nothing is written behind the cut."""
        path = self.place / "issued.pem"
        whole = path.read_bytes()
        path.write_bytes(whole[:-100])
        before = self.contents()
        for change in (
            lambda: self.directory.revoke("admin"),
            lambda: self.directory.renew("node1", 100),
            lambda: self.directory.add_client("app", 100),
        ):
            self.assertRaisesRegex(AuthorityError, "issued.pem: it is cut off.* Put back a copy of it", change)
        self.assertEqual(self.contents(), before)
        path.write_bytes(whole.strip())  # an editor leaves out the end of the last line
        self.directory.renew("node1", 100)
        self.assertEqual(self.directory.revoke("node1"), 2)

    def test_a_record_without_the_present_certificate(self) -> None:
        """The one that lies there is revoked even if an old copy of the record was put back."""
        path = self.place / "issued.pem"
        old = path.read_bytes()
        self.directory.renew("admin", 100)
        path.write_bytes(old)
        self.assertEqual(self.directory.revoke("admin"), 2)
        self.assertEqual(self.states()["admin"], "revoked")

    def test_a_ca_takes_the_place_of_another(self) -> None:
        """In every step all that is not revoked is accepted by the files of that step."""
        old = self.directory.certificate("node1")
        self.directory.revoke("admin")
        self.directory.add_authority()
        self.assertEqual(len(crls((self.place / "crl.pem").read_bytes())), 2)
        self.assertEqual((self.verdicts()["node1"], self.verdicts()["node2"]), ("", ""))
        self.assertIn("revoked", self.verdicts()["admin"])
        self.assertRaisesRegex(AuthorityError, "two CAs already", self.directory.add_authority)
        self.assertRaisesRegex(AuthorityError, "older CA: node1, node2;", self.directory.drop_authorities)
        self.directory.renew("node1", 100)
        self.assertEqual(self.verdicts()["node1"], "")
        self.assertRaisesRegex(AuthorityError, "older CA: node2;", self.directory.drop_authorities)
        self.directory.renew("node2", 100)
        self.assertEqual(self.directory.drop_authorities(), 1)
        self.assertEqual((self.verdicts()["node1"], self.verdicts()["node2"]), ("", ""))
        self.assertNotEqual(verdict(self.directory.authorities(), old), "")
        self.assertEqual(self.states()["admin"], "foreign")
        self.assertEqual(self.directory.drop_authorities(), 0)

    def test_a_change_of_the_ca_that_is_cut_off(self) -> None:
        """A kill between two files leaves a directory with which one can go on, and do it again."""
        rename = os.rename
        for change in (self.directory.add_authority, self.directory.drop_authorities):
            for renamed in (1, 2):
                left = [rename] * renamed
                self.patch(os, "rename", lambda *paths, left=left: left.pop()(*paths))
                self.assertRaises(IndexError, change)
                self.patch(os, "rename", rename)
                self.directory.renew("node1", 100)
                self.assertEqual(self.verdicts()["node1"], "")
            change()
            for name in self.directory.names():
                self.directory.renew(name, 100)
        self.assertEqual(set(self.verdicts().values()), {""})
        self.assertEqual(len(self.directory.authorities()), 1)

    def test_what_is_shown_needs_no_keys(self) -> None:
        """The machine of a node has no key of the CA, and its certificates are looked at all the same."""
        for each in self.place.glob("*.key"):
            each.unlink()
        expected = {"ca.pem": "ok", "crl.pem": "ok", "node1": "ok", "node2": "ok", "admin": "ok"}
        self.assertEqual(self.states(), expected)
        error = self.assertRaises(AuthorityError, self.directory.add_client, "app", 100)
        self.assertIn("ca.key: No such file", str(error))

    def test_foreign_files(self) -> None:
        """A certificate of another CA is told as such; a file that is none is named."""
        (self.place / "node1.pem").write_bytes(Authority.create("shop").node(1, ["127.0.0.1"]).certificate_pem)
        self.assertEqual(self.states()["node1"], "foreign")
        (self.place / "node1.pem").write_bytes(b"")
        self.assertRaisesRegex(AuthorityError, r"node1\.pem: there is no certificate", self.directory.listed)

    def test_no_directory(self) -> None:
        """The line names what is missing."""
        nowhere = CertificateDirectory(self.place / "nowhere")
        for method in (nowhere.authorities, nowhere.listed, nowhere.add_authority, nowhere.drop_authorities):
            error = self.assertRaises(AuthorityError, method)
            self.assertIn("nowhere", str(error))
