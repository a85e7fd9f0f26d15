"""Integrations through the API: the key is shown once, kept as a hash, and works from then until they are deleted."""

from collections.abc import AsyncIterator

import pytest
from sqlalchemy import text

from chassis.errors import AlreadyExists, Invalid, NotFound
from tests.fixtures.eventually import eventually
from tests.fixtures.postgres import TestDatabase
from tests.service.escalation.configuring import Desk, desk
from tocsin.escalation.v1.integration_pb2 import Integration
from tocsin.escalation.v1.integration_service_pb2 import (
    CreateIntegrationRequest,
    DeleteIntegrationRequest,
    GetIntegrationRequest,
    ListIntegrationsRequest,
)


@pytest.fixture
async def world(database: TestDatabase) -> AsyncIterator[Desk]:
    """The service over an empty database."""
    async with desk(database) as serving:
        yield serving


async def create(world: Desk, integration: Integration, request_id: str = "") -> Integration:
    """Creates an integration."""
    return await world.integrations.CreateIntegration(
        CreateIntegrationRequest(integration=integration, request_id=request_id)
    )


async def get(world: Desk, name: str) -> Integration:
    """Reads an integration."""
    return await world.integrations.GetIntegration(GetIntegrationRequest(integration_id=name))


async def test_the_key_is_shown_once(world: Desk) -> None:
    """It leads to the integration; nothing else that is answered or stored holds it."""
    made = await create(
        world,
        Integration(
            integration_id="prometheus", policy_id="default", labels={"env": "prod"}, routing_key="x" * 32
        ),
    )
    key = made.routing_key
    assert len(key) == 32
    assert key != "x" * 32
    found = world.rules.value.integration_by_key(key)
    assert found is not None
    assert (found.integration_id, found.policy_id, found.labels) == ("prometheus", "default", {"env": "prod"})
    read = await get(world, "prometheus")
    assert not read.routing_key
    made.ClearField("routing_key")
    assert read == made
    async with world.db.connect() as conn:
        stored = (await conn.execute(text("select integrations::text from integrations"))).scalar_one()
    assert key not in stored


async def test_a_repeated_request_gets_the_integration_without_its_key(world: Desk) -> None:
    """The key that was shown stays the one that works."""
    made = await create(world, Integration(integration_id="prometheus"), "r")
    again = await create(world, Integration(integration_id="prometheus"), "r")
    assert (again.integration_id, again.routing_key) == ("prometheus", "")
    assert world.rules.value.integration_by_key(made.routing_key) is not None
    with pytest.raises(AlreadyExists):
        await create(world, Integration(integration_id="prometheus"))


async def test_the_policy_must_exist(world: Desk) -> None:
    """What it would lead to is named; nothing is made."""
    with pytest.raises(Invalid, match="there is no policy 'nobody'") as raised:
        await create(world, Integration(integration_id="prometheus", policy_id="nobody"))
    assert [field.path for field in raised.value.fields] == ["policy_id"]
    with pytest.raises(NotFound):
        await get(world, "prometheus")


async def test_every_wrong_field_is_named(world: Desk) -> None:
    """At once."""
    wrong = Integration(
        integration_id="A", display_name="x" * 201, labels={"": "b", **{f"l{n}": "" for n in range(32)}}
    )
    with pytest.raises(Invalid) as raised:
        await create(world, wrong)
    paths = {field.path for field in raised.value.fields}
    assert paths == {"integration_id", "display_name", "labels", "labels[''].name"}


async def test_lists_do_not_show_keys(world: Desk) -> None:
    """By id, page by page."""
    for name in ("b", "a", "c"):
        await create(world, Integration(integration_id=name))
    first = await world.integrations.ListIntegrations(ListIntegrationsRequest(page_size=2))
    rest = await world.integrations.ListIntegrations(
        ListIntegrationsRequest(page_size=2, page_token=first.next_page_token)
    )
    shown = [*first.integrations, *rest.integrations]
    assert [one.integration_id for one in shown] == ["a", "b", "c"]
    assert not any(one.routing_key for one in shown)


async def test_a_deleted_integrations_key_stops_working(world: Desk, database: TestDatabase) -> None:
    """At once here, and on other replicas as soon as they hear of it."""
    key = (await create(world, Integration(integration_id="prometheus"))).routing_key
    async with desk(database) as other:
        assert other.rules.value.integration_by_key(key) is not None
        await world.integrations.DeleteIntegration(DeleteIntegrationRequest(integration_id="prometheus"))
        assert world.rules.value.integration_by_key(key) is None
        await eventually(lambda: other.rules.value.integration_by_key(key) is None)
    with pytest.raises(NotFound):
        await world.integrations.DeleteIntegration(DeleteIntegrationRequest(integration_id="prometheus"))
