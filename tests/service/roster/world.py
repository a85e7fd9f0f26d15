"""A roster service to talk to: people, schedules, time, and the events that come out."""

from collections.abc import Iterable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from types import TracebackType
from typing import Any

import grpc
import nats
from nats.js.api import ConsumerConfig, DeliverPolicy

from chassis.auth import mint
from chassis.client import channel
from chassis.clock import Clock
from chassis.wire import timestamp
from cli.stack.nats import Nats
from services.roster.config import Config
from services.roster.main import build
from tests.fixtures.eventually import PATIENCE
from tests.fixtures.postgres import TestDatabase
from tocsin.roster.v1 import (
    events_pb2,
    on_call_service_pb2,
    on_call_service_pb2_grpc,
    responder_pb2,
    responder_service_pb2,
    responder_service_pb2_grpc,
    schedule_pb2,
    schedule_service_pb2,
    schedule_service_pb2_grpc,
    shift_pb2,
    shift_service_pb2,
    shift_service_pb2_grpc,
    swap_service_pb2_grpc,
    team_pb2,
    team_service_pb2,
    team_service_pb2_grpc,
    time_off_pb2,
    time_off_service_pb2,
    time_off_service_pb2_grpc,
)

KEY = "a key for tests alone, long enough"
HOUR = timedelta(hours=1)
EVENTS: dict[str, Any] = {
    "roster.changed": events_pb2.ChangedEvent,
    "roster.handover": events_pb2.HandoverEvent,
    "roster.gap_ahead": events_pb2.GapAheadEvent,
}


@dataclass
class Replica:
    """One running service and its methods."""

    address: str
    channel: grpc.aio.Channel
    clock: Clock

    def __post_init__(self) -> None:
        self.responders = responder_service_pb2_grpc.ResponderServiceStub(self.channel)
        self.schedules = schedule_service_pb2_grpc.ScheduleServiceStub(self.channel)
        self.shifts = shift_service_pb2_grpc.ShiftServiceStub(self.channel)
        self.teams = team_service_pb2_grpc.TeamServiceStub(self.channel)
        self.time_off = time_off_service_pb2_grpc.TimeOffServiceStub(self.channel)
        self.swaps = swap_service_pb2_grpc.SwapServiceStub(self.channel)
        self.on_call = on_call_service_pb2_grpc.OnCallServiceStub(self.channel)

    async def resolve(self, target: str, at: datetime | None = None) -> list[str]:
        """The ids of the people whom a target means."""
        request = on_call_service_pb2.ResolveTargetRequest(target=target, at=timestamp(at))
        return [person.responder_id for person in (await self.on_call.ResolveTarget(request)).responders]


