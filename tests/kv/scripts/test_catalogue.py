"""The catalogue against the libraries as they are installed: a new release that changes a script is noticed here."""

from __future__ import annotations

import os

from twisted.trial.unittest import SynchronousTestCase

from dkv.kv.appliers.scripts import OPERATIONS as APPLIED
from dkv.kv.scripts import operations
from dkv.kv.scripts.catalogue import ABSENT, SCRIPTS, TEMPLATES, Meant, by_digest, by_text, digest_of
from dkv.kv.scripts.operations import BY_NAME, OPERATIONS
from tests.installed_scripts import ALL_LIBRARIES, LIGHT, NODE, PYTHON, installed, texts_of, wanted_of_node

OWN = b'return redis.call("incrby", KEYS[1], ARGV[1])'


class InstalledTests(SynchronousTestCase):
    """Some libraries are wherever tests run, and all of them where ``DKV_ALL_LIBRARIES`` is set."""

    def test_all_are_installed(self) -> None:
        """A library that is not looked at may have changed its scripts long ago."""
        wanted = PYTHON if ALL_LIBRARIES in os.environ else LIGHT
        self.assertEqual([package for package in (*wanted, *wanted_of_node()) if installed(package) is None], [])

    def test_their_scripts_are_known(self) -> None:
        """Each is in the catalogue under the name of its library, or is one of those over lists and the like."""
        for package, library in (PYTHON | NODE).items():
            for text in texts_of(package):
                digest = digest_of(text.encode())
                of_it = [each for each in SCRIPTS if each.library == library and digest in each.digests.split()]
                templates = [each for each in TEMPLATES if each.library == library and by_text(text.encode())]
                absent = [each for each in ABSENT if each.library == library and digest in each.digests.split()]
                self.assertEqual(len(of_it) + len(templates) + len(absent), 1, f"{package} sends {text}")

    def test_each_use_is_found(self) -> None:
        """What is read here is what they send: each use that the catalogue names has a text in the newest release."""
        for package in filter(installed, LIGHT):
            sent = {digest_of(text.encode()) for text in texts_of(package)}
            for each in SCRIPTS:
                newest = each.library == PYTHON[package] and each.versions != "1.6"
                if newest and package != "dogpile.cache":  # which has redis-py send them
                    self.assertTrue(sent & set(each.digests.split()), (package, each.use))


class CatalogueTests(SynchronousTestCase):
    def test_digests(self) -> None:
        """Each SHA1 is one, and means one thing."""
        digests = [digest for each in (*SCRIPTS, *ABSENT) for digest in each.digests.split()]
        for digest in digests:
            self.assertRegex(digest, r"\A[0-9a-f]{40}\Z")
        mine = {each.library: each.digests.split() for each in SCRIPTS if each.library == "by hand"}
        self.assertTrue(mine)
        meanings: dict[str, set[int]] = {}
        for script in SCRIPTS:
            for digest in script.digests.split():
                meanings.setdefault(digest, set()).add(script.operation)
        self.assertEqual([digest for digest, found in meanings.items() if len(found) > 1], [])

    def test_operations(self) -> None:
        """Each number is applied, has a name of its own, and is used."""
        self.assertEqual(APPLIED.keys(), OPERATIONS.keys())
        self.assertEqual(len(BY_NAME), len(OPERATIONS))
        self.assertEqual({each.operation for each in SCRIPTS} | {each.operation for each in TEMPLATES}, {*OPERATIONS})
        self.assertTrue(all(len(name) < 40 for name in BY_NAME), "a name is no SHA1")

    def test_numbers(self) -> None:
        """They stand in logs: another one for an operation would change what is stored."""
        named = {name: value for name, value in vars(operations).items() if name.isupper() and isinstance(value, int)}
        self.assertEqual(sorted(named.values()), list(range(1, 27)))
        for name, value in (
            ("DELETE_IF_EQUAL", 1), ("SET_IF_ABSENT", 7), ("RAISE_NUMBER", 11), ("ADD_IF_PRESENT", 12),
            ("COUNT_AND_EXPIRE", 16), ("COUNT_IN_WINDOW", 17), ("VALUE_AND_TTL", 22), ("ACQUIRE_SLIDING", 23),
            ("DELETE_MATCHING_QUIETLY", 26),
        ):  # fmt: skip
            self.assertEqual(named[name], value, name)

    def test_found(self) -> None:
        """By its text, by its SHA1 in either case, and by the name that the log shows."""
        found = Meant(operations.ADD)
        self.assertEqual(by_text(OWN), found)
        digest = digest_of(OWN).encode()
        for word in (digest, digest.upper(), b"add"):
            self.assertEqual(by_digest(word), found)
        for word in (b"", b"ADD", digest[:39], digest + b"0", b"g" * 40, b"\xff" * 40, b"0" * 40):
            self.assertIsNone(by_digest(word), word)
        self.assertIsNone(by_text(OWN + b" "))
