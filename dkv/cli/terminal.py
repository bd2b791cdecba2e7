"""The line client at a terminal: history, completion and hints, by prompt_toolkit."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator
from pathlib import Path

import click

from dkv.cli.lines import UNKNOWN, ends, execute, parse
from dkv.cli.nearest import did_you_mean
from dkv.cli.output import Failure, Status, complain, one_line, say
from dkv.cli.reply_text import printed
from dkv.cli.table import coloured
from dkv.cli.whereabouts import Whereabouts
from dkv.client.blocking import NoAnswer, Reply, ServerError
from dkv.client.outcome import Unreachable
from dkv.client.session import Session
from dkv.client.state import state_path

try:
    from prompt_toolkit import PromptSession
    from prompt_toolkit.application import get_app
    from prompt_toolkit.completion import CompleteEvent, Completer, Completion
    from prompt_toolkit.document import Document
    from prompt_toolkit.formatted_text import FormattedText
    from prompt_toolkit.history import FileHistory, History, InMemoryHistory
    from prompt_toolkit.layout.processors import AfterInput
except ImportError:
    text = "on a terminal this command needs prompt_toolkit, which the extra 'cli' of this package brings along"
    raise Failure(Status.USAGE, "USAGE", text) from None

OPTION = re.compile(r"\b[A-Z]{2,}[A-Z-]*\b")
"""A word that is typed as it stands, in the text that shows a command's arguments."""

RAW = frozenset((b"INFO", b"HELP", b"DKV.STATUS", b"DKV.METRICS"))
"""The replies of these commands are texts for people: they are printed as they are, line by line."""

Forms = dict[str, tuple[str, str]]
"""For each command, in capitals: its arguments, and what it does."""

UNKNOWN_COMMAND = "ERR unknown command"

OWN: Forms = {"EXIT": ("", "End."), "QUIT": ("", "End.")}


def converse(session: Session) -> int:
    """Ask for lines until the user has enough."""
    forms = OWN | _forms(session)
    whereabouts = Whereabouts()
    prompts: PromptSession[str] = PromptSession(
        history=open_history(state_path("repl_history")),
        completer=Names(forms),
        complete_while_typing=False,
        input_processors=[AfterInput(lambda: _hint(forms))],
    )
    while True:
        if (news := whereabouts.news(session.endpoint)) is not None:
            say(one_line(news))
        try:
            line = prompts.prompt(_prompt(session))
        except KeyboardInterrupt:  # Ctrl-C: another line
            continue
        except EOFError:
            return Status.DONE
        words: list[bytes] = []
        try:
            words = parse(line.encode("utf-8", "surrogateescape"))
            if words and ends(words):
                return Status.DONE
            if words:
                _say_reply(words, execute(session, words))
        except ServerError as error:
            _say_error(error.text)
            if error.text.startswith(UNKNOWN_COMMAND) and (hint := did_you_mean(_text(words[0]), forms)):
                say(hint)
        except NoAnswer as error:
            _say_error(f"{UNKNOWN}: {error}")
        except Unreachable as error:
            _say_error(f"nobody reachable: {error}")
        except KeyboardInterrupt:
            _say_error("interrupted; a write that was under way may or may not happen")


def _prompt(session: Session) -> str:
    """Where the client is, as in redis-cli: the database unless it is 0, and whether a transaction has begun."""
    if session.endpoint is None:
        return "not connected> "
    database = f"[{session.database}]" if session.database else ""
    return f"{session.endpoint}{database}{'(TX)' if session.in_transaction else ''}> "


def _say_reply(words: list[bytes], reply: Reply) -> None:
    if words[0].upper() not in RAW:
        say(printed(reply))
        return
    for item in reply if isinstance(reply, list) else [reply]:
        text = item.decode("utf-8", "replace") if isinstance(item, bytes) else str(item)
        for line in text.splitlines():
            say(one_line(line))


def _say_error(text: str) -> None:
    line = f"(error) {one_line(text)}"
    say(click.style(line, fg="red") if coloured() else line)


