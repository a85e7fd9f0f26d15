"""Integrations through the API: the key is shown once, kept as a hash, and works from then until they are deleted."""

import pytest

from chassis.errors import AlreadyExists, Invalid, NotFound, Unauthenticated
from tests.fixtures.eventually import eventually
from tests.service.escalation.world import Replica, World
from tocsin.escalation.v1.alert_pb2 import Alert
from tocsin.escalation.v1.alert_service_pb2 import GetAlertRequest, TriggerAlertRequest
from tocsin.escalation.v1.integration_pb2 import Integration
from tocsin.escalation.v1.integration_service_pb2 import (
    CreateIntegrationRequest,
    DeleteIntegrationRequest,
    GetIntegrationRequest,
    IngestSignalsRequest,
    ListIntegrationsRequest,
    Signal,
)


async def create(stage: World, integration: Integration, request_id: str = "") -> Integration:
    """Creates an integration."""
    return await stage.here.integrations.CreateIntegration(
        CreateIntegrationRequest(integration=integration, request_id=request_id)
    )


async def get(stage: World, name: str) -> Integration:
    """Reads an integration."""
    return await stage.here.integrations.GetIntegration(GetIntegrationRequest(integration_id=name))


async def send(replica: Replica, key: str) -> Alert:
    """The alert that somebody with the key triggers."""
    answer = await replica.integrations.IngestSignals(
        IngestSignalsRequest(routing_key=key, signals=[Signal(alert=TriggerAlertRequest(title="disk full"))])
    )
    return await replica.alerts.GetAlert(GetAlertRequest(alert_id=answer.results[0].alert_id))


async def test_the_key_is_shown_once(stage: World) -> None:
    """It leads to the integration; nothing else that is answered or stored holds it."""
    made = await create(
        stage,
        Integration(
            integration_id="prometheus", policy_id="default", labels={"env": "prod"}, routing_key="x" * 32
        ),
    )
    key = made.routing_key
    assert len(key) == 32
    assert key != "x" * 32
    alert = await send(stage.here, key)
    assert (alert.policy_id, dict(alert.labels)) == ("default", {"env": "prod"})
    read = await get(stage, "prometheus")
    assert not read.routing_key
    made.ClearField("routing_key")
    assert read == made
    ((stored,),) = await stage.rows("select integrations::text from integrations")
    assert key not in stored


async def test_a_repeated_request_gets_the_integration_without_its_key(stage: World) -> None:
    """The key that was shown stays the one that works."""
    made = await create(stage, Integration(integration_id="prometheus"), "r")
    again = await create(stage, Integration(integration_id="prometheus"), "r")
    assert (again.integration_id, again.routing_key) == ("prometheus", "")
    assert (await send(stage.here, made.routing_key)).title == "disk full"
    with pytest.raises(AlreadyExists):
        await create(stage, Integration(integration_id="prometheus"))


async def test_the_policy_must_exist(stage: World) -> None:
    """What it would lead to is named; nothing is made."""
    with pytest.raises(Invalid, match="there is no policy 'nobody'") as raised:
        await create(stage, Integration(integration_id="prometheus", policy_id="nobody"))
    assert [field.path for field in raised.value.fields] == ["policy_id"]
    with pytest.raises(NotFound):
        await get(stage, "prometheus")


async def test_every_wrong_field_is_named(stage: World) -> None:
    """At once."""
    wrong = Integration(
        integration_id="A", display_name="x" * 201, labels={"": "b", **{f"l{n}": "" for n in range(32)}}
    )
    with pytest.raises(Invalid) as raised:
        await create(stage, wrong)
    paths = {field.path for field in raised.value.fields}
    assert paths == {"integration_id", "display_name", "labels", "labels[''].name"}


async def test_lists_do_not_show_keys(stage: World) -> None:
    """By id, page by page."""
    for name in ("b", "a", "c"):
        await create(stage, Integration(integration_id=name))
    first = await stage.here.integrations.ListIntegrations(ListIntegrationsRequest(page_size=2))
    rest = await stage.here.integrations.ListIntegrations(
        ListIntegrationsRequest(page_size=2, page_token=first.next_page_token)
    )
    shown = [*first.integrations, *rest.integrations]
    assert [one.integration_id for one in shown] == ["a", "b", "c"]
    assert not any(one.routing_key for one in shown)


async def test_a_deleted_integrations_key_stops_working(stage: World) -> None:
    """At once here, and on other replicas as soon as they hear of it."""
    key = (await create(stage, Integration(integration_id="prometheus"))).routing_key
    other = await stage.replica()
    assert (await send(other, key)).title == "disk full"
    await stage.here.integrations.DeleteIntegration(DeleteIntegrationRequest(integration_id="prometheus"))
    with pytest.raises(Unauthenticated):
        await send(stage.here, key)

    async def refused() -> bool:
        try:
            await send(other, key)
        except Unauthenticated:
            return True
        return False

    await eventually(refused)
    with pytest.raises(NotFound):
        await stage.here.integrations.DeleteIntegration(DeleteIntegrationRequest(integration_id="prometheus"))
