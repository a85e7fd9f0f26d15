"""Stretches of time with the people on call in them, and what they make when laid over each other.

Lists of stretches are disjoint and in order; where nobody is on call there is no stretch.
"""

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from services.roster.domain.interval import Interval
from services.roster.domain.shift import Source


@dataclass(frozen=True, slots=True)
class Present:
    """A person on call and what put them there; `layer` is empty unless it was a layer.

    `origin` is the id of the shift or override that did. It makes no difference: a person whose shifts follow each
    other without a break goes on being on call.
    """

    responder_id: str
    source: Source
    layer: str = ""
    origin: UUID | None = field(default=None, compare=False)


class Stretch(NamedTuple):
    """A half-open interval and everybody on call in it."""

    starts_at: datetime
    ends_at: datetime
    people: tuple[Present, ...]


def beneath(over: Sequence[Stretch], under: Sequence[Stretch]) -> list[Stretch]:
    """All of `over`, and of `under` what shows through its holes."""
    if not over or not under:
        return list(over or under)
    laid: list[Stretch] = []
    i = 0
    for starts_at, ends_at, people in under:
        at = starts_at
        while i < len(over) and over[i].starts_at < ends_at:
            top = over[i]
            if at < top.starts_at:
                laid.append(Stretch(at, top.starts_at, people))
            at = top.ends_at if top.ends_at > at else at
            if top.ends_at > ends_at:
                break
            laid.append(top)
            i += 1
        if at < ends_at:
            laid.append(Stretch(at, ends_at, people))
    laid.extend(over[i:])
    return laid


def during(stretches: Sequence[Stretch], windows: Sequence[Interval]) -> list[Stretch]:
    """What of the stretches lies in the windows, which are disjoint and in order."""
    kept: list[Stretch] = []
    i, count = 0, len(windows)
    for starts_at, ends_at, people in stretches:
        while i < count and windows[i].ends_at <= starts_at:
            i += 1
        j = i
        while j < count:
            opens, closes = windows[j]
            if opens >= ends_at:
                break
            # Not max and min: most of a preview's time is spent here.
            opens, closes = opens if opens > starts_at else starts_at, closes if closes < ends_at else ends_at
            kept.append(Stretch(opens, closes, people))
            j += 1
        i = max(i, j - 1)
    return kept


def pieces(stretches: Sequence[Stretch], within: Interval) -> Iterator[Stretch]:
    """The stretches clipped to `within`, and its holes as stretches of nobody: together all of it."""
    at = within.starts_at
    first = bisect_right(stretches, at, key=lambda stretch: stretch.ends_at)
    for starts_at, ends_at, people in stretches[first:]:
        if starts_at >= within.ends_at:
            break
        if starts_at > at:
            yield Stretch(at, starts_at, ())
        yield Stretch(max(starts_at, at), min(ends_at, within.ends_at), people)
        at = ends_at
    if at < within.ends_at:
        yield Stretch(at, within.ends_at, ())
