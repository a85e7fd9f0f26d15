"""Failures over HTTP: the mapped status, the error object, and no word that is not ours."""

import asyncio
from typing import Any

import grpc
import pytest
from google.rpc import error_details_pb2, status_pb2

from chassis.errors import (
    AlreadyExists,
    Conflict,
    Denied,
    DomainError,
    Exhausted,
    Field,
    Invalid,
    NotFound,
    Refused,
    TimedOut,
    Unauthenticated,
    Unavailable,
    Unimplemented,
)
from tests.fixtures.ports import PORTS
from tests.service.gateway.stage import Stage, stage_over, standing_in

KINDS = [
    (Invalid, 400, "INVALID_ARGUMENT"),
    (Refused, 400, "FAILED_PRECONDITION"),
    (Unauthenticated, 401, "UNAUTHENTICATED"),
    (Denied, 403, "PERMISSION_DENIED"),
    (NotFound, 404, "NOT_FOUND"),
    (AlreadyExists, 409, "ALREADY_EXISTS"),
    (Conflict, 409, "ABORTED"),
    (Exhausted, 429, "RESOURCE_EXHAUSTED"),
    (DomainError, 500, "INTERNAL"),
    (Unimplemented, 501, "UNIMPLEMENTED"),
    (Unavailable, 503, "UNAVAILABLE"),
    (TimedOut, 504, "DEADLINE_EXCEEDED"),
]


@pytest.mark.parametrize(("kind", "status", "name"), KINDS)
async def test_a_services_error_passes_through(
    stage: Stage, kind: type[DomainError], status: int, name: str
) -> None:
    stage.services.play(
        "CloseAlert", kind("it is so", reason="A_REASON", fields=[Field("note", "is too long")])
    )
    answer = await stage.api("POST", "/alerts/a1:close", {})
    assert answer.status == status
    assert (answer.error["code"], answer.error["status"]) == (status, name)
    assert answer.error["message"] == "it is so"
    assert answer.error["details"] == [
        {"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": "A_REASON", "domain": "tocsin"},
        {
            "@type": "type.googleapis.com/google.rpc.BadRequest",
            "field_violations": [{"field": "note", "description": "is too long"}],
        },
    ]
    assert ("www-authenticate" in answer.headers) == (status == 401)
    assert ("retry-after" in answer.headers) == (status in (429, 503))


async def test_details_that_the_gateway_does_not_know_pass_too(stage: Stage) -> None:
    status = status_pb2.Status(code=8, message="slow down")
    info = error_details_pb2.RetryInfo()
    info.retry_delay.FromMilliseconds(6_500)
    status.details.add().Pack(info)

    async def play(request: Any, context: Any) -> None:
        details = status.SerializeToString()
        await context.abort(
            grpc.StatusCode.RESOURCE_EXHAUSTED, "slow down", (("grpc-status-details-bin", details),)
        )

    stage.services.play("GetAlert", play)
    answer = await stage.api("GET", "/alerts/a1")
    assert answer.status == 429
    assert answer.error["details"] == [
        {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retry_delay": "6.500s"}
    ]
    assert answer.headers["retry-after"] == "7"


@pytest.mark.parametrize(("code", "status"), [("UNKNOWN", 500), ("INTERNAL", 500), ("UNAVAILABLE", 503)])
async def test_words_that_are_not_ours_are_not_told(stage: Stage, code: str, status: int) -> None:
    async def play(request: Any, context: Any) -> None:
        await context.abort(grpc.StatusCode[code], "psycopg.OperationalError: connection to 10.0.0.1 failed")

    stage.services.play("CloseAlert", play)
    answer = await stage.api("POST", "/alerts/a1:close")
    assert (answer.status, answer.error["code"]) == (status, status)
    assert "psycopg" not in answer.text


async def test_the_path_then_the_method_then_the_token_then_the_body(stage: Stage) -> None:
    bad: dict[str, Any] = {"body": b"{nope", "token": None}
    assert (await stage.api("POST", "/nothing", **bad)).status == 404
    refused = await stage.api("PUT", "/alerts", **bad)
    assert (refused.status, refused.headers["allow"]) == (405, "GET, HEAD, OPTIONS, POST")
    assert refused.error["code"] == 405
    unknown = await stage.api("POST", "/alerts", **bad)
    assert (unknown.status, unknown.error["status"]) == (401, "UNAUTHENTICATED")
    assert unknown.headers["www-authenticate"].startswith("Bearer")
    assert (await stage.api("POST", "/alerts", b"{nope", token="alerts:read")).status == 403
    assert (await stage.api("POST", "/alerts", b"{nope", token="alerts:write")).status == 400
    assert stage.services.asked == []


@pytest.mark.parametrize("header", ["nope", "Bearer nope", "Basic YTpi", "Bearer ", "Bearer \xff"])
async def test_tokens_that_are_none(stage: Stage, header: str) -> None:
    answer = await stage.api("GET", "/alerts", headers={"authorization": header})
    assert (answer.status, answer.error["status"]) == (401, "UNAUTHENTICATED")


@pytest.mark.parametrize(
    "body",
    [b"{nope", b"", b"[]", b'"x"', b"null", b'{"title": NaN}', b'{"title": "x"} {}', b"\xff{}", b'{"a":' * 5000, b"1" * 5000,
     b"[" * 70 + b"]" * 70, b'\xef\xbb\xbf{"title":"x"}', b'{"title": "\\ud800"}'],
)  # fmt: skip
async def test_bodies_that_are_no_request(stage: Stage, body: bytes) -> None:
    answer = await stage.api("POST", "/alerts", body or b"[1]")
    assert (answer.status, answer.error["status"]) == (400, "INVALID_ARGUMENT")
    assert stage.services.asked == []


async def test_content_types(stage: Stage) -> None:
    form = await stage.api("POST", "/alerts", b"title=x", headers={"content-type": "text/plain"})
    assert (form.status, set(form.wrong)) == (400, {"content-type"})
    for fine in ("application/json; charset=utf-8", "APPLICATION/JSON", "application/merge-patch+json"):
        answer = await stage.api("POST", "/alerts", {"title": "x"}, headers={"content-type": fine})
        assert answer.status == 200


async def test_a_query_that_is_not_utf8(stage: Stage) -> None:
    assert (await stage.api("GET", "/alerts?source=%ff")).status == 400
    assert (await stage.api("GET", "/alerts/%ff")).status == 400
    assert (await stage.api("GET", "/alerts?" + "&".join(["a=1"] * 1100))).status == 400


async def test_a_service_that_is_away_and_comes_back() -> None:
    address = f"127.0.0.1:{PORTS.take()}"
    async with standing_in(address) as services, stage_over(services) as stage:
        assert (await stage.api("GET", "/alerts/a1")).status == 200
        await services.server.grpc.stop(None)
        away = await stage.api("POST", "/alerts", {"title": "x"})
        assert (away.status, away.error["status"]) == (503, "UNAVAILABLE")
        assert away.headers["retry-after"] == "1"
        assert address.rpartition(":")[2] not in away.text
        async with standing_in(address):
            assert (await stage.api("GET", "/alerts/a1")).status == 200


async def test_a_service_that_hangs(stage: Stage) -> None:
    async def play(request: Any, context: Any) -> None:
        await asyncio.Event().wait()

    stage.services.play("GetAlert", play)
    answer = await stage.api("GET", "/alerts/a1", headers={"x-request-timeout": "100ms"})
    assert (answer.status, answer.error["status"]) == (504, "DEADLINE_EXCEEDED")
