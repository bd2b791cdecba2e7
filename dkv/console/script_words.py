"""SCRIPT: which scripts the catalogue has. It is part of the program, so nothing is ever loaded or forgotten."""

from __future__ import annotations

from dkv.console.client_state import ClientState
from dkv.console.declaring import container, word
from dkv.kv.registry import NO_CHANNELS, NO_KEYS, BadRequest
from dkv.kv.scripts.catalogue import by_digest, by_text, digest_of
from dkv.kv.words.scripting import unknown_text
from dkv.replies import OK, Local


def _load(client: ClientState, words: list[bytes]) -> Local:
    found = by_text(words[2])
    if found is None or found.arguments:
        # One whose text has a pattern in it is known by its text alone, so EVALSHA could not find it.
        client.refuse_word([*words[:2], digest_of(words[2]).encode()])
        raise BadRequest(unknown_text(words[2]))
    return Local(digest_of(words[2]).encode())


def _exists(client: ClientState, words: list[bytes]) -> Local:
    return Local([int(by_digest(digest) is not None) for digest in words[2:]])


def _flush(client: ClientState, words: list[bytes]) -> Local:
    if len(words) > 3 or (len(words) == 3 and words[2].lower() not in (b"async", b"sync")):
        raise BadRequest("ERR SCRIPT FLUSH only support SYNC|ASYNC option")
    return Local(OK)


SCRIPT = container(
    "script",
    [
        word(
            f"script|{name}",
            arity,
            answer,
            category="connection",
            keys=NO_KEYS,
            channels=NO_CHANNELS,
            group="scripting",
            since="2.6.0",
            arguments=form,
            summary=summary,
            flags=("noscript", "loading", "stale"),
        )
        for name, arity, answer, form, summary in (
            ("exists", -3, _exists, "sha1 [sha1 ...]", "1 for each script that the catalogue has, else 0."),
            ("flush", -2, _flush, "[ASYNC|SYNC]", "Answers OK, and forgets nothing."),
            ("load", 3, _load, "script", "The SHA1 of a script that the catalogue has."),
        )
    ],
    group="scripting",
    since="2.6.0",
    summary="About the scripts that the catalogue has.",
)
