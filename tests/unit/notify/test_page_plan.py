"""What an escalation step becomes."""

from dataclasses import replace
from datetime import time, timedelta
from uuid import UUID

from services.notify.domain.contact_method import Channel, Severity
from services.notify.domain.decision import Decision
from services.notify.domain.page import Page, planned, responders
from services.notify.domain.quiet_hours import QuietHours
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
    assert later.delay == timedelta(minutes=3)
    assert later.fail_over_at == NOW + timedelta(minutes=4)


def test_methods_of_others_are_left_out() -> None:
    assert len(planned(a_page("alice"), [a_method("bob")], NOW)) == 1


def test_methods_that_are_not_used_are_skipped_with_the_reason() -> None:
    methods = [a_method(least=Severity.CRITICAL), a_method(enabled=False)]
    _, *skipped = planned(a_page("alice"), methods, NOW)
    assert [(r.status, r.decision) for r in skipped] == [
        (Status.SKIPPED, Decision.BELOW_SEVERITY),
        (Status.SKIPPED, Decision.DISABLED),
    ]
    assert all(r.due_at is r.fail_over_at is r.expires_at is None for r in skipped)


def test_who_is_told_by_some_pages() -> None:
    assert responders([a_page("bob", "alice"), a_page("carol", "alice")]) == ["alice", "bob", "carol"]


def test_a_page_waits_for_the_end_of_quiet_hours_unless_it_is_critical() -> None:
    quiet = QuietHours(time(23, 30), time(1), "UTC", frozenset())
    still = replace(a_method(), delay=timedelta(minutes=1), quiet_hours=(quiet,))
    _, waits = planned(a_page("alice"), [still], NOW)
    assert (waits.status, waits.due_at) == (Status.PENDING, NOW + timedelta(hours=1))
    assert waits.expires_at == NOW + timedelta(hours=25)
    _, rings = planned(a_page("alice", severity=Severity.CRITICAL), [still], NOW)
    assert rings.due_at == NOW + timedelta(minutes=1)


def test_quiet_hours_are_looked_at_when_the_delay_has_passed() -> None:
    soon = QuietHours(time(0, 2), time(1), "UTC", frozenset())
    late = replace(a_method(), delay=timedelta(minutes=3), quiet_hours=(soon,))
    _, at_once, waits = planned(a_page("alice"), [replace(late, delay=timedelta()), late], NOW)
    assert (at_once.due_at, waits.due_at) == (NOW, NOW + timedelta(hours=1))


def test_methods_go_by_their_order() -> None:
    first, second, third = (
        replace(a_method(), contact_method_id="z", order=0),
        replace(a_method(), contact_method_id="b", order=1),
        replace(a_method(), contact_method_id="a", order=1, delay=timedelta(minutes=1)),
    )
    routes = planned(a_page("alice"), [third, second, first], NOW)
    assert [r.contact_method_id for r in routes] == ["", "z", "b", "a"]


def test_only_a_webhook_counts_without_having_been_confirmed() -> None:
    mail = replace(a_method(), channel=Channel.EMAIL, address="a@b.example")
    (_, skipped), (_, used) = (
        planned(a_page("alice"), [one], NOW) for one in (mail, replace(mail, verified_at=NOW))
    )
    assert (skipped.status, skipped.decision) == (Status.SKIPPED, Decision.UNVERIFIED)
    assert (used.status, used.decision) == (Status.PENDING, Decision.PLANNED)
