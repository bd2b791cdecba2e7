"""A look through all keys, which goes on at another node."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from dkv.client.failures import Rejected, Unavailable, Unknown
from dkv.client.pages import BEGINNINGS_MAX, Pages

STRANGE = Rejected("ERR invalid cursor", "ERR")


class PagesTests(SynchronousTestCase):
    @given(st.sets(st.binary(max_size=3), max_size=20), st.lists(st.booleans(), max_size=40))
    def test_each_key_once(self, keys: set[bytes], faults: list[bool]) -> None:
        """However often the node changes, no key is missed, and none comes twice."""
        left = sorted(keys)
        pages, found = Pages(b"*", 3), list[bytes]()
        while not pages.done:
            cursor = int(pages.request[1])
            if faults and faults.pop() and cursor:
                found += pages.take(STRANGE)
                continue
            after = cursor + 3
            found += pages.take([b"%d" % (after if after < len(left) else 0), [*left[cursor:after]]])
        self.assertEqual(found, left)

    def test_what_is_sent(self) -> None:
        """The pattern and the size of a page are those of the program."""
        pages = Pages(b"a*", 10)
        self.assertEqual(pages.request, (b"SCAN", b"0", b"MATCH", b"a*", b"COUNT", b"10"))
        pages.take([b"77", [b"a1"]])
        self.assertEqual(pages.request[1], b"77")

    def test_failures(self) -> None:
        """If it cannot even begin, it fails, and it does not begin anew for ever."""
        self.assertRaises(Unavailable, Pages(b"*", 1).take, Unavailable("UNREACHABLE", "UNREACHABLE"))
        self.assertRaises(Unknown, Pages(b"*", 1).take, "OK")
        pages = Pages(b"*", 1)
        for _ in range(BEGINNINGS_MAX):
            pages.take([b"5", []])
            pages.take(STRANGE)
        pages.take([b"5", []])
        self.assertRaises(Rejected, pages.take, STRANGE)
