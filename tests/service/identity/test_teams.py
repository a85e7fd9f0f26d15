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


RULE = {"team_id": "web", "matchers": ['team="web"']}
SILENCE = {"silence_rule_id": "works", **RULE, "ends_at": "2100-01-01T00:00:00Z"}
AGGREGATION = {"aggregation_rule_id": "by-host", **RULE, "window": "60s"}
INHIBITION = {
    "inhibition_rule_id": "down",
    "team_id": "web",
    "source_matchers": ['alertname="Down"'],
    "target_matchers": ['team="web"'],
}


async def test_rules_against_noise_belong_to_teams_too(installation: Installation) -> None:
    await installation.start("roster", "escalation", "gateway")
    await team(installation, "web", "ada")
    await team(installation, "db", "cyd")
    ada, cyd = (installation.token("policies:write", subject=name) for name in ("ada", "cyd"))
    refused, call = (403, "TEAM_REQUIRED"), installation.call
    made = [
        ("/silence-rules", SILENCE),
        ("/aggregation-rules", AGGREGATION),
        ("/inhibition-rules", INHIBITION),
    ]
    for path, body in made:
        assert told(await call("POST", path, body, token=cyd)) == refused, path
        nowhere = await call("POST", path, {**body, "team_id": "nowhere"}, token=cyd)
        assert told(nowhere) == (400, "INVALID_ARGUMENT"), path
        odd = await call("POST", path, {**body, "team_id": "No team"}, token=cyd)
        assert told(odd) == (400, "INVALID_ARGUMENT"), path
        assert (await call("POST", path, body, token=ada)).json["team_id"] == "web", path

    edits = [
        ("PATCH", "/aggregation-rules/by-host", {"window": "90s"}),
        ("PATCH", "/inhibition-rules/down", {"equal": ["host"]}),
        ("PATCH", "/aggregation-rules/by-host", {"team_id": ""}),
        ("PATCH", "/inhibition-rules/down?update_mask=team_id", {"team_id": ""}),
        ("POST", "/silence-rules/works:expire", {}),
        ("DELETE", "/silence-rules/works", None),
        ("DELETE", "/aggregation-rules/by-host", None),
        ("DELETE", "/inhibition-rules/down", None),
    ]
    for method, path, change in edits:
        assert told(await call(method, path, change, token=cyd)) == refused, (method, path)
    silence = await call("GET", "/silence-rules/works", token=installation.token("policies:read"))
    assert (silence.json["state"], silence.json["team_id"]) == ("ACTIVE", "web")
    given = await call("PATCH", "/aggregation-rules/by-host", {"team_id": "db"}, token=ada)
    assert told(given) == refused  # she is in web alone
    for method, path, change in edits:
        assert told(await call(method, path, change, token=ada)) == (200, ""), (method, path)


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

    await eventually(allowed)
