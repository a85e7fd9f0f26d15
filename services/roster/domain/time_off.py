"""Time off: who is on leave when, who takes their turns, and which segments it flags."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import TypeAlias
from uuid import UUID

from services.roster.domain.interval import Interval, clipped, trimmed, union

Leave: TypeAlias = Mapping[str, Sequence[Interval]]
"""When each person is on leave, as disjoint intervals in order; who is not on leave at all is not in it."""


class Rule(StrEnum):
    """What a layer does with a turn while the person whose turn it is has time off."""

    SKIP = "SKIP"
    FLAG = "FLAG"


@dataclass(frozen=True, slots=True)
class TimeOff:
    """A person's leave, half-open; the fields are the columns."""

    time_off_id: UUID
    responder_id: str
    starts_at: datetime
    ends_at: datetime
    note: str
    created_at: datetime


def leave(entries: Iterable[TimeOff], within: Interval) -> Leave:
    """When people are on leave within a window."""
    found: dict[str, list[Interval]] = defaultdict(list)
    for entry in entries:
        part = clipped(Interval(entry.starts_at, entry.ends_at), within)
        if part is not None:
            found[entry.responder_id].append(part)
    return {responder_id: union(parts) for responder_id, parts in found.items()}


def taken(line: Sequence[str], turn: Interval, away: Leave) -> Iterator[tuple[Interval, str]]:
    """Who takes which part of a turn: of the people in line always the first who is not on leave.

    In order; the parts for which everybody is on leave are left out.
    """
    if not line:
        return
    first, *others = line
    for part, absent in split(turn, first, away):
        if absent:
            yield from taken(others, part, away)
        else:
            yield part, first


def split(stretch: Interval, responder_id: str, away: Leave) -> Iterator[tuple[Interval, bool]]:
    """A person's stretch, cut where their leave begins and ends, each part with whether they are on it; in order."""
    at = stretch.starts_at
    for absent in trimmed(away.get(responder_id, ()), stretch):
        if at < absent.starts_at:
            yield Interval(at, absent.starts_at), False
        yield absent, True
        at = absent.ends_at
    if at < stretch.ends_at:
        yield Interval(at, stretch.ends_at), False
