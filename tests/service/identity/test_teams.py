"""Policies and integrations of teams: escalation asks roster who may edit them."""

import pytest

from tests.fixtures.eventually import eventually
from tests.service.identity.world import Answer, Installation

STEPS = [{"targets": ["oncall://active"]}]
OWNED = {"policy_id": "web", "team_id": "web", "steps": STEPS}


async def team(installation: Installation, team_id: str, *people: str) -> None:
    """A team of people who exist from now on."""
    root = installation.token("admin", subject="root")
    for person in people:
        await installation.call("POST", "/oncall/responders", {"responder_id": person}, token=root)
    made = await installation.call(
        "POST", "/oncall/teams", {"team_id": team_id, "responder_ids": people}, token=root
    )
    assert made.status == 200, made.json


def told(answer: Answer) -> tuple[int, str]:
    """The status and the reason of an answer."""
    return answer.status, "" if answer.status == 200 else answer.reason


async def test_what_belongs_to_a_team_is_edited_by_its_members_alone(installation: Installation) -> None:
    await installation.start("roster", "escalation", "gateway")
    await team(installation, "web", "ada", "bob")
    await team(installation, "db", "bob", "cyd")
    ada, bob, cyd = (installation.token("policies:write", subject=name) for name in ("ada", "bob", "cyd"))
    root = installation.token("admin", subject="root")
    refused = (403, "TEAM_REQUIRED")
    call = installation.call

    assert told(await call("POST", "/escalation-policies", OWNED, token=cyd)) == refused
    nowhere = await call("POST", "/escalation-policies", {**OWNED, "team_id": "nowhere"}, token=ada)
    assert told(nowhere) == (400, "INVALID_ARGUMENT")
    assert (await call("POST", "/escalation-policies", OWNED, token=ada)).json["team_id"] == "web"
    source = {"integration_id": "prometheus", "team_id": "web"}
    assert told(await call("POST", "/integrations", source, token=cyd)) == refused
    assert told(await call("POST", "/integrations", source, token=ada)) == (200, "")

    edits = [
        ("PATCH", "/escalation-policies/web", {"display_name": "Web"}),
        ("PATCH", "/escalation-policies/web?update_mask=team_id", {"team_id": ""}),
        ("PATCH", "/integrations/prometheus", {"display_name": "Web"}),
        ("POST", "/integrations/prometheus:rotate", {}),
        ("POST", "/integrations/prometheus:revoke-previous-key", {}),
        ("DELETE", "/integrations/prometheus", None),
        ("DELETE", "/escalation-policies/web", None),
    ]
    for method, path, body in edits:
        assert told(await call(method, path, body, token=cyd)) == refused, path
    for method, path, body in edits:
        if "team_id" not in path:
            assert told(await call(method, path, body, token=bob if "pol" in path else root)) == (200, ""), (
                path
            )

    await call("POST", "/escalation-policies", OWNED, token=ada)
    to_db = {"team_id": "db"}
    assert told(await call("PATCH", "/escalation-policies/web", to_db, token=ada)) == refused
    assert told(await call("PATCH", "/escalation-policies/web", to_db, token=bob)) == (200, "")
    assert told(await call("PATCH", "/escalation-policies/web", {"priority": 5}, token=ada)) == refused
    assert told(await call("PATCH", "/escalation-policies/web", {"priority": 5}, token=cyd)) == (200, "")
    give_up = await call("PATCH", "/escalation-policies/web?update_mask=team_id", {"team_id": ""}, token=cyd)
    assert give_up.json["team_id"] == ""
    assert told(await call("PATCH", "/escalation-policies/web", {"priority": 6}, token=ada)) == (200, "")


async def test_while_roster_is_away_only_what_is_known_decides(
    installation: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    await installation.start("roster", "escalation", "gateway")
    await team(installation, "web", "ada")
    ada = installation.token("policies:write", subject="ada")
    root = installation.token("admin", subject="root")
    rename = {"display_name": "Web"}
    monkeypatch.setattr("services.escalation.ownership.KEPT", 600.0)
    assert told(await installation.call("POST", "/escalation-policies", OWNED, token=ada)) == (200, "")
    await installation.stop("roster")
    path = "/escalation-policies/web"
    assert told(await installation.call("PATCH", path, rename, token=ada)) == (
        200,
        "",
    )  # it was asked just now
    await installation.stop("escalation")
    await installation.start("escalation")
    assert told(await installation.call("PATCH", path, rename, token=ada)) == (503, "TEAMS_UNKNOWN")
    assert told(await installation.call("PATCH", path, rename, token=root)) == (200, "")
    await installation.start("roster")

    async def allowed() -> bool:
        return (await installation.call("PATCH", path, rename, token=ada)).status == 200

    await eventually(allowed, timeout=20)
