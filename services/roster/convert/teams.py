"""Teams in protobuf."""

from dataclasses import replace
from datetime import datetime

from chassis import validation, wire
from chassis.errors import Problems
from chassis.ids import generated_name
from services.roster.convert.responders import NAME_LENGTH, REQUEST_ID_LENGTH
from services.roster.domain.team import Team
from tocsin.roster.v1 import team_pb2, team_service_pb2

PEOPLE = 100


def new(request: team_service_pb2.CreateTeamRequest, now: datetime, problems: Problems) -> Team:
    """The team that a request asks for, with defaults; notes what is wrong with it."""
    validation.text(problems, "request_id", request.request_id, most=REQUEST_ID_LENGTH)
    draft = request.team
    if draft.team_id:
        validation.name(problems, "team_id", draft.team_id)
    made = _checked(draft, draft.team_id or generated_name("team"), now, problems)
    _check_managers(made, problems)
    return made


def changed(team: Team, request: team_service_pb2.UpdateTeamRequest, problems: Problems) -> Team:
    """A team with the changes that a request asks for; notes what is wrong with them."""
    draft = request.team
    names = wire.changed(
        request.update_mask, draft, ("display_name", "responder_ids", "manager_ids"), problems
    )
    wanted = _checked(draft, team.team_id, team.created_at, problems)
    made = replace(team, **{name: getattr(wanted, name) for name in names})
    _check_managers(made, problems)
    return made


def to_wire(team: Team) -> team_pb2.Team:
    """A team as its message."""
    return team_pb2.Team(
        team_id=team.team_id,
        display_name=team.display_name,
        responder_ids=team.responder_ids,
        created_at=wire.timestamp(team.created_at),
        manager_ids=team.manager_ids,
    )


def _checked(draft: team_pb2.Team, team_id: str, created_at: datetime, problems: Problems) -> Team:
    validation.text(problems, "display_name", draft.display_name, most=NAME_LENGTH)
    people = draft.responder_ids
    validation.count(problems, "responder_ids", people, most=PEOPLE)
    for place, responder_id in enumerate(people):
        if not responder_id:
            problems.add(f"responder_ids[{place}]", "is empty; want the id of a responder")
        elif responder_id in people[:place]:
            problems.add(
                f"responder_ids[{place}]", f"{responder_id[:64]!r} is named before; want each person once"
            )
    return Team(
        team_id,
        draft.display_name or team_id,
        tuple(people),
        created_at,
        tuple(dict.fromkeys(draft.manager_ids)),
    )


def _check_managers(team: Team, problems: Problems) -> None:
    for place, responder_id in enumerate(team.manager_ids):
        if responder_id not in team.responder_ids:
            problems.add(f"manager_ids[{place}]", f"{responder_id[:64]!r} is not in the team")
