"""Rights are judged by patterns: what no pattern allows is forbidden."""

from __future__ import annotations

from random import Random

from twisted.trial.unittest import SynchronousTestCase

from dkv.kv.glob import PATTERN_BYTES_MAX, Glob
from dkv.security.rights import ALL, CATEGORIES, NONE, OWN, Rights


class RightsTests(SynchronousTestCase):
    """Each question has one answer, and the cheap ways to find it give the same."""

    def test_categories(self) -> None:
        """A user has the categories that it was given, and its own affairs; whoever is nobody has not even these."""
        reader = Rights.of(["read"])
        self.assertEqual([reader.allows(each) for each in ("read", OWN, "write", "other")], [True, True, False, False])
        self.assertFalse(any(NONE.allows(each) for each in (*CATEGORIES, OWN)))
        self.assertTrue(NONE.are_none and Rights.of([]).are_none)
        self.assertFalse(reader.are_none)

    def test_keys_of_databases(self) -> None:
        """A database with patterns of its own goes by these alone."""
        rights = Rights.of(["read"], [b"app:*"], {1: [b"*"], 2: []})
        keys = [(0, b"app:a"), (0, b"a"), (1, b"a"), (2, b"app:a"), (3, b"app:a")]
        self.assertEqual([rights.allows_key(*each) for each in keys], [True, False, True, False, True])
        self.assertEqual([rights.allows_all_keys(db) for db in range(4)], [False, True, False, False])
        self.assertFalse(rights.allows_every_key())
        self.assertTrue(Rights.of([], [b"a", b"*"], {1: [b"*"]}).allows_every_key())
        self.assertFalse(Rights.of([], [b"*"], {1: [b"a*"]}).allows_every_key())

    def test_who_is_unrestricted(self) -> None:
        """Requests of such a user are not looked at, so nothing at all may be forbidden."""
        self.assertTrue(ALL.is_unrestricted)
        less = [
            Rights.of([each for each in CATEGORIES if each != missing], [b"*"], channels=[b"*"])
            for missing in CATEGORIES
        ]
        less += [Rights.of(CATEGORIES, [b"**"], channels=[b"*"]), Rights.of(CATEGORIES, [b"*"], channels=[b"?*"])]
        less += [Rights.of(CATEGORIES, [b"*"], {3: [b"a"]}, [b"*"]), NONE]
        self.assertFalse(any(each.is_unrestricted for each in less))

    def test_every_pattern_is_a_glob(self) -> None:
        """Patterns of the form ``text*`` are compared in another way: with the same result."""
        random = Random(19)
        letters = [b"a", b"b", b"*", b"?", b"[ab]", b"[^a]", b"\\*", b"\\", b"["]
        for _ in range(3000):
            patterns = [b"".join(random.choices(letters, k=random.randrange(4))) for _ in range(random.randrange(4))]
            rights = Rights.of(["read"], patterns, channels=patterns)
            name = b"".join(random.choices([b"a", b"b", b"*", b"c"], k=random.randrange(4)))
            expected = any(Glob(pattern).matches(name) for pattern in patterns)
            self.assertEqual(rights.allows_key(0, name), expected, (patterns, name))
            self.assertEqual(rights.allows_channel(name), expected, (patterns, name))

    def test_all_that_match_a_pattern(self) -> None:
        """A pattern is allowed only if no key that it matches is forbidden."""
        random = Random(20)
        letters = [b"a", b"b", b"*", b"?", b"[ab]", b"\\a", b"a*"]
        names = [b"", b"a", b"b", b"aa", b"ab", b"ba", b"aab", b"abb", b"*", b"a*"]
        allowed = 0
        for _ in range(3000):
            own = [b"".join(random.choices(letters, k=random.randrange(4))) for _ in range(random.randrange(3))]
            pattern = b"".join(random.choices(letters, k=random.randrange(5)))
            rights = Rights.of(["read"], own)
            if rights.allows_keys_matching(0, pattern):
                allowed += 1
                for name in filter(Glob(pattern).matches, names):
                    self.assertTrue(rights.allows_key(0, name), (own, pattern, name))
        self.assertGreater(allowed, 100)
        self.assertTrue(Rights.of([], [b"app:*"]).allows_keys_matching(0, b"app:x?*"))
        self.assertFalse(Rights.of([], [b"app:*"]).allows_keys_matching(0, b"app:" + b"x" * PATTERN_BYTES_MAX))

    def test_patterns_of_channels(self) -> None:
        """As in Redis: whoever may listen to ``app:*`` may say that pattern, and no other that means less."""
        rights = Rights.of(["pubsub"], channels=[b"app:*"])
        patterns = [b"app:*", b"app:a", b"app:a*", b"*"]
        self.assertEqual([rights.allows_channel_pattern(each) for each in patterns], [True, False, False, False])
        self.assertTrue(Rights.of([], channels=[b"*"]).allows_channel_pattern(b"any*"))

    def test_who_may_know(self) -> None:
        """What happens to a key is told to those who may read it."""
        self.assertTrue(Rights.of(["read", "pubsub"], [b"a*"]).may_know(0, b"ab"))
        self.assertFalse(Rights.of(["write", "pubsub"], [b"a*"]).may_know(0, b"ab"))
        self.assertFalse(Rights.of(["read", "pubsub"], [b"a*"]).may_know(0, b"b"))
