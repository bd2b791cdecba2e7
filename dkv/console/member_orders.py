"""The orders that ask for the members of the cluster. They read what the node knows, and change nothing."""

from __future__ import annotations

import json

from dkv.console.member_changes import USAGE
from dkv.console.member_view import MemberView
from dkv.replies import Error, Nested


def answer_member_order(view: MemberView, words: list[bytes]) -> Nested:
    """The answer to ``DKV.MEMBER``, JSON as a string: the members; or with them what a node that joins has to know."""
    match [words[0].lower(), *words[1:]]:
        case [b"list"]:
            return json.dumps({"member": view.kind, **view.members()}).encode()
        case [b"join"]:
            if not view.is_member:
                return Error(f"ERR this node is no member itself, but {view.kind}: ask another one")
            return json.dumps({**view.invitation(), **view.members()}).encode()
    return USAGE
