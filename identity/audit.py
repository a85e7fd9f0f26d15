"""The record of changes: who changed what people configure, from what to what, written by the change's own transaction.

A trigger on each table writes it, so that no code path, cascade or later author can forget one (ADR 26).
"""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Column, ColumnElement, DateTime, MetaData, Table, Text, Uuid, select, text
from sqlalchemy.dialects.postgresql import ARRAY, JSONB
from sqlalchemy.ext.asyncio import AsyncConnection

from chassis import auth
from chassis.db import Database

FUNCTIONS = (
    """create function audit_change() returns trigger language plpgsql set search_path from current as $audit$
    declare
        hidden text[] := string_to_array(tg_argv[2], ',');
        was jsonb := case when tg_op <> 'INSERT' then to_jsonb(old) - string_to_array(tg_argv[3], ',') end;
        became jsonb := case when tg_op <> 'DELETE' then to_jsonb(new) - string_to_array(tg_argv[3], ',') end;
        differing text[] := '{}';
    begin
        if was is not distinct from became then
            return null;
        end if;
        if tg_op = 'UPDATE' then
            select array_agg(name order by name) into differing from jsonb_object_keys(became) name
            where was -> name is distinct from became -> name;
        end if;
        insert into audit values (
            uuidv7(), clock_timestamp(), coalesce(nullif(current_setting('tocsin.actor', true), ''), tg_table_schema),
            coalesce(current_setting('tocsin.credential', true), ''),
            coalesce(current_setting('tocsin.method', true), ''),
            tg_argv[0], coalesce(became, was) ->> tg_argv[1], was - hidden, became - hidden, differing);
        return null;
    end $audit$""",
    """create function audit_refuse() returns trigger language plpgsql as $audit$
    begin
        raise exception 'entries of the audit log are neither changed nor removed' using errcode = '42501';
    end $audit$""",
)
TABLE = (
    """create table audit (
        audit_id uuid primary key, at timestamptz not null, actor text not null, credential text not null,
        method text not null, resource text not null, resource_id text not null, before jsonb, after jsonb,
        changed text[] not null)""",
    "create index audit_by_actor on audit (actor, audit_id)",
    "create index audit_by_resource on audit (resource, resource_id, audit_id)",
    """create trigger audit_append_only before update or delete on audit
        for each row execute function audit_refuse()""",
    """create trigger audit_never_emptied before truncate on audit
        for each statement execute function audit_refuse()""",
)


def create_statements() -> Sequence[str]:
    """What makes the table and refuses changes of it, for a service's migration."""
    return [*FUNCTIONS, *TABLE]


def watch(
    table: str, resource: str, key: str, *, hidden: Sequence[str] = (), ignored: Sequence[str] = ()
) -> str:
    """What makes every change of a table's rows known.

    Of `hidden` columns (secrets) it is told that they changed, never to what; changes of `ignored` ones are none.
    """
    left_out = ",".join((*ignored, "request_id", "revision"))
    return f"""create trigger audit after insert or update or delete on {table} for each row
        execute function audit_change('{resource}', '{key}', '{",".join(hidden)}', '{left_out}')"""


_SIGN = text(
    """select set_config('tocsin.actor', :actor, true), set_config('tocsin.credential', :credential, true),
    set_config('tocsin.method', :method, true)"""
)


@asynccontextmanager
async def audited(db: Database) -> AsyncIterator[AsyncConnection]:
    """A transaction that changes what people configure: what it changes is recorded under the caller's name."""
    caller = auth.caller()
    async with db.begin() as conn:
        await conn.execute(
            _SIGN, {"actor": caller.subject, "credential": caller.credential, "method": auth.method()}
        )
        yield conn


@dataclass(frozen=True, slots=True)
class Entry:
    """One change; nothing before a creation, nothing after a deletion. The fields are the columns."""

    audit_id: UUID
    at: datetime
    actor: str
    credential: str
    method: str
    resource: str
    resource_id: str
    before: dict[str, Any] | None
    after: dict[str, Any] | None
    changed: list[str]


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which entries; empty means any. `start` is included, `end` is not."""

    actor: str = ""
    resource: str = ""
    resource_id: str = ""
    start: datetime | None = None
    end: datetime | None = None


audit = Table(
    "audit",
    MetaData(),
    Column("audit_id", Uuid, primary_key=True),
    Column("at", DateTime(timezone=True), nullable=False),
    *(
        Column(name, Text, nullable=False)
        for name in ("actor", "credential", "method", "resource", "resource_id")
    ),
    Column("before", JSONB),
    Column("after", JSONB),
    Column("changed", ARRAY(Text), nullable=False),
)
COLUMNS = [audit.c[field.name] for field in fields(Entry)]


async def page(conn: AsyncConnection, wanted: Wanted, before: UUID | None, limit: int) -> Sequence[Entry]:
    """Up to `limit` entries, the newest first, from the first older than `before` on."""
    query = select(*COLUMNS).where(*_conditions(wanted)).order_by(audit.c.audit_id.desc()).limit(limit)
    if before is not None:
        query = query.where(audit.c.audit_id < before)
    return [Entry(**row._asdict()) for row in await conn.execute(query)]


def _conditions(wanted: Wanted) -> list[ColumnElement[bool]]:
    found: list[ColumnElement[bool]] = [
        audit.c[name] == value
        for name in ("actor", "resource", "resource_id")
        if (value := getattr(wanted, name))
    ]
    if wanted.start is not None:
        found.append(audit.c.at >= wanted.start)
    if wanted.end is not None:
        found.append(audit.c.at < wanted.end)
    return found
