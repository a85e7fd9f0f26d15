"""Who may edit a schedule that belongs to a team, and a team that has managers."""

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from google.protobuf.field_mask_pb2 import FieldMask

from chassis.errors import Conflict, Denied, Invalid
from chassis.wire import timestamp
from tests.service.roster.world import HOUR, Replica, World
from tocsin.roster.v1 import (
    calendar_service_pb2,
    calendar_service_pb2_grpc,
    schedule_pb2,
    schedule_service_pb2,
    shift_pb2,
    shift_service_pb2,
    team_pb2,
    team_service_pb2,
)

Edit = Callable[[Replica], Awaitable[Any]]


async def owned(world: World) -> schedule_pb2.Schedule:
    """A schedule of the team `web`, of Ada and Bob."""
    await world.people("ada", "bob", "cyd")
    await world.team("web", "ada", "bob")
    ada = await world.caller("ada")
    wanted = schedule_pb2.Schedule(schedule_id="web", team_id="web")
    return await ada.schedules.CreateSchedule(schedule_service_pb2.CreateScheduleRequest(schedule=wanted))


def edits(world: World, shift: shift_pb2.Shift, override: shift_pb2.Override) -> dict[str, Edit]:
    """Everything that edits the schedule `web`, the deletion last."""
    start, end = timestamp(world.now + 5 * HOUR), timestamp(world.now + 6 * HOUR)
    rename = schedule_pb2.Schedule(schedule_id="web", display_name="Web")
    calendar = b"BEGIN:VCALENDAR\r\nVERSION:2.0\r\nPRODID:x\r\nBEGIN:VEVENT\r\nUID:1\r\nSUMMARY:ada\r\n"
    calendar += b"DTSTART:20260301T090000Z\r\nDTEND:20260301T170000Z\r\nEND:VEVENT\r\nEND:VCALENDAR\r\n"
    since = timestamp(datetime(2026, 2, 27, tzinfo=UTC))
    return {
        "update": lambda by: by.schedules.UpdateSchedule(
            schedule_service_pb2.UpdateScheduleRequest(schedule=rename)
        ),
        "shift": lambda by: by.shifts.CreateShift(
            shift_service_pb2.CreateShiftRequest(
                shift=shift_pb2.Shift(schedule_id="web", responder_id="cyd", starts_at=start, ends_at=end)
            )
        ),
        "no shift": lambda by: by.shifts.DeleteShift(
            shift_service_pb2.DeleteShiftRequest(shift_id=shift.shift_id)
        ),
        "override": lambda by: by.shifts.CreateOverride(
            shift_service_pb2.CreateOverrideRequest(
                override=shift_pb2.Override(
                    schedule_id="web", responder_id="cyd", starts_at=start, ends_at=end
                )
            )
        ),
        "no override": lambda by: by.shifts.DeleteOverride(
            shift_service_pb2.DeleteOverrideRequest(override_id=override.override_id)
        ),
        "import": lambda by: calendar_service_pb2_grpc.CalendarServiceStub(by.channel).ImportCalendar(
            calendar_service_pb2.ImportCalendarRequest(
                schedule_id="web", calendar=calendar.decode(), start=since
            )
        ),
        "delete": lambda by: by.schedules.DeleteSchedule(
            schedule_service_pb2.DeleteScheduleRequest(schedule_id="web")
        ),
    }


async def test_a_teams_schedule_is_edited_by_its_members_alone(world: World) -> None:
    made = await owned(world)
    assert made.team_id == "web"
    bob, cyd = await world.caller("bob"), await world.caller("cyd")
    root = await world.caller("root", ["admin"])
    start = world.now
    shift = await bob.shifts.CreateShift(
        shift_service_pb2.CreateShiftRequest(
            shift=shift_pb2.Shift(
                schedule_id="web",
                responder_id="ada",
                starts_at=timestamp(start),
                ends_at=timestamp(start + HOUR),
            )
        )
    )
    override = await root.shifts.CreateOverride(
        shift_service_pb2.CreateOverrideRequest(
            override=shift_pb2.Override(
                schedule_id="web",
                responder_id="cyd",
                starts_at=timestamp(start),
                ends_at=timestamp(start + HOUR),
            )
        )
    )
    for name, edit in edits(world, shift, override).items():
        with pytest.raises(Denied) as refused:
            await edit(cyd)
        assert refused.value.reason == "TEAM_REQUIRED", name
        await edit(bob)


