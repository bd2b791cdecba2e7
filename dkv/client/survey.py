"""The same requests to several nodes at once, so that a dead node costs no more than its own timeout."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TypeVar

from dkv.client.blocking import Endpoint, NoAnswer, NotSent, Reply, ServerError, connect
from dkv.client.race import CONNECT_SECONDS_MAX

T = TypeVar("T")
Request = tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class Answer:
    """The answer of one endpoint to one request, ``seconds`` after it was sent.

    ``problem`` is empty if there is a ``reply``; else it says why there is none. ``reached`` says whether a node
    answered at all, if only with an error.
    """

    endpoint: Endpoint
    reached: bool
    reply: Reply
    problem: str
    seconds: float


def ask_all(endpoints: Iterable[Endpoint], requests: list[Request], answer_seconds: float) -> list[list[Answer]]:
    """The answers of each endpoint, in their order, to all ``requests``, which only read.

    Each request has ``answer_seconds``. If one has no answer, the requests behind it have none either.
    """

    def job(endpoint: Endpoint) -> Callable[[], list[Answer]]:
        return lambda: ask_one(endpoint, requests, answer_seconds)

    return in_parallel([job(endpoint) for endpoint in endpoints])


def ask_one(endpoint: Endpoint, requests: list[Request], answer_seconds: float) -> list[Answer]:
    """The answers of one endpoint, over one connection."""
    answers: list[Answer] = []
    began = time.monotonic()
    try:
        with connect(endpoint, min(CONNECT_SECONDS_MAX, answer_seconds), answer_seconds) as connection:
            for request in requests:
                began = time.monotonic()
                try:
                    reply, problem = connection.call(*request), ""
                except ServerError as error:
                    reply, problem = None, error.text
                answers.append(Answer(endpoint, True, reply, problem, time.monotonic() - began))
    except ServerError as error:  # it does not let this client in
        refused = Answer(endpoint, True, None, error.text, time.monotonic() - began)
        answers += [refused] * (len(requests) - len(answers))
    except (NotSent, NoAnswer) as error:
        lost = Answer(endpoint, False, None, str(error), time.monotonic() - began)
        answers += [lost] * (len(requests) - len(answers))
    return answers


def in_parallel(jobs: list[Callable[[], T]]) -> list[T]:
    """The results of ``jobs``, run at the same time; the first that raised raises here."""
    results: dict[int, T] = {}
    errors: list[BaseException] = []

    def run(number: int, job: Callable[[], T]) -> None:
        try:
            results[number] = job()
        except BaseException as error:  # not lost with its thread: raised below
            errors.append(error)

    # Daemons: a Ctrl-C ends the command at once, and not when the slowest node has timed out.
    threads = [threading.Thread(target=run, args=each, daemon=True) for each in enumerate(jobs)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if errors:
        raise errors[0]
    return [results[number] for number in range(len(jobs))]
