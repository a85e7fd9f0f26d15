"""What HTTP has beside methods and bodies: entity tags, compression, pages of other origins, ids of requests."""

import gzip
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest
from structlog.testing import capture_logs
from yarl import URL

from chassis.errors import Conflict, DomainError
from services.gateway.compression import wanted
from services.gateway.cors import Cors
from services.gateway.main import build
from tests.fixtures.eventually import eventually
from tests.service.gateway.stage import Answer, Services, Stage, config, standing_in, token_with
from tocsin.escalation.v1 import alert_pb2
from tocsin.notify.v1 import inbox_service_pb2
from tocsin.roster.v1 import schedule_pb2

SCHEDULE = "/oncall/schedules/web"
PAGE = "https://console.example"


async def test_what_the_caller_has_is_not_sent_again(stage: Stage) -> None:
    stage.services.play("GetSchedule", schedule_pb2.Schedule(schedule_id="web", etag="e1"))
    first = await stage.api("GET", SCHEDULE)
    assert (first.status, first.headers["etag"]) == (200, '"e1"')
    assert first.headers["cache-control"] == "private, no-cache"
    for given in ('"e1"', 'W/"e1"', '"e0", "e1"', "*"):
        again = await stage.api("GET", SCHEDULE, headers={"if-none-match": given})
        assert (again.status, again.text, again.headers["etag"]) == (304, "", '"e1"'), given
    assert (await stage.api("GET", SCHEDULE, headers={"if-none-match": '"e0"'})).status == 200


async def test_answers_without_a_tag_of_their_own_have_one_of_their_content(stage: Stage) -> None:
    stage.services.play("GetAlert", alert_pb2.Alert(alert_id="a", version=1))
    tag = (await stage.api("GET", "/alerts/a")).headers["etag"]
    assert (await stage.api("GET", "/alerts/a", headers={"if-none-match": tag})).status == 304
    stage.services.play("GetAlert", alert_pb2.Alert(alert_id="a", version=2))
    assert (await stage.api("GET", "/alerts/a", headers={"if-none-match": tag})).status == 200


async def test_a_change_of_what_has_changed_is_refused(stage: Stage) -> None:
    def update(request: Any, _: Any) -> schedule_pb2.Schedule:
        if request.schedule.etag not in ("", "e2"):
            raise Conflict("it has changed", reason="ETAG_MISMATCH")
        return schedule_pb2.Schedule(schedule_id="web", etag="e3")

    stage.services.play("UpdateSchedule", update)
    body = {"display_name": "Web"}
    stale = await stage.api("PATCH", SCHEDULE, body, headers={"if-match": '"e1"'})
    assert (stale.status, stale.error["code"], stale.error["status"]) == (412, 412, "ABORTED")
    done = await stage.api("PATCH", SCHEDULE, body, headers={"if-match": '"e2"'})
    assert (done.status, done.headers["etag"]) == (200, '"e3"')
    assert list(stage.services.last.update_mask.paths) == ["display_name"]
    assert (await stage.api("PATCH", SCHEDULE, body, headers={"if-match": "*"})).status == 200
    by_body = await stage.api("PATCH", SCHEDULE, {**body, "etag": "e1"})
    assert (by_body.status, list(stage.services.last.update_mask.paths)) == (409, ["display_name"])
    several = await stage.api("PATCH", SCHEDULE, body, headers={"if-match": '"e1", "e2"'})
    assert several.wrong == {"if-match": "names several tags; want one"}
    elsewhere = await stage.api("PATCH", "/oncall/responders/ada", body, headers={"if-match": '"e1"'})
    assert elsewhere.wrong == {"if-match": "has no meaning for UpdateResponder"}


async def fetched(stage: Stage, path: str, accept: str) -> tuple[aiohttp.ClientResponse, bytes]:
    """An answer with its body as it came."""
    headers = {"authorization": f"Bearer {token_with('admin')}", "accept-encoding": accept}
    async with aiohttp.ClientSession(auto_decompress=False) as session:
        response = await session.get(URL(stage.base + path, encoded=True), headers=headers)
        return response, await response.read()


async def test_large_answers_are_compressed(stage: Stage) -> None:
    stage.services.play("GetAlert", alert_pb2.Alert(alert_id="a", description="long " * 1000))
    packed, body = await fetched(stage, "/api/alert/alerts/a", "br, gzip")
    plain, text = await fetched(stage, "/api/alert/alerts/a", "gzip;q=0, br")
    assert (packed.headers["content-encoding"], packed.headers["etag"][:3]) == ("gzip", 'W/"')
    assert gzip.decompress(body) == text
    assert "content-encoding" not in plain.headers
    assert packed.headers["vary"] == plain.headers["vary"] == "accept-encoding"
    tag = {"if-none-match": packed.headers["etag"]}
    assert (await stage.api("GET", "/alerts/a", headers=tag)).status == 304


