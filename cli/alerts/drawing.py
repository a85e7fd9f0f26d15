"""Alerts for people: a row, a sentence, and everything that happened in the order of time."""

from collections.abc import Iterator
from datetime import datetime
from typing import TYPE_CHECKING

from cli.api import Json
from cli.moments import parsed, shown, spoken
from cli.output import facts, printable, table

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.table import Table

WIDE = 110
"""Columns of a terminal from which on a list has all that a row has; with fewer the title keeps the room."""
TIMES = ("opened_at", "acked_at", "closed_at", "snoozed_until")
FIELDS = ("state", "severity", "source", "dedup_key", "policy_id", "trigger_count", "escalation_level")
QUIET = ("suppressed_by", "parent_alert_id", "acked_by", "closed_by")


def listed(alerts: list[Json], now: datetime, width: int) -> "Table":
    """Alerts as a table on a terminal of a width."""
    rows = [row(alert, now, wide=width >= WIDE) for alert in alerts]
    return table(rows[0], (one.values() for one in rows))


def row(alert: Json, now: datetime, *, wide: bool = True) -> dict[str, object]:
    """An alert in a list, by heading."""
    short = {
        "alert": alert["alert_id"],
        "severity": alert["severity"],
        "state": f"{alert['state']}{' (snoozed)' if alert['snoozed_until'] else ''}",
        "age": spoken(now - parsed(alert["opened_at"])),
    }
    more = {
        "level": alert["escalation_level"],
        "×": alert["trigger_count"],
        "by": alert["closed_by"] or alert["acked_by"],
        "source": alert["source"],
    }
    return {**short, **(more if wide else {}), "title": alert["title"]}


def sentence(alert: Json) -> str:
    """What an alert is like after something was done to it."""
    text = f"{alert['alert_id']} is {alert['state']}: {alert['title']}"
    return f"{text} (until {shown(alert['snoozed_until'])})" if alert["snoozed_until"] else text


def drawn(found: Json) -> "tuple[RenderableType, ...]":
    """An alert, and its timeline below."""
    from rich.text import Text

    alert = found["alert"]
    pairs = [(name, alert[name]) for name in FIELDS]
    pairs += [(name, shown(alert[name])) for name in TIMES if alert[name]]
    pairs += [(name, alert[name]) for name in QUIET]
    pairs += [("labels", ", ".join(f"{name}={value}" for name, value in sorted(alert["labels"].items())))]
    pairs += [("description", alert["description"])]
    rows = ((shown(at), what, text) for at, what, text in timeline(found))
    title = Text(printable(f"{alert['title']}\n{alert['alert_id']}"), style="bold")
    return title, "", facts(pairs), "", table(("when", "what", ""), rows)


def timeline(found: Json) -> list[tuple[str, str, str]]:
    """Instant, kind and text of all that happened to an alert, oldest first."""
    alert = found["alert"]
    entries = [(alert["opened_at"], "opened", f"{alert['severity']} {alert['source']}".strip())]
    entries += [(action["at"], action["type"].lower(), done(action)) for action in found["actions"]]
    entries += [(step["at"], "escalated", told(step)) for step in found["executions"]]
    for route in found["routes"]:
        entries.extend(pages(route))
    return sorted(entries, key=lambda entry: parsed(entry[0]))


def done(action: Json) -> str:
    """Who did something, and with which words."""
    return ": ".join(filter(None, (f"by {action['actor']}", action["note"])))


def told(step: Json) -> str:
    """Who was told by a step of an escalation, and why."""
    people = ", ".join(step["recipients"]) or "nobody"
    stale = ", from the last known coverage" if step["stale"] else ""
    return f"level {step['level']}, {step['reason']}: {people} ({', '.join(step['targets'])}{stale})"


def pages(route: Json) -> Iterator[tuple[str, str, str]]:
    """What became of one page: how it was sent, and what was heard back."""
    by = " ".join(filter(None, (route["channel"], route["address"])))
    tried = f", {route['attempts']} attempts" if route["attempts"] > 1 else ""
    wrong = f": {route['last_error']}" if route["last_error"] else ""
    yield (
        route["sent_at"] or route["created_at"],
        "page",
        f"{route['responder_id']} by {by}: {route['status']}{tried}{wrong}",
    )
    for receipt in route["receipts"]:
        detail = f": {receipt['detail']}" if receipt["detail"] else ""
        yield (
            receipt["recorded_at"],
            "receipt",
            f"{route['responder_id']} by {route['channel']}: {receipt['status']}{detail}",
        )
