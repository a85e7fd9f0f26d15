"""What people do to alerts: each verb once, with credit, in the timeline, and refused where it makes no sense."""

import asyncio
from collections.abc import Awaitable
from datetime import timedelta
from typing import Any

import pytest

from chassis.errors import Denied, DomainError, Invalid, NotFound, Refused
from chassis.ids import uuid7
from chassis.wire import duration, timestamp
from tests.service.escalation.world import World
from tocsin.escalation.v1.alert_pb2 import Alert, AlertAction, EscalationExecution
from tocsin.escalation.v1.alert_service_pb2 import (
    AcknowledgeAlertRequest,
    CloseAlertRequest,
    CommentAlertRequest,
    EscalateAlertRequest,
    GetAlertRequest,
    ListAlertActionsRequest,
    ListEscalationsRequest,
    ReassignAlertRequest,
    SnoozeAlertRequest,
)


async def test_acknowledge_takes_the_alert(stage: World) -> None:
    """The first keeps the credit, however often others try."""
    alert = await stage.here.open()
    taken = await stage.as_("alice").acknowledge(alert, note="on it")
    assert (taken.state, taken.acked_by) == (Alert.ACKED, "alice")
    again = await stage.as_("bob").acknowledge(alert)
    assert (again.acked_by, again.acked_at, again.version) == ("alice", taken.acked_at, taken.version)
    (action,) = await stage.here.actions(alert)
    assert (action.type, action.actor, action.note) == (AlertAction.ACK, "alice", "on it")
    assert action.at == taken.acked_at
    ((_, event),) = [one for one in await stage.events(alert) if one[0] == "alert.acknowledged"]
    assert (event.note, event.alert.acked_by) == ("on it", "alice")


async def test_close_ends_the_alert(stage: World) -> None:
    """The first keeps the credit; then it can't be acknowledged."""
    alert = await stage.here.open()
    over = await stage.as_("alice").close(alert, note="done")
    again = await stage.as_("bob").close(alert)
    assert (over.state, over.closed_by, again.closed_by) == (Alert.CLOSED, "alice", "alice")
    assert again.version == over.version
    with pytest.raises(Refused, match="CLOSED") as raised:
        await stage.here.acknowledge(alert)
    assert raised.value.reason == "ALERT_CLOSED"
    assert [action.type for action in await stage.here.actions(alert)] == [AlertAction.CLOSE]


async def test_many_acknowledge_at_once(stage: World) -> None:
    """Through two replicas: one of them has the credit, and one event tells so."""
    other = await stage.replica()
    alerts = [await stage.here.open(f"a{n}") for n in range(3)]
    answers = await asyncio.gather(
        *((stage.here if n % 2 else other).acknowledge(alert) for alert in alerts for n in range(20))
    )
    assert {answer.state for answer in answers} == {Alert.ACKED}
    for alert in alerts:
        assert [action.type for action in await stage.here.actions(alert)] == [AlertAction.ACK]
        assert (await stage.happened(alert)).count("acknowledged") == 1


async def test_another_may_be_named_with_the_scope_alone(stage: World) -> None:
    """Nobody speaks for others by himself."""
    alert = await stage.here.open()
    with pytest.raises(Denied) as raised:
        await stage.here.acknowledge(alert, actor="alice")
    assert raised.value.reason == "ACT_AS_REQUIRED"
    assert (await stage.here.get(alert)).state == Alert.OPEN
    taken = await stage.as_("bridge", "alerts:read", "alerts:write", "act-as").acknowledge(
        alert, actor="alice"
    )
    assert taken.acked_by == "alice"
    over = await stage.as_("root", "admin").close(alert, actor="bob")
    assert over.closed_by == "bob"


