"""Whether a signal comes and goes so often that its openings are news to nobody."""

from datetime import datetime
from enum import StrEnum
from typing import NamedTuple

from services.escalation.domain.integration import Flapping


class History(NamedTuple):
    """The openings of a dedup key within the window, whether the last one was flapping, and when it opened or closed."""

    number: int
    flapping: bool
    at: datetime


class Verdict(StrEnum):
    """What an opening is: the first flapping one still pages, those after it are kept quiet."""

    STEADY = "STEADY"
    BEGINS = "BEGINS"
    GOES_ON = "GOES_ON"


def verdict(rule: Flapping, history: History | None, now: datetime) -> Verdict:
    """What an opening at `now` is, after what has been."""
    if history is None:
        return Verdict.STEADY
    if history.flapping and now < history.at + rule.stable_after:
        return Verdict.GOES_ON
    return Verdict.BEGINS if history.number >= rule.threshold else Verdict.STEADY
