"""Explicit shifts, overrides, and why somebody is on call."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from uuid import UUID


class Source(StrEnum):
    """What puts a person on call."""

    EXPLICIT = "EXPLICIT"
    LAYER = "LAYER"
    OVERRIDE = "OVERRIDE"


@dataclass(frozen=True, slots=True)
class Shift:
    """A person's explicit time on call, half-open; the fields are the columns."""

    shift_id: UUID
    schedule_id: str
    responder_id: str
    starts_at: datetime
    ends_at: datetime


@dataclass(frozen=True, slots=True)
class Override:
    """Cover for a time, half-open; the fields are the columns.

    `responder_id` takes the place of `replaced_responder_id`, or is added when that is None; a None for
    `responder_id` takes the replaced person off call.
    """

    override_id: UUID
    schedule_id: str
    responder_id: str | None
    replaced_responder_id: str | None
    starts_at: datetime
    ends_at: datetime
    created_at: datetime

    @property
    def age(self) -> tuple[datetime, UUID]:
        """Newer overrides have the greater one."""
        return self.created_at, self.override_id


@dataclass(frozen=True, slots=True)
class Filter:
    """Which shifts or overrides are meant: of a schedule, of a person, ending after `start`, starting before `end`."""

    schedule_id: str = ""
    responder_id: str = ""
    start: datetime | None = None
    end: datetime | None = None