# --- what can be typed ---


def _forms(session: Session) -> Forms:
    """The commands that the node has; none if it does not say."""
    try:
        session.connect()
        return read_forms(session.call(b"COMMAND", b"DOCS"))
    except Unreachable as error:
        complain(f"nobody reachable: {error}")
    except ServerError:
        pass  # another server, or one that is about to end: the user can still type commands in full
    return {}


def read_forms(reply: Reply) -> Forms:
    """The commands in an answer to COMMAND DOCS, in RESP 2: names and maps in turn, a map as its keys and values."""
    forms: Forms = {}
    for name, docs in _pairs(reply):
        fields = dict(_pairs(docs))
        arguments = fields.get(b"arguments")
        shown = [dict(_pairs(each)).get(b"display_text") for each in arguments] if isinstance(arguments, list) else []
        forms[_text(name).upper()] = (" ".join(map(_text, shown)), _text(fields.get(b"summary")))
    return forms


def _pairs(reply: Reply) -> Iterator[tuple[Reply, Reply]]:
    items = reply if isinstance(reply, list) else []
    for name, value in zip(items[::2], items[1::2], strict=False):
        if isinstance(name, bytes):
            yield name, value


def _text(reply: Reply) -> str:
    return one_line(reply.decode("utf-8", "replace")) if isinstance(reply, bytes) else ""


def _hint(forms: Forms) -> FormattedText:
    """The hint behind the line that is typed. An entered line has none, because it stays on the screen."""
    app = get_app()
    return FormattedText([] if app.is_done else [("ansibrightblack", hint(forms, app.current_buffer.text))])


def hint(forms: Forms, line: str) -> str:
    """The arguments that are still to be typed."""
    words = line.split()
    if not words or words[0].upper() not in forms:
        return ""
    arguments = forms[words[0].upper()][0].split()
    rest = " ".join(arguments[len(words) - 1 :])
    return ("" if line.endswith(" ") else " ") + rest if rest else ""


class Names(Completer):
    """Completes the name of a command, and the options that it has, in the case in which they were begun."""

    def __init__(self, forms: Forms) -> None:
        self._forms = forms

    def get_completions(self, document: Document, complete_event: CompleteEvent) -> Iterable[Completion]:
        """The names that begin with the text before the cursor; behind a name, its options that begin with the word
        there."""
        first, space, rest = document.text_before_cursor.lstrip().partition(" ")
        begun = rest.rpartition(" ")[2] if space else first
        for name, summary in self._options(first) if space else self._names():
            if name.startswith(begun.upper()):
                shown = name.lower() if begun and begun == begun.lower() else name
                yield Completion(shown, -len(begun), display_meta=summary)

    def _names(self) -> Iterator[tuple[str, str]]:
        yield from ((name, summary) for name, (_, summary) in sorted(self._forms.items()))

    def _options(self, name: str) -> Iterator[tuple[str, str]]:
        """The words in capitals among a command's arguments."""
        arguments, _ = self._forms.get(name.upper(), ("", ""))
        yield from ((option, "") for option in sorted(set(OPTION.findall(arguments))))


# --- history ---

_WITH_PASSWORD = re.compile(r"\W*(auth|hello\b.*\bauth)\b", re.IGNORECASE)
"""A line that says who the user is, quoted or not."""


class _FileHistory(FileHistory):
    """Lines in a file, for as long as it can be written. Those with a password are remembered until the end only."""

    def store_string(self, string: str) -> None:
        if _WITH_PASSWORD.match(string):
            return
        try:
            super().store_string(string)
        except OSError:
            pass  # a full disk must not end the session; the line stays in memory


def open_history(path: Path | None) -> History:
    """The history in ``path``, readable by its owner only; it stays in memory if it cannot be kept there."""
    if path is None:
        return InMemoryHistory()
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
        path.chmod(0o600)
    except OSError as error:
        complain(f"lines are not kept: cannot write {path}: {error.strerror}")
        return InMemoryHistory()
    return _FileHistory(path)
