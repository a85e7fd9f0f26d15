"""Policies through the API: made, found, listed, changed, in force at once and never taken from under an alert."""

from typing import Any

import psycopg
import pytest
from google.protobuf.duration_pb2 import Duration
from google.protobuf.field_mask_pb2 import FieldMask

from chassis.errors import (
    AlreadyExists,
    Conflict,
    Denied,
    Invalid,
    NotFound,
    Refused,
    Unauthenticated,
)
from tests.fixtures.eventually import PATIENCE, eventually
from tests.service.escalation.world import Replica, World
from tocsin.escalation.v1.alert_pb2 import Severity
from tocsin.escalation.v1.integration_pb2 import Integration
from tocsin.escalation.v1.integration_service_pb2 import CreateIntegrationRequest
from tocsin.escalation.v1.policy_pb2 import EscalationPolicy, EscalationStep, RepeatTrigger, StepCondition
from tocsin.escalation.v1.policy_service_pb2 import (
    CreateEscalationPolicyRequest,
    DeleteEscalationPolicyRequest,
    GetEscalationPolicyRequest,
    ListEscalationPoliciesRequest,
    UpdateEscalationPolicyRequest,
)

FACTS: Any = {"severity": Severity.CRITICAL, "source": "prometheus", "labels": {"team": "db"}}


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
            EscalationStep(
                targets=["oncall://active"],
                selection=EscalationStep.ROUND_ROBIN,
                skip_if_empty=True,
                condition=StepCondition(
                    severities=[Severity.CRITICAL, Severity.HIGH],
                    weekdays=[StepCondition.MON, StepCondition.SUN],
                    start_time="22:00",
                    end_time="06:30",
                    time_zone="Europe/Berlin",
                ),
            ),
        ],
        repeat_count=1,
        repeat_trigger=RepeatTrigger(threshold=5, window=Duration(seconds=60)),
        handover=EscalationPolicy.Handover.OPEN_AND_ACKED,
        catch_all="responder://boss",
        reopen_after=Duration(seconds=3600),
    )  # fmt: skip


async def create(here: Replica, policy: EscalationPolicy, request_id: str = "") -> EscalationPolicy:
    """Creates a policy."""
    return await here.policies.CreateEscalationPolicy(
        CreateEscalationPolicyRequest(escalation_policy=policy, request_id=request_id)
    )


async def get(here: Replica, policy_id: str) -> EscalationPolicy:
    """Reads a policy."""
    return await here.policies.GetEscalationPolicy(GetEscalationPolicyRequest(policy_id=policy_id))


async def delete(here: Replica, policy_id: str) -> None:
    """Deletes a policy."""
    await here.policies.DeleteEscalationPolicy(DeleteEscalationPolicyRequest(policy_id=policy_id))


async def update(here: Replica, policy: EscalationPolicy, *mask: str) -> EscalationPolicy:
    """Changes the fields of the mask."""
    return await here.policies.UpdateEscalationPolicy(
        UpdateEscalationPolicyRequest(escalation_policy=policy, update_mask=FieldMask(paths=mask))
    )


async def test_the_default_policy_is_there_from_the_start(stage: World) -> None:
    """One step of five minutes to everyone on call; it can be changed and not deleted."""
    policy = await get(stage.here, "default")
    assert [(list(step.targets), step.ack_timeout.seconds) for step in policy.steps] == [
        (["oncall://active"], 300)
    ]
    step = EscalationStep(targets=["oncall://night"])
    changed = await update(stage.here, EscalationPolicy(policy_id="default", steps=[step]))
    assert changed.steps[0].targets == ["oncall://night"]
    alert = await stage.here.open(**FACTS)
    assert [list(step.targets) for step in await stage.steps(alert, 1)] == [["oncall://night"]]
    with pytest.raises(Refused, match="cannot be deleted"):
        await delete(stage.here, "default")


async def test_what_is_created_is_what_is_read(stage: World) -> None:
    """Every field, with times from the service's clock; in force when answered."""
    made = await create(stage.here, database_team())
    assert await get(stage.here, "db") == made
    assert made.updated_at == made.created_at
    assert made.steps[1].ack_timeout.seconds == 300
    same = EscalationPolicy()
    same.CopyFrom(made)
    same.ClearField("created_at")
    same.ClearField("updated_at")
    same.steps[0].ClearField("selection")
    same.steps[1].ClearField("ack_timeout")
    assert same == database_team()
    assert (await stage.here.open(**FACTS)).policy_id == "db"


async def test_an_id_is_generated(stage: World) -> None:
    """And is the name, when that is left out too."""
    made = await create(stage.here, EscalationPolicy(steps=[EscalationStep(targets=["oncall://active"])]))
    assert made.policy_id.startswith("policy-")
    assert made.display_name == made.policy_id


async def test_ids_are_taken_once(stage: World) -> None:
    """Unless the same request comes again: it gets the same policy, whatever it holds."""
    made = await create(stage.here, database_team(), "request-1")
    assert await create(stage.here, database_team("other"), "request-1") == made
    with pytest.raises(AlreadyExists, match="'db'"):
        await create(stage.here, database_team(), "request-2")
    with pytest.raises(NotFound):
        await get(stage.here, "other")


