"""Events as they come from the broker, read for scripts and put into words for people."""

import re
from collections.abc import Mapping
from importlib import import_module
from typing import Any
from urllib.parse import unquote

from cli.api import Json
from cli.moments import shown

CONTEXTS = {"alert": "escalation", "roster": "roster", "notification": "notify", "sla": "sla"}
"""Which service publishes the subjects with a first word."""
STREAMS = {first: f"TOCSIN_{first.upper()}" for first in CONTEXTS}


def streams(subjects: list[str]) -> dict[str, list[str]]:
    """Which subjects to read from which stream; no subject, or one that begins with `>` or `*`, is of all of them.

    Raises ValueError for a subject that no stream has.
    """
    chosen: dict[str, list[str]] = {}
    for subject in subjects or [">"]:
        first, _, rest = subject.partition(".")
        if first in (">", "*"):
            for name, stream in STREAMS.items():
                chosen.setdefault(stream, []).append(f"{name}.{rest or '>'}")
        elif first in STREAMS:
            chosen.setdefault(STREAMS[first], []).append(subject if rest else f"{first}.>")
        else:
            raise ValueError(
                f"{subject!r} is no subject: want one of {', '.join(STREAMS)}, such as alert.closed"
            )
    return {stream: _widest(asked) for stream, asked in chosen.items()}


def _widest(subjects: list[str]) -> list[str]:
    """The subjects without those that another one covers, which the broker would refuse."""
    once = list(dict.fromkeys(subjects))
    return [one for one in once if not any(other != one and _covers(other, one) for other in once)]


def _covers(wide: str, narrow: str) -> bool:
    pattern = r"\.".join(
        {"*": r"[^.>]+", ">": r".+"}.get(word) or re.escape(word) for word in wide.split(".")
    )
    return re.fullmatch(pattern, narrow) is not None


def read(subject: str, headers: Mapping[str, str], data: bytes) -> Json:
    """An event in the JSON form of CloudEvents, its message decoded; `data` is null for a type that is not known."""
    given = {name.removeprefix("ce-"): unquote(value) for name, value in headers.items() if name[:3] == "ce-"}
    event_type = given.get("type", subject)
    return {
        **given,
        "type": event_type,
        "datacontenttype": "application/json",
        "data": _decoded(event_type, data),
    }


def line(event: Json) -> tuple[str, str, str]:
    """When, what and about what, for people."""
    time = shown(event["time"]) if "time" in event else "–"
    return time, event["type"], described(event["type"], event["data"])


def described(event_type: str, data: Any) -> str:
    """The message of an event in a line."""
    match data:
        case {"execution": {"level": level, "reason": reason, "recipients": people}, "alert": alert}:
            return f"{_alert(alert)}  level {level}, {reason}: {', '.join(people) or 'nobody'}"
        case {"alert": alert}:
            return f"{_alert(alert)}  {_what(event_type, data)}".rstrip()
        case {"route_log": route}:
            wrong = f": {route['last_error']}" if route["last_error"] else ""
            return f"{route['alert_id']}  {route['responder_id']} by {route['channel']}, {route['status']}{wrong}"
        case {"breach": breach}:
            return f"{breach['alert_id']}  {breach['kind']} of {breach['target_id']}"
        case {
            "incoming_responder_ids": incoming,
            "outgoing_responder_ids": outgoing,
            "schedule_id": schedule,
        }:
            return f"{schedule}  {', '.join(outgoing) or 'nobody'} → {', '.join(incoming) or 'nobody'}"
        case {"resource": resource, "resource_id": name, "change": change, "actor": actor}:
            return f"{resource} {name} {change} by {actor}"
        case {"schedule_id": schedule, "starts_at": start, "ends_at": end}:
            return f"{schedule}  nobody from {shown(start)} until {shown(end)}"
        case _:
            return "" if data is None else str(data)


def _alert(alert: Json) -> str:
    return f"{alert['alert_id']}  {alert['severity']} {alert['title']}"


def _what(event_type: str, data: Json) -> str:
    """What else an event of an alert says: by whom, for how long, to whom, with which words."""
    alert, actor = data["alert"], data.get("actor", "")
    match event_type:
        case "alert.acknowledged":
            words = f"by {alert['acked_by']}"
        case "alert.closed":
            words = f"by {alert['closed_by']}"
        case "alert.repeated":
            words = f"{alert['trigger_count']}×"
        case "alert.snoozed":
            words = f"until {shown(alert.get('snoozed_until'))} by {actor}"
        case "alert.reassigned":
            words = f"to {data['target']} by {actor}"
        case "alert.suppressed":
            words = f"by {alert['suppressed_by']}"
        case "alert.noise_suppressed":
            words = f"behind {alert['parent_alert_id']}"
        case _:
            words = f"by {actor}" if actor else ""
    return ": ".join(filter(None, (words, data.get("note"))))


def _decoded(event_type: str, data: bytes) -> Any:
    from google.protobuf.json_format import MessageToDict
    from google.protobuf.message import DecodeError

    first, _, rest = event_type.partition(".")
    if first not in CONTEXTS:
        return None
    module = import_module(f"tocsin.{CONTEXTS[first]}.v1.events_pb2")
    words = rest if first == "roster" else event_type
    message = getattr(module, "".join(word.title() for word in re.split(r"[._]", words)) + "Event", None)
    try:
        return message and MessageToDict(
            message.FromString(data),
            preserving_proto_field_name=True,
            always_print_fields_with_no_presence=True,
        )
    except DecodeError:
        return None