async def test_a_comment_changes_nothing_else(stage: World) -> None:
    """It is for the timeline, also of what is over."""
    alert = await stage.here.close(await stage.here.open())
    request = CommentAlertRequest(alert_id=alert.alert_id, note="the disk was replaced")
    commented = await stage.here.alerts.CommentAlert(request)
    assert commented.version == alert.version
    assert [(one.type, one.note) for one in await stage.here.actions(alert)] == [
        (AlertAction.CLOSE, ""),
        (AlertAction.COMMENT, "the disk was replaced"),
    ]


async def test_escalate_tells_the_next_level_at_once(stage: World) -> None:
    """Or a chosen one; after the last comes the first."""
    await stage.here.policy("p", (["responder://alice"], 600), (["responder://bob"], 600))
    alert = await stage.here.open(policy_id="p")
    await stage.pages(1)
    for asked, level, person in ((0, 2, "bob"), (0, 1, "alice"), (2, 2, "bob")):
        answer = await stage.here.alerts.EscalateAlert(
            EscalateAlertRequest(alert_id=alert.alert_id, level=asked)
        )
        assert answer.escalation_level == level
        step = (await stage.here.steps(alert))[-1]
        assert (step.level, step.reason, list(step.recipients)) == (
            level,
            EscalationExecution.MANUAL,
            [person],
        )
    with pytest.raises(Invalid) as raised:
        await stage.here.alerts.EscalateAlert(EscalateAlertRequest(alert_id=alert.alert_id, level=3))
    assert [field.path for field in raised.value.fields] == ["level"]
    assert (await stage.pages(4))[1:] == [
        ("disk full", 2, ["bob"]),
        ("disk full", 1, ["alice"]),
        ("disk full", 2, ["bob"]),
    ]


async def test_escalating_what_somebody_has_taken_opens_it_again(stage: World) -> None:
    """It waits for an acknowledgement anew."""
    await stage.here.policy("p", (["responder://alice"], 60), (["responder://bob"], 60))
    alert = await stage.here.open(policy_id="p")
    await stage.pages(1)
    await stage.here.acknowledge(alert)
    again = await stage.here.alerts.EscalateAlert(EscalateAlertRequest(alert_id=alert.alert_id))
    assert (again.state, again.escalation_level, again.acked_by) == (Alert.OPEN, 2, "")
    assert not again.HasField("acked_at")
    assert await stage.happened(alert) == ["opened", "escalated", "acknowledged", "reopened", "escalated"]


async def test_a_snoozed_alert_wakes_up(stage: World) -> None:
    """Open, and escalating from the first level; until then nobody is told."""
    await stage.here.policy("p", (["responder://alice"], 60), (["responder://bob"], 60))
    alert = await stage.here.open(policy_id="p")
    await stage.pages(1)
    asleep = await stage.here.alerts.SnoozeAlert(
        SnoozeAlertRequest(alert_id=alert.alert_id, duration=duration(timedelta(minutes=30)))
    )
    assert asleep.snoozed_until.ToDatetime() > alert.opened_at.ToDatetime() + timedelta(minutes=30)
    stage.advance(minutes=29)
    assert await stage.here.run() == []
    stage.advance(minutes=2)
    (first,) = await stage.here.run()
    assert (first.level, first.reason) == (1, EscalationExecution.INITIAL)
    awake = await stage.here.get(alert)
    assert awake.state == Alert.OPEN
    assert not awake.HasField("snoozed_until")
    assert [one.type for one in await stage.here.actions(alert)] == [AlertAction.SNOOZE, AlertAction.REOPEN]
    assert await stage.happened(alert) == ["opened", "escalated", "snoozed", "reopened", "escalated"]


async def test_a_snoozed_alert_can_be_taken(stage: World) -> None:
    """Then it does not wake up."""
    alert = await stage.here.open()
    until = timestamp(stage.now + timedelta(minutes=5))
    await stage.here.alerts.SnoozeAlert(SnoozeAlertRequest(alert_id=alert.alert_id, until=until))
    await stage.here.acknowledge(alert)
    stage.advance(minutes=6)
    assert await stage.here.run() == []
    assert (await stage.here.get(alert)).state == Alert.ACKED


