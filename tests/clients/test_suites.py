"""Tests of libraries are judged by what passes with Redis: what fails with dkv lacks a word, is known, or is wrong."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from tests.clients.suites import Suite, score

SUITE = Suite("redis", ("tests/test_lock.py",), known={"test_known": "it is so"})


class ScoreTests(SynchronousTestCase):
    def test_each_kind(self) -> None:
        """A test that fails with redis-server, too, says nothing about dkv."""
        with_redis = {
            "a.test_good": "",
            "a.test_lacks": "",
            "a.test_known[1.5]": "",
            "a.test_wrong": "",
            "a.test_bad": "no",
        }
        with_dkv = {
            "a.test_good": "",
            "a.test_lacks": "ResponseError: unknown command 'LPUSH'",
            "a.test_known[1.5]": "KeyError: 'cmd'",
            "a.test_wrong": "AssertionError",
            "a.test_bad": "no",
        }
        found = score(SUITE, with_redis, with_dkv)
        self.assertEqual((found.counted, found.passed, found.lacking), (4, 1, 1))
        self.assertEqual((found.known, found.wrong), (("test_known",), ("a.test_wrong",)))
        self.assertTrue(found.row().endswith(": `test_lock` | 4 | 1 | 1 | 1: it is so |\n"), found.row())

    def test_a_test_that_was_not_run(self) -> None:
        """A run that breaks off must not count as one in which nothing failed."""
        self.assertEqual(score(SUITE, {"a.test_good": ""}, {}).wrong, ("a.test_good",))
