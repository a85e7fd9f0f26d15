"""PagerDuty Events API v2: a body becomes a routing key and one signal, or the list of what is wrong with it.

A severity that PagerDuty does not know is MEDIUM rather than an error: no page is lost over a word. The event's
`timestamp` may have any form; it is told in the description.
"""

from collections.abc import Iterable, Mapping
from typing import Any
from uuid import uuid4

from services.gateway.intake import signal
from services.gateway.intake.signal import Action, Signal

ACTIONS: Mapping[object, Action] = {
    "trigger": Action.TRIGGER,
    "acknowledge": Action.ACKNOWLEDGE,
    "resolve": Action.RESOLVE,
}
MOST_BODY = 512 * 1024
KEY_LENGTH = 32
LABELS = ("component", "group", "class")
LABEL_DETAIL = 256
"""Characters of a custom detail that still makes a label; longer ones are told in the description alone."""


class InvalidEvent(ValueError):
    """Everything that is wrong with an event."""

    def __init__(self, errors: Iterable[str]) -> None:
        self.errors = list(errors)
        super().__init__("; ".join(self.errors))


def event(body: object) -> tuple[str, Signal]:
    """The routing key and the signal of an event; raises InvalidEvent."""
    if not isinstance(body, dict):
        raise InvalidEvent(["the body is not a JSON object"])
    errors: list[str] = []
    key = body.get("routing_key")
    if not isinstance(key, str) or not key:
        errors.append("'routing_key' is missing or blank")
    elif len(key) != KEY_LENGTH:
        errors.append(f"Length of 'routing_key' is incorrect (should be {KEY_LENGTH} characters)")
    given = body.get("event_action")
    action = ACTIONS.get(given) if isinstance(given, str) else None
    if action is None:
        errors.append("'event_action' is invalid (must be one of 'trigger', 'acknowledge' or 'resolve')")
    dedup_key = _dedup_key(body, action, errors)
    if action is Action.TRIGGER:
        errors += _wrong_payload(body.get("payload"))
    if errors or action is None or not isinstance(key, str):
        raise InvalidEvent(errors)
    return key, _signal(action, dedup_key, body)


def change(body: object) -> None:
    """Checks a change event; raises InvalidEvent. Its routing key is looked at for its form alone."""
    if not isinstance(body, dict):
        raise InvalidEvent(["the body is not a JSON object"])
    errors: list[str] = []
    key = body.get("routing_key")
    if not isinstance(key, str) or len(key) != KEY_LENGTH:
        errors.append(f"Length of 'routing_key' is incorrect (should be {KEY_LENGTH} characters)")
    payload = body.get("payload")
    if not isinstance(payload, dict):
        errors.append("'payload' is missing or not an object")
    elif not signal.text(payload.get("summary")).strip():
        errors.append("'payload.summary' is missing or blank")
    if errors:
        raise InvalidEvent(errors)


def _dedup_key(body: Mapping[str, Any], action: Action | None, errors: list[str]) -> str:
    key = body.get("dedup_key")
    if isinstance(key, dict | list | bool):
        errors.append("'dedup_key' is not a string")
        return ""
    text = signal.text(key)
    if len(text) > signal.MOST_KEY:
        errors.append(f"'dedup_key' is too long (maximum is {signal.MOST_KEY} characters)")
    if not text.strip():
        if action in (Action.ACKNOWLEDGE, Action.RESOLVE):
            errors.append("'dedup_key' is missing or blank")
        return uuid4().hex
    return text


def _wrong_payload(payload: object) -> list[str]:
    if not isinstance(payload, dict):
        return ["'payload' is missing or not an object"]
    errors = [
        f"'payload.{name}' is missing or blank"
        for name in ("summary", "source", "severity")
        if isinstance(payload.get(name), dict | list) or not signal.text(payload.get(name)).strip()
    ]
    if len(signal.text(payload.get("summary"))) > signal.MOST_TITLE:
        errors.append(f"'payload.summary' is too long (maximum is {signal.MOST_TITLE} characters)")
    return errors


def _signal(action: Action, dedup_key: str, body: Mapping[str, Any]) -> Signal:
    if action is not Action.TRIGGER:
        return Signal(
            action, dedup_key, note=f"by {signal.line(body.get('client') or 'PagerDuty events', 200)}"
        )
    payload = body["payload"]
    details = payload.get("custom_details")
    return Signal(
        action,
        dedup_key,
        title=signal.line(payload["summary"], signal.MOST_TITLE),
        description=_description(body, payload, details),
        severity=signal.severity(payload["severity"]),
        source=signal.line(payload["source"], signal.MOST_SOURCE),
        labels=signal.labels({name: payload[name] for name in LABELS if payload.get(name)}, _short(details)),
    )


def _short(details: object) -> dict[str, object]:
    """The custom details that can be labels: one line, not too long."""
    if not isinstance(details, dict):
        return {}
    return {
        name: value
        for name, value in details.items()
        if not isinstance(value, dict | list)
        and 0 < len(text := signal.text(value)) <= LABEL_DETAIL
        and "\n" not in text
    }


def _description(body: Mapping[str, Any], payload: Mapping[str, Any], details: object) -> str:
    if isinstance(details, dict):
        told = [f"{signal.text(name)}: {signal.text(value)}" for name, value in details.items() if value]
    else:
        told = [signal.text(details)]
    links = [_link(link) for name in ("links", "images") for link in _list(body.get(name))]
    sender = " ".join(filter(None, (signal.line(body.get(name), 2048) for name in ("client", "client_url"))))
    when = signal.line(payload.get("timestamp"), 100)
    tail = "\n".join(
        filter(None, [*links, f"Sent by {sender}" if sender else "", f"Happened at {when}" if when else ""])
    )
    return signal.paragraphs(["\n".join(told), tail])


def _list(value: object) -> list[object]:
    return value if isinstance(value, list) else []


def _link(link: object) -> str:
    if not isinstance(link, dict):
        return signal.line(link, 2048)
    words = (signal.line(link.get(name), 2048) for name in ("text", "alt", "href", "src"))
    return " ".join(filter(None, words))
