"""Policies through the API: made, found, listed, changed, in force at once and never taken from under an alert."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from uuid import uuid4

import pytest
from google.protobuf.duration_pb2 import Duration
from google.protobuf.field_mask_pb2 import FieldMask
from sqlalchemy import text

from chassis.errors import (
    AlreadyExists,
    Conflict,
    Denied,
    Invalid,
    NotFound,
    Refused,
    Unauthenticated,
    Unimplemented,
)
from services.escalation.domain.rules import Facts
from tests.fixtures.eventually import eventually
from tests.fixtures.postgres import TestDatabase
from tests.service.escalation.configuring import Desk, desk
from tocsin.escalation.v1.integration_pb2 import Integration
from tocsin.escalation.v1.integration_service_pb2 import CreateIntegrationRequest
from tocsin.escalation.v1.policy_pb2 import EscalationPolicy, EscalationStep, RepeatTrigger
from tocsin.escalation.v1.policy_service_pb2 import (
    CreateEscalationPolicyRequest,
    DeleteEscalationPolicyRequest,
    GetEscalationPolicyRequest,
    ListEscalationPoliciesRequest,
    PreviewEscalationPolicyRequest,
    UpdateEscalationPolicyRequest,
)

FACTS = Facts("CRITICAL", "prometheus", "disk full", {"team": "db"})


@pytest.fixture
async def world(database: TestDatabase) -> AsyncIterator[Desk]:
    """The service over an empty database."""
    async with desk(database) as serving:
        yield serving


def database_team(policy_id: str = "db") -> EscalationPolicy:
    """A policy with every field set."""
    return EscalationPolicy(
        policy_id=policy_id,
        display_name="Database team",
        matchers=['team="db"'],
        priority=5,
        steps=[
            EscalationStep(
                targets=["oncall://db", "responder://alice"], ack_timeout=Duration(seconds=2, nanos=500_000_000)
            ),
            EscalationStep(targets=["oncall://active"]),
        ],
        repeat_count=1,
        repeat_trigger=RepeatTrigger(threshold=5, window=Duration(seconds=60)),
        handover=EscalationPolicy.Handover.OPEN_AND_ACKED,
    )  # fmt: skip


async def create(world: Desk, policy: EscalationPolicy, request_id: str = "") -> EscalationPolicy:
    """Creates a policy."""
    return await world.policies.CreateEscalationPolicy(
        CreateEscalationPolicyRequest(escalation_policy=policy, request_id=request_id)
    )


async def get(world: Desk, policy_id: str) -> EscalationPolicy:
    """Reads a policy."""
    return await world.policies.GetEscalationPolicy(GetEscalationPolicyRequest(policy_id=policy_id))


async def delete(world: Desk, policy_id: str) -> None:
    """Deletes a policy."""
    await world.policies.DeleteEscalationPolicy(DeleteEscalationPolicyRequest(policy_id=policy_id))


async def update(world: Desk, policy: EscalationPolicy, *mask: str) -> EscalationPolicy:
    """Changes the fields of the mask."""
    return await world.policies.UpdateEscalationPolicy(
        UpdateEscalationPolicyRequest(escalation_policy=policy, update_mask=FieldMask(paths=mask))
    )


async def test_the_default_policy_is_there_from_the_start(world: Desk) -> None:
    """One step of five minutes to everyone on call; it can be changed and not deleted."""
    policy = await get(world, "default")
    assert [(list(step.targets), step.ack_timeout.seconds) for step in policy.steps] == [
        (["oncall://active"], 300)
    ]
    step = EscalationStep(targets=["oncall://night"])
    changed = await update(world, EscalationPolicy(policy_id="default", steps=[step]))
    assert changed.steps[0].targets == ["oncall://night"]
    assert world.rules.value.policy_for(FACTS).steps[0].targets == ("oncall://night",)
    with pytest.raises(Refused, match="cannot be deleted"):
        await delete(world, "default")


async def test_what_is_created_is_what_is_read(world: Desk) -> None:
    """Every field, with times from the service's clock; in force when answered."""
    made = await create(world, database_team())
    assert await get(world, "db") == made
    assert made.updated_at == made.created_at
    assert made.steps[1].ack_timeout.seconds == 300
    same = EscalationPolicy()
    same.CopyFrom(made)
    same.ClearField("created_at")
    same.ClearField("updated_at")
    same.steps[1].ClearField("ack_timeout")
    assert same == database_team()
    assert world.rules.value.policy_for(FACTS).policy_id == "db"


async def test_an_id_is_generated(world: Desk) -> None:
    """And is the name, when that is left out too."""
    made = await create(world, EscalationPolicy(steps=[EscalationStep(targets=["oncall://active"])]))
    assert made.policy_id.startswith("policy-")
    assert made.display_name == made.policy_id


async def test_ids_are_taken_once(world: Desk) -> None:
    """Unless the same request comes again: it gets the same policy, whatever it holds."""
    made = await create(world, database_team(), "request-1")
    assert await create(world, database_team("other"), "request-1") == made
    with pytest.raises(AlreadyExists, match="'db'"):
        await create(world, database_team(), "request-2")
    with pytest.raises(NotFound):
        await get(world, "other")


