"""Noise, load, comparisons and files."""

import csv
import io
import json
import random
from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from google.api.httpbody_pb2 import HttpBody

from chassis import wire
from chassis.errors import Invalid
from services.sla.convert import events as convert
from services.sla.domain.fact import joined
from services.sla.domain.figures import Filter, Window
from services.sla.storage import changes, reports
from tests.service.sla.world import World, credentials
from tests.unit.sla.histories import NOON, History, any_history
from tocsin.sla.v1 import report_service_pb2 as pb
from tocsin.sla.v1.report_service_pb2_grpc import ReportServiceStub
from tocsin.sla.v1.sla_service_pb2 import GetTimeSeriesRequest

SECOND, MINUTE, HOUR, DAY = (timedelta(seconds=n) for n in (1, 60, 3600, 86_400))


def period(start: datetime, end: datetime) -> dict[str, Any]:
    """The bounds of a request."""
    return {"start": wire.timestamp(start), "end": wire.timestamp(end)}


READER = credentials("sla:read")
AROUND = period(NOON - 2 * DAY, NOON + 2 * DAY)


async def reporting(world: World) -> ReportServiceStub:
    """The service's reports, for a reader."""
    return ReportServiceStub(await world.wire("sla:read"))


async def file(call: Any) -> str:
    """A streamed file, whole."""
    pieces: Sequence[HttpBody] = [piece async for piece in call]
    assert len({piece.content_type for piece in pieces}) == 1
    return b"".join(piece.data for piece in pieces).decode()


async def test_the_noisiest_come_first(world: World) -> None:
    """With what they keep people from, and how much of it nobody needed; folded in or not."""
    dice = random.Random(4)
    histories = [any_history(dice) for _ in range(60)]
    await world.tell(*histories)
    facts = joined(convert.facts(event for history in histories for event in history.events))
    window = Window(NOON - 11 * HOUR - 7 * MINUTE, NOON + 13 * HOUR + 40 * MINUTE)
    inside = [f for f in facts if f.opened_at and window.start <= f.opened_at < window.end]
    expected = Counter(fact.source for fact in inside if fact.opened)
    for _ in range(2):
        found = await (await reporting(world)).ListNoisySources(
            pb.ListNoisySourcesRequest(**period(window.start, window.end))
        )
        totals = [source.total_alerts for source in found.sources]
        assert totals == sorted(expected.values(), reverse=True)
        assert all(
            expected[one.source] == one.total_alerts for one in found.sources if "md5:" not in one.source
        )
        quiet = sum(one.suppressed_alerts + one.noise_suppressed_alerts for one in found.sources)
        assert quiet == sum(not f.opened and (f.suppressed + f.noise_suppressed) for f in inside)
        async with world.db.begin() as conn:
            await changes.fold(conn)
    async with world.db.connect() as conn:
        assert len(await reports.noisy(conn, window, Filter(), limit=1)) == 1


async def test_the_load_of_people(world: World) -> None:
    """A page by two channels is one; nights and weekends are those of the zone, across a change of clocks."""
    # Saturday 28 March 2026, 23:30 in Berlin, two hours and a half before clocks go forward.
    late = datetime(2026, 3, 28, 22, 30, tzinfo=UTC)
    one = History(opened_at=late).opened().escalated()
    one.sent(SECOND, "alice", "11111111-0000-7000-8000-000000000001")
    one.sent(2 * SECOND, "alice", "11111111-0000-7000-8000-000000000001")
    one.sent(6 * HOUR, "alice", "11111111-0000-7000-8000-000000000002")  # Sunday, 06:30 there
    one.sent(7 * HOUR, "alice", "11111111-0000-7000-8000-000000000003")  # Sunday, 07:30 there
    two = History(opened_at=late + 2 * DAY - 12 * HOUR).opened()  # Monday, 12:30 there
    two.sent(SECOND, "alice").sent(SECOND, "bob")
    await world.tell(one, two)
    window = period(late - DAY, late + 3 * DAY)
    found = await (await reporting(world)).ListResponderLoads(
        pb.ListResponderLoadsRequest(**window, time_zone="Europe/Berlin")
    )
    alice, bob = found.loads
    assert (alice.responder_id, alice.pages, alice.night_pages, alice.weekend_pages) == ("alice", 4, 2, 3)
    assert (alice.nights_disturbed, alice.alerts) == (1, 2)
    assert (bob.responder_id, bob.pages, bob.night_pages, bob.weekend_pages) == ("bob", 1, 0, 0)
    with pytest.raises(Invalid, match="time_zone"):
        await (await reporting(world)).ListResponderLoads(pb.ListResponderLoadsRequest(time_zone="Mars"))