class World:
    """Replicas on one database and one broker; `advance` moves the time of all of them."""

    def __init__(self, database: TestDatabase, broker: Nats) -> None:
        self.database = database
        self.broker = broker
        self._stack = AsyncExitStack()
        self._replicas: list[Replica] = []

    async def __aenter__(self) -> "World":
        await self.replica()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._stack.aclose()

    @property
    def roster(self) -> Replica:
        """The first replica."""
        return self._replicas[0]

    @property
    def now(self) -> datetime:
        """The time of the world."""
        return self.roster.clock.now()

    def advance(self, **by: float) -> None:
        """Moves the clocks of all replicas, like `advance(hours=2)`."""
        for replica in self._replicas:
            replica.clock.advance(timedelta(**by))

    async def caller(self, subject: str, scopes: Iterable[str] = ("roster:read", "roster:write")) -> Replica:
        """The first replica as somebody else calls it."""
        token = mint(KEY, subject=subject, scopes=scopes)
        caller = Replica(
            self.roster.address,
            channel(self.roster.address, token=token, deadline=timedelta(seconds=PATIENCE)),
            self.roster.clock,
        )
        self._stack.push_async_callback(caller.channel.close)
        return caller

    async def replica(self, scopes: Iterable[str] = ("roster:read", "roster:write")) -> Replica:
        """Starts one more replica."""
        config = Config(
            token_key=KEY,
            database_url=self.database.url("roster"),
            nats_url=self.broker.url("roster"),
            database_pool=4,
        )
        clock = Clock()
        service = await self._stack.enter_async_context(build(config, clock=clock))
        token = mint(KEY, subject="tester", scopes=scopes)
        replica = Replica(
            service.address,
            channel(service.address, token=token, deadline=timedelta(seconds=PATIENCE)),
            clock,
        )
        self._stack.push_async_callback(replica.channel.close)
        self._replicas.append(replica)
        return replica

    async def people(self, *names: str) -> None:
        """Creates responders."""
        for name in names:
            responder = responder_pb2.Responder(responder_id=name)
            await self.roster.responders.CreateResponder(
                responder_service_pb2.CreateResponderRequest(responder=responder)
            )

    async def team(self, team_id: str, *people: str, request_id: str = "") -> team_pb2.Team:
        """Creates a team."""
        team = team_pb2.Team(team_id=team_id, responder_ids=people)
        return await self.roster.teams.CreateTeam(
            team_service_pb2.CreateTeamRequest(team=team, request_id=request_id)
        )

    async def leave(
        self, who: str, start: datetime, end: datetime, *, request_id: str = ""
    ) -> time_off_pb2.TimeOff:
        """Enters time off."""
        entry = time_off_pb2.TimeOff(
            responder_id=who, starts_at=timestamp(start), ends_at=timestamp(end), note="the sea"
        )
        return await self.roster.time_off.CreateTimeOff(
            time_off_service_pb2.CreateTimeOffRequest(time_off=entry, request_id=request_id)
        )

    async def schedule(
        self, schedule_id: str, *layers: schedule_pb2.Layer, zone: str = "UTC"
    ) -> schedule_pb2.Schedule:
        """Creates a schedule."""
        schedule = schedule_pb2.Schedule(schedule_id=schedule_id, time_zone=zone, layers=layers)
        return await self.roster.schedules.CreateSchedule(
            schedule_service_pb2.CreateScheduleRequest(schedule=schedule)
        )

    async def shift(
        self, who: str, start: datetime, end: datetime, *, on: str = "", request_id: str = ""
    ) -> shift_pb2.Shift:
        """Creates an explicit shift."""
        shift = shift_pb2.Shift(
            responder_id=who, schedule_id=on, starts_at=timestamp(start), ends_at=timestamp(end)
        )
        return await self.roster.shifts.CreateShift(
            shift_service_pb2.CreateShiftRequest(shift=shift, request_id=request_id)
        )

    async def override(
        self, who: str, start: datetime, end: datetime, *, instead_of: str = "", on: str = ""
    ) -> shift_pb2.Override:
        """Creates an override; nobody instead of somebody removes them."""
        override = shift_pb2.Override(
            responder_id=who,
            replaced_responder_id=instead_of,
            schedule_id=on,
            starts_at=timestamp(start),
            ends_at=timestamp(end),
            remove=not who,
        )
        return await self.roster.shifts.CreateOverride(
            shift_service_pb2.CreateOverrideRequest(override=override)
        )

    async def events(self, kind: str, count: int) -> list[Any]:
        """The first `count` events of a kind, in the order of the stream."""
        client = await nats.connect(self.broker.url(), inbox_prefix=b"_INBOX_tocsin")
        try:
            stream = client.jetstream()
            subscription = await stream.subscribe(
                kind, config=ConsumerConfig(deliver_policy=DeliverPolicy.ALL), stream="TOCSIN_ROSTER"
            )
            found = []
            for _ in range(count):
                message = await subscription.next_msg(timeout=PATIENCE)
                event = EVENTS[kind]()
                event.ParseFromString(message.data)
                found.append(event)
            return found
        finally:
            await client.close()

    async def count(self, kind: str) -> int:
        """How many events of a kind the stream holds."""
        client = await nats.connect(self.broker.url(), inbox_prefix=b"_INBOX_tocsin")
        try:
            info = await client.jetstream().stream_info("TOCSIN_ROSTER", subjects_filter=kind)
            return sum((info.state.subjects or {}).values())
        finally:
            await client.close()


def rotating(
    *people: str,
    unit: schedule_pb2.Rotation.Unit.ValueType = schedule_pb2.Rotation.DAILY,
    start: str = "2026-03-01T09:00",
    name: str = "primary",
    restrictions: Iterable[schedule_pb2.Restriction] = (),
) -> schedule_pb2.Layer:
    """A layer of people who take turns."""
    rotation = schedule_pb2.Rotation(unit=unit, length=1, start=start)
    return schedule_pb2.Layer(
        name=name,
        responder_ids=people,
        rotation=rotation,
        restrictions=restrictions,
        time_off=schedule_pb2.Layer.SKIP,
    )


def utc(text: str) -> datetime:
    """An instant, like `utc("2026-03-01T09:00")`."""
    return datetime.fromisoformat(text).replace(tzinfo=UTC)
