"""Calendar feeds: by the token in the address, for those who may read the roster, and nothing else of the paths moved."""

import pytest

from chassis.errors import NotFound
from tests.service.gateway.stage import Stage, token_with
from tocsin.roster.v1 import calendar_service_pb2, schedule_pb2

FEED = "BEGIN:VCALENDAR\r\nEND:VCALENDAR\r\n"


@pytest.mark.parametrize(("kind", "field"), [("schedules", "schedule_id"), ("responders", "responder_id")])
async def test_a_feed_by_the_token_in_its_address(stage: Stage, kind: str, field: str) -> None:
    stage.services.play("ExportCalendar", calendar_service_pb2.ExportCalendarResponse(calendar=FEED))
    token = token_with("roster:read")
    answer = await stage.api("GET", f"/oncall/{kind}/web.ics?token={token}", token=None)
    assert (answer.status, answer.text.replace("\r\n", "\n")) == (200, FEED.replace("\r\n", "\n"))
    assert answer.headers["content-type"] == "text/calendar; charset=utf-8"
    assert answer.headers["content-disposition"] == 'inline; filename="web.ics"'
    assert "private" in answer.headers["cache-control"]
    assert stage.services.last == calendar_service_pb2.ExportCalendarRequest(**{field: "web"})
    assert stage.services.asked[-1].metadata["authorization"] == f"Bearer {token}"


async def test_a_feed_asks_for_a_token_that_may_read(stage: Stage) -> None:
    path = "/oncall/schedules/web.ics"
    assert (await stage.api("GET", path, token="roster:read")).status == 401
    assert (await stage.api("GET", f"{path}?token=forged", token=None)).status == 401
    answer = await stage.api("GET", f"{path}?token={token_with('sla:read')}", token=None)
    assert (answer.status, answer.error["status"]) == (403, "PERMISSION_DENIED")
    token = token_with("roster:read")
    assert (await stage.api("GET", f"{path}?token={token}&start=1", token=None)).wrong == {
        "start": "is not a parameter of a calendar feed"
    }
    assert (await stage.api("GET", f"{path}?token={token}&token={token}", token=None)).status == 400
    assert stage.services.asked == []


async def test_a_feed_of_nothing(stage: Stage) -> None:
    stage.services.play("ExportCalendar", NotFound("the schedule 'web' does not exist"))
    path = f"/oncall/schedules/web.ics?token={token_with('roster:read')}"
    assert (await stage.api("GET", path, token=None)).status == 404


async def test_the_resource_is_where_it_was(stage: Stage) -> None:
    stage.services.play("GetSchedule", schedule_pb2.Schedule(schedule_id="web"))
    answer = await stage.api("GET", "/oncall/schedules/web")
    assert (answer.status, answer.json["schedule_id"]) == (200, "web")
    assert (await stage.api("GET", "/oncall/schedules/web?token=x", token=None)).status in (400, 401)
