"""Opsgenie's alert API: what its SDK and Alertmanager's `opsgenie_configs` send becomes one signal.

An alert's alias is its dedup key. An identifier in a path is taken for the alias whatever `identifierType` says: no
answer of ours tells another one. A longer alias than a dedup key may be is known by its hash.
"""

from collections.abc import Mapping
from typing import Any
from uuid import uuid4

from chassis.errors import Problems
from services.gateway.intake import signal
from services.gateway.intake.signal import Action, Severity, Signal

PRIORITIES: Mapping[str, Severity] = {
    "P1": Severity.CRITICAL,
    "P2": Severity.HIGH,
    "P3": Severity.MEDIUM,
    "P4": Severity.LOW,
    "P5": Severity.INFO,
}
TEXTS = ("message", "alias", "description", "entity", "source", "priority", "user", "note")


def created(body: object) -> Signal:
    """The signal of a new alert; raises Invalid naming every wrong field. Unknown fields are ignored.

    Without a `priority` the word `severity` of the details counts: so Alertmanager's labels decide.
    """
    problems = Problems()
    found = _object(body, problems)
    for name in TEXTS:
        if isinstance(found.get(name), dict | list):
            problems.add(name, "is not a text")
    if not signal.text(found.get("message")).strip():
        problems.add("message", "can not be empty")
    given = found.get("priority")
    if (
        given is not None
        and not isinstance(given, dict | list)
        and signal.text(given).upper() not in PRIORITIES
    ):
        problems.add("priority", f"is not valid; want one of {', '.join(PRIORITIES)}")
    problems.check()
    details = found.get("details")
    tags = signal.line(", ".join(map(signal.text, _list(found.get("tags")))), signal.MOST_LABEL_VALUE)
    alias = signal.text(found.get("alias"))
    return Signal(
        Action.TRIGGER,
        key_of(alias) if alias.strip() else uuid4().hex,
        title=signal.line(found.get("message"), signal.MOST_TITLE),
        description=signal.paragraphs(
            [signal.text(found.get("description")), signal.text(found.get("note"))]
        ),
        severity=_severity(given, details),
        source=signal.line(found.get("source"), signal.MOST_SOURCE),
        labels=signal.labels(details, {"entity": found.get("entity") or None, "tags": tags or None}),
    )


def acted(action: Action, identifier: str, body: object) -> Signal:
    """The signal that acknowledges or resolves an alert; raises Invalid when the body is no object."""
    problems = Problems()
    found = _object(body, problems)
    if not identifier.strip():
        problems.add("identifier", "is empty")
    problems.check()
    who = signal.line(found.get("user") or found.get("source") or "Opsgenie's API", 200)
    told = signal.text(found.get("note"))
    return Signal(
        action, key_of(identifier), note=f"by {who}{': ' if told else ''}{told}"[: signal.MOST_NOTE]
    )


def noted(identifier: str, body: object) -> Signal:
    """The signal that adds a note to an alert; raises Invalid when the body has none."""
    problems = Problems()
    if not signal.text(_object(body, problems).get("note")).strip():
        problems.add("note", "can not be empty")
    problems.check()
    return acted(Action.COMMENT, identifier, body)


def reworded(what: str, identifier: str, body: object) -> list[Signal]:
    """The signal that an alert's `message` or `description` is another one now, none when the body has none.

    An alert says what it said when it opened, which is what rules have judged: the timeline tells the news.
    """
    problems = Problems()
    said = _object(body, problems).get(what)
    if isinstance(said, dict | list):
        problems.add(what, "is not a text")
    if not identifier.strip():
        problems.add("identifier", "is empty")
    problems.check()
    text = signal.paragraphs([signal.text(said)])
    if not text:
        return []
    note = f"{what}: {text}"[: signal.MOST_NOTE]
    if what == "message":
        return [
            Signal(Action.COMMENT, key_of(identifier), title=signal.line(said, signal.MOST_TITLE), note=note)
        ]
    return [Signal(Action.COMMENT, key_of(identifier), description=text, note=note)]


def key_of(alias: str) -> str:
    """The dedup key of an alias."""
    return alias if len(alias) <= signal.MOST_KEY else signal.key_of(alias)


def _object(body: object, problems: Problems) -> Mapping[str, Any]:
    if isinstance(body, dict):
        return body
    problems.add("body", "is not an object")
    problems.check()
    return {}


def _severity(priority: object, details: object) -> Severity:
    if priority is not None:
        return PRIORITIES[signal.text(priority).upper()]
    return signal.severity(details.get("severity") if isinstance(details, dict) else None)


def _list(value: object) -> list[object]:
    return value if isinstance(value, list) else []
