"""Messages as bytes: each there and back, each pinned, and nothing else let in."""

from __future__ import annotations

import inspect
from dataclasses import fields
from typing import Any, get_args

import cbor2
from cbor2 import dumps
from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from dkv import messages as m
from dkv import pubsub_messages as p
from dkv import state_messages as s
from dkv.actor import ACCEPTOR, CATCHUP, CHECKER, DONOR, ELECTOR, GATEWAY, LEARNER, PROPOSER, PUBSUB, RECEIVER
from dkv.ballot import Ballot
from dkv.gateway import gateway
from dkv.identity import Start, Votes
from dkv.paxos import acceptor, catchup, elector, learner, proposer, state_checker
from dkv.paxos.classic import acceptor as classic_acceptor
from dkv.paxos.classic import presence
from dkv.paxos.classic import proposer as classic_proposer
from dkv.paxos.snapshots import donor, receiver
from dkv.pubsub import relay
from dkv.records import NOOP, Batch, ShortDisk, SlotRecord, Value
from dkv.routes import ROUTES, SPOKEN
from dkv.settings import MODES
from dkv.wire.codec import (
    MESH,
    PROTOCOL,
    TAGS,
    Alive,
    Challenge,
    Hello,
    PeerProof,
    Refused,
    RefusedForGood,
    Removed,
    decode,
    decode_entries,
    encode,
    encode_entries,
)
from dkv.wire.packing import COUNT_MAX, INCARNATION_MAX, NODE_MAX, CodecError

BALLOT = Ballot(300, 2)
BATCH = Batch(1, INCARNATION_MAX, 4, 70_000, b"blob")
VOTES = Votes(BALLOT, 7)
VALUE = Value((BATCH,), 1_795_000_000_123)
RECORD = SlotRecord(BALLOT, VALUE, True)

HELLO = Hello(PROTOCOL, "blue", 2, INCARNATION_MAX, "leader", b"key", b"hash", 33, (Start(3, INCARNATION_MAX),), VOTES)
HELLO_FIELDS = (
    "0864626c7565021bffffffffffffffff666c6561646572436b6579446861736818218182031bffffffffffffffff828219012c020740"
)

BETWEEN_MESHES = {Hello, Challenge, PeerProof, Refused, RefusedForGood, Removed, Alive}