async def test_a_schedule_is_given_to_a_team_by_its_members_and_given_away_by_them(world: World) -> None:
    await owned(world)
    await world.team("db", "bob", "cyd")
    bob, cyd = await world.caller("bob"), await world.caller("cyd")

    def give(schedule_id: str, team_id: str) -> schedule_service_pb2.UpdateScheduleRequest:
        return schedule_service_pb2.UpdateScheduleRequest(
            schedule=schedule_pb2.Schedule(schedule_id=schedule_id, team_id=team_id),
            update_mask=FieldMask(paths=["team_id"]),
        )

    for request in (give("web", "db"), give("web", ""), give("default", "web")):
        with pytest.raises(Denied):
            await cyd.schedules.UpdateSchedule(request)
    with pytest.raises(Invalid) as nowhere:
        await bob.schedules.UpdateSchedule(give("web", "nowhere"))
    assert [field.path for field in nowhere.value.fields] == ["team_id"]
    assert (await bob.schedules.UpdateSchedule(give("web", "db"))).team_id == "db"
    assert (await cyd.schedules.UpdateSchedule(give("web", ""))).team_id == ""
    assert (await bob.schedules.UpdateSchedule(give("web", "web"))).team_id == "web"  # nobody's: anybody may
    stolen = schedule_pb2.Schedule(schedule_id="other", team_id="web")
    with pytest.raises(Denied):
        await cyd.schedules.CreateSchedule(schedule_service_pb2.CreateScheduleRequest(schedule=stolen))


async def test_whoever_leaves_the_team_may_edit_no_longer(world: World) -> None:
    await owned(world)
    bob = await world.caller("bob")
    rename = schedule_service_pb2.UpdateScheduleRequest(
        schedule=schedule_pb2.Schedule(schedule_id="web", display_name="Web")
    )
    await bob.schedules.UpdateSchedule(rename)
    without = team_pb2.Team(team_id="web", responder_ids=["ada"])
    await world.roster.teams.UpdateTeam(team_service_pb2.UpdateTeamRequest(team=without))
    with pytest.raises(Denied):
        await bob.schedules.UpdateSchedule(rename)


async def test_a_team_with_managers_is_edited_by_them_alone(world: World) -> None:
    await world.people("ada", "bob", "cyd")
    ada, bob = await world.caller("ada"), await world.caller("bob")
    team = team_pb2.Team(team_id="web", responder_ids=["ada", "bob"], manager_ids=["ada", "ada"])
    made = await bob.teams.CreateTeam(team_service_pb2.CreateTeamRequest(team=team))
    assert list(made.manager_ids) == ["ada"]
    grown = team_service_pb2.UpdateTeamRequest(
        team=team_pb2.Team(team_id="web", responder_ids=["ada", "bob", "cyd"])
    )
    delete = team_service_pb2.DeleteTeamRequest(team_id="web")
    for refused in (bob.teams.UpdateTeam(grown), bob.teams.DeleteTeam(delete)):
        with pytest.raises(Denied) as denied:
            await refused
        assert denied.value.reason == "MANAGER_REQUIRED"
    assert list((await ada.teams.UpdateTeam(grown)).responder_ids) == ["ada", "bob", "cyd"]
    for wrong in (
        team_pb2.Team(team_id="web", responder_ids=["bob"]),
        team_pb2.Team(team_id="web", manager_ids=["whoever"]),
    ):
        with pytest.raises(Invalid) as caught:
            await ada.teams.UpdateTeam(team_service_pb2.UpdateTeamRequest(team=wrong))
        assert [field.path for field in caught.value.fields] == ["manager_ids[0]"]
    schedule = schedule_pb2.Schedule(schedule_id="web", team_id="web")
    await ada.schedules.CreateSchedule(schedule_service_pb2.CreateScheduleRequest(schedule=schedule))
    with pytest.raises(Conflict) as used:
        await ada.teams.DeleteTeam(delete)
    assert used.value.reason == "TEAM_IN_USE"
    await ada.schedules.DeleteSchedule(schedule_service_pb2.DeleteScheduleRequest(schedule_id="web"))
    root = await world.caller("root", ["admin"])
    await root.teams.DeleteTeam(delete)
