"""What integrations send: their key alone lets it in, and it triggers, acknowledges and resolves."""

import pytest

from chassis.client import channel
from chassis.errors import Invalid, Unauthenticated
from tests.service.escalation.world import Replica, World
from tocsin.escalation.v1.alert_pb2 import Alert, AlertAction, Severity
from tocsin.escalation.v1.alert_service_pb2 import TriggerAlertRequest, TriggerAlertResponse
from tocsin.escalation.v1.integration_pb2 import Integration
from tocsin.escalation.v1.integration_service_pb2 import (
    CreateIntegrationRequest,
    IngestSignalsRequest,
    Signal,
    SignalResult,
)


async def integration(replica: Replica, **fields: object) -> str:
    """The routing key of a new integration."""
    made = await replica.integrations.CreateIntegration(
        CreateIntegrationRequest(integration=Integration(integration_id="prometheus", **fields))  # type: ignore[arg-type]
    )
    return made.routing_key


def signal(action: Signal.Action.ValueType, key: str, title: str = "", **fields: object) -> Signal:
    """One thing that a sender reports."""
    return Signal(action=action, alert=TriggerAlertRequest(title=title, dedup_key=key, **fields))  # type: ignore[arg-type]


async def ingest(replica: Replica, key: str, *signals: Signal) -> list[SignalResult]:
    """Sends signals."""
    request = IngestSignalsRequest(routing_key=key, signals=signals)
    return list((await replica.integrations.IngestSignals(request)).results)


async def test_signals_open_take_and_close_alerts(stage: World) -> None:
    """In the integration's name, by its policy, with its labels."""
    await stage.here.policy("p", (["responder://alice"], 600))
    key = await integration(stage.here, policy_id="p", labels={"env": "prod"})
    (opened,) = await ingest(
        stage.here, key, signal(Signal.TRIGGER, "k", "disk full", labels={"env": "dev", "host": "db-1"})
    )
    assert opened.outcome == TriggerAlertResponse.OPENED
    alert = await stage.here.get(Alert(alert_id=opened.alert_id))
    assert (alert.policy_id, dict(alert.labels)) == ("p", {"env": "prod", "host": "db-1"})
    (repeated,) = await ingest(stage.here, key, signal(Signal.TRIGGER, "k", "disk full"))
    assert (repeated.alert_id, repeated.outcome) == (opened.alert_id, TriggerAlertResponse.REPEATED)
    (taken,) = await ingest(stage.here, key, signal(Signal.ACKNOWLEDGE, "k"))
    assert taken.alert_id == opened.alert_id
    resolve = signal(Signal.RESOLVE, "k")
    resolve.note = "back to normal"
    (over,) = await ingest(stage.here, key, resolve)
    assert over.alert_id == opened.alert_id
    alert = await stage.here.get(alert)
    assert (alert.state, alert.acked_by, alert.closed_by) == (
        Alert.CLOSED,
        "integrations/prometheus",
        "integrations/prometheus",
    )
    assert [(action.type, action.note) for action in await stage.here.actions(alert)] == [
        (AlertAction.ACK, ""),
        (AlertAction.CLOSE, "back to normal"),
    ]


