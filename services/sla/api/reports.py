"""ReportService: noise, load, comparisons and files."""

from collections.abc import AsyncIterator

from google.api.httpbody_pb2 import HttpBody

from chassis import validation
from chassis.clock import Clock
from chassis.db import Database
from chassis.errors import Problems
from chassis.server import Context
from services.sla.convert import reports as convert
from services.sla.convert import requests
from services.sla.convert.figures import overview_message
from services.sla.domain.reports import before, changes
from services.sla.storage import listing, reports, rollups
from tocsin.sla.v1 import report_service_pb2, report_service_pb2_grpc

PIECE = 1_000
"""Facts in a piece of a file."""


class ReportApi(report_service_pb2_grpc.ReportServiceServicer):
    """What to look at."""

    def __init__(self, db: Database, clock: Clock) -> None:
        self._db = db
        self._clock = clock

    async def ListNoisySources(
        self, request: report_service_pb2.ListNoisySourcesRequest, _: Context
    ) -> report_service_pb2.ListNoisySourcesResponse:
        problems = Problems()
        window = requests.window(request, now=self._clock.now(), problems=problems)
        wanted = requests.severities(request, problems=problems)
        limit = convert.limit(request.limit, problems)
        problems.check()
        async with self._db.connect() as conn:
            found = await reports.noisy(conn, window, wanted, limit=limit)
        return report_service_pb2.ListNoisySourcesResponse(sources=map(convert.noise_message, found))

    async def ListResponderLoads(
        self, request: report_service_pb2.ListResponderLoadsRequest, _: Context
    ) -> report_service_pb2.ListResponderLoadsResponse:
        problems, zone = Problems(), request.time_zone or "UTC"
        window = requests.window(request, now=self._clock.now(), problems=problems)
        validation.zone(problems, "time_zone", zone)
        problems.check()
        async with self._db.connect() as conn:
            found = await reports.loads(conn, window, zone)
        return report_service_pb2.ListResponderLoadsResponse(loads=map(convert.load_message, found))

    async def ComparePeriods(
        self, request: report_service_pb2.ComparePeriodsRequest, _: Context
    ) -> report_service_pb2.PeriodComparison:
        problems, now = Problems(), self._clock.now()
        window = requests.window(request, now=now, problems=problems)
        wanted = requests.filter_of(request, problems=problems)
        problems.check()
        earlier = before(window)
        async with self._db.connect() as conn:
            previous, current = await rollups.figures(conn, [earlier, window], wanted, now=now)
        return report_service_pb2.PeriodComparison(
            current=overview_message(window, current, wanted),
            previous=overview_message(earlier, previous, wanted),
            changes=changes(previous, current),
        )

    async def ExportAlertFacts(
        self, request: report_service_pb2.ExportAlertFactsRequest, _: Context
    ) -> AsyncIterator[HttpBody]:
        problems = Problems()
        window = requests.window(request, now=self._clock.now(), problems=problems)
        wanted = requests.filter_of(request, problems=problems)
        counted = requests.counted(request, problems=problems)
        form = convert.form(request.format, problems)
        problems.check()
        after, first = None, True
        while first or after is not None:
            async with self._db.connect() as conn:
                facts = await listing.page(conn, window, wanted, counted, after=after, limit=PIECE)
            yield convert.facts_file(facts, form, names=first)
            last, first = facts[-1] if len(facts) == PIECE else None, False
            after = (last.opened_at, last.alert_id) if last is not None and last.opened_at else None

    async def ExportTimeSeries(
        self, request: report_service_pb2.ExportTimeSeriesRequest, _: Context
    ) -> HttpBody:
        problems, now = Problems(), self._clock.now()
        window = requests.window(request, now=now, problems=problems)
        wanted = requests.filter_of(request, problems=problems)
        windows = requests.divided_by(request, window, problems=problems)
        form = convert.form(request.format, problems)
        problems.check()
        async with self._db.connect() as conn:
            found = await rollups.figures(conn, windows, wanted, now=now)
        return convert.series_file(windows, found, wanted, form)
