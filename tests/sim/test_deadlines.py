"""Keys with deadlines: what is too early, what is too late, and what becomes of a deadline."""

from __future__ import annotations

from dkv.sim.joint import Tolerance
from dkv.sim.linearize import check
from tests.sim.joint_case import JointCase, do, op


class DeadlineTests(JointCase):
    """Histories that no correct server has, and what would make them right."""

    def test_early_and_late_expiry(self) -> None:
        """A lock is held until its time is over, and is free soon after."""
        lock = op("set", "k", b"mine", "absent", 10, at=(0, 1), result=True)
        for called, returned, value, right in (
            (8, 9, None, False),
            (9, 10, None, True),
            (12, 13, b"mine", True),
            (13, 14, b"mine", False),
            (13, 14, None, True),
        ):
            read = op("get", "k", at=(called, returned), result=value)
            (self.assert_good if right else self.assert_bad)(lock, read)
        self.assert_bad(lock, op("set", "k", b"yours", "absent", 10, at=(5, 6), result=True))
        self.assert_good(lock, op("set", "k", b"yours", "absent", 10, at=(5, 6), result=False))

    def test_early_as_tolerated(self) -> None:
        """A clock of the server that goes faster is no mistake, as far as that is said to be so."""
        lock = op("set", "k", b"1", None, 10, at=(0, 1), result=True)
        for early, called, right in ((2.0, 7, True), (1.0, 7, False), (1.0, 8, True)):
            gone = op("get", "k", at=(called, called + 1), result=None)
            self.assertEqual(check([lock, gone], tolerance=Tolerance(early, 1.0)).linearizable, right)
            left = op("ttl", "k", at=(4, 4), result=8)
            gone = op("get", "k", at=(called + 2, called + 3), result=None)
            self.assertEqual(check([lock, left, gone], tolerance=Tolerance(early, 1.0)).linearizable, right)

    def test_back_to_life(self) -> None:
        """A key that was gone comes back with nobody's help."""
        lock = op("set", "k", b"1", None, 10, at=(0, 1), result=True)
        gone = op("get", "k", at=(10, 10.5), result=None)
        again = op("get", "k", at=(11, 11.5), result=b"1")
        self.assert_good(lock, again)
        self.assert_bad(lock, gone, again)

    def test_deadline_moves_with_its_value(self) -> None:
        """KEEPTTL, INCR and RENAME keep a deadline; SET and PERSIST take it away."""
        made = op("set", "k", b"1", None, 10, at=(0, 1), result=True)
        for change, gone in (
            (op("set", "k", b"1", None, "keep", at=(2, 3), result=True), True),
            (op("incr", "k", 1, at=(2, 3), result=2), True),
            (op("rename", "k", b"l", True, at=(2, 3), result=True), True),
            (op("append", "k", b"1", at=(2, 3), result=2), True),
            (op("setrange", "k", 0, b"2", at=(2, 3), result=1), True),
            (op("add", "k", b"1", at=(2, 3), result=b"2"), True),
            (op("copy", "k", b"l", True, at=(2, 3), result=True), True),
            (op("put", "k", b"1", at=(2, 3)), False),
            (op("cas", "k", b"1", b"1", at=(2, 3), result=True), False),
            (op("set", "k", b"1", None, at=(2, 3), result=True), False),
            (op("expire", "k", None, at=(2, 3), result=True), False),
            (op("expire", "k", 100.0, "some", at=(2, 3), result=True), False),
        ):
            count = op("exists", "k", b"l", at=(20, 21), result=0 if gone else 1)
            self.assert_good(made, change, count)
            self.assert_bad(made, change, op("exists", "k", b"l", at=(20, 21), result=1 if gone else 0))

    def test_time_left(self) -> None:
        """A TTL that no deadline explains; and two that contradict each other."""
        made = op("set", "k", b"1", None, 10, at=(0, 4), result=True)
        self.assert_good(made, op("ttl", "k", at=(5, 5), result=6))
        self.assert_bad(made, op("ttl", "k", at=(5, 5), result=3))
        self.assert_bad(made, op("ttl", "k", at=(5, 5), result=None))
        self.assert_bad(made, op("ttl", "k", at=(5, 5), result=9), op("ttl", "k", at=(6, 6), result=4))
        self.assert_good(op("ttl", "k", at=(6, 6), result=False))

    def test_gone_at_once(self) -> None:
        """A deadline that has passed already deletes a key: what comes after it in the same transaction finds none."""
        put, read = ("put", b"a", b"1"), ("get", b"a")
        for end, result in ((("expire", b"a", 0.0, None), True), (("set", b"a", b"2", None, -1.0, False), True)):
            self.assert_good(do(put, end, read, at=(0, 1), result=(None, result, None)))
            self.assert_bad(do(put, end, read, at=(0, 1), result=(None, result, b"1")))
        later = do(put, ("expire", b"a", 0.1, None), read, at=(0, 1), result=(None, True, None))
        self.assert_bad(later)

    def test_deadline_that_was_not_told(self) -> None:
        """GETEX does not say whether it changed a deadline."""
        made = op("set", "k", b"1", None, 10, at=(0, 1), result=True)
        change = do(("get", b"k"), ("expire", b"k", None, None), at=(2, 3), result=(b"1", None))
        self.assert_good(made, change, op("get", "k", at=(30, 31), result=b"1"))
        self.assert_bad(made, change, op("get", "k", at=(30, 31), result=None))

    def test_early_and_late_by_one(self) -> None:
        """Whatever gave a key its deadline, it is not gone one too early, and not there one too late."""
        long = ("set", b"k", b"1", None, 500, False)
        for acts, results in (
            ((("set", b"k", b"1", None, 10, False),), (True,)),
            ((("put", b"k", b"1"), ("expire", b"k", 10, None)), (None, True)),
            ((long, ("expire", b"k", 10, "some")), (True, True)),
            ((long, ("expire", b"k", 10, "earlier")), (True, True)),
            ((("set", b"k", b"1", None, 3, False), ("expire", b"k", 10, "later")), (True, True)),
            ((("set", b"k", b"0", None, 10, False), ("set", b"k", b"1", None, "keep", False)), (True, True)),
            ((("set", b"j", b"1", None, 10, False), ("rename", b"j", b"k", True)), (True, True)),
            ((("set", b"j", b"1", None, 10, False), ("copy", b"j", b"k", True)), (True, True)),
        ):
            made = do(*acts, at=(0, 1), result=results)
            for called, value, right in (
                (8, None, False),
                (9, None, True),
                (11, b"1", True),
                (12, b"1", True),
                (13, b"1", False),
                (13, None, True),
            ):
                read = op("get", "k", at=(called, called + 1), result=value)
                (self.assert_good if right else self.assert_bad)(made, read)

    def test_persist(self) -> None:
        """PERSIST takes a deadline away and says whether there was one; what follows in its transaction sees that."""
        made = op("set", "k", b"1", None, 10, at=(0, 1), result=True)
        for acts, results, right in (
            ((("expire", b"k", None, None), ("ttl", b"k")), (True, None), True),
            ((("expire", b"k", None, None), ("ttl", b"k")), (False, 10), False),
            ((("expire", b"k", None, None), ("ttl", b"k")), (True, 9), False),
            ((("expire", b"k", None, None), ("expire", b"k", None, None)), (True, False), True),
            ((("expire", b"k", None, None), ("expire", b"k", None, None)), (True, True), False),
            ((("get", b"k"), ("ttl", b"k")), (b"1", None), False),
        ):
            change = do(*acts, at=(2, 3), result=results)
            (self.assert_good if right else self.assert_bad)(made, change)
            if right:
                self.assert_good(made, change, op("get", "k", at=(30, 31), result=b"1"))
                self.assert_bad(made, change, op("get", "k", at=(30, 31), result=None))

    def test_time_left_in_a_transaction(self) -> None:
        """A TTL in the transaction that gives the deadline tells all of it, and one after KEEPTTL what is left."""
        given = ("set", b"k", b"1", None, 10, False)
        for told, right in ((7, False), (8, True), (12, True), (13, False), (None, False), (False, False)):
            made = do(given, ("ttl", b"k"), at=(0, 1), result=(True, told))
            (self.assert_good if right else self.assert_bad)(made)
        made = op("set", "k", b"1", None, 10, at=(0, 1), result=True)
        for told, right in ((3, False), (4, True), (8, True), (9, False)):
            kept = do(("set", b"k", b"2", None, "keep", False), ("ttl", b"k"), at=(4, 5), result=(True, told))
            (self.assert_good if right else self.assert_bad)(made, kept)

    def test_time_left_makes_it_known(self) -> None:
        """After a TTL a deadline is known better: a key that is gone before, or there after, is wrong."""
        made = op("set", "k", b"1", None, 10, at=(0, 6), result=True)
        for told, called, value, right in (
            (9, 15, None, True),
            (9, 12, None, False),
            (9, 15, b"1", True),
            (9, 17, b"1", False),
            (6, 12, None, True),
            (6, 14, b"1", False),
        ):
            left = op("ttl", "k", at=(6, 6), result=told)
            read = op("get", "k", at=(called, called + 1), result=value)
            (self.assert_good if right else self.assert_bad)(made, left, read)
        left, gone = op("ttl", "k", at=(6, 6), result=9), op("get", "k", at=(11, 12), result=None)
        self.assert_bad(made, left, do(("put", b"j", b"1"), ("get", b"k"), at=(11, 20), result=(None, None)), gone)

    def test_each_goes_by_itself(self) -> None:
        """Of two keys that belong together one goes; the other has another deadline."""
        acts = (("set", b"a", b"1", None, 10, False), ("set", b"b", b"1", None, 100, False))
        made = do(*acts, at=(0, 1), result=(True, True))
        for first, second, right in ((None, b"1", True), (None, None, False), (b"1", b"1", False)):
            read = do(("get", b"a"), ("get", b"b"), at=(20, 21), result=(first, second))
            (self.assert_good if right else self.assert_bad)(made, read)

    def test_life_of_an_unknown_outcome(self) -> None:
        """A SET without an answer may take effect late: then its key lives as much longer."""
        lost = op("set", "k", b"1", None, 10, at=(0, None))
        self.assert_good(lost, op("get", "k", at=(25, 26), result=b"1"))
        self.assert_bad(lost, op("get", "k", at=(1, 2), result=b"1"), op("get", "k", at=(3, 4), result=None))

    def test_later_and_earlier(self) -> None:
        """GT and LT: an answer is wrong if the order of the two deadlines is certain, and either is right if not."""
        made, held = op("set", "k", b"1", None, 10, at=(0, 1), result=True), op("put", "k", b"1", at=(0, 1))
        for before, life, condition, answers in (
            (made, 3, "later", (False,)),
            (made, 7, "later", (False, True)),
            (made, 9, "later", (False, True)),
            (made, 11, "later", (True,)),
            (made, 3, "earlier", (True,)),
            (made, 7, "earlier", (False, True)),
            (made, 11, "earlier", (False,)),
            (made, 0, "later", (False,)),
            (made, 0, "earlier", (True,)),
            (made, None, "later", (True,)),
            (made, None, "earlier", (False,)),
            (held, 100, "later", (False,)),
            (held, 100, "earlier", (True,)),
            (op("get", "k", at=(0, 1)), 100, "earlier", (False,)),
        ):
            for told in (False, True):
                change = op("expire", "k", life, condition, at=(2, 3), result=told)
                (self.assert_good if told in answers else self.assert_bad)(before, change)
        longer = op("expire", "k", 100, "later", at=(2, None))
        self.assert_good(made, longer, op("get", "k", at=(30, 31), result=b"1"))
        self.assert_good(made, longer, op("get", "k", at=(30, 31), result=None))
