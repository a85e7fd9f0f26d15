"""What an integration says of its sender: keys that rotate, alerts that stop arriving, signals that flap."""

from functools import partial
from typing import Any

import pytest
from google.protobuf.duration_pb2 import Duration
from google.protobuf.field_mask_pb2 import FieldMask

from chassis.errors import Invalid, NotFound, Unauthenticated
from tests.fixtures.eventually import eventually
from tests.service.escalation.noises import becomes, silence
from tests.service.escalation.world import Replica, World
from tocsin.escalation.v1.alert_pb2 import Alert
from tocsin.escalation.v1.alert_service_pb2 import (
    GetAlertRequest,
    TriggerAlertRequest,
    TriggerAlertResponse,
)
from tocsin.escalation.v1.integration_pb2 import Flapping, Integration
from tocsin.escalation.v1.integration_service_pb2 import (
    CreateIntegrationRequest,
    GetIntegrationRequest,
    IngestSignalsRequest,
    RevokePreviousKeyRequest,
    RotateIntegrationKeyRequest,
    Signal,
    UpdateIntegrationRequest,
)

FLAPS = Flapping(threshold=3, window=Duration(seconds=600), stable_after=Duration(seconds=300))


async def sender(stage: World, **fields: Any) -> Integration:
    """An integration, with its key."""
    made = Integration(integration_id="prometheus", **fields)
    return await stage.here.integrations.CreateIntegration(CreateIntegrationRequest(integration=made))


async def send(replica: Replica, key: str, action: Signal.Action.ValueType = Signal.TRIGGER) -> Alert | None:
    """Sends a signal about one dedup key; the alert that it concerns."""
    signal = Signal(action=action, alert=TriggerAlertRequest(title="disk full", dedup_key="disk"))
    request = IngestSignalsRequest(routing_key=key, signals=[signal])
    (result,) = (await replica.integrations.IngestSignals(request)).results
    assert not result.HasField("error"), result.error
    if not result.alert_id:
        return None
    return await replica.alerts.GetAlert(GetAlertRequest(alert_id=result.alert_id))


async def fires(replica: Replica, key: str) -> Alert:
    """Sends a trigger."""
    alert = await send(replica, key)
    assert alert is not None
    return alert


async def rotate(stage: World, **fields: Any) -> Integration:
    """Gives the integration a new key."""
    request = RotateIntegrationKeyRequest(integration_id="prometheus", **fields)
    return await stage.here.integrations.RotateIntegrationKey(request)


async def change(stage: World, *paths: str, **fields: Any) -> Integration:
    """Changes the integration."""
    wanted = Integration(integration_id="prometheus", **fields)
    request = UpdateIntegrationRequest(integration=wanted, update_mask=FieldMask(paths=paths))
    return await stage.here.integrations.UpdateIntegration(request)


async def test_a_key_is_rotated_without_losing_a_signal(stage: World) -> None:
    """The new key works at once, the old one for its grace; neither can be read again."""
    old = (await sender(stage)).routing_key
    made = await rotate(stage)
    assert len(made.routing_key) == 32
    assert made.routing_key != old
    grace = made.previous_key_expires_at.ToDatetime() - stage.now.replace(tzinfo=None)
    assert 23.9 < grace.total_seconds() / 3600 <= 24
    for key in (old, made.routing_key):
        await fires(stage.here, key)
    read = await stage.here.integrations.GetIntegration(GetIntegrationRequest(integration_id="prometheus"))
    assert not read.routing_key
    stage.advance(hours=24)
    with pytest.raises(Unauthenticated):
        await fires(stage.here, old)
    await fires(stage.here, made.routing_key)


