"""Everything that happened to an alert is in its timeline, in the order of time."""

from datetime import UTC, datetime

from cli.alerts.drawing import row, sentence, timeline
from cli.api import Json

ALERT: Json = {
    "alert_id": "a1",
    "title": "disk full [db]",
    "severity": "CRITICAL",
    "state": "ACKED",
    "source": "db-1",
    "opened_at": "2026-03-01T12:00:00Z",
    "acked_by": "bob",
    "closed_by": "",
    "snoozed_until": None,
    "escalation_level": 2,
    "trigger_count": 3,
}
FOUND: Json = {
    "alert": ALERT,
    "actions": [{"type": "ACK", "actor": "bob", "note": "on it", "at": "2026-03-01T12:07:00Z"}],
    "executions": [
        {
            "level": 1,
            "reason": "INITIAL",
            "targets": ["oncall://web"],
            "recipients": [],
            "stale": True,
            "at": "2026-03-01T12:00:00.1Z",
        },
        {
            "level": 2,
            "reason": "ACK_TIMEOUT",
            "targets": ["responder://bob"],
            "recipients": ["bob"],
            "stale": False,
            "at": "2026-03-01T12:05:00Z",
        },
    ],
    "routes": [
        {
            "responder_id": "bob",
            "channel": "WEBHOOK",
            "address": "https://example.com/page",
            "status": "ACKNOWLEDGED",
            "attempts": 2,
            "last_error": "HTTP 503",
            "created_at": "2026-03-01T12:05:00Z",
            "sent_at": "2026-03-01T12:05:01Z",
            "receipts": [{"status": "ACKNOWLEDGED", "detail": "", "recorded_at": "2026-03-01T12:06:59Z"}],
        }
    ],
}


def test_the_timeline_tells_the_story() -> None:
    assert [(what, text) for _, what, text in timeline(FOUND)] == [
        ("opened", "CRITICAL db-1"),
        ("escalated", "level 1, INITIAL: nobody (oncall://web, from the last known coverage)"),
        ("escalated", "level 2, ACK_TIMEOUT: bob (responder://bob)"),
        (
            "page",
            "bob by WEBHOOK https://example.com/page: ACKNOWLEDGED, 2 attempts: HTTP 503",
        ),
        ("receipt", "bob by WEBHOOK: ACKNOWLEDGED"),
        ("ack", "by bob: on it"),
    ]


def test_a_page_that_was_not_sent_stands_where_it_was_made() -> None:
    route = {**FOUND["routes"][0], "sent_at": None, "receipts": [], "attempts": 0, "last_error": ""}
    [_, (at, _, text)] = timeline({**FOUND, "actions": [], "executions": [], "routes": [route]})
    assert at == "2026-03-01T12:05:00Z"
    assert text.endswith("ACKNOWLEDGED")


def test_a_row_says_how_old_and_whose_it_is() -> None:
    now = datetime(2026, 3, 1, 14, 5, tzinfo=UTC)
    assert list(row(ALERT, now).values()) == [
        *("a1", "CRITICAL", "ACKED", "2h 5m", 2, 3, "bob", "db-1", "disk full [db]")
    ]
    assert list(row(ALERT, now, wide=False)) == ["alert", "severity", "state", "age", "title"]
    assert row(ALERT | {"snoozed_until": "2026-03-02T00:00:00Z"}, now)["state"] == "ACKED (snoozed)"


def test_a_sentence_after_a_verb() -> None:
    assert sentence(ALERT) == "a1 is ACKED: disk full [db]"
