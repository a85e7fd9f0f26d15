"""Targets: the addresses under which people are meant."""

import re
from dataclasses import dataclass
from typing import TypeAlias

FORMS = "oncall://active, oncall://<schedule_id> or responder://<responder_id>"
_TARGET = re.compile(r"(oncall|responder)://([^/]+)")


@dataclass(frozen=True, slots=True)
class Active:
    """Everyone on call on any schedule."""


@dataclass(frozen=True, slots=True)
class OnSchedule:
    """Whoever is on call on a schedule."""

    schedule_id: str


@dataclass(frozen=True, slots=True)
class Person:
    """A responder, on call or not."""

    responder_id: str


Target: TypeAlias = Active | OnSchedule | Person


def parse(text: str) -> Target | None:
    """Reads a target; None when it has no known form."""
    match = _TARGET.fullmatch(text)
    if match is None:
        return None
    scheme, name = match.groups()
    if scheme == "responder":
        return Person(name)
    return Active() if name == "active" else OnSchedule(name)
