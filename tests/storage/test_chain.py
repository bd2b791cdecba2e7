"""The chain of commits: which of them may be missing without being missed."""

from __future__ import annotations

from itertools import combinations

from twisted.trial.unittest import SynchronousTestCase

from dkv.keys import LINK, pack_number
from dkv.storage.chain import Chain, ChainBroken


class ChainTests(SynchronousTestCase):
    def keys_after(self, held: tuple[int, ...]) -> list[bytes]:
        """The links in a database that has kept the commits with these numbers, of six."""
        chain, keys = Chain(), set[bytes]()
        for number in range(1, 7):
            link, before = chain.next()
            if number in held:
                keys.add(link)
                keys.discard(before)
        return sorted(keys)

    def test_what_was_lost_in_the_middle(self) -> None:
        """Whatever commits are lost, the chain breaks unless all behind them are lost, too, or all before them."""
        for count in range(7):
            for held in combinations(range(1, 7), count):
                whole = not held or held == tuple(range(held[0], held[-1] + 1))
                if whole:
                    Chain(self.keys_after(held))
                else:
                    self.assertRaises(ChainBroken, Chain, self.keys_after(held))

    def test_it_goes_on(self) -> None:
        """A start that began the numbers again would leave the last link of the life before."""
        first = Chain()
        keys = [first.next()[0] for _ in range(300)]
        link, before = Chain(keys[-1:]).next()
        self.assertEqual((link, before), (keys[-1][:-8] + pack_number(301), keys[-1]))

    def test_the_numbers_are_named(self) -> None:
        """Who inquires wants to know how much is lost."""
        links = [LINK + b"the name" + pack_number(number) for number in (7, 300)]
        error = self.assertRaises(ChainBroken, Chain, links)
        self.assertEqual(str(error), "its commits after number 7 are lost, and later ones up to 300 are not")

    def test_another_database(self) -> None:
        """A file of another node in the place of one of this: the numbers may follow each other by chance."""
        links = [Chain().next()[0], Chain().next()[0]]
        error = self.assertRaises(ChainBroken, Chain, links)
        self.assertEqual(str(error), "one of its files is that of another database")