async def test_periods_are_compared(world: World) -> None:
    """Twice as many, taken in half the time; what was nothing before has no change."""
    await world.tell(
        History(opened_at=NOON - HOUR).opened().acknowledged(4 * MINUTE),
        *(History(opened_at=NOON).opened().acknowledged(2 * MINUTE).closed(HOUR) for _ in range(2)),
    )
    found = await (await reporting(world)).ComparePeriods(
        pb.ComparePeriodsRequest(**period(NOON - HOUR / 2, NOON + HOUR / 2))
    )
    assert (found.previous.total_alerts, found.current.total_alerts) == (1, 2)
    assert found.previous.end == found.current.start
    assert found.changes["total_alerts"] == 1
    assert found.changes["mtta_seconds.avg"] == pytest.approx(-0.5)
    assert not {"closed_alerts", "mttr_seconds.p50"} & set(found.changes)


async def test_alerts_are_exported(world: World) -> None:
    """As a spreadsheet that computes nothing, or JSON; all of them, however many pieces it takes."""
    title = '=cmd|"/c calc"!A1, "quoted"'
    await world.tell(
        History(title=title).opened().acknowledged(MINUTE),
        *(History(opened_at=NOON + n * SECOND).opened() for n in range(12)),
    )
    stub = await reporting(world)
    rows = list(
        csv.DictReader(
            io.StringIO(
                await file(stub.ExportAlertFacts(pb.ExportAlertFactsRequest(**AROUND), metadata=READER))
            )
        )
    )
    assert len(rows) == 13
    assert f"'{title}" in {row["title"] for row in rows}
    (acked,) = [row for row in rows if row["acked_at"]]
    assert (acked["acked_by"], acked["labels"]) == ("alice", '{"team": "db"}')
    asked = pb.ExportAlertFactsRequest(**AROUND, format=pb.ExportFormat.JSON, label=["team=db"])
    facts = [
        json.loads(line) for line in (await file(stub.ExportAlertFacts(asked, metadata=READER))).splitlines()
    ]
    assert len(facts) == 13
    assert title in {fact["title"] for fact in facts}
    nothing = pb.ExportAlertFactsRequest(**AROUND, source="nobody")
    assert (await file(stub.ExportAlertFacts(nothing, metadata=READER))).startswith("alert_id,title,")


async def test_a_series_is_exported(world: World) -> None:
    """One line a step, with nothing where nothing is known."""
    await world.tell(History().opened().acknowledged(MINUTE))
    stub = await reporting(world)
    step = GetTimeSeriesRequest.Step.DAY
    asked = pb.ExportTimeSeriesRequest(**period(NOON - DAY / 2, NOON + 3 * DAY / 2), step=step)
    answer = await stub.ExportTimeSeries(asked)
    assert answer.content_type == "text/csv; charset=utf-8"
    rows = list(csv.DictReader(io.StringIO(answer.data.decode())))
    assert [(row["total_alerts"], row["mtta_seconds_avg"]) for row in rows] == [("1", "60.0"), ("0", "")]
    asked.format = pb.ExportFormat.JSON
    lines = (await stub.ExportTimeSeries(asked)).data.decode().splitlines()
    assert [json.loads(line)["total_alerts"] for line in lines] == [1, 0]
    asked.format = 9  # type: ignore[assignment]
    with pytest.raises(Invalid, match="format"):
        await stub.ExportTimeSeries(asked)