STORED = {
    HELLO: f"8c01{HELLO_FIELDS}",
    Challenge(b"once"): "8206446f6e6365",
    PeerProof(3, b"mac"): "830703436d6163",
    Refused("no"): "8202626e6f",
    RefusedForGood("no", HELLO): f"8304626e6f8b{HELLO_FIELDS}",
    Removed("no", 9, ("h:1",), HELLO): f"8505626e6f098163683a318b{HELLO_FIELDS}",
    Alive(): "8103",
    m.Prepare(BALLOT, 5): "83108219012c0205",
    m.Promise(BALLOT, 9, 3, 77, 0, 1, ((10, RECORD),), 5, 300): "8a11"
    "8219012c02"
    "0903184d0001"
    "81820a83"
    "8219012c02"
    "828185011bffffffffffffffff041a0001117044626c6f621b000001a1ee565e7b"
    "f50519012c",
    m.Nack(BALLOT, BALLOT): "83128219012c028219012c02",
    m.Accept(
        BALLOT, 6, VALUE, 5, 300
    ): "86138219012c0206828185011bffffffffffffffff041a0001117044626c6f621b000001a1ee565e7b0519012c",
    m.Accepted(BALLOT, 6, 4, 5): "85148219012c02060405",
    m.ChosenOtherwise(BALLOT, 6): "83158219012c0206",
    m.GiveWay(BALLOT, 6): "83182e8219012c0206",
    m.ChosenMark(BALLOT, 6): "83168219012c0206",
    m.Submit((BATCH,)): "82178185011bffffffffffffffff041a0001117044626c6f62",
    m.Want(4, 7): "8318180407",
    m.BarrierRequest(4, 7): "8318190407",
    m.Barrier(4, 7, 24): "84181a04071818",
    m.Confirm(BALLOT, 7): "83181b8219012c0207",
    m.Confirmed(BALLOT, 7): "83181c8219012c0207",
    s.ReadChosen(6): "82181d06",
    s.ChosenSlots(
        6, (NOOP, VALUE), 7
    ): "84181e0682828000828185011bffffffffffffffff041a0001117044626c6f621b000001a1ee565e7b07",
    s.CompactedThrough(7): "82182f07",
    s.AppliedDigest(7, bytes(16)): "83182d0750" + "00" * 16,
    s.StateCheck(300): "82183519012c",
    s.StateDigest(300, bytes(16), 7): "84183619012c50" + "00" * 16 + "07",
    s.SnapshotRequest((3, 7), 6): "83183082030706",
    s.SnapshotChunk((3, 7), 6, 300, ((b"A", b"1"), (b"S", b"")), 70_000): "8618318203070619012c"
    "828241414131824153401a00011170",
    s.SnapshotRefused((3, 7), "busy"): "8318328203076462757379",
    s.SnapshotTaken((3, 7), 300): "83183382030719012c",
    m.Poll(1, 6): "83181f0106",
    m.PollAnswer(1, False): "83182001f4",
    m.Resigned(BALLOT): "8218218219012c02",
    m.Heartbeat(BALLOT, 8, 7, 6, 300): "8718228219012c0208070619012c80",
    m.Heartbeat(
        BALLOT, 8, 7, 6, 300, (ShortDisk(2, 70_000, 300),)
    ): "8718228219012c0208070619012c8183021a0001117019012c",
    m.HeartbeatAck(BALLOT, 8, 500, 300): "8518238219012c02081901f419012c",
    m.TakeOver(BALLOT): "8218378219012c02",
    m.DiskSpace(70_000, 300, True): "8418341a0001117019012cf5",
    m.PrepareSlot(BALLOT, 6): "8318248219012c0206",
    m.PromiseSlot(BALLOT, 6, None, 5, 300): "8618258219012c0206f60519012c",
    m.PromiseSlot(BALLOT, 6, RECORD, 5, 300): "8618258219012c0206838219012c02"
    "828185011bffffffffffffffff041a0001117044626c6f621b000001a1ee565e7bf50519012c",
    m.NackSlot(BALLOT, 6, BALLOT, BALLOT): "8518268219012c02068219012c028219012c02",
    m.AcceptSlot(
        BALLOT, 6, VALUE, 300
    ): "8518278219012c0206828185011bffffffffffffffff041a0001117044626c6f621b000001a1ee565e7b19012c",
    m.AcceptedSlot(BALLOT, 6, 5): "8418288219012c020605",
    m.SlotSettled(6, 7): "8318290607",
    m.SlotChosen(BALLOT, 6): "83182a8219012c0206",
    m.ChosenThrough(7, 9, 8): "84182b070908",
    m.Voted(BALLOT, 6): "83182c8219012c0206",
    p.Published(
        300, 8, ((0, b"news", b"hello"), (2, b"shard", b""))
    ): "84183819012c08828300446e6577734568656c6c6f830245736861726440",
    p.SubscriberCounts(
        300, 9, True, ((1, b"n*", 2), (0, b"news", 0))
    ): "85183919012c09f5828301426e2a028300446e65777300",
    p.CountsHeard(300, 9): "83183a19012c09",
}
"""Every class that travels, and its bytes; whoever edits a line edits the protocol."""


counts = st.integers(0, COUNT_MAX)
nodes = st.integers(0, NODE_MAX)
names = st.integers(0, INCARNATION_MAX)
st.register_type_strategy(Ballot, st.builds(Ballot, counts, nodes))


def of_class(cls: type) -> st.SearchStrategy[Any]:
    """Any message of ``cls``: whole range of each field."""
    by_name = {"node": nodes, "incarnation": names, "life": names, "protocol": st.just(PROTOCOL)}
    given_fields: dict[str, st.SearchStrategy[Any]]
    given_fields = {field.name: by_name.get(field.name, counts) for field in fields(cls) if field.type == "int"}
    if cls is m.Heartbeat:
        given_fields["short"] = st.lists(st.builds(ShortDisk, nodes, counts, counts), max_size=2).map(tuple)
    return st.builds(cls, **given_fields)


