"""CloudEvents 1.0 over HTTP, structured, binary and batched: each event becomes one signal.

The data may be an object in the words of the plain form (`title`, `severity`, `dedup_key`, `action`, …); what it does not
say follows from the event's attributes. An event that says no `dedup_key` is about its `source` and `subject`; without a
subject it is known by its `source` and `id`, so that a repeated delivery is a repeat.
"""

import base64
import binascii
import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import unquote

from chassis.errors import Invalid, Problems
from services.gateway.intake import events, signal
from services.gateway.intake.signal import Action, Signal
from services.gateway.requests import parse

STRUCTURED, BATCH = "application/cloudevents+json", "application/cloudevents-batch+json"
REQUIRED = ("id", "source", "type")
CORE = frozenset(
    {*REQUIRED, "specversion", "datacontenttype", "dataschema", "subject", "time", "data", "data_base64"}
)
ENDINGS: Mapping[str, Action] = {
    **dict.fromkeys(("resolved", "closed", "recovered", "cleared", "ok"), Action.RESOLVE),
    **dict.fromkeys(("acknowledged", "acked"), Action.ACKNOWLEDGE),
}
"""What the last word of a type asks for when the data has no `action`."""
WORDS = re.compile(r"[^A-Za-z0-9]+")
MOST = 1_000
"""Events of one batch."""
Attributes = Mapping[str, Any]


def binary(headers: Mapping[str, str], body: bytes) -> dict[str, Any] | None:
    """The event of a request in binary mode, its attributes in `ce-` headers; None when it has none."""
    found: dict[str, Any] = {
        name.removeprefix("ce-"): unquote(value) for name, value in headers.items() if name.startswith("ce-")
    }
    if not found:
        return None
    found["datacontenttype"] = headers.get("content-type", "")
    found["data_base64"] = base64.b64encode(body).decode()
    return found


def batch(body: object) -> list[Signal]:
    """The signals of a batch, in its order; raises Invalid naming what is wrong with each event."""
    problems = Problems()
    if not isinstance(body, list):
        raise Invalid.field("body", "is not a list of events")
    if len(body) > MOST:
        raise Invalid.field("body", f"has {len(body)} events; want at most {MOST}")
    found = []
    for index, event in enumerate(body):
        try:
            found.append(one(event))
        except Invalid as error:
            for field in error.fields if len(problems.found) < 100 else ():
                problems.add(f"[{index}].{field.path}", field.description)
    problems.check()
    return found


def one(event: object) -> Signal:
    """The signal of one event in the JSON format; raises Invalid naming every wrong attribute."""
    problems = Problems()
    if not isinstance(event, dict):
        raise Invalid.field("body", "is not an event")
    if event.get("specversion") != "1.0":
        problems.add("specversion", "is not '1.0'")
    for name in REQUIRED:
        if not isinstance(event.get(name), str) or not signal.text(event[name]).strip():
            problems.add(name, "is missing or blank")
    for name in ("subject", "data_base64", "datacontenttype"):
        if not isinstance(event.get(name), str | None):
            problems.add(name, "is not a text")
    problems.check()
    data = _data(event)
    said = data if isinstance(data, dict) else {}
    action = _action(event, said.get("action"), problems)
    problems.check()
    return _signal(event, data, said, action)


def _data(event: Attributes) -> object:
    """The data: JSON where it is that, else a text; bytes that are none are left out. Raises Invalid for bad base64."""
    encoded = event.get("data_base64")
    if encoded is None:
        return event.get("data")
    try:
        data = base64.b64decode(encoded, validate=True)
    except (binascii.Error, ValueError):
        raise Invalid.field("data_base64", "is not base64") from None
    media = (event.get("datacontenttype") or "application/json").partition(";")[0].strip().lower()
    if data.strip() and (media == "application/json" or media.endswith("+json")):
        try:
            return parse(data)
        except Invalid as error:
            raise Invalid.field("data", error.message) from None
    try:
        return data.decode()
    except UnicodeDecodeError:
        return None


def _signal(event: Attributes, data: object, said: Attributes, action: Action) -> Signal:
    key = signal.text(said.get("dedup_key") or event.get("dedupkey"))
    if not key.strip() or len(key) > signal.MOST_KEY:
        key = signal.key_of([key] if key.strip() else [event["source"], *_about(event)])
    if action is not Action.TRIGGER:
        return Signal(action, key, note=f"by the event {signal.line(event['id'], 200)}")
    subject = signal.text(event.get("subject"))
    kind = event["type"] + (f": {subject}" if subject.strip() else "")
    extensions = {name: value for name, value in event.items() if name not in CORE}
    return Signal(
        action,
        key,
        title=signal.first(
            [*(said.get(name) for name in ("title", "summary", "message")), kind], signal.MOST_TITLE
        ),
        description=signal.paragraphs(_told(data)),
        severity=signal.severity(said.get("severity") or event.get("severity")),
        source=signal.line(said.get("source") or event["source"], signal.MOST_SOURCE),
        labels=signal.labels(
            said.get("labels"), {"type": event["type"], "subject": subject or None}, extensions
        ),
    )


def _about(event: Attributes) -> list[str]:
    subject = signal.text(event.get("subject"))
    return ["subject", subject] if subject.strip() else ["id", event["id"]]


def _action(event: Attributes, said: object, problems: Problems) -> Action:
    """What the data asks for, else what the type's last word stands for."""
    if said is not None:
        return events.action(said, problems)
    return ENDINGS.get(WORDS.split(event["type"].strip())[-1].lower(), Action.TRIGGER)


def _told(data: object) -> list[str]:
    if isinstance(data, dict) and data.get("description"):
        return [signal.text(data["description"])]
    plain = isinstance(data, dict) and data.keys() <= {
        *events.TEXTS,
        "action",
        "labels",
        "summary",
        "message",
    }
    return [] if plain else [signal.text(data)]
