"""Runs over all facts: rebuilds and checks, a block of days at a time."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from uuid import UUID


class Kind(StrEnum):
    """What is done."""

    FACTS = "FACTS"
    STREAM = "STREAM"
    CHECK = "CHECK"


class State(StrEnum):
    """How it stands."""

    RUNNING = "RUNNING"
    DONE = "DONE"


@dataclass(frozen=True, slots=True)
class Run:
    """How far a run has come: everything before `next_at` is done; None when it has not begun.

    `ahead` is what was done since, and is done again when the run is killed.
    """

    run_id: UUID
    kind: Kind
    state: State
    requested_at: datetime
    finished_at: datetime | None = None
    next_at: datetime | None = None
    done: int = 0
    total: int = 0
    differences: int = 0
    ahead: int = 0
