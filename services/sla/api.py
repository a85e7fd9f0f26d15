"""SlaService: unpack, one query, pack."""

from itertools import islice
from zoneinfo import ZoneInfo

from google.protobuf.empty_pb2 import Empty

from chassis.clock import Clock
from chassis.db import Database
from chassis.errors import Problems, Unimplemented
from chassis.server import Context
from services.sla import convert, storage
from services.sla.domain.steps import divided
from tocsin.sla.v1 import sla_pb2, sla_service_pb2, sla_service_pb2_grpc

MOST_STEPS = 1_000
"""Points of a time series."""


class SlaApi(sla_service_pb2_grpc.SlaServiceServicer):
    """Figures over the facts."""

    def __init__(self, db: Database, clock: Clock) -> None:
        self._db = db
        self._clock = clock

    async def GetOverview(self, request: sla_service_pb2.GetOverviewRequest, _: Context) -> sla_pb2.Overview:
        problems = Problems()
        window = convert.window(request, now=self._clock.now(), problems=problems)
        wanted = convert.filter_of(request, problems=problems)
        problems.check()
        async with self._db.connect() as conn:
            figures = await storage.overview(conn, window, wanted)
        return convert.overview_message(window, figures)

    async def GetTimeSeries(
        self, request: sla_service_pb2.GetTimeSeriesRequest, _: Context
    ) -> sla_service_pb2.GetTimeSeriesResponse:
        problems = Problems()
        window = convert.window(request, now=self._clock.now(), problems=problems)
        wanted = convert.filter_of(request, problems=problems)
        step, zone = convert.steps(request, problems=problems)
        problems.check()
        windows = list(islice(divided(window, step, ZoneInfo(zone)), MOST_STEPS + 1))
        if len(windows) > MOST_STEPS:
            problems.add(
                "step", f"{step} makes more than {MOST_STEPS} points of this period; want a longer one"
            )
            problems.check()
        async with self._db.connect() as conn:
            figures = await storage.series(conn, windows, wanted)
        return sla_service_pb2.GetTimeSeriesResponse(points=map(convert.point_message, windows, figures))

    async def CreateSlaTarget(
        self, _request: sla_service_pb2.CreateSlaTargetRequest, _: Context
    ) -> sla_pb2.SlaTarget:
        raise Unimplemented(
            "CreateSlaTarget will promise times to acknowledge and to resolve; targets are not built yet"
        )

    async def ListSlaTargets(
        self, _request: sla_service_pb2.ListSlaTargetsRequest, _: Context
    ) -> sla_service_pb2.ListSlaTargetsResponse:
        raise Unimplemented("ListSlaTargets will list the promised times; targets are not built yet")

    async def DeleteSlaTarget(self, _request: sla_service_pb2.DeleteSlaTargetRequest, _: Context) -> Empty:
        raise Unimplemented("DeleteSlaTarget will take a promise back; targets are not built yet")

    async def ListSlaBreaches(
        self, _request: sla_service_pb2.ListSlaBreachesRequest, _: Context
    ) -> sla_service_pb2.ListSlaBreachesResponse:
        raise Unimplemented(
            "ListSlaBreaches will list the promises that were not kept; targets are not built yet"
        )