async def test_every_wrong_field_is_named_and_nothing_changes(world: Desk) -> None:
    """Also when only the last of them is wrong."""
    policy = database_team()
    policy.matchers.append('host=~"("')
    policy.steps[1].targets.append("carol")
    with pytest.raises(Invalid) as raised:
        await create(world, policy)
    assert [field.path for field in raised.value.fields] == ["matchers[1]", "steps[1].targets[1]"]
    with pytest.raises(NotFound):
        await get(world, "db")


async def test_a_list_has_every_policy_once(world: Desk) -> None:
    """In the order of ids, page by page."""
    for name in ("c", "a", "b"):
        await create(world, database_team(name))
    seen: list[str] = []
    request = ListEscalationPoliciesRequest(page_size=2)
    while True:
        answer = await world.policies.ListEscalationPolicies(request)
        seen += [policy.policy_id for policy in answer.escalation_policies]
        if not answer.next_page_token:
            break
        request.page_token = answer.next_page_token
    assert seen == ["a", "b", "c", "default"]
    with pytest.raises(Invalid, match="page_token"):
        await world.policies.ListEscalationPolicies(ListEscalationPoliciesRequest(page_token="x"))


async def test_a_patch_changes_what_it_names(world: Desk) -> None:
    """And the time of the change."""
    made = await create(world, database_team())
    changed = await update(world, EscalationPolicy(policy_id="db", priority=9), "priority", "repeat_trigger")
    assert changed.priority == 9
    assert not changed.HasField("repeat_trigger")
    assert changed.matchers == made.matchers
    assert changed.created_at == made.created_at
    assert changed.updated_at.ToNanoseconds() > made.updated_at.ToNanoseconds()
    assert await get(world, "db") == changed
    with pytest.raises(Invalid, match="steps"):
        await update(world, EscalationPolicy(policy_id="db"), "steps")
    with pytest.raises(NotFound):
        await update(world, EscalationPolicy(policy_id="nobody", priority=1))


async def test_a_deleted_policy_is_gone(world: Desk) -> None:
    """For rules too; deleting it again finds nothing."""
    await create(world, database_team())
    await delete(world, "db")
    assert world.rules.value.policy_for(FACTS).policy_id == "default"
    with pytest.raises(NotFound):
        await delete(world, "db")


async def test_a_policy_that_an_integration_uses_stays(world: Desk) -> None:
    """The refusal names the integrations."""
    await create(world, database_team())
    for name in ("grafana", "prometheus"):
        await world.integrations.CreateIntegration(
            CreateIntegrationRequest(integration=Integration(integration_id=name, policy_id="db"))
        )
    with pytest.raises(Conflict, match="'grafana', integration 'prometheus'") as raised:
        await delete(world, "db")
    assert raised.value.reason == "POLICY_IN_USE"
    assert world.rules.value.policy("db") is not None


async def test_a_policy_that_open_alerts_use_stays(world: Desk) -> None:
    """Until they are closed."""
    await create(world, database_team())
    alert_id = uuid4()
    async with world.db.begin() as conn:
        await conn.execute(
            text(
                """insert into alerts values (:id, '', 't', '', 'HIGH', '', '{}', 'ACKED', 'db', :at, null, '', null,
                '', null, 1, :at, 0, '', null, 1)"""
            ),
            {"id": alert_id, "at": datetime.now(UTC)},
        )
    with pytest.raises(Conflict, match=f"1 alerts that are not closed, like {alert_id}"):
        await delete(world, "db")
    async with world.db.begin() as conn:
        await conn.execute(text("update alerts set state = 'CLOSED'"))
    await delete(world, "db")


async def test_other_replicas_follow_at_once(world: Desk, database: TestDatabase) -> None:
    """They poll once a minute here: it was the notification."""
    async with desk(database) as other:
        await create(world, database_team())
        await eventually(lambda: other.rules.value.policy("db"))
        await delete(other, "db")
        await eventually(lambda: world.rules.value.policy("db") is None)


async def test_scopes_are_asked_for(world: Desk, database: TestDatabase) -> None:
    """Reading is not writing."""
    async with desk(database, scopes=("policies:read",)) as reader:
        assert (await get(reader, "default")).policy_id == "default"
        with pytest.raises(Denied):
            await create(reader, database_team())
    async with desk(database, scopes=("alerts:write",)) as stranger:
        with pytest.raises(Denied):
            await get(stranger, "default")
        with pytest.raises(Unauthenticated):
            await stranger.policies.GetEscalationPolicy(
                GetEscalationPolicyRequest(policy_id="default"), metadata=(("authorization", "Bearer x"),)
            )


async def test_the_preview_says_that_it_is_to_come(world: Desk) -> None:
    """Clearly."""
    with pytest.raises(Unimplemented, match="who would be told when"):
        await world.policies.PreviewEscalationPolicy(PreviewEscalationPolicyRequest())
