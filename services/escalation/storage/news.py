"""Statements that follow the events of alerts by snapshots of the database: each once, in order, from any replica."""

import re
from typing import LiteralString, NamedTuple

from psycopg import AsyncConnection as RawConnection
from psycopg.rows import class_row

_SNAPSHOT = r"[0-9]{1,19}:[0-9]{1,19}:[0-9,]{0,4000}"
_TOKEN = re.compile(rf"({_SNAPSHOT});({_SNAPSHOT});([0-9]{{1,18}});([0-9]{{1,11}})")
SLACK = 3600
"""Seconds by which an event's own time may differ from that of its commit, and by far does not."""

_NOW: LiteralString = "select pg_current_snapshot()::text, extract(epoch from clock_timestamp())::bigint"
_BETWEEN: LiteralString = """
select seq, type, data from outbox
where at >= to_timestamp(%(since)s) and xact >= pg_snapshot_xmin(%(seen)s::pg_snapshot)
    and not pg_visible_in_snapshot(xact, %(seen)s::pg_snapshot)
    and pg_visible_in_snapshot(xact, %(until)s::pg_snapshot) and seq > %(seq)s
order by seq limit %(limit)s"""


class News(NamedTuple):
    """An event of an alert, as the outbox has it."""

    seq: int
    type: str
    data: bytes


class Place(NamedTuple):
    """How far somebody has come: all that was visible in `seen`, and of the rest that was in `until`, up to `seq`.

    `at` is when `seen` was, in seconds since 1970.
    """

    seen: str
    until: str
    seq: int
    at: int

    @property
    def token(self) -> str:
        """The place as a resume token."""
        return ";".join(map(str, self))

    @classmethod
    def read(cls, token: str) -> "Place | None":
        """The place that a token names; None for what is no token."""
        found = _TOKEN.fullmatch(token)
        return cls(found[1], found[2], int(found[3]), int(found[4])) if found else None

    @property
    def end(self) -> int:
        """The first transaction that was not begun yet when `until` was."""
        return int(self.until.split(":")[1])

    def after(self, seq: int) -> "Place":
        """The place after an event of this stretch."""
        return self._replace(seq=seq)

    def done(self, at: int) -> "Place":
        """The place after all of this stretch, at that time."""
        return Place(self.until, self.until, 0, at)

    def until_now(self, now: "Place") -> "Place":
        """The stretch after this one, up to now."""
        return Place(self.until, now.until, 0, self.at)


async def now(conn: RawConnection) -> Place:
    """The place after everything that is committed."""
    row = await (await conn.execute(_NOW)).fetchone()
    assert row is not None
    return Place(row[0], row[0], 0, row[1])


async def between(conn: RawConnection, stretch: Place, *, limit: int) -> list[News]:
    """Up to `limit` events of a stretch, in order, from the first after its `seq` on."""
    if stretch.seen == stretch.until:
        return []
    values = {**stretch._asdict(), "since": stretch.at - SLACK, "limit": limit}
    async with conn.cursor(row_factory=class_row(News)) as cursor:
        return await (await cursor.execute(_BETWEEN, values)).fetchall()
