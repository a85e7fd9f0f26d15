"""API keys: made, shown once, accepted by every service, limited to their scopes, expired, revoked at once."""

import asyncio
import json
import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import grpc
import psycopg
import pytest

from chassis.errors import Exhausted, Unauthenticated, Unavailable
from identity.keys import hashed
from tests.fixtures.eventually import PATIENCE, eventually
from tests.service.identity.world import Installation
from tocsin.roster.v1 import on_call_service_pb2, on_call_service_pb2_grpc
from tocsin.sla.v1 import sla_service_pb2, sla_service_pb2_grpc

DATA = Path(__file__).parents[2] / "data"


async def test_a_key_is_accepted_everywhere_until_it_is_revoked(installation: Installation) -> None:
    await installation.start("roster", "sla", "gateway")
    key = await installation.key("roster:read", "sla:read", subject="ada")
    secret, read = key["secret"], key["api_key_id"]
    assert secret.startswith("tocsin_")
    assert len(secret) == 50
    overview = sla_service_pb2_grpc.SlaServiceStub(installation.channel("sla", secret))
    on_call = on_call_service_pb2_grpc.OnCallServiceStub(installation.channel("roster", secret))
    resolve = on_call_service_pb2.ResolveTargetRequest(target="oncall://active")
    assert await installation.statuses(secret, ["/oncall/responders", "/sla/overview"]) == {200}
    await overview.GetOverview(sla_service_pb2.GetOverviewRequest())
    await on_call.ResolveTarget(resolve)
    assert (await installation.call("POST", "/oncall/responders", {}, token=secret)).status == 403
    assert (await installation.call("GET", "/api-keys", token=secret)).status == 403

    admin = installation.token("keys:read", "keys:write")
    assert (await installation.call("DELETE", f"/api-keys/{read}", token=admin)).status == 200
    revoked = time.monotonic()

    async def refused() -> bool:
        for call in (
            overview.GetOverview(sla_service_pb2.GetOverviewRequest()),
            on_call.ResolveTarget(resolve),
        ):
            try:
                await call
            except Unauthenticated:
                continue
            return False
        return (await installation.call("GET", "/oncall/responders", token=secret)).status == 401

    await eventually(refused)
    assert time.monotonic() - revoked < 10  # a second, and what a busy machine adds
    gone = await installation.call("GET", f"/api-keys/{read}", token=admin)
    assert (gone.status, gone.reason) == (404, "UNKNOWN_API_KEY")


async def test_the_secret_is_shown_once_and_kept_as_a_hash(installation: Installation) -> None:
    await installation.start("roster", "gateway")
    admin = installation.token("admin")
    body = {"api_key_id": "ci", "display_name": "The build", "scopes": ["alerts:write", "alerts:write"]}
    made = await installation.call("POST", "/api-keys?request_id=once", body, token=admin)
    again = await installation.call("POST", "/api-keys?request_id=once", body, token=admin)
    read = await installation.call("GET", "/api-keys/ci", token=admin)
    listed = await installation.call("GET", "/api-keys", token=admin)
    secret = made.json.pop("secret")
    assert (
        again.json.pop("secret") == read.json.pop("secret") == listed.json["api_keys"][0].pop("secret") == ""
    )
    assert made.json == again.json == read.json == listed.json["api_keys"][0]
    assert made.json["scopes"] == ["alerts:write"]
    assert (made.json["subject"], made.json["created_by"]) == ("api-keys/ci", "ada")
    taken = await installation.call("POST", "/api-keys", body, token=admin)
    assert taken.status == 409
    async with await psycopg.AsyncConnection.connect(installation.database.url("roster")) as conn:
        [row] = await (
            await conn.execute("select to_jsonb(api_keys)::text, secret_sha256 from api_keys")
        ).fetchall()
    assert secret not in row[0]
    assert bytes(row[1]) == hashed(secret)


async def test_a_request_sent_many_times_at_once_makes_one_key(installation: Installation) -> None:
    await installation.start("roster", "gateway")
    body, admin = {"scopes": ["alerts:write"]}, installation.token("admin")
    answers = await asyncio.gather(
        *(installation.call("POST", "/api-keys?request_id=once", body, token=admin) for _ in range(8))
    )
    assert {answer.status for answer in answers} == {200}
    assert len({answer.json["api_key_id"] for answer in answers}) == 1
    assert len([answer for answer in answers if answer.json["secret"]]) == 1


