"""The whole roster in memory: what every target means at any instant."""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import assert_never

from services.roster.domain.target import Active, Members, NextOnSchedule, OnSchedule, Person, Target
from services.roster.domain.timeline import OnCall, Timeline


class Unknown(LookupError):
    """A target names a schedule, person or team that does not exist; `reason` is stable and UPPER_SNAKE."""

    def __init__(self, kind: str, name: str) -> None:
        super().__init__(f"{kind} {name!r} does not exist")
        self.reason = f"UNKNOWN_{kind.upper()}"


class Roster:
    """Responders, the timelines of all schedules and the people of all teams, by id."""

    def __init__(
        self,
        responders: Collection[str],
        timelines: Mapping[str, Timeline],
        teams: Mapping[str, Sequence[str]],
    ) -> None:
        self.responders = responders
        self.timelines = timelines
        self.teams = teams

    def timeline(self, schedule_id: str) -> Timeline:
        """The timeline of a schedule; raises Unknown when there is no such schedule."""
        timeline = self.timelines.get(schedule_id)
        if timeline is None:
            raise Unknown("schedule", schedule_id)
        return timeline

    def resolve(self, target: Target, at: datetime) -> list[OnCall]:
        """Whom a target means at an instant, by responder, then schedule, and of a team in its order.

        Raises Unknown when it names a schedule, person or team that does not exist.
        """
        match target:
            case Active():
                found = [person for timeline in self.timelines.values() for person in timeline.at(at)]
                found.sort(key=lambda person: person[:2])
                return found
            case OnSchedule(schedule_id):
                return [*self.timeline(schedule_id).at(at)]
            case NextOnSchedule(schedule_id):
                return [*self.timeline(schedule_id).after(at)]
            case Person(responder_id):
                if responder_id not in self.responders:
                    raise Unknown("responder", responder_id)
                return [OnCall(responder_id, "", None, None)]
            case Members(team_id):
                if team_id not in self.teams:
                    raise Unknown("team", team_id)
                return [OnCall(responder_id, "", None, None) for responder_id in self.teams[team_id]]
            case _:
                assert_never(target)
