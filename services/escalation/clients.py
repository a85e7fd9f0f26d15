"""The services that escalation calls: roster for who is on call, notify to tell them."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from uuid import UUID

import structlog

from chassis import client, wire
from chassis.errors import NotFound
from chassis.tls import Tls
from messaging.owners import asking
from messaging.waiting import Fetch
from services.escalation.domain.outlook import Duty
from tocsin.notify.v1 import messaging_service_pb2_grpc as notify_messaging
from tocsin.notify.v1 import page_service_pb2, page_service_pb2_grpc
from tocsin.roster.v1 import messaging_service_pb2_grpc as roster_messaging
from tocsin.roster.v1 import (
    on_call_service_pb2,
    on_call_service_pb2_grpc,
    schedule_service_pb2,
    schedule_service_pb2_grpc,
    team_service_pb2,
    team_service_pb2_grpc,
)

ROSTER_DEADLINE = timedelta(seconds=1)
PREVIEW_SECONDS = 5.0
"""Nobody is paged by a preview: it may take longer."""
SCHEDULES = 1_000
NOTIFY_DEADLINE = timedelta(seconds=3)

_log = structlog.get_logger()


class Roster:
    """Asks roster; never for longer than a second whom targets mean."""

    def __init__(self, address: str, *, token: str, tls: Tls | None = None) -> None:
        self._channel = client.channel(address, token=token, deadline=ROSTER_DEADLINE, tls=tls)
        self._stub = on_call_service_pb2_grpc.OnCallServiceStub(self._channel)
        self._teams = team_service_pb2_grpc.TeamServiceStub(self._channel)
        self._schedules = schedule_service_pb2_grpc.ScheduleServiceStub(self._channel)
        messaging = roster_messaging.MessagingServiceStub(self._channel)
        self.replay = asking(messaging.ReplayRosterEvents)
        self.fetch: Fetch = messaging.FetchRosterEvents

    async def resolve(self, targets: Iterable[str], at: datetime) -> Mapping[str, tuple[str, ...]]:
        """The responders whom each target means at an instant, each once; a target that means nothing has none.

        Raises a DomainError when roster is away.
        """
        request = on_call_service_pb2.ResolveTargetsRequest(targets=targets, at=wire.timestamp(at))
        answer = await self._stub.ResolveTargets(request)
        for result in answer.results:
            if result.error_reason:
                _log.warning("target_unresolved", target=result.target, reason=result.error_reason)
        return {
            result.target: tuple(dict.fromkeys(one.responder_id for one in result.responders))
            for result in answer.results
        }

    async def members(self, team_id: str) -> frozenset[str] | None:
        """Who is in a team; None when there is none. Raises a DomainError when roster is away."""
        try:
            team = await self._teams.GetTeam(team_service_pb2.GetTeamRequest(team_id=team_id))
        except NotFound:
            return None
        return frozenset(team.responder_ids)

    async def schedule_ids(self) -> list[str]:
        """Every schedule. Raises a DomainError when roster is away."""
        found, token = list[str](), ""
        while True:
            request = schedule_service_pb2.ListSchedulesRequest(page_size=SCHEDULES, page_token=token)
            answer = await self._schedules.ListSchedules(request, timeout=PREVIEW_SECONDS)
            found += [one.schedule_id for one in answer.schedules]
            token = answer.next_page_token
            if not token:
                return found

    async def duties(self, schedule_id: str, start: datetime, end: datetime) -> list[Duty]:
        """Who is on call on a schedule in a window; nobody where there is no such schedule.

        Raises a DomainError when roster is away.
        """
        request = schedule_service_pb2.PreviewScheduleRequest(
            schedule_id=schedule_id, start=wire.timestamp(start), end=wire.timestamp(end)
        )
        try:
            answer = await self._schedules.PreviewSchedule(request, timeout=PREVIEW_SECONDS)
        except NotFound:
            return []
        return [
            Duty(
                one.responder_id,
                wire.instant(one, "starts_at") or start,
                wire.instant(one, "ends_at") or end,
            )
            for one in answer.segments
        ]

    async def close(self) -> None:
        """Closes the channel."""
        await self._channel.close()


class Notify:
    """Tells notify of pages."""

    def __init__(self, address: str, *, token: str, tls: Tls | None = None) -> None:
        self._channel = client.channel(address, token=token, deadline=NOTIFY_DEADLINE, tls=tls)
        self._stub = page_service_pb2_grpc.PageServiceStub(self._channel)
        messaging = notify_messaging.MessagingServiceStub(self._channel)
        self.replay = asking(messaging.ReplayNotifyEvents)
        self.fetch: Fetch = messaging.FetchNotifyEvents

    async def connected(self) -> None:
        """Returns as soon as notify can be called. Raises Unavailable when it is away for three seconds."""
        await client.connected(self._channel, "notify", within=NOTIFY_DEADLINE)

    async def page(self, pages: Sequence[page_service_pb2.Page]) -> list[UUID]:
        """The executions that notify has accepted now or before. Raises a DomainError when it is away."""
        answer = await self._stub.Page(page_service_pb2.PageRequest(pages=pages))
        return [UUID(one) for one in answer.execution_ids]

    async def close(self) -> None:
        """Closes the channel."""
        await self._channel.close()
