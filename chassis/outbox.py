"""The transactional outbox: events written beside the rows that they tell of, kept for days after publishing."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from uuid import UUID

import structlog
from sqlalchemy import BigInteger, Column, DateTime, Identity, LargeBinary, MetaData, Table, Text, Uuid, text
from sqlalchemy.ext.asyncio import AsyncConnection

from chassis.db import Database
from chassis.ids import uuid7

COLUMNS = "id, type, subject, data, at, trace_parent"
"""What a statement that writes the outbox by itself must name, in this order; the rest have defaults."""

INBOX_DAYS = 8
"""How long repeats are recognised: a day more than streams and outboxes keep events."""

_log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Event:
    """Something that has happened: `type` like `alert.opened`, `subject` the id of what it happened to.

    `data` is the serialised message, `at` when it happened, `trace_parent` the W3C trace or empty.
    """

    type: str
    subject: str
    data: bytes
    at: datetime
    id: UUID = field(default_factory=uuid7)
    trace_parent: str = ""


def outbox_table(metadata: MetaData) -> Table:
    """The outbox as a Core table; `create_statements` makes it."""
    return Table(
        "outbox",
        metadata,
        Column("seq", BigInteger, Identity(always=True), nullable=False),
        Column("id", Uuid, nullable=False),
        Column("type", Text, nullable=False),
        Column("subject", Text, nullable=False),
        Column("data", LargeBinary, nullable=False),
        Column("at", DateTime(timezone=True), nullable=False),
        Column("trace_parent", Text, nullable=False),
        Column("published_at", DateTime(timezone=True)),
        Column("stream_seq", BigInteger),
        postgresql_partition_by="range (at)",
    )


def create_statements() -> list[str]:
    """The DDL of everything messaging keeps in a service's schema, for its first migration.

    `outbox` is partitioned by UTC day of `at`; `maintain` adds and drops the days. `stream_seq` is the place that the
    broker gave an event, so that a broker that has lost events is noticed and gets them again.
    """
    return [
        """create table outbox (
            seq bigint generated always as identity, id uuid not null, type text not null, subject text not null,
            data bytea not null, at timestamptz not null, trace_parent text not null default '',
            published_at timestamptz, stream_seq bigint) partition by range (at)""",
        "create index outbox_unpublished on outbox (seq) where published_at is null",
        "create index outbox_stream_seq on outbox (stream_seq) where stream_seq is not null",
        "create table outbox_default partition of outbox default",
        """create table inbox (
            consumer text not null, event_id uuid not null, seen_at timestamptz not null default now(),
            primary key (consumer, event_id))""",
        "create index inbox_seen_at on inbox using brin (seen_at)",
        """create table dead_letters (
            consumer text not null, event_id uuid not null, type text not null, subject text not null,
            data bytea not null, headers jsonb not null, error text not null,
            at timestamptz not null default now(), primary key (consumer, event_id))""",
    ]


_APPEND = text(
    f"""insert into outbox ({COLUMNS})
    select {COLUMNS} from unnest(cast(:ids as uuid[]), cast(:types as text[]), cast(:subjects as text[]),
        cast(:datas as bytea[]), cast(:ats as timestamptz[]), cast(:traces as text[]))
        with ordinality as event ({COLUMNS}, place) order by place"""
)


async def append(conn: AsyncConnection, events: Sequence[Event]) -> None:
    """Writes the events on the caller's transaction, in order, by one statement; nothing for no events."""
    if events:
        lists = {
            "ids": [e.id for e in events],
            "types": [e.type for e in events],
            "subjects": [e.subject for e in events],
            "datas": [e.data for e in events],
            "ats": [e.at for e in events],
            "traces": [e.trace_parent for e in events],
        }
        await conn.execute(_APPEND, lists)


async def maintain(db: Database, *, ahead_days: int = 3, keep_days: int = 7, now: datetime) -> None:
    """Makes the partitions of the coming UTC days, drops those older than `keep_days`, and prunes the inbox.

    A partition with unpublished events is never dropped. Any number of replicas may call it, hourly or so; it waits
    at most a second for a lock, so that a long reader never makes it a road block: what it could not do it raises
    Unavailable for, and the next call does it.
    """
    today = now.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    days = {_name(day): day for day in (today + timedelta(days=n) for n in range(ahead_days + 1))}
    async with db.begin() as conn:
        await _alone(conn)
        existing = await _partitions(conn)
        for name, day in days.items():
            if name not in existing:
                await _add_day(conn, name, day)
    oldest = _name(today - timedelta(days=keep_days))
    for name in existing:
        if name < oldest:
            await _drop_day(db, name)
    async with db.begin() as conn:
        await conn.execute(
            text("delete from outbox_default where published_at is not null and at < :before"),
            {"before": today - timedelta(days=keep_days)},
        )
    while await _prune_inbox(db, now - timedelta(days=INBOX_DAYS)):
        pass


def _name(day: datetime) -> str:
    return f"outbox_{day:%Y%m%d}"


async def _alone(conn: AsyncConnection) -> None:
    """One replica at a time; the others wait for their turn and find everything done."""
    await conn.execute(text("set local lock_timeout = '1s'"))
    await conn.execute(text("select pg_advisory_xact_lock(hashtext('outbox'), hashtext(current_schema()))"))


async def _partitions(conn: AsyncConnection) -> list[str]:
    found = await conn.execute(
        text(
            """select relname from pg_inherits join pg_class on pg_class.oid = inhrelid
            where inhparent = 'outbox'::regclass and relname ~ '^outbox_[0-9]{8}$' order by relname"""
        )
    )
    return list(found.scalars())


async def _add_day(conn: AsyncConnection, name: str, day: datetime) -> None:
    """Makes a day's partition, with the events that the default one has taken for it meanwhile."""
    start, end = f"'{day.isoformat()}'", f"'{(day + timedelta(days=1)).isoformat()}'"
    await conn.execute(text(f"create table {name} (like outbox including defaults including indexes)"))
    await conn.execute(text("lock table outbox_default in access exclusive mode"))
    await conn.execute(
        text(
            f"""with moved as (delete from outbox_default where at >= {start} and at < {end} returning *)
            insert into {name} select * from moved"""  # names and days are made above
        )
    )
    await conn.execute(
        text(f"alter table outbox attach partition {name} for values from ({start}) to ({end})")
    )
    _log.info("outbox_day_added", partition=name)


async def _drop_day(db: Database, name: str) -> None:
    async with db.begin() as conn:
        await _alone(conn)
        if name not in await _partitions(conn):
            return
        await conn.execute(text(f"lock table {name} in access exclusive mode"))
        unpublished = text(f"select exists (select from {name} where published_at is null)")
        if (await conn.execute(unpublished)).scalar_one():
            _log.warning("outbox_day_kept", partition=name, reason="UNPUBLISHED")
            return
        await conn.execute(text(f"drop table {name}"))
        _log.info("outbox_day_dropped", partition=name)


async def _prune_inbox(db: Database, before: datetime) -> bool:
    """Forgets up to 10,000 events; whether there may be more."""
    async with db.begin() as conn:
        gone = await conn.execute(
            text(
                """delete from inbox where ctid = any (array(
                    select ctid from inbox where seen_at < :before limit 10000 for update skip locked))"""
            ),
            {"before": before},
        )
    return gone.rowcount == 10_000
