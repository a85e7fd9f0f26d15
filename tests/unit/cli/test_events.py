"""Every type of event that the contract names is read and put into words, and an unknown one harms nobody."""

import json

import pytest
from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp

from cli.events import line, read, streams
from tocsin.escalation.v1 import alert_pb2, events_pb2
from tocsin.notify.v1 import contact_method_pb2, route_pb2
from tocsin.notify.v1 import events_pb2 as notify_pb2
from tocsin.roster.v1 import events_pb2 as roster_pb2
from tocsin.sla.v1 import events_pb2 as sla_pb2
from tocsin.sla.v1 import sla_pb2 as sla_values_pb2

HEADERS = {
    "ce-specversion": "1.0",
    "ce-id": "e1",
    "ce-source": "/tocsin/escalation",
    "ce-time": "2026-03-01T12:00:00Z",
    "ce-subject": "a%20b",
    "Nats-Msg-Id": "e1",
}
ALERT = alert_pb2.Alert(
    alert_id="a1", title="disk full", severity=alert_pb2.Severity.CRITICAL, acked_by="ada", closed_by="bob"
)
ROUTE = route_pb2.RouteLog(
    alert_id="a1",
    responder_id="bob",
    channel=contact_method_pb2.Channel.WEBHOOK,
    status=route_pb2.RouteLog.FAILED,
    last_error="410",
)
EXECUTION = alert_pb2.EscalationExecution(
    level=2, reason=alert_pb2.EscalationExecution.ACK_TIMEOUT, recipients=["bob"]
)
SEEN: dict[str, tuple[Message, str]] = {
    "alert.opened": (events_pb2.AlertOpenedEvent(alert=ALERT), "a1  CRITICAL disk full"),
    "alert.repeated": (events_pb2.AlertRepeatedEvent(alert=ALERT), "a1  CRITICAL disk full  0×"),
    "alert.suppressed": (events_pb2.AlertSuppressedEvent(alert=ALERT), "a1  CRITICAL disk full  by"),
    "alert.noise_suppressed": (
        events_pb2.AlertNoiseSuppressedEvent(alert=ALERT),
        "a1  CRITICAL disk full  behind",
    ),
    "alert.acknowledged": (
        events_pb2.AlertAcknowledgedEvent(alert=ALERT, note="on it"),
        "a1  CRITICAL disk full  by ada: on it",
    ),
    "alert.reopened": (events_pb2.AlertReopenedEvent(alert=ALERT, actor="x"), "a1  CRITICAL disk full  by x"),
    "alert.snoozed": (
        events_pb2.AlertSnoozedEvent(alert=ALERT, actor="x"),
        "a1  CRITICAL disk full  until – by x",
    ),
    "alert.reassigned": (
        events_pb2.AlertReassignedEvent(alert=ALERT, actor="x", target="responder://y"),
        "a1  CRITICAL disk full  to responder://y by x",
    ),
    "alert.escalated": (
        events_pb2.AlertEscalatedEvent(alert=ALERT, execution=EXECUTION),
        "a1  CRITICAL disk full  level 2, ACK_TIMEOUT: bob",
    ),
    "alert.escalation_exhausted": (
        events_pb2.AlertEscalationExhaustedEvent(alert=ALERT),
        "a1  CRITICAL disk full",
    ),
    "alert.closed": (events_pb2.AlertClosedEvent(alert=ALERT), "a1  CRITICAL disk full  by bob"),
    "roster.handover": (
        roster_pb2.HandoverEvent(schedule_id="web", incoming_responder_ids=["ada"]),
        "web  nobody → ada",
    ),
    "roster.changed": (
        roster_pb2.ChangedEvent(resource="shift", resource_id="s", change="created", actor="x"),
        "shift s created by x",
    ),
    "roster.gap_ahead": (
        roster_pb2.GapAheadEvent(
            schedule_id="web",
            starts_at=Timestamp(seconds=1_772_366_400),
            ends_at=Timestamp(seconds=1_772_370_000),
        ),
        "web  nobody from ",
    ),
    "notification.sent": (
        notify_pb2.NotificationSentEvent(route_log=ROUTE),
        "a1  bob by WEBHOOK, FAILED: 410",
    ),
    "notification.exhausted": (
        notify_pb2.NotificationExhaustedEvent(route_log=ROUTE),
        "a1  bob by WEBHOOK, FAILED: 410",
    ),
    "sla.at_risk": (
        sla_pb2.SlaAtRiskEvent(
            breach=sla_values_pb2.SlaBreach(
                target_id="t", alert_id="a1", kind=sla_values_pb2.SlaBreach.ACKNOWLEDGE
            )
        ),
        "a1  ACKNOWLEDGE of t",
    ),
}


@pytest.mark.parametrize("event_type", SEEN)
def test_an_event_in_words(event_type: str) -> None:
    message, expected = SEEN[event_type]
    event = read(event_type, HEADERS | {"ce-type": event_type}, message.SerializeToString())
    _, named, text = line(event)
    assert named == event_type
    assert text.startswith(expected)


def test_an_event_for_scripts_is_a_cloud_event() -> None:
    event = read("alert.closed", HEADERS, events_pb2.AlertClosedEvent(alert=ALERT).SerializeToString())
    assert json.loads(json.dumps(event)) == event
    assert (event["id"], event["subject"], event["specversion"]) == ("e1", "a b", "1.0")
    assert event["type"] == "alert.closed"
    assert event["data"]["alert"]["severity"] == "CRITICAL"
    assert "Nats-Msg-Id" not in event


@pytest.mark.parametrize(
    ("subject", "data"), [("alert.new_kind", b""), ("x.y", b"\xff"), ("alert.closed", b"\xff")]
)
def test_what_is_not_understood_is_shown_without_its_data(subject: str, data: bytes) -> None:
    event = read(subject, {}, data)
    assert event["data"] is None
    assert line(event) == ("–", subject, "")


@pytest.mark.parametrize(
    ("subjects", "expected"),
    [
        (["alert.closed"], {"TOCSIN_ALERT": ["alert.closed"]}),
        (["sla"], {"TOCSIN_SLA": ["sla.>"]}),
        (["alert.closed", "alert", "alert"], {"TOCSIN_ALERT": ["alert.>"]}),
        (["alert.*", "alert.closed"], {"TOCSIN_ALERT": ["alert.*"]}),
        (
            [],
            {
                "TOCSIN_ALERT": ["alert.>"],
                "TOCSIN_ROSTER": ["roster.>"],
                "TOCSIN_NOTIFICATION": ["notification.>"],
                "TOCSIN_SLA": ["sla.>"],
            },
        ),
    ],
)
def test_subjects_name_streams(subjects: list[str], expected: dict[str, list[str]]) -> None:
    assert streams(subjects) == expected


def test_a_subject_of_no_stream_is_refused() -> None:
    with pytest.raises(ValueError, match="alert, roster, notification, sla"):
        streams(["alerts.closed"])