async def test_a_reassigned_alert_is_told_to_the_other(stage: World) -> None:
    """And goes on to the next level when the other does not take it either."""
    await stage.here.policy("p", (["responder://alice"], 60), (["responder://bob"], 60))
    alert = await stage.here.open(policy_id="p")
    await stage.pages(1)
    given = await stage.here.alerts.ReassignAlert(
        ReassignAlertRequest(alert_id=alert.alert_id, target="responder://carol", note="yours")
    )
    assert (given.state, given.escalation_level) == (Alert.OPEN, 1)
    assert (await stage.pages(2))[1] == ("disk full", 1, ["carol"])
    stage.advance(seconds=61)
    assert (await stage.pages(3))[2] == ("disk full", 2, ["bob"])
    ((_, event),) = [one for one in await stage.events(alert) if one[0] == "alert.reassigned"]
    assert (event.target, event.actor, event.note) == ("responder://carol", "tester", "yours")


async def test_verbs_are_refused_where_they_make_no_sense(stage: World) -> None:
    """A closed alert can only be commented and closed again."""
    alert = await stage.here.close(await stage.here.open())
    calls: list[Awaitable[Any]] = [
        stage.here.alerts.AcknowledgeAlert(AcknowledgeAlertRequest(alert_id=alert.alert_id)),
        stage.here.alerts.EscalateAlert(EscalateAlertRequest(alert_id=alert.alert_id)),
        stage.here.alerts.SnoozeAlert(
            SnoozeAlertRequest(alert_id=alert.alert_id, duration=duration(timedelta(minutes=5)))
        ),
        stage.here.alerts.ReassignAlert(
            ReassignAlertRequest(alert_id=alert.alert_id, target="responder://bob")
        ),
    ]
    for call in calls:
        with pytest.raises(Refused) as raised:
            await call
        assert raised.value.reason == "ALERT_CLOSED"
    assert (await stage.here.get(alert)).version == alert.version


async def test_what_is_wrong_is_named(stage: World) -> None:
    """Every wrong field of a verb at once; unknown alerts are not found; nothing changes."""
    alert = await stage.here.open()
    long, ago = "x" * 4097, timestamp(stage.now - timedelta(minutes=1))
    far, one, minute = timestamp(stage.now + timedelta(days=31)), alert.alert_id, timedelta(minutes=1)
    service = stage.here.alerts
    wrong: list[tuple[Any, Any, list[str]]] = [
        (service.AcknowledgeAlert, AcknowledgeAlertRequest(alert_id="x", note=long), ["alert_id", "note"]),
        (service.CloseAlert, CloseAlertRequest(alert_id=one, actor="x" * 256), ["actor"]),
        (service.CommentAlert, CommentAlertRequest(alert_id=one), ["note"]),
        (service.EscalateAlert, EscalateAlertRequest(alert_id=one, level=-1), ["level"]),
        (service.SnoozeAlert, SnoozeAlertRequest(alert_id=one), ["duration"]),
        (
            service.SnoozeAlert,
            SnoozeAlertRequest(alert_id=one, duration=duration(minute), until=far),
            ["duration"],
        ),
        (
            service.SnoozeAlert,
            SnoozeAlertRequest(alert_id=one, duration=duration(minute / 120)),
            ["duration"],
        ),
        (service.SnoozeAlert, SnoozeAlertRequest(alert_id=one, until=ago), ["until"]),
        (service.SnoozeAlert, SnoozeAlertRequest(alert_id=one, until=far), ["until"]),
        (service.ReassignAlert, ReassignAlertRequest(alert_id=one, target="bob"), ["target"]),
        (service.GetAlert, GetAlertRequest(alert_id="x"), ["alert_id"]),
        (service.ListAlertActions, ListAlertActionsRequest(alert_id=""), ["alert_id"]),
        (service.ListEscalations, ListEscalationsRequest(alert_id="x"), ["alert_id"]),
    ]
    for call, request, fields in wrong:
        with pytest.raises(Invalid) as raised:
            await call(request)
        assert [field.path for field in raised.value.fields] == fields, request
    assert await stage.here.actions(alert) == []
    nobody = Alert(alert_id=str(uuid7()))
    asked: list[Any] = [
        stage.here.get,
        stage.here.acknowledge,
        stage.here.close,
        stage.here.actions,
        stage.here.steps,
    ]
    for ask in asked:
        with pytest.raises(NotFound) as missing:
            await ask(nobody)
        assert missing.value.reason == "ALERT_NOT_FOUND"


