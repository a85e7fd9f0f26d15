"""What an event carries on the wire is its whole message, however it was put together."""

from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chassis.ids import uuid7
from services.escalation.convert import alerts as convert
from services.escalation.domain import alert as verbs
from services.escalation.domain.alert import By, EventType, Quiet, Report, Severity
from tocsin.escalation.v1 import events_pb2

NOW = datetime(2026, 3, 1, 9, tzinfo=UTC)


def fresh(description: str = "", quiet: Quiet | None = None) -> verbs.Change:
    """An alert as it opens."""
    report = Report("disk full", description, Severity.HIGH, "db-1", "k", {"team": "db", "": "x"})
    return verbs.opened(
        report, alert_id=uuid7(), policy_id="p", quiet=quiet, now=NOW, integration_id="i", flapping=True
    )


@given(st.integers(0, 20_000))
def test_an_alert_of_any_size(length: int) -> None:
    """Its length is written in one byte, two or three."""
    change = fresh("ä" * length)
    message = convert.alert_message(change.alert)
    read = events_pb2.AlertOpenedEvent.FromString(convert.event_data(change.events[0], message))
    assert read == events_pb2.AlertOpenedEvent(alert=message, version=1)
    assert len(read.alert.description) == length


def test_every_field_of_an_alert_is_told() -> None:
    """Also those that a new one does not have."""
    quiet = Quiet("inhibition-rules/power", uuid7())
    taken = fresh(quiet=quiet).alert._replace(
        acked_at=NOW, acked_by="a", closed_at=NOW, closed_by="b", snoozed_until=NOW, escalation_level=2
    )
    message = convert.alert_message(taken)
    unset = {"exhausted_at", "description"}
    told = {field.name for field, _ in message.ListFields()}
    assert {field.name for field in message.DESCRIPTOR.fields} - told <= unset
    assert message.parent_alert_id == str(quiet.parent_alert_id)


@pytest.mark.parametrize("verb", [verbs.acknowledged, verbs.closed])
def test_what_people_say_is_told(verb: object) -> None:
    """Beside the alert."""
    change = verb(fresh().alert, By("ada", "mine"), NOW)  # type: ignore[operator]
    event = convert.event(change.events[0])
    kinds: dict[str, Any] = {
        EventType.ACKNOWLEDGED: events_pb2.AlertAcknowledgedEvent,
        EventType.CLOSED: events_pb2.AlertClosedEvent,
    }
    read = kinds[event.type].FromString(event.data)
    assert (read.note, read.version, read.alert.version) == ("mine", 2, 2)