async def test_every_wrong_field_is_named_and_nothing_changes(stage: World) -> None:
    """Also when only the last of them is wrong."""
    policy = database_team()
    policy.matchers.append('host=~"("')
    policy.steps[1].targets.append("carol")
    with pytest.raises(Invalid) as raised:
        await create(stage.here, policy)
    assert [field.path for field in raised.value.fields] == ["matchers[1]", "steps[1].targets[1]"]
    with pytest.raises(NotFound):
        await get(stage.here, "db")


async def test_a_list_has_every_policy_once(stage: World) -> None:
    """In the order of ids, page by page."""
    for name in ("c", "a", "b"):
        await create(stage.here, database_team(name))
    seen: list[str] = []
    request = ListEscalationPoliciesRequest(page_size=2)
    while True:
        answer = await stage.here.policies.ListEscalationPolicies(request)
        seen += [policy.policy_id for policy in answer.escalation_policies]
        if not answer.next_page_token:
            break
        request.page_token = answer.next_page_token
    assert seen == ["a", "b", "c", "default"]
    with pytest.raises(Invalid, match="page_token"):
        await stage.here.policies.ListEscalationPolicies(ListEscalationPoliciesRequest(page_token="x"))


async def test_a_patch_changes_what_it_names(stage: World) -> None:
    """And the time of the change."""
    made = await create(stage.here, database_team())
    changed = await update(
        stage.here, EscalationPolicy(policy_id="db", priority=9), "priority", "repeat_trigger"
    )
    assert changed.priority == 9
    assert not changed.HasField("repeat_trigger")
    assert changed.matchers == made.matchers
    assert changed.created_at == made.created_at
    assert changed.updated_at.ToNanoseconds() > made.updated_at.ToNanoseconds()
    assert await get(stage.here, "db") == changed
    with pytest.raises(Invalid, match="steps"):
        await update(stage.here, EscalationPolicy(policy_id="db"), "steps")
    with pytest.raises(NotFound):
        await update(stage.here, EscalationPolicy(policy_id="nobody", priority=1))


async def test_a_deleted_policy_is_gone(stage: World) -> None:
    """For rules too; deleting it again finds nothing."""
    await create(stage.here, database_team())
    await delete(stage.here, "db")
    assert (await stage.here.open(**FACTS)).policy_id == "default"
    with pytest.raises(NotFound):
        await delete(stage.here, "db")


async def test_a_policy_that_an_integration_uses_stays(stage: World) -> None:
    """The refusal names the integrations."""
    await create(stage.here, database_team())
    for name in ("grafana", "prometheus"):
        await stage.here.integrations.CreateIntegration(
            CreateIntegrationRequest(integration=Integration(integration_id=name, policy_id="db"))
        )
    with pytest.raises(Conflict, match="'grafana', integration 'prometheus'") as raised:
        await delete(stage.here, "db")
    assert raised.value.reason == "POLICY_IN_USE"
    assert (await get(stage.here, "db")).priority == 5


async def test_a_policy_that_open_alerts_use_stays(stage: World) -> None:
    """Until they are closed; taken is not closed."""
    await create(stage.here, database_team())
    alert = await stage.here.open(**FACTS)
    await stage.here.acknowledge(alert)
    with pytest.raises(Conflict, match=rf"not closed \(1, like {alert.alert_id}\)"):
        await delete(stage.here, "db")
    await stage.here.close(alert)
    await delete(stage.here, "db")


async def test_other_replicas_follow(stage: World) -> None:
    """In both directions."""
    other = await stage.replica()
    await create(stage.here, database_team())

    async def followed_by(replica: Replica, policy_id: str) -> bool:
        return (await replica.open(**FACTS)).policy_id == policy_id

    await eventually(lambda: followed_by(other, "db"))
    await update(other, EscalationPolicy(policy_id="db", matchers=['team="web"']))
    await eventually(lambda: followed_by(stage.here, "default"))


async def test_every_change_is_told_to_the_replicas(stage: World) -> None:
    """At once, so that none has to wait for its next look."""
    url = stage.database.url("escalation")
    async with await psycopg.AsyncConnection.connect(url, autocommit=True) as conn:
        await conn.execute("listen escalation_rules")
        await create(stage.here, database_team())
        assert [notice.channel async for notice in conn.notifies(timeout=PATIENCE, stop_after=1)]


async def test_scopes_are_asked_for(stage: World) -> None:
    """Reading is not writing."""
    reader = stage.as_("reader", "policies:read")
    assert (await get(reader, "default")).policy_id == "default"
    with pytest.raises(Denied):
        await create(reader, database_team())
    with pytest.raises(Denied):
        await get(stage.as_("stranger", "alerts:write"), "default")
    with pytest.raises(Unauthenticated):
        await stage.here.policies.GetEscalationPolicy(
            GetEscalationPolicyRequest(policy_id="default"), metadata=(("authorization", "Bearer x"),)
        )