@pytest.mark.parametrize("dry_run", [False, True])
async def test_a_run_names_every_alert_that_does_not_exist(stage: World, dry_run: bool) -> None:
    """Also when there are others beside them."""
    alert = await stage.here.open()
    nobody, neither = Alert(alert_id=str(uuid7())), Alert(alert_id=str(uuid7()))
    with pytest.raises(NotFound) as raised:
        await stage.here.run(nobody, alert, neither, dry_run=dry_run)
    assert raised.value.reason == "ALERT_NOT_FOUND"
    assert [(field.path, field.description) for field in raised.value.fields] == [
        ("alert_ids[0]", f"there is no alert {nobody.alert_id}"),
        ("alert_ids[2]", f"there is no alert {neither.alert_id}"),
    ]
    assert raised.value.message == f"there is no alert {nobody.alert_id}, {neither.alert_id}"


async def test_a_run_that_is_refused_takes_no_step(stage: World) -> None:
    """Neither of the alerts that do exist: it is all or nothing."""
    engine, lazy = stage.here, await stage.replica(engine=False)
    await stage.stop(engine)
    alert = await lazy.open()
    with pytest.raises(NotFound):
        await lazy.run(alert, Alert(alert_id=str(uuid7())))
    assert await lazy.steps(alert) == []
    await lazy.run(alert)
    assert len(await lazy.steps(alert)) == 1


async def test_a_run_of_a_thousand_alerts_that_do_not_exist_is_told_so(stage: World) -> None:
    """What an error says has to fit into headers."""
    unknown = [Alert(alert_id=str(uuid7())) for _ in range(1_000)]
    with pytest.raises(NotFound, match=f"{unknown[9].alert_id} and 990 more"):
        await stage.here.run(*unknown)


async def test_one_bad_order_fails_alone(stage: World) -> None:
    """Its neighbours in the same commit are carried out."""
    over = await stage.here.close(await stage.here.open())
    alerts = [await stage.here.open(f"a{n}") for n in range(5)]
    answers = await asyncio.gather(
        *(
            stage.here.acknowledge(alert)
            for alert in (alerts[0], over, Alert(alert_id=str(uuid7())), *alerts)
        ),
        return_exceptions=True,
    )
    errors = [type(answer) for answer in answers if isinstance(answer, DomainError)]
    assert errors == [Refused, NotFound]
    assert [(await stage.here.get(alert)).state for alert in alerts] == [Alert.ACKED] * 5


async def test_timelines_are_paged(stage: World) -> None:
    """The oldest first."""
    alert = await stage.here.open()
    for n in range(5):
        await stage.here.alerts.CommentAlert(CommentAlertRequest(alert_id=alert.alert_id, note=f"n{n}"))
    notes: list[str] = []
    token = ""
    while True:
        page = await stage.here.alerts.ListAlertActions(
            ListAlertActionsRequest(alert_id=alert.alert_id, page_size=2, page_token=token)
        )
        notes += [action.note for action in page.actions]
        token = page.next_page_token
        if not token:
            break
    assert notes == [f"n{n}" for n in range(5)]
    with pytest.raises(Invalid):
        await stage.here.alerts.ListAlertActions(
            ListAlertActionsRequest(alert_id=alert.alert_id, page_token="x")
        )
