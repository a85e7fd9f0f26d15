"""The plain form: `{title, severity, dedup_key, action, …}`, for scripts and for whatever can post JSON."""

from typing import Any
from uuid import uuid4

from chassis.errors import Problems
from services.gateway.intake import signal
from services.gateway.intake.signal import Action, Signal

TEXTS = ("title", "description", "source", "severity", "dedup_key", "note")


def signals(body: object) -> list[Signal]:
    """The one signal of a body; raises Invalid naming every wrong field. Unknown fields are ignored.

    Texts may be numbers; labels may be any scalars. A TRIGGER without a `dedup_key` gets one of its own.
    """
    problems = Problems()
    if not isinstance(body, dict):
        problems.add("body", "is not an object")
        problems.check()
    assert isinstance(body, dict)
    asked = action(body.get("action"), problems)
    for name in TEXTS:
        if isinstance(body.get(name), dict | list):
            problems.add(name, "is not a text")
    if not isinstance(body.get("labels") or {}, dict):
        problems.add("labels", "is not an object of texts")
    key = signal.text(body.get("dedup_key"))
    _check_texts(asked, key, body, problems)
    problems.check()
    return [_signal(asked, key, body)]


def action(value: object, problems: Problems) -> Action:
    """What a word asks for; a TRIGGER when there is none. Notes an unknown one."""
    if value is None:
        return Action.TRIGGER
    try:
        return Action(value.upper() if isinstance(value, str) else value)
    except ValueError:
        problems.add("action", "is unknown; want TRIGGER, ACKNOWLEDGE or RESOLVE")
        return Action.TRIGGER


def _check_texts(action: Action, key: str, body: dict[str, Any], problems: Problems) -> None:
    if len(key) > signal.MOST_KEY:
        problems.add("dedup_key", f"has {len(key)} characters; want at most {signal.MOST_KEY}")
    if action is not Action.TRIGGER and not key.strip():
        problems.add("dedup_key", f"is required to {action.value}")
    if action is Action.TRIGGER and not signal.line(body.get("title"), signal.MOST_TITLE):
        problems.add("title", "is required; want 1 to 1024 characters")


def _signal(action: Action, key: str, body: dict[str, Any]) -> Signal:
    note = signal.text(body.get("note"))[: signal.MOST_NOTE]
    if action is not Action.TRIGGER:
        return Signal(action, key, note=note)
    return Signal(
        action,
        key if key.strip() else uuid4().hex,
        title=signal.line(body.get("title"), signal.MOST_TITLE),
        description=signal.paragraphs([signal.text(body.get("description"))]),
        severity=signal.severity(body.get("severity")),
        source=signal.line(body.get("source"), signal.MOST_SOURCE),
        labels=signal.labels(body.get("labels")),
    )
