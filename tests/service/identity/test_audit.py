"""The record of changes: who, what, before and after, with the change or not at all, for ever."""

from collections.abc import Sequence
from typing import Any

import psycopg
import pytest
from sqlalchemy import text

from chassis import auth
from chassis.db import Database
from cli.stack.schemas import CONTEXTS
from identity.audit import audited
from tests.fixtures.postgres import TestDatabase
from tests.service.identity.world import Installation, Json


async def entries(installation: Installation, service: str, **wanted: object) -> Sequence[Json]:
    """The changes of a service, the newest first."""
    query = "&".join(f"{name}={value}" for name, value in wanted.items())
    answer = await installation.call(
        "GET", f"/audit/{service}?{query}", token=installation.token("audit:read")
    )
    assert answer.status == 200, answer.json
    return list(answer.json["audit_entries"])


async def done(installation: Installation, method: str, path: str, body: object = None, **by: str) -> Any:
    """What a call of an admin answers."""
    token = by.get("token") or installation.token("admin", subject=by.get("subject", "ada"))
    answer = await installation.call(method, path, body, token=token)
    assert answer.status == 200, answer.json
    return answer.json


async def test_every_change_says_who_and_what(installation: Installation) -> None:
    await installation.start("roster", "gateway")
    key = await installation.key("roster:write", api_key_id="ci", subject="build")
    await done(installation, "POST", "/oncall/responders", {"responder_id": "ada"}, token=key["secret"])
    changes = {"display_name": "Ada", "time_zone": "Europe/London"}
    await done(installation, "PATCH", "/oncall/responders/ada", changes, subject="bob")
    await done(installation, "PATCH", "/oncall/responders/ada", changes, subject="bob")  # changes nothing
    await done(installation, "DELETE", "/oncall/responders/ada", subject="cyd")
    deleted, updated, created = await entries(installation, "roster", resource="responder", resource_id="ada")
    told = [
        (one["change"], one["actor"], one["api_key_id"], one["method"].rpartition("/")[2])
        for one in (created, updated, deleted)
    ]
    assert told == [
        ("CREATED", "build", "ci", "CreateResponder"),
        ("UPDATED", "bob", "", "UpdateResponder"),
        ("DELETED", "cyd", "", "DeleteResponder"),
    ]
    assert created["before"] is None
    assert created["after"]["display_name"] == "ada"
    assert updated["changed_fields"] == ["display_name", "time_zone"]
    assert (updated["before"]["time_zone"], updated["after"]["time_zone"]) == ("UTC", "Europe/London")
    assert deleted["before"] == updated["after"]
    assert deleted["after"] is None


async def test_entries_are_found_by_actor_resource_and_time_and_paged(installation: Installation) -> None:
    await installation.start("roster", "gateway")
    for subject in ("ada", "bob", "ada"):
        await done(installation, "POST", "/oncall/teams", {}, subject=subject)
    every = await entries(installation, "roster")
    assert len(every) == 3
    assert [one["actor"] for one in await entries(installation, "roster", actor="ada")] == ["ada", "ada"]
    assert await entries(installation, "roster", resource="schedule") == []
    middle = every[1]["at"].replace("+", "%2B")
    assert await entries(installation, "roster", start=middle) == every[:2]
    assert await entries(installation, "roster", end=middle) == every[2:]
    token, found = "", []
    while True:
        path = f"/audit/roster?page_size=2&page_token={token}"
        page = (await installation.call("GET", path, token=installation.token("audit:read"))).json
        found += page["audit_entries"]
        token = page["next_page_token"]
        if not token:
            break
    assert found == every
    wrong = f"/audit/roster?start={every[0]['at']}&end={every[2]['at']}&actor={'x' * 201}"
    assert (await installation.call("GET", wrong, token=installation.token("audit:read"))).status == 400


async def test_secrets_are_named_and_never_told(installation: Installation) -> None:
    await installation.start("roster", "escalation", "notify", "gateway")
    integration = await done(installation, "POST", "/integrations", {"integration_id": "prometheus"})
    method = await done(
        installation,
        "POST",
        "/contact-methods",
        {"responder_id": "ada", "channel": "WEBHOOK", "address": "https://chat.example/hook/s3cr3t"},
    )
    path = f"/contact-methods/{method['contact_method_id']}"
    await done(installation, "PATCH", path, {"address": "https://chat.example/hook/0th3r"})
    key = await installation.key("alerts:read")
    everything = [
        *await entries(installation, "roster"),
        *await entries(installation, "escalation"),
        *await entries(installation, "notify"),
    ]
    assert {one["resource"] for one in everything} == {"api_key", "integration", "contact_method"}
    assert [one["changed_fields"] for one in everything if one["change"] == "UPDATED"] == [["address"]]
    said = str(everything)
    for secret in (integration["routing_key"], method["secret"], key["secret"], "s3cr3t", "0th3r", "sha256"):
        assert secret not in said


async def test_a_change_and_its_entry_are_one(database: TestDatabase) -> None:
    """What is rolled back leaves no entry; what nobody asked for is the service's own."""
    auth.enter(auth.ANONYMOUS)
    db = Database(database.url("roster"), name="roster")
    add = text(
        "insert into responders (responder_id, display_name, time_zone, created_at) values (:id, '', 'UTC', now())"
    )

    async def change_one_s_mind() -> None:
        async with audited(db) as conn:
            await conn.execute(add, {"id": "ada"})
            raise RuntimeError("not after all")

    with pytest.raises(RuntimeError, match="after all"):
        await change_one_s_mind()
    async with audited(db) as conn:
        await conn.execute(add, {"id": "bob"})
    async with db.begin() as conn:
        await conn.execute(add, {"id": "cyd"})
        found = await conn.execute(text("select actor, resource_id, method from audit order by audit_id"))
        assert [tuple(row) for row in found] == [("roster", "bob", ""), ("roster", "cyd", "")]
    await db.close()


@pytest.mark.parametrize("context", CONTEXTS)
def test_entries_stay_as_they_are(database: TestDatabase, context: str) -> None:
    """Even for the service itself."""
    with psycopg.connect(database.url(context), autocommit=True) as conn:
        conn.execute(
            """insert into audit values (uuidv7(), now(), 'ada', '', '', 'team', 'web', null, '{}', '{}')"""
        )
        for statement in ("update audit set actor = 'bob'", "delete from audit", "truncate audit"):
            with pytest.raises(psycopg.errors.InsufficientPrivilege, match="neither changed nor removed"):
                conn.execute(statement)
