"""Targets: the addresses under which people are meant."""

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import TypeAlias

FORMS = (
    "oncall://active, oncall://<schedule_id>, oncall://<schedule_id>/next, responder://<responder_id> "
    "or team://<team_id>"
)
_RESPONDER = re.compile(r"responder://([^/]+)")
_TEAM = re.compile(r"team://([^/]+)")
_ON_CALL = re.compile(r"oncall://([^/]+)(/next)?")


@dataclass(frozen=True, slots=True)
class Active:
    """Everyone on call on any schedule."""


@dataclass(frozen=True, slots=True)
class OnSchedule:
    """Whoever is on call on a schedule."""

    schedule_id: str


@dataclass(frozen=True, slots=True)
class NextOnSchedule:
    """Whoever comes next on a schedule: after the handover to other people, and after the gap before them."""

    schedule_id: str


@dataclass(frozen=True, slots=True)
class Person:
    """A responder, on call or not."""

    responder_id: str


@dataclass(frozen=True, slots=True)
class Members:
    """Everybody in a team, on call or not."""

    team_id: str


Target: TypeAlias = Active | OnSchedule | NextOnSchedule | Person | Members


@lru_cache(maxsize=10_000)
def parse(text: str) -> Target | None:
    """Reads a target; None when it has no known form. The same ones are asked for again and again."""
    if responder := _RESPONDER.fullmatch(text):
        return Person(responder[1])
    if team := _TEAM.fullmatch(text):
        return Members(team[1])
    on_call = _ON_CALL.fullmatch(text)
    if on_call is None:
        return None
    name, comes_next = on_call.groups()
    if name == "active":
        return None if comes_next else Active()
    return NextOnSchedule(name) if comes_next else OnSchedule(name)
