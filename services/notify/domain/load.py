"""How many messages a method and a person get: what comes in bundles, and what waits for its turn."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from services.notify.domain.contact_method import Severity
from services.notify.domain.decision import Decision

MOST_BUNDLED = 500
"""Pages in one message."""
LONGEST_WINDOW = timedelta(hours=1)
MOST_PER_MINUTE = 6_000
MINUTE = timedelta(minutes=1)
WHOLE = 1 - 1e-6
"""A token, but for what is lost in calculating with fractions."""


@dataclass(frozen=True, slots=True)
class Lane:
    """How much has gone by a method, or to a person: a token bucket, and the window in which pages are gathered.

    `tokens` were there at `filled_at`. Until `gathers_until` pages are gathered; a CRITICAL one goes at once again
    from `critical_from` on.
    """

    lane: str
    tokens: float
    filled_at: datetime
    gathers_until: datetime
    critical_from: datetime

    def left(self, per_minute: int, now: datetime) -> float:
        """The tokens that are there now: a minute's worth at most."""
        return min(per_minute, self.tokens + per_minute * ((now - self.filled_at) / MINUTE))

    def spent(self, per_minute: int, now: datetime, count: int) -> "Lane":
        """The lane after so many messages; a CRITICAL one may overdraw it."""
        return replace(self, tokens=self.left(per_minute, now) - count, filled_at=now) if per_minute else self


@dataclass(frozen=True, slots=True)
class Limits:
    """What a method asks for: the length of a window, and messages a minute by it and to its person, 0 for any."""

    window: timedelta
    per_minute: int
    person_per_minute: int


@dataclass(frozen=True, slots=True)
class Waiting:
    """A page that has not been sent yet: its place in order, which is its id, and how bad its alert is."""

    page: str
    severity: Severity


@dataclass(frozen=True, slots=True)
class Admitted:
    """What goes now, each group as one message, and until when the rest waits, and why."""

    messages: tuple[tuple[str, ...], ...]
    held: tuple[str, ...]
    until: datetime
    reason: Decision
    method: Lane
    person: Lane


def admit(waiting: Sequence[Waiting], limits: Limits, method: Lane, person: Lane, now: datetime) -> Admitted:
    """What of a method's waiting pages goes now.

    With a window the first page goes at once; what comes within the window is gathered and goes as one message at its
    end, which opens the next; the first CRITICAL page in a window does not wait. Where there are fewer messages left
    than pages, the pages go as one message as soon as there is one left, and nothing is dropped; the first CRITICAL
    page in a minute does not wait for that either.
    """
    urgent = _urgent(waiting, method, now)
    rest = [one.page for one in waiting if one is not urgent]
    gathering = limits.window > timedelta() and now < method.gathers_until
    left = min(_left(method, limits.per_minute, now), _left(person, limits.person_per_minute, now))
    if not gathering and left >= len(waiting) and not limits.window:
        groups: list[tuple[str, ...]] = [(one.page,) for one in waiting]
    elif not gathering and left >= WHOLE:
        groups = [tuple(one.page for one in waiting)] if waiting else []
    else:
        groups = [(urgent.page,)] if urgent is not None else []
    gone = {page for group in groups for page in group}
    if any(one.page in gone and one.severity is Severity.CRITICAL for one in waiting):
        method = replace(method, critical_from=now + max(limits.window, MINUTE))
    if groups and not gathering:
        method = replace(method, gathers_until=now + limits.window)
    return Admitted(
        messages=tuple(groups),
        held=tuple(page for page in rest if page not in gone),
        until=method.gathers_until if gathering else _next(limits, method, person, now),
        reason=Decision.BUNDLED if gathering else Decision.RATE_LIMITED,
        method=method.spent(limits.per_minute, now, len(groups)),
        person=person.spent(limits.person_per_minute, now, len(groups)),
    )


def _urgent(waiting: Sequence[Waiting], method: Lane, now: datetime) -> Waiting | None:
    """The first CRITICAL page, where none has gone at once lately."""
    if now < method.critical_from:
        return None
    return next((one for one in waiting if one.severity is Severity.CRITICAL), None)


def _left(lane: Lane, per_minute: int, now: datetime) -> float:
    return lane.left(per_minute, now) if per_minute else float("inf")


def _next(limits: Limits, method: Lane, person: Lane, now: datetime) -> datetime:
    """When there is a message left again for both."""
    rates: Mapping[Lane, int] = {method: limits.per_minute, person: limits.person_per_minute}
    waits = [
        MINUTE * ((1 - lane.left(per_minute, now)) / per_minute)
        for lane, per_minute in rates.items()
        if per_minute and lane.left(per_minute, now) < WHOLE
    ]
    return now + max(waits, default=timedelta())
