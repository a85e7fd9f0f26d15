"""The options that name a period and the alerts in it."""

from datetime import datetime
from typing import Annotated

import typer

from cli.moments import past, rfc3339
from cli.operating import instant_of

START = Annotated[str, typer.Option(help="From when on: 7d (ago), 2026-03-01 (default: 30d).")]
END = Annotated[str, typer.Option(help="Until when: now, 1d (ago), 2026-04-01.")]
SEVERITY = Annotated[list[str] | None, typer.Option(help="Only these severities; may be repeated.")]
POLICY = Annotated[str, typer.Option(help="Only alerts of this policy.")]
SOURCE = Annotated[str, typer.Option(help="Only alerts of this source.")]
SCHEDULE = Annotated[str, typer.Option(help="Only alerts that were escalated to this schedule.")]
RESPONDER = Annotated[str, typer.Option(help="Only alerts that were addressed to this responder.")]
LABEL = Annotated[
    list[str] | None, typer.Option(help="Only alerts with this label, name=value; may be repeated.")
]


def period(start: str, end: str, now: datetime) -> dict[str, object]:
    """The query parameters of a period."""
    return {"start": _instant("--start", start, now), "end": _instant("--end", end, now)}


def asked(
    severity: list[str] | None,
    policy: str,
    source: str,
    schedule: str,
    responder: str,
    label: list[str] | None,
) -> dict[str, object]:
    """The query parameters of a filter."""
    return {
        "severity": [one.upper() for one in severity or []],
        "policy_id": policy,
        "source": source,
        "schedule_id": schedule,
        "responder_id": responder,
        "label": label or [],
    }


def _instant(option: str, text: str, now: datetime) -> str:
    return rfc3339(instant_of(option, lambda: past(text, now=now))) if text else ""
