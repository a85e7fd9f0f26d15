"""Teams: made, read, listed, changed, deleted, meant by a target, and refused with precision."""

import pytest
from google.protobuf.field_mask_pb2 import FieldMask

from chassis.errors import AlreadyExists, Conflict, Invalid, NotFound
from tests.fixtures.eventually import eventually
from tests.service.roster.world import World
from tocsin.roster.v1 import on_call_service_pb2, responder_service_pb2, team_pb2, team_service_pb2


async def test_a_team_lives(world: World) -> None:
    await world.people("ada", "bob", "cyd")
    made = await world.team("web", "cyd", "ada")
    assert (made.display_name, list(made.responder_ids)) == ("web", ["cyd", "ada"])
    changed = await world.roster.teams.UpdateTeam(
        team_service_pb2.UpdateTeamRequest(team=team_pb2.Team(team_id="web", responder_ids=["bob", "cyd"]))
    )
    assert (changed.display_name, list(changed.responder_ids)) == ("web", ["bob", "cyd"])
    renamed = await world.roster.teams.UpdateTeam(
        team_service_pb2.UpdateTeamRequest(
            team=team_pb2.Team(team_id="web", display_name="The web"),
            update_mask=FieldMask(paths=["display_name"]),
        )
    )
    read = await world.roster.teams.GetTeam(team_service_pb2.GetTeamRequest(team_id="web"))
    assert read == renamed
    assert (read.display_name, list(read.responder_ids)) == ("The web", ["bob", "cyd"])
    await world.roster.teams.DeleteTeam(team_service_pb2.DeleteTeamRequest(team_id="web"))
    with pytest.raises(NotFound):
        await world.roster.teams.GetTeam(team_service_pb2.GetTeamRequest(team_id="web"))
    with pytest.raises(NotFound):
        await world.roster.teams.DeleteTeam(team_service_pb2.DeleteTeamRequest(team_id="web"))
    events = await world.events("roster.changed", 7)
    assert [(event.resource, event.resource_id, event.change) for event in events[3:]] == [
        ("team", "web", "created"),
        ("team", "web", "updated"),
        ("team", "web", "updated"),
        ("team", "web", "deleted"),
    ]


async def test_a_team_is_a_target_in_its_own_order(world: World) -> None:
    other = await world.replica()
    await world.people("ada", "bob")
    await world.team("web", "bob", "ada")
    await world.team("nobody")
    assert await world.roster.resolve("team://web") == ["bob", "ada"]
    assert await world.roster.resolve("team://nobody") == []
    with pytest.raises(NotFound):
        await world.roster.resolve("team://nowhere")
    answer = await world.roster.on_call.ResolveTargets(
        on_call_service_pb2.ResolveTargetsRequest(targets=["team://nowhere", "team://web", "team://web/next"])
    )
    assert [(len(result.responders), result.error_reason) for result in answer.results] == [
        (0, "UNKNOWN_TEAM"),
        (2, ""),
        (0, "INVALID_TARGET"),
    ]

    async def heard() -> bool:
        return await other.resolve("team://web") == ["bob", "ada"]

    await eventually(heard)


async def test_every_wrong_field_of_a_team_is_named(world: World) -> None:
    await world.people("ada")
    with pytest.raises(Invalid) as caught:
        await world.team("Web!", "ada", "whoever", "ada", "")
    assert {field.path for field in caught.value.fields} == {
        "team_id",
        "responder_ids[1]",
        "responder_ids[2]",
        "responder_ids[3]",
    }
    assert "whoever" in str(caught.value)
    await world.team("web")
    with pytest.raises(AlreadyExists):
        await world.team("web")
    with pytest.raises(Invalid) as caught:
        await world.roster.teams.UpdateTeam(
            team_service_pb2.UpdateTeamRequest(team=team_pb2.Team(team_id="web", responder_ids=["whoever"]))
        )
    assert [field.path for field in caught.value.fields] == ["responder_ids[0]"]
    with pytest.raises(NotFound):
        await world.roster.teams.UpdateTeam(
            team_service_pb2.UpdateTeamRequest(team=team_pb2.Team(team_id="nowhere"))
        )


async def test_teams_are_listed_in_pages_and_by_person(world: World) -> None:
    await world.people("ada", "bob")
    for number in range(4):
        await world.team(f"team-{number}", *(["ada", "bob"] if number % 2 else ["bob"]))
    unnamed = await world.team("", request_id="once")
    assert await world.team("", request_id="once") == unnamed
    page = await world.roster.teams.ListTeams(team_service_pb2.ListTeamsRequest(page_size=3))
    rest = await world.roster.teams.ListTeams(
        team_service_pb2.ListTeamsRequest(page_size=3, page_token=page.next_page_token)
    )
    listed = [team.team_id for answer in (page, rest) for team in answer.teams]
    assert listed == sorted([unnamed.team_id, "team-0", "team-1", "team-2", "team-3"])
    assert (len(page.teams), rest.next_page_token) == (3, "")
    only = await world.roster.teams.ListTeams(team_service_pb2.ListTeamsRequest(responder_id="ada"))
    assert [team.team_id for team in only.teams] == ["team-1", "team-3"]


async def test_somebody_in_a_team_cannot_be_deleted(world: World) -> None:
    await world.people("ada")
    await world.team("web", "ada")
    delete = responder_service_pb2.DeleteResponderRequest(responder_id="ada")
    with pytest.raises(Conflict, match="team 'web'"):
        await world.roster.responders.DeleteResponder(delete)
    await world.roster.teams.DeleteTeam(team_service_pb2.DeleteTeamRequest(team_id="web"))
    await world.roster.responders.DeleteResponder(delete)