async def test_an_old_key_ends_early(stage: World) -> None:
    """When it is revoked, or a second rotation has made it the last but one, or it was given no grace."""
    keys = [(await sender(stage)).routing_key]
    keys += [(await rotate(stage)).routing_key for _ in range(2)]
    with pytest.raises(Unauthenticated):
        await fires(stage.here, keys[0])
    await fires(stage.here, keys[1])
    revoked = await stage.here.integrations.RevokePreviousKey(
        RevokePreviousKeyRequest(integration_id="prometheus")
    )
    assert not revoked.HasField("previous_key_expires_at")
    with pytest.raises(Unauthenticated):
        await fires(stage.here, keys[1])
    newest = await rotate(stage, grace=Duration())
    with pytest.raises(Unauthenticated):
        await fires(stage.here, keys[2])
    await fires(stage.here, newest.routing_key)
    with pytest.raises(Invalid, match="grace"):
        await rotate(stage, grace=Duration(seconds=31 * 86_400))
    with pytest.raises(NotFound):
        await stage.here.integrations.RevokePreviousKey(RevokePreviousKeyRequest(integration_id="nobody"))


async def test_an_integration_is_changed(stage: World) -> None:
    """What it says counts for what comes from then on; its key stays."""
    key = (await sender(stage, labels={"env": "dev"})).routing_key
    await stage.here.policy("night", (["responder://alice"], 300))
    changed = await change(
        stage, "labels", "policy_id", "display_name", labels={"env": "prod"}, policy_id="night"
    )
    assert (dict(changed.labels), changed.policy_id) == ({"env": "prod"}, "night")
    assert changed.display_name == "prometheus"
    alert = await fires(stage.here, key)
    assert (dict(alert.labels), alert.policy_id) == ({"env": "prod"}, "night")
    assert alert.integration_id == "prometheus"
    with pytest.raises(Invalid, match="there is no policy 'nobody'"):
        await change(stage, policy_id="nobody")
    with pytest.raises(Invalid) as raised:
        await change(stage, auto_close_after=Duration(seconds=1), flapping=Flapping(threshold=0))
    paths = [field.path for field in raised.value.fields]
    assert paths == ["auto_close_after", "flapping.threshold", "flapping.window", "flapping.stable_after"]
    cleared = await change(stage, "policy_id", "labels")
    assert (cleared.policy_id, dict(cleared.labels)) == ("", {})


async def test_what_stops_arriving_closes(stage: World) -> None:
    """Whatever its state; each trigger puts it off, and the timeline says why."""
    key = (await sender(stage, auto_close_after=Duration(seconds=600))).routing_key
    alert = await fires(stage.here, key)
    stage.advance(minutes=9)
    await fires(stage.here, key)
    await stage.here.acknowledge(alert)
    stage.advance(minutes=9)
    await stage.here.run(alert)
    assert (await stage.here.get(alert)).state == Alert.ACKED
    stage.advance(minutes=2)
    over = await becomes(stage, alert, Alert.CLOSED)
    assert over.closed_by == "auto-close"
    assert [(one.actor, one.note) for one in await stage.here.actions(alert)][-1] == (
        "auto-close",
        "not triggered for 600 s",
    )
    assert (await fires(stage.here, key)).alert_id != alert.alert_id


async def test_a_longer_time_counts_at_once(stage: World) -> None:
    """And none at all, too."""
    key = (await sender(stage, auto_close_after=Duration(seconds=60))).routing_key
    alert = await fires(stage.here, key)
    await change(stage, auto_close_after=Duration(seconds=3600))
    stage.advance(minutes=2)
    await stage.here.run(alert)
    assert (await stage.here.get(alert)).state == Alert.OPEN
    await change(stage, "auto_close_after")
    stage.advance(hours=1)
    await stage.here.run(alert)
    assert (await stage.here.get(alert)).state == Alert.OPEN
    assert await stage.rows("select 1 from timers where kind = 'CLOSE'") == []