async def test_every_wrong_field_of_a_key_is_named(installation: Installation) -> None:
    await installation.start("roster", "gateway")
    body = {
        "api_key_id": "Not!",
        "subject": "x" * 129,
        "scopes": ["alerts:read", "everything", "service"],
        "rate_limit": -1,
        "expires_at": "2020-01-01T00:00:00Z",
    }
    refused = await installation.call("POST", "/api-keys", body, token=installation.token("admin"))
    assert refused.status == 400
    [bad] = [one for one in refused.json["error"]["details"] if one["@type"].endswith("BadRequest")]
    assert {one["field"] for one in bad["field_violations"]} == {
        "api_key_id",
        "subject",
        "scopes[1]",
        "scopes[2]",
        "rate_limit",
        "expires_at",
    }


CREATED = [
    (["keys:write", "alerts:read"], {"scopes": ["alerts:read"]}, ""),
    (["keys:write", "alerts:read"], {"scopes": ["alerts:read"], "subject": "ada"}, ""),
    (["keys:write", "alerts:read"], {"scopes": ["alerts:read", "alerts:write"]}, "SCOPE_BEYOND_CREATOR"),
    (["keys:write"], {"scopes": ["admin"]}, "SCOPE_BEYOND_CREATOR"),
    (["keys:write", "alerts:read"], {"scopes": ["alerts:read"], "subject": "bob"}, "ACT_AS_REQUIRED"),
    (["keys:write", "alerts:read", "act-as"], {"scopes": ["alerts:read"], "subject": "bob"}, ""),
    (["admin"], {"scopes": ["admin"], "subject": "bob"}, ""),
]


async def test_a_key_can_do_no_more_than_its_creator(installation: Installation) -> None:
    await installation.start("roster", "gateway")
    for held, fields, reason in CREATED:
        made = await installation.call("POST", "/api-keys", fields, token=installation.token(*held))
        told = "" if made.status == 200 else made.reason
        assert (made.status, told) == (403 if reason else 200, reason), (held, fields)


async def test_a_key_ends_when_it_was_said_to(installation: Installation) -> None:
    await installation.start("roster", "gateway")
    soon = datetime.now(UTC) + timedelta(seconds=4)
    key = await installation.key("roster:read", expires_at=soon.isoformat())
    assert (await installation.call("GET", "/oncall/teams", token=key["secret"])).status == 200

    async def expired() -> bool:
        answer = await installation.call("GET", "/oncall/teams", token=key["secret"])
        return answer.status == 401 and answer.reason == "KEY_EXPIRED"

    await eventually(expired)


async def test_a_service_without_roster_believes_what_it_heard_last(installation: Installation) -> None:
    await installation.start("roster", "sla", "gateway")
    key = await installation.key("sla:read")
    assert (await installation.call("GET", "/sla/overview", token=key["secret"])).status == 200
    await installation.stop("roster")
    assert (await installation.call("GET", "/sla/overview", token=key["secret"])).status == 200
    await installation.stop("sla")
    await installation.start("sla")  # cold, and nobody there to ask
    overview = sla_service_pb2_grpc.SlaServiceStub(installation.channel("sla", key["secret"]))
    with pytest.raises(Unavailable) as cold:
        await overview.GetOverview(sla_service_pb2.GetOverviewRequest())
    assert cold.value.reason == "KEYS_UNKNOWN"
    by_token = sla_service_pb2_grpc.SlaServiceStub(
        installation.channel("sla", installation.token("sla:read"))
    )
    await by_token.GetOverview(sla_service_pb2.GetOverviewRequest())
    await installation.start("roster")

    async def accepted() -> bool:
        try:
            await overview.GetOverview(sla_service_pb2.GetOverviewRequest())
        except Unavailable:
            return False
        return True

    await eventually(accepted)


async def test_what_was_heard_too_long_ago_is_not_believed(installation: Installation) -> None:
    installation.told = {"keys_kept_seconds": 0}
    await installation.start("roster", "sla", "gateway")
    key = await installation.key("sla:read")
    await installation.stop("roster")
    answer = await installation.call("GET", "/sla/overview", token=key["secret"])
    assert (answer.status, answer.reason) == (503, "KEYS_STALE")


