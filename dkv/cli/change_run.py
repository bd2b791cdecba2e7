"""A change of members, carried out: asked for, watched until it is safe, and safe to repeat.

A command that was interrupted, or whose outcome is unknown, is just given again: each step that is done already is left
out, and what is under way is waited for.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import replace

from dkv.cli.access import Access
from dkv.cli.asking import pause
from dkv.cli.change_plan import ChangePlan, MemberStep, Seen, plan_json, refuse_impossible, refused, seen
from dkv.cli.node_status import STATUS_REQUEST, status_fields
from dkv.cli.output import Failure, Status, complain, say
from dkv.client.addresses import present
from dkv.client.admission import Admission
from dkv.client.any_node import ask_where
from dkv.client.blocking import NoAnswer, ServerError
from dkv.client.outcome import Unreachable
from dkv.client.survey import ask_all
from dkv.configurations import ALPHA

LOOK_SECONDS = 0.2
STATUS_SECONDS = 2.0
SAID_SECONDS = 5.0
"""How often a command that waits says what it waits for."""


class Changer:
    """Carries changes out through the nodes of ``to``. It waits for ``wait_seconds`` at most for each thing."""

    def __init__(self, to: Access, wait_seconds: float, yes: bool, dry_run: bool) -> None:
        self._to = to
        self._wait_seconds = wait_seconds
        self._yes = yes
        self._dry_run = dry_run

    @property
    def access(self) -> Admission:
        """How a command gets in at the nodes, new ones included."""
        return self._to.endpoints[0].access

    def look(self) -> Seen:
        """The members now, by the answers of all that can be found."""
        seconds = min(self._to.answer_seconds, STATUS_SECONDS)
        endpoints = present(self._to.endpoints, seconds)
        answers = [own[0] for own in ask_all(endpoints, [STATUS_REQUEST], seconds)]
        now = seen((each.endpoint, status_fields(each)[0]) for each in answers)
        if now is None:
            problems = "; ".join(each.problem or f"{each.endpoint} knows no members" for each in answers)
            raise Failure(Status.UNREACHABLE, "UNREACHABLE", f"nobody reachable: {problems}")
        return now

    def change(self, steps: tuple[MemberStep, ...]) -> int:
        """Do what is left of ``steps`` in one entry of the log, and wait until it is complete."""
        try:
            return self._change(steps)
        except KeyboardInterrupt:
            text = "interrupted; give the same command again: it finds out what is done"
            raise Failure(Status.INTERRUPTED, "INTERRUPTED", text) from None

    def _change(self, steps: tuple[MemberStep, ...]) -> int:
        before = self.look()
        plan = ChangePlan(before, steps).left()
        if not plan.steps:
            self._say("nothing to change: it is done already")
        else:
            if before.pending:
                raise refused("another change is under way; give the command again when dkv member list shows its end")
            refuse_impossible(plan)
            self._show(plan)
            if self._dry_run:
                self._try(plan)
                return Status.DONE
            warning = plan.needs_yes()
            if warning and not self._yes:
                raise refused(f"{warning}; --yes changes the members all the same")
            self._ask(plan)
        if not self._dry_run:
            self._wait_complete(steps)
        return Status.DONE

    def _show(self, plan: ChangePlan) -> None:
        if self._to.as_json:
            say(plan_json(plan))
        else:
            for line in plan.lines():
                say(line)

    # --- asking for it ---

    def _try(self, plan: ChangePlan) -> None:
        """Whether the change would be taken now, for --dry-run."""
        try:
            ask_where(plan.before.whom_to_ask(), (b"DKV.MEMBER", b"CHECK", *plan.words()), self._to.answer_seconds)
        except (Unreachable, NoAnswer) as error:
            raise Failure(Status.UNREACHABLE, "UNREACHABLE", f"nobody reachable: {error}") from None
        except ServerError as error:
            raise _refusal(error) from None
        self._say("nothing was changed (--dry-run); the change would be taken now")

    def _ask(self, plan: ChangePlan) -> None:
        """Ask the leader for the entry, again while that may pass: a lead changes, and a new node catches up."""
        deadline = time.monotonic() + self._wait_seconds
        said = Pacer()
        while True:
            words = (b"DKV.MEMBER", b"CHANGE", *plan.words())
            try:
                _, reply = ask_where(plan.before.whom_to_ask(), words, self._to.answer_seconds)
                self._say(f"taken into the log at slot {str(reply).removeprefix('OK ')}")
                return
            except Unreachable as error:
                trouble = Failure(Status.UNREACHABLE, "UNREACHABLE", f"nobody reachable: {error}")
            except NoAnswer as error:
                if self._came_through(plan):
                    return
                text = f"outcome unknown: {error}; give the same command again, it finds out whether it is done"
                raise Failure(Status.UNCERTAIN, error.word, text) from None
            except ServerError as error:
                trouble = _refusal(error)
                if error.word not in ("TRYAGAIN", "LOADING", "CLUSTERDOWN"):
                    if self._came_through(plan):
                        self._say("another request for the same change was faster")
                        return
                    raise trouble from None
            if time.monotonic() > deadline:
                raise trouble
            said.say(self._say, f"waiting: {trouble.message.removeprefix('refused: ')}")
            pause(LOOK_SECONDS)
            plan = self._look_again(plan)

    def _look_again(self, plan: ChangePlan) -> ChangePlan:
        """The same plan, with a view of who leads now. It rests on the same members, or is refused."""
        now = self.look()
        return replace(plan, before=now) if now.slot == plan.before.slot else plan

    def _came_through(self, plan: ChangePlan) -> bool:
        """Whether the change is in the log all the same: its answer was lost, or somebody else asked for it, too."""
        now = self.look()
        return now.slot > plan.before.slot and all(step.is_done(now) for step in plan.steps)

    # --- until it is safe ---

    def _wait_complete(self, steps: tuple[MemberStep, ...]) -> None:
        """Wait until the set is in force, and a quorum of its voters has all that came before it on its disk."""
        deadline = time.monotonic() + self._wait_seconds
        said = Pacer()
        for waits_for in self._reasons_to_wait():
            if time.monotonic() > deadline:
                text = f"the change is in the log and not complete: {waits_for}; give the command again to wait on"
                raise Failure(Status.UNCERTAIN, "INCOMPLETE", text)
            said.say(self._say, f"waiting: {waits_for}")
            pause(LOOK_SECONDS)
        self._say("complete: a majority of the voters has the whole log")
        for step in steps:
            if step.removes:
                self._say(f"you may switch off node {step.removes}; its directory is of no more use")

    def _reasons_to_wait(self) -> Iterator[str]:
        while (reason := _incomplete(self.look())) is not None:
            yield reason

    def _say(self, text: str) -> None:
        if self._to.as_json:
            complain(text)
        else:
            say(text)


class Pacer:
    """Says what a command waits for: at once if that is another thing, and now and then if it is the same."""

    def __init__(self) -> None:
        self._last = ""
        self._said_at = 0.0

    def say(self, say: Callable[[str], None], text: str) -> None:
        """Say ``text`` unless it was said a moment ago."""
        now = time.monotonic()
        kind = "".join(character for character in text if not character.isdigit())
        if kind != self._last or now - self._said_at > SAID_SECONDS:
            self._last, self._said_at = kind, now
            say(text)


def _incomplete(now: Seen) -> str | None:
    """The reason why old nodes must not be switched off yet; None if they may be."""
    if now.slot == 0:
        return None
    if now.pending:
        return f"the change takes force at slot {now.slot + ALPHA}"
    need = len(now.voters) // 2 + 1
    through = now.slot + ALPHA - 1
    have = [node for node in sorted(now.voters) if (now.told.get(node, {}).get("held_through") or 0) >= through]
    if len(have) >= need:
        return None
    return f"{len(have)} of {need} voters have the log up to slot {through} on their disks"


def _refusal(error: ServerError) -> Failure:
    return Failure(Status.REFUSED, error.word, f"refused: {error.text.partition(' ')[2]}")
