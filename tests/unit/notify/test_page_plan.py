"""What an escalation step becomes."""

from dataclasses import replace
from datetime import timedelta
from uuid import UUID

from services.notify.domain.contact_method import Channel, Severity
from services.notify.domain.page import Page, planned, responders
from services.notify.domain.route import Status
from tests.unit.notify.test_contact_method_rules import a_method
from tests.unit.notify.test_route_status import NOW


def a_page(*recipients: str, severity: Severity = Severity.HIGH) -> Page:
    return Page(
        execution_id=UUID(int=1),
        alert_id=UUID(int=2),
        alert_version=1,
        alert=b"",
        severity=severity,
        reason="INITIAL",
        level=1,
        recipients=recipients,
    )


def test_everyone_has_an_inbox_and_it_is_there_at_once() -> None:
    routes = planned(a_page("alice", "bob", "alice"), [], NOW)
    assert [(r.responder_id, r.channel, r.status, r.sent_at) for r in routes] == [
        ("alice", Channel.IN_APP, Status.SENT, NOW),
        ("bob", Channel.IN_APP, Status.SENT, NOW),
    ]


def test_methods_are_due_after_their_delay() -> None:
    late = replace(a_method(), contact_method_id="late", delay=timedelta(minutes=3))
    _, at_once, later = planned(a_page("alice"), [a_method(), late], NOW)
    assert (at_once.status, at_once.due_at) == (Status.PENDING, NOW)
    assert later.due_at == NOW + timedelta(minutes=3)
    assert later.expires_at == NOW + timedelta(minutes=3, hours=24)


def test_methods_of_others_and_for_worse_alerts_are_left_out() -> None:
    methods = [a_method("bob"), a_method(least=Severity.CRITICAL), a_method(enabled=False)]
    assert len(planned(a_page("alice"), methods, NOW)) == 1


def test_who_is_told_by_some_pages() -> None:
    assert responders([a_page("bob", "alice"), a_page("carol", "alice")]) == ["alice", "bob", "carol"]
