"""Asks roster in advance whom every policy's targets mean, so that all of them are known when roster goes away."""

from collections.abc import Iterator, Sequence
from datetime import timedelta
from itertools import islice

from chassis.clock import Clock
from chassis.errors import DomainError
from chassis.loop import DueLoop
from chassis.snapshot import Snapshot
from services.escalation.coverage import Coverage
from services.escalation.domain.rules import Rules

EVERY = timedelta(seconds=30)
AT_ONCE = 1_000
"""How many targets one question names."""


class Rounds:
    """Goes round the targets every 30 s, when the policies have changed, and when somebody comes on call."""

    def __init__(self, *, rules: Snapshot[Rules], coverage: Coverage, clock: Clock) -> None:
        self._rules = rules
        self._coverage = coverage
        self._clock = clock
        self._loop = DueLoop("rounds", self._work)
        self._seen: Rules | None = None
        self._next_at = clock.now()

    def hasten(self) -> None:
        """Tells that targets mean others by now."""
        self._seen = None
        self._loop.wake()

    async def run(self) -> None:
        """Asks for ever; only cancellation ends it."""
        await self._loop.run()

    async def _work(self) -> None:
        rules, now = self._rules.value, self._clock.now()
        if rules is self._seen and now < self._next_at:
            return
        self._seen, self._next_at = rules, now + EVERY  # before the question: what hastens meanwhile counts
        try:
            for targets in _pieces(sorted(rules.targets)):
                await self._coverage.learn(targets, now)
        except DomainError:
            self._seen = None
            raise


def _pieces(targets: Sequence[str]) -> Iterator[list[str]]:
    left = iter(targets)
    while piece := list(islice(left, AT_ONCE)):
        yield piece