st.register_type_strategy(int, counts)
for _cls in (Batch, Start, Hello):
    st.register_type_strategy(_cls, of_class(_cls))
ANY_MESSAGE = st.sampled_from(sorted(TAGS.values(), key=lambda cls: cls.__name__)).flatmap(of_class)


class Tags(SynchronousTestCase):
    """The table of what travels."""

    def test_every_message_between_nodes_has_a_tag(self) -> None:
        """A class without a tag works on one node and is lost between two."""
        travelling = {
            cls
            for module in (m, s, p)
            for _, cls in inspect.getmembers(module, inspect.isclass)
            if cls.__module__ == module.__name__
        }
        self.assertEqual(set(TAGS.values()), travelling | BETWEEN_MESHES)

    def test_numbers_are_unique(self) -> None:
        """Two classes under one tag would be taken for each other."""
        self.assertEqual(len(set(TAGS.values())), len(TAGS))

    def test_stored_bytes(self) -> None:
        """Nodes of two releases talk to each other during an upgrade: not a byte may change unnoticed."""
        self.assertEqual({type(message) for message in STORED}, set(TAGS.values()))
        for message, stored in STORED.items():
            self.assertEqual(encode(message).hex(), stored, message)
            decoded = decode(bytes.fromhex(stored))[2]
            self.assertEqual((decoded, encode(decoded).hex()), (message, stored))

    def test_routes(self) -> None:
        """A message that reached an actor which does not know it would stop the node."""
        self.assertEqual(set(ROUTES), set(TAGS.values()) - BETWEEN_MESHES)
        shared = {
            CATCHUP: catchup.CatchupMessage,
            CHECKER: state_checker.CheckerMessage,
            DONOR: donor.DonorMessage,
            GATEWAY: gateway.GatewayMessage,
            LEARNER: learner.LearnerMessage,
            PUBSUB: relay.RelayMessage,
            RECEIVER: receiver.ReceiverMessage,
        }
        leader = {
            ACCEPTOR: acceptor.AcceptorMessage,
            ELECTOR: elector.ElectorMessage,
            PROPOSER: proposer.ProposerMessage,
        }
        classic = {
            ACCEPTOR: classic_acceptor.ClassicAcceptorMessage,
            ELECTOR: presence.PresenceMessage,
            PROPOSER: classic_proposer.ClassicProposerMessage,
        }
        known = {"leader": shared | leader, "classic": shared | classic}
        self.assertEqual(set(SPOKEN), set(MODES))
        self.assertEqual(set(ROUTES), frozenset().union(*SPOKEN.values()))
        for mode, spoken in SPOKEN.items():
            for cls in spoken:
                self.assertIn(cls, get_args(known[mode][ROUTES[cls][1]]), mode)
        self.assertEqual(decode(encode(s.ReadChosen(1)))[:2], (CATCHUP, ACCEPTOR))
        self.assertEqual(decode(encode(Alive()))[:2], (MESH, MESH))


