"""Figures: overviews, the alerts behind them, and time series."""

from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import datetime
from typing import TypeAlias
from uuid import UUID

from chassis import paging
from chassis.clock import Clock
from chassis.db import Database
from chassis.errors import Problems
from chassis.server import Context
from services.sla.convert import figures as convert
from services.sla.convert import requests
from services.sla.domain.figures import Waiting
from services.sla.storage import listing, rollups
from tocsin.sla.v1 import sla_pb2, sla_service_pb2, sla_service_pb2_grpc

Arrived: TypeAlias = Callable[[], Awaitable[None]]


class FigureApi(sla_service_pb2_grpc.SlaServiceServicer):
    """Figures over the facts: whoever has seen something happen, and asks then, finds it in them."""

    def __init__(self, db: Database, clock: Clock, arrived: Arrived) -> None:
        """`arrived` returns when the events that have arrived are in the facts, or soon anyway."""
        self._db = db
        self._clock = clock
        self._arrived = arrived

    async def GetOverview(self, request: sla_service_pb2.GetOverviewRequest, _: Context) -> sla_pb2.Overview:
        problems, now = Problems(), self._clock.now()
        window = requests.window(request, now=now, problems=problems)
        wanted = requests.filter_of(request, problems=problems)
        problems.check()
        await self._arrived()
        async with self._db.connect() as conn:
            (figures,) = await rollups.figures(conn, [window], wanted, now=now)
            if figures.unacked.alerts:
                oldest = await rollups.oldest_unacked(conn, window, wanted)
                figures = replace(figures, unacked=_aged(figures.unacked, oldest, now))
        return convert.overview_message(window, figures, wanted)

    async def ListAlertFacts(
        self, request: sla_service_pb2.ListAlertFactsRequest, _: Context
    ) -> sla_service_pb2.ListAlertFactsResponse:
        problems = Problems()
        window = requests.window(request, now=self._clock.now(), problems=problems)
        wanted = requests.filter_of(request, problems=problems)
        counted = requests.counted(request, problems=problems)
        problems.check()
        await self._arrived()
        limit = paging.size(request.page_size)
        key = paging.after(request.page_token, 2)
        after = (datetime.fromisoformat(key[0]), UUID(key[1])) if key else None
        async with self._db.connect() as conn:
            facts = await listing.page(conn, window, wanted, counted, after=after, limit=limit + 1)
        last = facts[min(limit, len(facts)) - 1] if facts else None
        shown, token = paging.page(facts, limit, [str(last.opened_at), str(last.alert_id)] if last else [])
        return sla_service_pb2.ListAlertFactsResponse(
            facts=map(convert.fact_message, shown), next_page_token=token
        )

    async def GetTimeSeries(
        self, request: sla_service_pb2.GetTimeSeriesRequest, _: Context
    ) -> sla_service_pb2.GetTimeSeriesResponse:
        problems, now = Problems(), self._clock.now()
        window = requests.window(request, now=now, problems=problems)
        wanted = requests.filter_of(request, problems=problems)
        windows = requests.divided_by(request, window, problems=problems)
        problems.check()
        await self._arrived()
        async with self._db.connect() as conn:
            found = await rollups.figures(conn, windows, wanted, now=now)
        points = (
            convert.point_message(window, figures, wanted)
            for window, figures in zip(windows, found, strict=True)
        )
        return sla_service_pb2.GetTimeSeriesResponse(points=points)


def _aged(waiting: Waiting, oldest: datetime | None, now: datetime) -> Waiting:
    """With the age of the oldest; an alert that was taken between the two questions is not missed."""
    return replace(waiting, max=(now - oldest).total_seconds() if oldest else waiting.avg)
