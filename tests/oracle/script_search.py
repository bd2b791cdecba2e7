"""Sequences of scripts on few keys, with little between them: what sets a value, a deadline, and lets time pass."""

from __future__ import annotations

from random import Random

from tests.oracle.grammar import Words
from tests.oracle.random_scripts import KEYS, TOKENS
from tests.oracle.run import Ask, Restart, Step
from tests.oracle.search import SCRIPTED, Search

LONGEST = 30
LIVES = [[], [], [b"PX", b"1000"], [b"PX", b"2500"], [b"EX", b"10"]]


class ScriptSearch(Search):
    """Looks for differences in what scripts do."""

    def _sequence(self, random: Random) -> tuple[Step, ...]:
        self._reference.clear()
        words = Words(random, self._reference.time_ms)
        # Scripts of few operations, so that one meets what another one left.
        self._scripts.draw(random)
        steps: list[Step] = [Ask(0, (b"HELLO", b"3"))] if random.random() < 0.3 else []
        for number in range(random.randint(1, LONGEST)):
            dice = random.random()
            key = random.choice(KEYS)
            if dice < 0.15:
                steps.append(Ask(0, (b"SET", key, random.choice([*TOKENS, b"3", b"3"]), *random.choice(LIVES))))
            elif dice < 0.25:
                steps.append(self._pass(random))
            elif dice < 0.27:
                steps.append(Restart())
            elif dice < 0.35:
                steps.append(Ask(1, (random.choice((b"GET", b"PTTL", b"DEL")), key)))
            elif dice < 0.38:
                requests = [self._script(words, random) for _ in range(random.randint(1, 3))]
                steps += [Ask(0, each) for each in ((b"MULTI",), *requests, (b"EXEC",))]
            else:
                request = self._script(words, random)
                token = (b"IDMP", b"producer", b"%d" % (number + 1))
                steps.append(Ask(0, request, token if random.random() < 0.1 and b"_ro" not in request[0] else ()))
        return (*steps, *self._audit())

    def _script(self, words: Words, random: Random) -> tuple[bytes, ...]:
        return self._scripts.request(random.choice(sorted(SCRIPTED)), words, random)