class RoundTrip(SynchronousTestCase):
    """A node decodes the message that another one has encoded."""

    @settings(max_examples=400)
    def test_hello_of_another_protocol(self) -> None:
        """An upgrade of one node must be refused in words, whatever Hello looked like in the other version."""
        for foreign in ([1, 2, "blue", 7, 5, 1, "leader"], [1, 9, "blue", 7, {"new": 1}]):
            _, _, message = decode(dumps(foreign))
            self.assertEqual((message.protocol, message.cluster, message.node), (foreign[1], "blue", 7))
        self.assertRaises(CodecError, decode, dumps([1, 9]))

    @given(ANY_MESSAGE)
    def test_every_class(self, message: Any) -> None:
        """Nothing of a message is lost or altered, at any size of its numbers."""
        decoded = decode(encode(message))[2]
        self.assertEqual(decoded, message)
        self.assertIs(type(decoded), type(message))
        hash(decoded)  # tuples and Ballots inside, not lists: equal to what this node builds itself

    def test_large_blobs(self) -> None:
        """Megabytes pass unaltered: early 6.1 releases of cbor2 corrupted long strings when reading streams."""
        blobs = [bytes(range(256)) * (size // 256) + b"end" for size in (2**16 - 256, 2**16, 2**20, 9 * 2**20)]
        value = Value(tuple(Batch(1, 2, 3, seq, blob) for seq, blob in enumerate(blobs)))
        message = m.Accept(BALLOT, 1, value, 0)
        self.assertEqual(decode(encode(message))[2], message)


class Refusals(SynchronousTestCase):
    """Other bytes are a CodecError: never another exception, and never a message with a wrong value in it."""

    def refuse(self, body: bytes, words: str = "") -> None:
        error = self.assertRaises(CodecError, decode, body)
        self.assertIn(words, str(error))

    def refuse_array(self, *items: Any, words: str = "") -> None:
        self.refuse(cbor2.dumps(items), words)

    @settings(max_examples=1000)
    @given(st.binary(max_size=60))
    def test_any_bytes(self, body: bytes) -> None:
        """Noise ends a connection, not a node."""
        try:
            decode(body)
        except CodecError as error:
            self.assertNotIn("\n", str(error))

    @settings(max_examples=500)
    @given(ANY_MESSAGE, st.data())
    def test_any_damage(self, message: Any, data: st.DataObject) -> None:
        """Bytes changed, cut or added give another well-formed message or an error."""
        body = bytearray(encode(message))
        body[data.draw(st.integers(0, len(body) - 1))] = data.draw(st.integers(0, 255))
        try:
            decoded = decode(bytes(body))[2]
        except CodecError:
            return
        self.assertEqual(decode(encode(decoded))[2], decoded)

    @given(ANY_MESSAGE, st.binary(min_size=1, max_size=5))
    def test_trailing_bytes(self, message: Any, more: bytes) -> None:
        """Two messages in one frame are not silently one."""
        self.refuse(encode(message) + more, "follow")

    def test_every_cut(self) -> None:
        """A message that ends early is refused wherever it ends."""
        body = encode(m.Accept(BALLOT, 6, VALUE, 5))
        for length in range(len(body)):
            self.refuse(body[:length])

    def test_unknown_tags(self) -> None:
        """A later version's message is refused, as is a tag that is no number."""
        self.refuse_array(15, words="unknown tag 15")
        for tag in (True, "1", None, [1], -1, 2**63):
            self.refuse_array(tag, 2)

    def test_arity(self) -> None:
        """A field more or less is another protocol."""
        self.refuse_array(29, words="ReadChosen is 1 fields")
        self.refuse_array(29, 5, 5)
        bodies: list[Any] = [[], {}, 29, "x", None]
        for body in bodies:
            self.refuse(cbor2.dumps(body), "array")

    def test_b13_a_report_without_what_is_compacted(self) -> None:
        """A Promise that does not say where its log begins would call the slots before that empty (B13)."""
        decode(cbor2.dumps((17, [1, 1], 9, 3, 7, 0, 1, [], 5, 6)))
        self.refuse_array(17, [1, 1], 9, 7, 0, 1, [], 5, 6)
        compacted: Any
        for compacted in (-1, COUNT_MAX + 1, False, 0.0, None, []):
            self.refuse_array(17, [1, 1], 9, compacted, 7, 0, 1, [], 5, 6)

    def test_numbers(self) -> None:
        """A handler can add one to any number and store it: no negatives, floats, booleans, bignums."""
        self.assertEqual(decode(cbor2.dumps((29, COUNT_MAX)))[2], s.ReadChosen(COUNT_MAX))
        for number in (-1, COUNT_MAX + 1, 2**64, 1.0, True, None, "5", b"5", [5]):
            self.refuse_array(29, number)

    def test_nodes(self) -> None:
        """A node id is stored in 32 bits: a longer one would stop whoever stores it."""
        for ballot in ([1, NODE_MAX + 1], [COUNT_MAX + 1, 1], [-1, 1], [1], [1, 2, 3], 5, [1, True], [1.0, 1]):
            self.refuse_array(33, ballot)
        self.refuse_array(23, [[NODE_MAX + 1, 1, 1, 1, b""]])
        self.refuse_array(23, [[1, INCARNATION_MAX + 1, 1, 1, b""]])

    def test_other_types(self) -> None:
        """Each field has its type: text is not bytes, a number is no flag, an array no text."""
        for blob in ("text", 5, None, [b""]):
            self.refuse_array(23, [[1, 1, 1, 1, blob]])
        not_batches: list[Any] = [None, 5, {}, [5], [[]], [[1, 1, 1, 1]]]
        for batches in not_batches:
            self.refuse_array(23, batches)
        for granted in (0, 1, None):
            self.refuse_array(32, 1, granted)
        self.refuse_array(2, b"bytes")
        for records in ([[10]], [[10, 5]], [10], [[10, [[1, 1], [], True], 1]]):
            self.refuse_array(17, [1, 1], 0, 0, 7, 0, 1, records, 5)
        for record in (0, False, b"", [], [[1, 1], [], 1]):
            self.refuse_array(37, [1, 1], 6, record)

    def test_cbor_tags(self) -> None:
        """No tag is decoded, not even where its value would pass: tag 35 compiles a regular expression."""
        for tag in (0, 1, 2, 3, 4, 5, 25, 28, 29, 30, 35, 36, 37, 100, 256, 258, 260, 1004, 1234, 43000, 55799):
            head = cbor2.dumps(cbor2.CBORTag(tag, 0))[:-1]
            for content in (b"\x05", b"\x41a", b"\x61a", b"\x82\x01\x02"):
                self.refuse(b"\x84\x18\x1d\x01\x01" + head + content, "semantic tag")

    def test_indefinite_lengths(self) -> None:
        """One message has one shape."""
        self.refuse(b"\x9f\x18\x1d\x01\x01\x05\xff")

    def test_depth(self) -> None:
        """A thousand nested arrays are refused before they cost anything."""
        self.refuse(b"\x81" * 1000 + b"\x01", "depth")

    def test_absurd_lengths(self) -> None:
        """A length of 2**64 is read, not allocated."""
        for head in (
            "9bffffffffffffffff",
            "5bffffffffffffffff",
            "7bffffffffffffffff",
            "bbffffffffffffffff",
            "9affffffff",
        ):
            self.refuse(bytes.fromhex(head))


class Entries(SynchronousTestCase):
    """The blob of a batch."""

    scalars = st.integers(-(2**64), 2**64 - 1) | st.binary() | st.text() | st.booleans() | st.none()

    @given(st.lists(st.lists(scalars)))
    def test_round_trip(self, entries: list[Any]) -> None:
        """A command is applied as it was given."""
        self.assertEqual(decode_entries(encode_entries(entries)), entries)

    @settings(max_examples=1000)
    @given(st.binary(max_size=60))
    def test_total(self, blob: bytes) -> None:
        """A poisoned slot is skipped on every node, and stops none."""
        entries = decode_entries(blob)
        self.assertTrue(entries is None or all(type(entry) is list for entry in entries))

    def test_what_is_no_list_of_lists(self) -> None:
        """As above, for bytes that are CBOR."""
        items: list[Any] = [None, 5, {}, [5], [[1], 5], "x", [{}]]
        for item in items:
            self.assertIsNone(decode_entries(cbor2.dumps(item)))
        self.assertIsNone(decode_entries(b""))
        self.assertIsNone(decode_entries(cbor2.dumps([[1]]) + b"\0"))
        self.assertIsNone(decode_entries(cbor2.dumps([[cbor2.CBORTag(35, "(a*)*b")]])))
        self.assertEqual(decode_entries(cbor2.dumps([])), [])

    def test_stored_bytes(self) -> None:
        """Blobs lie on disks for years."""
        self.assertEqual(
            encode_entries([[1, b"key", b"value"]]).hex(), "81830143" + b"key".hex() + "45" + b"value".hex()
        )