async def test_keys_of_another_replica_are_known_at_once(
    installation: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Because they are told of, and not when it looks again."""
    monkeypatch.setattr("services.roster.key_memory.POLL", timedelta(hours=1))
    monkeypatch.setattr("identity.gate.LOOKED_FOR", PATIENCE / 2)
    await installation.start("roster", "gateway")
    second = Installation(installation.database, installation.broker)
    try:
        await second.start("roster")
        key = await installation.key("roster:read")
        on_call = on_call_service_pb2_grpc.OnCallServiceStub(second.channel("roster", key["secret"]))
        await on_call.ResolveTarget(on_call_service_pb2.ResolveTargetRequest(target="oncall://active"))
    finally:
        await second.aclose()


async def test_use_is_noted(installation: Installation, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("identity.follower.REPORT", timedelta(milliseconds=50))
    await installation.start("roster", "gateway")
    key = await installation.key("roster:read")
    admin, path = installation.token("admin"), f"/api-keys/{key['api_key_id']}"
    assert (await installation.call("GET", path, token=admin)).json["last_used_at"] is None
    await installation.call("GET", "/oncall/teams", token=key["secret"])

    async def noted() -> bool:
        return (await installation.call("GET", path, token=admin)).json["last_used_at"] is not None

    await eventually(noted)


async def test_only_services_hear_of_the_hashes(installation: Installation) -> None:
    await installation.start("roster")
    for scopes, code in (
        (("keys:read", "keys:write"), grpc.StatusCode.PERMISSION_DENIED),
        (("service",), None),
    ):
        wire = installation.channel("roster", "")
        watch: Any = wire.unary_stream("/tocsin.roster.v1.ApiKeyService/WatchApiKeys")
        token = installation.token(*scopes)
        call = watch(b"", metadata=(("authorization", f"Bearer {token}"),))
        if code is None:
            assert isinstance(await call.read(), bytes)
        else:
            with pytest.raises(grpc.aio.AioRpcError) as refused:
                await call.read()
            assert refused.value.code() is code
        call.cancel()


async def test_a_key_over_its_rate_is_told_when_to_come_again(installation: Installation) -> None:
    await installation.start("roster", "gateway")
    key = await installation.key("roster:read", rate_limit=1)
    first = await installation.call("GET", "/oncall/teams", token=key["secret"])
    assert (first.status, first.headers["ratelimit-limit"], first.headers["ratelimit-remaining"]) == (
        200,
        "1",
        "1",
    )
    answers = [await installation.call("GET", "/oncall/teams", token=key["secret"]) for _ in range(20)]
    over = next(answer for answer in answers if answer.status == 429)
    assert over.reason == "RATE_LIMITED"
    assert (over.headers["retry-after"], over.headers["ratelimit-remaining"]) == ("1", "0")
    [retry] = [one for one in over.json["error"]["details"] if one["@type"].endswith("RetryInfo")]
    assert 0 < float(retry["retry_delay"].removesuffix("s")) <= 1
    on_call = on_call_service_pb2_grpc.OnCallServiceStub(installation.channel("roster", key["secret"]))
    resolve = on_call_service_pb2.ResolveTargetRequest(target="oncall://active")
    with pytest.raises(Exhausted) as refused:
        await asyncio.gather(*(on_call.ResolveTarget(resolve) for _ in range(20)))
    assert refused.value.retry_after is not None
    unlimited = installation.token("roster:read")
    assert {(await installation.call("GET", "/oncall/teams", token=unlimited)).status for _ in range(5)} == {
        200
    }


async def test_keys_from_the_command_line(installation: Installation) -> None:
    await installation.start("roster", "gateway")
    where = [
        "--gateway",
        f"http://{installation.addresses['gateway']}",
        "--token",
        installation.token("admin"),
    ]

    async def tocsin(*words: str) -> str:
        command = [sys.executable, "-m", "cli", "keys", *words, *where]
        process = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE)
        said, _ = await process.communicate()
        assert process.returncode == 0, said
        return said.decode()

    made = await tocsin("create", "--id", "build", "--scope", "roster:read", "--until", "90d", "--rate", "50")
    [secret] = [word for word in made.split() if word.startswith("tocsin_")]
    assert (await installation.call("GET", "/oncall/teams", token=secret)).status == 200
    [listed] = json.loads(await tocsin("list", "--json"))["api_keys"]
    assert (listed["api_key_id"], listed["rate_limit"], listed["secret"]) == ("build", 50, "")
    assert await tocsin("revoke", "build") == "build is revoked\n"

    async def refused() -> bool:
        return (await installation.call("GET", "/oncall/teams", token=secret)).status == 401

    await eventually(refused)


async def test_a_source_over_its_rate_is_told_so_in_its_own_words(installation: Installation) -> None:
    installation.told = {"rate_limit": 1}
    await installation.start("roster", "escalation", "gateway")
    made = await installation.call("POST", "/integrations", {}, token=installation.token("admin"))
    key = made.json["routing_key"]
    event = {
        "routing_key": key,
        "event_action": "trigger",
        "payload": {"summary": "disk full", "source": "db-1", "severity": "error"},
    }
    alerts = json.loads((DATA / "alertmanager_webhook_firing.json").read_text())

    async def status(path: str, body: object, *, times: int) -> set[int]:
        answers = [await installation.call("POST", path, body, token="", base="") for _ in range(times)]
        return {answer.status for answer in answers}

    assert await status("/v2/enqueue", event, times=2) == {202}
    assert 429 in await status("/v2/enqueue", event, times=20)
    door = f"/api/alert/integrations/{key}/alertmanager"
    assert 503 in (found := await status(door, alerts, times=20))
    assert found <= {200, 503}  # never 429: Alertmanager would drop the alert
