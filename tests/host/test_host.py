"""The host keeps "persist, then send", whatever an actor asks for and in whichever order."""

from __future__ import annotations

from math import inf

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from dkv.actor import ACCEPTOR, GATEWAY, LEARNER, PROPOSER, Address, Fenced, Turn
from dkv.storage.store import RecordCorrupt, StoreFailed
from tests.host.one_host import OUTSIDE, PEER, ROLES, OneHost, Script, both, here, persist, send, stage


class PersistThenSendTests(SynchronousTestCase):
    """What an actor has not on disk, nobody hears from it."""

    def setUp(self) -> None:
        self.node = OneHost()

    def test_b1_no_answer_before_its_write(self) -> None:
        """B1: a vote that a crash could forget must not reach a candidate, asked for before or after the write."""
        self.node.do(ACCEPTOR, both(send("before"), persist("P"), send("after")))
        self.assertEqual(self.node.take(), [])
        self.assertTrue(self.node.store.committing)
        self.node.complete()
        self.assertEqual(self.node.take(), ["before", "after"])

    def test_b23_no_answer_to_the_own_node_either(self) -> None:
        """B23: a leader must not count its own acceptor, or itself, before that disk is safe."""
        self.node.do(ACCEPTOR, both(persist("P"), send("accepted", here(ACCEPTOR), here(PROPOSER), here(LEARNER))))
        self.assertEqual(self.node.deliveries, [])
        self.node.complete()
        acceptor = here(ACCEPTOR)
        self.assertEqual(
            self.node.deliveries,
            [(here(role), acceptor, "accepted") for role in (ACCEPTOR, PROPOSER, LEARNER)],
        )

    def test_b2_acknowledgement_waits_through_other_actors(self) -> None:
        """B2: what other actors make of a held message is held with it, so no client is told too early."""
        acknowledge: Script = send("+OK", PEER)
        self.node.do(ACCEPTOR, both(persist("R1"), send(acknowledge, here(GATEWAY))))
        self.assertEqual(self.node.take(), [])
        self.node.complete()
        self.assertEqual(self.node.take(), ["+OK"])

    def test_later_turns_wait_too(self) -> None:
        """A later message may rest on the same write; all leave in the order in which they were sent."""
        self.node.do(ACCEPTOR, both(persist("P"), send(1)), send(2), send(3, here(PROPOSER)), send(4))
        self.node.do(ACCEPTOR, send(5))
        self.assertEqual(self.node.take(), [])
        self.node.complete()
        self.assertEqual(self.node.take(), [1, 2, 4, 5, 3])
        self.node.do(ACCEPTOR, send(6))
        self.assertEqual(self.node.take(), [6])

    def test_a_write_with_no_message(self) -> None:
        """A turn that only writes holds back what its actor says in the next."""
        self.node.do(ACCEPTOR, persist("P"), send("later"))
        self.assertEqual(self.node.take(), [])
        self.node.complete()
        self.assertEqual(self.node.take(), ["later"])

    def test_erasing_is_writing(self) -> None:
        """What is said after an erasure waits for it as for any write."""
        self.node.do(ACCEPTOR, both(lambda turn: turn.persist_erase(b"P"), send("erased")))
        self.assertEqual(self.node.take(), [])
        self.assertEqual(self.node.store.commits, [{b"P": None}])
        self.node.complete()
        self.assertEqual(self.node.take(), ["erased"])

    def test_others_are_not_held(self) -> None:
        """A leader's Accepts leave while its own acceptor writes: one disk's delay, not two."""
        self.node.do(ACCEPTOR, both(persist("R1"), send("accepted")))
        self.node.do(PROPOSER, send("accept", PEER, here(LEARNER)))
        self.assertEqual(self.node.take(), ["accept", "accept"])
        self.node.complete()
        self.assertEqual(self.node.take(), ["accepted"])

    def test_early_is_not_held(self) -> None:
        """What claims nothing about this disk need not wait for it: a slow disk must not cause a fetch per slot."""
        self.node.do(
            ACCEPTOR,
            both(
                persist("R1"),
                send("held", PEER),
                lambda turn: turn.send_early(here(LEARNER), "early"),
                lambda turn: turn.send_early(PEER, "early"),
            ),
        )
        self.assertEqual(sorted(self.node.take()), ["early", "early"])
        self.node.complete()
        self.assertEqual(self.node.take(), ["held"])

    def test_two_commits_in_a_row(self) -> None:
        """Each commit lets go what rests on it, not what rests on the next one."""
        self.node.do(ACCEPTOR, both(persist("R1"), send(1)))
        self.node.do(ACCEPTOR, send(2), both(persist("R2"), send(3)), send(4))
        self.node.do(LEARNER, both(persist("P"), send("other")))
        self.node.complete()
        self.assertEqual(self.node.take(), [1, 2])
        self.assertEqual(self.node.store.commits, [{b"R1": b"v"}, {b"R2": b"v", b"P": b"v"}])
        self.node.do(ACCEPTOR, send(5))
        self.node.complete()
        self.assertEqual(self.node.take(), [3, 4, "other", 5])

    def test_from_its_start(self) -> None:
        """What an actor writes and says at its start obeys the same rule."""
        node = OneHost(starts={ACCEPTOR: both(persist("V"), send("hello"))})
        self.assertEqual(node.take(), [])
        node.complete()
        self.assertEqual(node.take(), ["hello"])

    def test_how_long_a_commit_takes(self) -> None:
        """A disk that is stuck is told by the age of its commit; between commits there is none."""
        self.assertEqual(self.node.host.commit_seconds, 0.0)
        self.node.do(ACCEPTOR, persist("P"))
        self.node.wait(1.5)
        self.assertEqual(self.node.host.commit_seconds, 1.5)
        self.node.complete()
        self.assertEqual(self.node.host.commit_seconds, 0.0)

    def test_when_the_node_woke(self) -> None:
        """A process that stood still finds messages that have waited for it as long."""
        woke: list[float] = []

        def note(turn: Turn) -> None:
            woke.append(turn.now - turn.woke_at)

        self.node.do(ACCEPTOR, note)
        self.node.wait(0.9)
        self.node.do(ACCEPTOR, note)
        self.node.wait(1.1)
        self.node.do(ACCEPTOR, note)
        self.node.wait(0.5)
        self.node.do(ACCEPTOR, note)
        self.assertEqual(woke, [inf, inf, 0.0, 0.5])

    def test_one_commit_at_a_time(self) -> None:
        """Disk speed sets the batch size: all that is written while one commit is under way makes the next."""
        self.node.do(ACCEPTOR, persist("R1"), persist("R2"))
        for name in ("R3", "R4", "R3"):
            self.node.do(ACCEPTOR, persist(name))
        self.assertEqual(self.node.store.commits, [{b"R1": b"v", b"R2": b"v"}])
        self.node.complete()
        self.assertEqual(self.node.store.commits[1:], [{b"R3": b"v", b"R4": b"v"}])
        self.node.complete()
        self.assertFalse(self.node.store.committing)
        self.assertEqual(len(self.node.store.commits), 2)

    def test_a_store_that_is_done_at_once(self) -> None:
        """A commit on the reactor's own thread, which a fast disk allows, keeps the order all the same."""
        node = OneHost(auto=True)
        node.do(ACCEPTOR, both(persist("R1"), send(1)), both(send(2), persist("R2")), send(3))
        self.assertEqual(node.take(), [1, 2, 3])
        self.assertEqual(node.store.commits, [{b"R1": b"v", b"R2": b"v"}])

    @given(st.data())
    def test_any_schedule(self, data: st.DataObject) -> None:
        """Whatever turns and commits come in which order: all that a sender had persisted when it sent is on disk
        when its message is delivered, and no two messages of one sender to one address change places."""
        node = OneHost()
        written: dict[str, list[bytes]] = {ACCEPTOR: [], LEARNER: []}
        numbers = {ACCEPTOR: 0, LEARNER: 0}
        checked: dict[tuple[Address, Address], int] = {}

        def check() -> None:
            for to, sender, (number, keys) in node.deliveries:
                self.assertTrue(keys <= set(node.store.durable), f"message {number} to {to} was delivered too early")
                self.assertGreater(number, checked.get((to, sender), 0))
                checked[to, sender] = number
            node.deliveries.clear()

        def act(role: str, steps: list[str]) -> Script:
            def script(turn: Turn) -> None:
                to_send = []
                for step in steps:
                    if step == "persist":
                        key = f"{role}{len(written[role])}".encode()
                        written[role].append(key)
                        turn.persist(key, b"v")
                    else:
                        to_send.append(PEER if step == "peer" else here(step))
                for to in to_send:
                    numbers[role] += 1
                    turn.send(to, (numbers[role], frozenset(written[role])))

            return script

        roles, targets = st.sampled_from([ACCEPTOR, LEARNER]), ["persist", "peer", ACCEPTOR, GATEWAY, LEARNER]
        for _ in range(data.draw(st.integers(1, 12))):
            if node.store.committing and data.draw(st.booleans()):
                node.store.complete()
            else:
                node.host.deliver(data.draw(roles), OUTSIDE, act(data.draw(roles), []))
                role = data.draw(roles)
                node.host.deliver(role, OUTSIDE, act(role, data.draw(st.lists(st.sampled_from(targets), max_size=4))))
            check()
            if data.draw(st.booleans()):
                node.settle()
                check()
        node.settle()
        while node.store.committing:
            node.complete()
            check()
        self.assertEqual(set(node.store.durable), {key for keys in written.values() for key in keys})