async def test_bodies_may_be_packed(stage: Stage) -> None:
    """Unpacked they may be as large as others; what is not whole, or packed otherwise, is told so."""
    packed = gzip.compress(b'{"title": "disk full"}')

    async def sent(body: bytes, coding: str = "gzip") -> Answer:
        return await stage.api("POST", "/alerts", body, headers={"content-encoding": coding})

    assert (await sent(packed)).status == 200
    assert stage.services.last.title == "disk full"
    assert (await sent(b'{"title": "plain"}', "identity")).status == 200
    for odd in (packed[:-1], packed[:5], packed + b"more", b"{}", b""):
        assert ((answer := await sent(odd)).status, answer.json["error"]["details"][0]["reason"]) == (
            400,
            "NOT_GZIP",
        )
    assert (await sent(gzip.compress(b" " * (8 * 1024 * 1024 + 1)))).status == 413
    assert set((await sent(packed, "br")).wrong) == {"content-encoding"}


async def test_what_is_small_or_comes_bit_by_bit_is_not_compressed(stage: Stage) -> None:
    async def watch(request: Any, context: Any) -> AsyncIterator[Any]:
        yield inbox_service_pb2.WatchInboxResponse(resume_token="t" * 2000)

    stage.services.play("WatchInbox", watch)
    for path in ("/api/alert/alerts/a", "/api/alert/inbox:watch?responder_id=ada"):
        answer, _ = await fetched(stage, path, "gzip")
        assert (answer.status, "content-encoding" in answer.headers) == (200, False)


@pytest.mark.parametrize(
    ("header", "taken"),
    [
        ("gzip", True),
        ("deflate, gzip;q=0.5", True),
        ("*", True),
        ("", False),
        ("gzip;q=0.000", False),
        ("br", False),
    ],
)
def test_who_takes_gzip(header: str, taken: bool) -> None:
    assert wanted(header) is taken


@pytest.fixture
async def services() -> AsyncIterator[Services]:
    """The services behind a gateway of the test's own."""
    async with standing_in() as playing:
        yield playing


async def test_pages_of_other_origins(services: Services) -> None:
    told = config(services.server.address).model_copy(update={"cors_origins": f"{PAGE}, https://b.example"})
    async with build(told) as gateway, aiohttp.ClientSession() as session:
        stage = Stage(services, f"http://{gateway.address}", session)
        answer = await stage.api("GET", "/alerts/a", headers={"origin": PAGE})
        assert answer.headers["access-control-allow-origin"] == PAGE
        assert "etag" in answer.headers["access-control-expose-headers"]
        assert "origin" in answer.headers["vary"]
        asked = {"origin": PAGE, "access-control-request-method": "PATCH"}
        preflight = await stage.api("OPTIONS", SCHEDULE, headers=asked, token=None)
        assert preflight.status == 204
        assert "PATCH" in preflight.headers["access-control-allow-methods"]
        assert "authorization" in preflight.headers["access-control-allow-headers"]
        assert "access-control-allow-credentials" not in preflight.headers
        other = await stage.api("GET", "/alerts/a", headers={"origin": "https://evil.example"})
        assert (other.status, "access-control-allow-origin" in other.headers) == (200, False)
        failed = await stage.api("GET", "/alerts/a", token=None, headers={"origin": PAGE})
        assert (failed.status, failed.headers["access-control-allow-origin"]) == (401, PAGE)


async def test_no_page_of_another_origin_may_call_unless_told(stage: Stage) -> None:
    asked = {"origin": PAGE, "access-control-request-method": "GET"}
    answer = await stage.api("OPTIONS", "/alerts/a", headers=asked, token=None)
    assert not [name for name in answer.headers if name.lower().startswith("access-control")]


@pytest.mark.parametrize("origin", ["console.example", "https://a.example/path", "https://*.example", "null"])
def test_what_is_no_origin(origin: str) -> None:
    with pytest.raises(ValueError, match="is no origin"):
        Cors([origin])


async def test_a_failed_request_is_logged_with_its_id(stage: Stage) -> None:
    stage.services.play("GetAlert", DomainError("broken"))
    with capture_logs() as logs:
        answer = await stage.api("GET", "/alerts/a", headers={"x-request-id": "r-1"})
        (told,) = await eventually(lambda: [one for one in logs if one["event"] == "request.answered"])
    assert (answer.status, answer.headers["x-request-id"]) == (500, "r-1")
    assert (told["request_id"], told["status"], told["log_level"]) == ("r-1", 500, "warning")
    assert told["route"] == "/api/alert/alerts/{alert_id}"
    assert stage.services.asked[-1].metadata["x-request-id"] == "r-1"
