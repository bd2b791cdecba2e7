"""The surveyor: it answers KEYS where too many keys have to be looked through for one turn of the learner.

It reads a view of the state, of one slot, piece by piece, and other actors have their turns between the pieces. So the
answer is what KEYS would have found after that slot. The learner has evaluated the read, as far as it did, after an
earlier slot or the same one, and behind the read's barrier: that makes the answer linearizable (I11).

The gateway asks for one survey at a time, and says when nobody waits for it any more.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import assert_never

from dkv import noted
from dkv.actor import GATEWAY, LEARNER, Address, StateView, Turn
from dkv.client_events import Survey, Surveyed, SurveyOver
from dkv.events import Captured, CaptureMissed, CaptureNow, Installed, TimerFired
from dkv.keys import DATABASES_KEY, STATE, TIME, unpack_number
from dkv.kv.asks import ask_of
from dkv.kv.databases import Databases, unpack_databases
from dkv.kv.glob import Glob
from dkv.kv.stored import STRING, deadline_of
from dkv.replies import EncodedList, Error, Local
from dkv.settings import KIB, MIB

SurveyorMessage = Survey | SurveyOver | Captured | CaptureMissed | Installed | TimerFired

PIECE_BYTES = 64 * KIB
"""The bytes of the state that are looked through at a time: other actors wait so long."""

ANSWER_BYTES_MAX = 32 * MIB
"""No answer may have more bytes."""

RETRY_SECONDS = 0.05
"""How long to wait before asking for a view again, if there was none because too much waits for the disk."""

REST_SECONDS = 0.0
"""The time between two pieces: just long enough for all others that are ready to have their turns."""

TOO_LARGE = Error(
    f"ERR the answer has more than {ANSWER_BYTES_MAX} bytes: SCAN gives it step by step, or ask for fewer keys"
)

ASK = "ask"
READ = "read"

Encode = Callable[[list[bytes]], bytes]
"""The bytes of a piece of an ``EncodedList``."""


class _Search:
    """What KEYS finds in ``view``: the pattern, and what was found so far."""

    def __init__(self, view: StateView, db: int, pattern: bytes, encode: Encode) -> None:
        self._view = view
        self._encode = encode
        stored = view.get(DATABASES_KEY)
        databases = Databases() if stored is None else unpack_databases(stored)
        self._time = unpack_number(view.get(TIME))
        self._glob = Glob(pattern)
        self._stem_bytes = len(STATE) + 1
        self._prefix = STATE + bytes((databases.numbered[db].space,)) + self._glob.prefix
        self._after = b""
        self._pieces: list[bytes] = []
        self._size = 0
        self.count = 0
        """How many keys were found."""

    def go_on(self) -> Local | None:
        """Look through the next piece; the answer once it is known."""
        pairs = self._next_pairs()
        end, time, matches = self._stem_bytes, self._time, self._glob.matches
        found = [
            key
            for name, stored in pairs
            if (stored[0] == STRING or deadline_of(stored) > time) and matches(key := name[end:])
        ]
        if found:
            self._pieces.append(self._encode(found))
            self._size += len(self._pieces[-1])
            self.count += len(found)
        if self._size > ANSWER_BYTES_MAX:
            return Local(TOO_LARGE)
        return None if pairs else Local(EncodedList(self.count, tuple(self._pieces)))

    def _next_pairs(self) -> list[tuple[bytes, bytes]]:
        """The next ones whose keys begin as the pattern does; none at the end."""
        prefix = self._prefix
        if not self._after:  # what ``read`` gives is behind a key: the key that is the prefix itself comes first
            self._after = prefix
            stored = self._view.get(prefix)
            if stored is not None:
                return [(prefix, stored)]
        pairs = self._view.read(self._after, PIECE_BYTES)
        if pairs and not pairs[-1][0].startswith(prefix):
            pairs = [pair for pair in pairs if pair[0].startswith(prefix)]
        if pairs:
            self._after = pairs[-1][0]
        return pairs


class Surveyor:
    """The surveyor of node ``node``; ``encode`` makes the pieces of its answers."""

    def __init__(self, node: int, encode: Encode) -> None:
        self._gateway, self._learner = (Address(node, role) for role in (GATEWAY, LEARNER))
        self._encode = encode
        self._survey: Survey | None = None
        self._view: StateView | None = None
        self._search: _Search | None = None

    def start(self, turn: Turn) -> None:
        """Nothing to load: nobody waits any more for what was under way."""

    def receive(self, turn: Turn, sender: Address, message: SurveyorMessage) -> None:
        """React to one message."""
        match message:
            case Survey():
                self._survey = message
                self._ask(turn)
            case SurveyOver():
                self._on_over(turn, message)
            case Captured():
                self._on_captured(turn, message)
            case CaptureMissed():
                self._on_missed(turn)
            case Installed():
                self._on_installed(turn)
            case TimerFired():
                self._on_timer(turn, message)
            case _:
                assert_never(message)

    def _ask(self, turn: Turn) -> None:
        turn.send(self._learner, CaptureNow())

    def _on_captured(self, turn: Turn, message: Captured) -> None:
        """A view has come. One that an earlier survey asked for may be of an earlier slot than this one may show."""
        survey = self._survey
        if survey is None or self._view is not None or message.view.applied_through < survey.through:
            message.view.close()
            if survey is not None and self._view is None:
                self._ask(turn)
            return
        ask = ask_of(survey.entry)
        assert ask is not None, "the learner has evaluated the entry"
        [pattern] = ask.arguments
        assert type(pattern) is bytes, "as before"
        self._view, self._search = message.view, _Search(message.view, ask.db, pattern, self._encode)
        self._read(turn)

    def _on_missed(self, turn: Turn) -> None:
        """Too much waits for the disk."""
        if self._survey is not None and self._view is None:
            turn.set_timer(ASK, RETRY_SECONDS)

    def _on_installed(self, turn: Turn) -> None:
        """The state is another one, and that of the view, or of one that is still to come, is about to be erased."""
        if self._survey is not None:
            self._put_away(turn)
            self._ask(turn)

    def _on_over(self, turn: Turn, message: SurveyOver) -> None:
        """Nobody waits any more."""
        if self._survey is not None and message.number == self._survey.number:
            self._survey = None
            self._put_away(turn)

    def _on_timer(self, turn: Turn, message: TimerFired) -> None:
        if message.name == READ:
            self._read(turn)
        elif self._survey is not None and self._view is None:
            self._ask(turn)

    def _read(self, turn: Turn) -> None:
        """Look through the next piece, and rest until all others have had their turns."""
        survey, view, search = self._survey, self._view, self._search
        assert survey is not None and view is not None and search is not None, "the timer is cancelled with them"
        reply = search.go_on()
        if reply is None:
            turn.set_timer(READ, REST_SECONDS)
            return
        turn.note(noted.surveyed, entry=survey.entry, through=view.applied_through, reply=reply)
        turn.send(self._gateway, Surveyed(survey.number, reply))
        self._survey = None
        self._put_away(turn)

    def _put_away(self, turn: Turn) -> None:
        """Read no further."""
        turn.cancel_timer(READ)
        if self._view is not None:
            self._view.close()
            self._view = self._search = None