async def test_a_time_that_is_set_later_counts_for_alerts_that_are_there(stage: World) -> None:
    """Set for the first time, or made shorter: from their last trigger on, whatever their state; other integrations' stay."""
    key = (await sender(stage)).routing_key
    alert = await fires(stage.here, key)
    other = await stage.here.open("of no integration")
    await stage.here.acknowledge(alert)

    async def due() -> list[float]:
        query = "select extract(epoch from due_at - last_triggered_at) from timers join alerts using (alert_id) where kind = 'CLOSE'"
        return [float(seconds) for (seconds,) in await stage.rows(query)]

    async def due_after(seconds: float) -> bool:
        return await due() == [seconds]

    assert await due() == []
    for seconds in (3600, 7200, 600):
        await change(stage, auto_close_after=Duration(seconds=seconds))
        await eventually(partial(due_after, min(seconds, 3600)))
    stage.advance(seconds=500)
    await fires(stage.here, key)
    stage.advance(seconds=500)
    await stage.here.run(alert)
    assert (await stage.here.get(alert)).state == Alert.ACKED
    await change(stage, auto_close_after=Duration(seconds=60))
    over = await becomes(stage, alert, Alert.CLOSED)
    assert over.closed_by == "auto-close"
    assert (await stage.here.get(other)).state == Alert.OPEN


async def test_a_signal_that_flaps_pages_once_more_and_then_no_more(stage: World) -> None:
    """Until it rests; one that stays open that long is paged."""
    await stage.here.policy("p", (["responder://alice"], 300))
    key = (await sender(stage, flapping=FLAPS, policy_id="p")).routing_key
    openings = []
    for n in range(6):
        openings.append(await fires(stage.here, key))
        assert len(await stage.pages(min(n + 1, 4))) == min(n + 1, 4)
        if n < 5:
            await send(stage.here, key, Signal.RESOLVE)
        stage.advance(seconds=20)
    assert [alert.flapping for alert in openings] == [False] * 3 + [True] * 3
    assert [alert.suppressed_by for alert in openings] == [""] * 4 + ["flapping"] * 2
    stays = openings[-1]
    assert await stage.happened(stays) == ["noise_suppressed"]
    stage.advance(seconds=300)
    assert len(await stage.pages(5)) == 5
    opened = await becomes(stage, stays, Alert.OPEN)
    assert opened.flapping
    await send(stage.here, key, Signal.RESOLVE)
    stage.advance(seconds=601)
    calm = await fires(stage.here, key)
    assert (calm.state, calm.flapping) == (Alert.OPEN, False)


async def test_flapping_goes_on_while_it_does(stage: World) -> None:
    """However far back its beginning is, and though a silence says so first."""
    key = (await sender(stage, flapping=FLAPS)).routing_key
    for _ in range(12):
        alert = await fires(stage.here, key)
        await send(stage.here, key, Signal.RESOLVE)
        stage.advance(seconds=280)
    assert not alert.flapping, "three in ten minutes are not more than three"
    for _ in range(5):
        alert = await fires(stage.here, key)
        await send(stage.here, key, Signal.RESOLVE)
    for _ in range(4):
        stage.advance(seconds=280)
        alert = await fires(stage.here, key)
        assert (alert.flapping, alert.suppressed_by) == (True, "flapping")
        await send(stage.here, key, Signal.RESOLVE)
    await silence(stage, "known", 'title="disk full"')
    both = await fires(stage.here, key)
    assert (both.flapping, both.suppressed_by) == (True, "silence-rules/known")


async def test_taking_what_flaps_ends_its_waiting(stage: World) -> None:
    """It is somebody's then."""
    key = (await sender(stage, flapping=FLAPS)).routing_key
    for _ in range(5):
        alert = await fires(stage.here, key)
        if alert.suppressed_by:
            break
        await send(stage.here, key, Signal.RESOLVE)
    assert alert.suppressed_by == "flapping"
    request = TriggerAlertRequest(title="disk full", dedup_key="disk")
    assert (await stage.here.alerts.TriggerAlert(request)).outcome == TriggerAlertResponse.REPEATED
    await stage.here.acknowledge(alert)
    assert await stage.rows("select 1 from timers where kind = 'STEADY'") == []
    stage.advance(seconds=301)
    await stage.here.run(alert)
    assert (await stage.here.get(alert)).state == Alert.ACKED