class FailureTests(SynchronousTestCase):
    """A node that cannot trust its disk or itself says nothing more."""

    def setUp(self) -> None:
        self.node = OneHost()

    def assert_silent(self) -> None:
        """Nothing is delivered, written or done from here on, and the end was announced once."""
        self.node.take()
        commits = len(self.node.store.commits)
        self.node.do(LEARNER, both(persist("x"), stage("y"), send("after the end")))
        self.node.host.peer_heard(2)
        if self.node.store.committing:
            self.node.store.complete()
        self.node.wait(10.0)
        self.assertEqual(self.node.take(), [])
        self.assertEqual(len(self.node.store.commits), commits)
        self.assertEqual(len(self.node.failures), 1)
        self.assertTrue(self.node.host.failed)

    def test_store_failure(self) -> None:
        """After a failed fsync a second one lies: what waited for it is never said, and nothing is written again."""
        self.node.do(GATEWAY, lambda turn: turn.set_timer("deadline", 0.5), stage("S"))
        self.node.do(ACCEPTOR, both(persist("R1"), send("accepted")))
        self.node.do(ACCEPTOR, both(persist("R2"), send("accepted")))
        self.node.host.deliver(LEARNER, OUTSIDE, "in the mailbox")
        self.node.store.fail("no space left")
        self.assertEqual(self.node.take(), [])
        ((reason, error),) = self.node.failures
        self.assertEqual(reason, "the store failed")
        assert isinstance(error, StoreFailed)
        self.assertEqual(str(error), "no space left")
        self.assert_silent()

    def test_raising_handler(self) -> None:
        """A handler that raised left its state half changed: it must not be asked again, nor written."""

        def mistake(turn: Turn) -> None:
            turn.persist(b"half", b"done")
            turn.send(PEER, "half done")
            turn.send(here(LEARNER), "half done")
            raise ZeroDivisionError("a mistake")

        self.node.host.deliver(PROPOSER, OUTSIDE, mistake)
        self.node.host.deliver(LEARNER, OUTSIDE, "behind it")
        self.node.settle()
        self.assertEqual(self.node.take(), [])
        self.assertEqual(self.node.store.commits, [])
        ((reason, error),) = self.node.failures
        self.assertIn("the proposer failed on", reason)
        assert isinstance(error, ZeroDivisionError)
        self.assert_silent()

    def test_fenced(self) -> None:
        """A node that must never take part again says nothing more, not even what it said in that very turn."""

        def fence(turn: Turn) -> None:
            turn.persist(b"half", b"done")
            turn.send(PEER, "said in the same turn")
            raise Fenced("its log differs")

        self.node.do(LEARNER, fence)
        self.assertEqual(self.node.take(), [])
        self.assertEqual(self.node.store.commits, [])
        ((_, error),) = self.node.failures
        assert isinstance(error, Fenced)
        self.assertEqual(str(error), "its log differs")
        self.assert_silent()

    def test_fenced_from_outside(self) -> None:
        """What the mesh is told for good ends the node as an actor's finding does: what waited for the disk too."""
        self.node.do(ACCEPTOR, both(persist("R1"), send("accepted")))
        self.node.host.fence("it is an older copy")
        self.node.host.fence("said again")
        self.assertEqual([str(error) for _, error in self.node.failures], ["it is an older copy"])
        self.assert_silent()

    def test_raising_handler_during_a_commit(self) -> None:
        """What waits for a commit is not said when the commit ends after the node has."""
        self.node.do(ACCEPTOR, both(persist("R1"), send("accepted")))
        self.node.do(LEARNER, lambda turn: [][1])
        self.node.complete()
        self.assert_silent()

    def test_raising_start(self) -> None:
        """A node one of whose actors cannot start says nothing at all, not through the others either."""

        def damaged(turn: Turn) -> None:
            raise RecordCorrupt("slot 7")

        started: list[str] = []
        starts = {ROLES[0]: damaged, ROLES[1]: both(send("hello"), lambda turn: started.append("too late"))}
        self.node = OneHost(starts=starts)
        self.assertEqual((self.node.take(), started), ([], []))
        self.assertEqual(self.node.failures[0][0], "the store failed")  # the actor made no mistake
        self.assert_silent()

    def test_damaged_record(self) -> None:
        """A value that its checksum gives away ends the node: no answer is made from it."""
        self.node.do(ACCEPTOR, persist("R1"))
        self.node.complete()
        self.node.store.durable[b"R1"] = b"damaged"
        self.node.do(ACCEPTOR, both(lambda turn: send(turn.load(b"R1"))(turn)))
        self.assertIsInstance(self.node.failures[0][1], RecordCorrupt)
        self.assert_silent()

    def test_message_that_cannot_be_sent(self) -> None:
        """A message that the codec refuses is a mistake of the node; it must not lose its neighbours and go on."""
        self.node.network.error = KeyError("never travels")
        self.node.do(ACCEPTOR, send("?", PEER, here(LEARNER)), send("next", here(LEARNER)))
        self.assertEqual([type(error) for _, error in self.node.failures], [KeyError])
        self.assert_silent()

    def test_stop(self) -> None:
        """A node that was stopped does nothing more, though its disk finishes what it was given."""
        self.node.do(GATEWAY, lambda turn: turn.set_timer("deadline", 0.5), stage("S"))
        self.node.do(ACCEPTOR, both(persist("R1"), send("accepted")))
        self.node.host.deliver(LEARNER, OUTSIDE, "in the mailbox")
        self.node.host.stop()
        self.assertEqual(self.node.clock.getDelayedCalls(), [])
        self.node.complete()
        self.node.do(LEARNER, send("more"))
        self.node.wait(5.0)
        self.assertEqual(self.node.take(), [])
        self.assertEqual(len(self.node.store.commits), 1)
        self.assertEqual(self.node.failures, [])
