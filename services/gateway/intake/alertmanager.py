"""Alertmanager's webhook (version 4) and Grafana's (version 1): one signal for each alert of a group.

An alert's `fingerprint` is its dedup key; what has none is known by the hash of its labels. Each alert's own `status`
counts, because a group stays `firing` while alerts in it are `resolved`. The source is `alertmanager/<receiver>` or
`grafana/<receiver>`: where alerts come from does not change with the host that evaluated them.
"""

from collections.abc import Mapping

from chassis.errors import Problems
from services.gateway.intake import signal
from services.gateway.intake.signal import Action, Signal

TITLES = ("summary", "title")
DESCRIPTIONS = ("description", "message")
LINKS = {
    "Runbook": "runbook_url",
    "Query": "generatorURL",
    "Dashboard": "dashboardURL",
    "Panel": "panelURL",
    "Silence": "silenceURL",
}


def signals(body: object) -> list[Signal]:
    """The signals of a webhook's body, in its order; raises Invalid when it is none."""
    problems = Problems()
    alerts = body.get("alerts") if isinstance(body, dict) else None
    if not isinstance(body, dict):
        problems.add("body", "is not an object")
    elif not isinstance(alerts, list) or not alerts:
        problems.add("alerts", "is missing or empty; want a list of alerts")
    for index, alert in enumerate(alerts if isinstance(alerts, list) else []):
        if not isinstance(alert, dict) and len(problems.found) < 10:
            problems.add(f"alerts[{index}]", "is not an object")
    problems.check()
    assert isinstance(body, dict)
    assert isinstance(alerts, list)
    return [_signal(alert, body) for alert in alerts]


def _signal(alert: Mapping[str, object], group: Mapping[str, object]) -> Signal:
    status = alert.get("status") or group.get("status")
    key = _dedup_key(alert)
    if isinstance(status, str) and status.strip().lower() == "resolved":
        return Signal(Action.RESOLVE, key, note="resolved by the sender")
    named, notes = _object(alert, "labels"), _object(alert, "annotations")
    candidates = [notes.get(name) for name in TITLES]
    candidates += [named.get("alertname"), group.get("title"), "alert without a name"]
    return Signal(
        Action.TRIGGER,
        key,
        title=signal.first(candidates, signal.MOST_TITLE),
        description=_description(alert, notes),
        severity=signal.severity(named.get("severity")),
        source=_source(group),
        labels=signal.labels(named),
    )


def _object(parent: Mapping[str, object], name: str) -> Mapping[str, object]:
    found = parent.get(name)
    return found if isinstance(found, dict) else {}


def _dedup_key(alert: Mapping[str, object]) -> str:
    fingerprint = signal.text(alert.get("fingerprint")).strip()
    if 0 < len(fingerprint) <= signal.MOST_KEY:
        return fingerprint
    return signal.key_of(alert.get("labels") or alert.get("fingerprint") or alert)


def _description(alert: Mapping[str, object], notes: Mapping[str, object]) -> str:
    told = [signal.text(notes.get(name)) for name in DESCRIPTIONS]
    found = {word: signal.line(notes.get(name) or alert.get(name), 2048) for word, name in LINKS.items()}
    links = "\n".join(f"{word}: {link}" for word, link in found.items() if link)
    return signal.paragraphs([*told, signal.text(alert.get("valueString")), links])


def _source(group: Mapping[str, object]) -> str:
    sender = "grafana" if group.get("version") == "1" or "orgId" in group else "alertmanager"
    receiver = signal.line(group.get("receiver"), 200)
    return f"{sender}/{receiver}" if receiver else sender