async def test_what_a_sender_has_to_say_is_said_once(stage: World) -> None:
    """Notes go into the timeline: not what it says already, and not what the sender has said before."""
    key = await integration(stage.here)
    (opened,) = await ingest(
        stage.here, key, signal(Signal.TRIGGER, "k", "disk full", description="97 %", severity=Severity.LOW)
    )
    alert = Alert(alert_id=opened.alert_id)

    def note(text: str, **fields: object) -> Signal:
        made = signal(Signal.COMMENT, "k", **fields)  # type: ignore[arg-type]
        made.note = text
        return made

    said = [
        note("vendor called"),
        note("vendor called"),
        note("message: disk full", title="disk full"),
        note("message: disk fuller", title="disk fuller"),
        note("description: 97 %", description="97 %"),
        note("description: 99 %", description="99 %"),
    ]
    first = await ingest(stage.here, key, *said)
    assert not any(result.HasField("error") for result in first)
    assert (first[0].alert_id, first[1].alert_id) == (opened.alert_id, "")
    again = await ingest(stage.here, key, *said, note("vendor came"))
    assert again[-1].alert_id == opened.alert_id
    made = [(action.type, action.actor, action.note) for action in await stage.here.actions(alert)]
    assert sorted(made) == [
        (AlertAction.COMMENT, "integrations/prometheus", text)
        for text in ("description: 99 %", "message: disk fuller", "vendor called", "vendor came")
    ]
    kept = await stage.here.get(alert)
    assert (kept.title, kept.state, kept.trigger_count) == ("disk full", Alert.OPEN, 1)
    (empty, unknown) = await ingest(stage.here, key, note(""), Signal(action=Signal.COMMENT, note="x"))
    assert "note: is required" in empty.error.message
    assert "alert.dedup_key" in unknown.error.message
    await ingest(stage.here, key, signal(Signal.ACKNOWLEDGE, "k"), note("taken"), signal(Signal.RESOLVE, "k"))
    assert await ingest(stage.here, key, note("too late")) == [SignalResult()]
    assert [action.note for action in await stage.here.actions(alert)][-3:] == ["", "taken", ""]


async def test_what_is_not_open_changes_nothing(stage: World) -> None:
    """It is accepted, and creates nothing."""
    key = await integration(stage.here)
    results = await ingest(stage.here, key, signal(Signal.RESOLVE, "k"), signal(Signal.ACKNOWLEDGE, "l"))
    assert results == [SignalResult(), SignalResult()]
    assert await stage.here.find() == []


async def test_signals_about_one_key_keep_their_order(stage: World) -> None:
    """Within one request."""
    key = await integration(stage.here)
    trigger, resolve = signal(Signal.TRIGGER, "k", "flaps"), signal(Signal.RESOLVE, "k")
    results = await ingest(
        stage.here, key, resolve, trigger, signal(Signal.TRIGGER, "other", "stays"), resolve, trigger
    )
    assert [bool(result.alert_id) for result in results] == [False, True, True, True, True]
    assert results[1].alert_id == results[3].alert_id != results[4].alert_id
    alerts = {alert.alert_id: alert.state for alert in await stage.here.find(dedup_key="k")}
    assert alerts == {results[1].alert_id: Alert.CLOSED, results[4].alert_id: Alert.OPEN}


async def test_a_bad_signal_fails_alone(stage: World) -> None:
    """Each says what is wrong with it."""
    key = await integration(stage.here)
    results = await ingest(
        stage.here,
        key,
        signal(Signal.TRIGGER, "k", ""),
        signal(Signal.RESOLVE, ""),
        signal(9, "k", "x"),  # type: ignore[arg-type]
        signal(Signal.TRIGGER, "k", "good"),
        signal(Signal.TRIGGER, "k", "lost", policy_id="nobody"),
    )
    assert [result.error.message.partition(":")[0] for result in results] == [
        "title",
        "alert.dedup_key",
        "action",
        "",
        "policy_id",
    ]
    assert [alert.title for alert in await stage.here.find()] == ["good"]


async def test_only_the_key_lets_signals_in(stage: World) -> None:
    """No token is asked for, and no other key works."""
    key = await integration(stage.here)
    async with channel(stage.here.address) as wire:
        nobody = Replica(stage.here.address, wire, stage.here.clock)
        assert (await ingest(nobody, key, signal(Signal.TRIGGER, "k", "disk full")))[0].alert_id
        for wrong in ("", key[:-1], key.upper() if key.upper() != key else "x" * 32):
            with pytest.raises(Unauthenticated) as raised:
                await ingest(nobody, wrong, signal(Signal.TRIGGER, "k", "disk full"))
            assert raised.value.reason == "ROUTING_KEY_UNKNOWN"
        with pytest.raises(Invalid):
            await ingest(nobody, key)
