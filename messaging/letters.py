"""Dead letters in the database, and events that are to be published again."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from chassis.bus import Received

_COLUMNS = "consumer, event_id, type, subject, data, headers, error, at"
_PAGE = text(
    f"""select {_COLUMNS} from dead_letters
    where (cast(:consumer as text) = '' or consumer = cast(:consumer as text))
    and (consumer, event_id) > (:after_consumer, cast(:after_id as uuid))
    and (cast(:ids as uuid[]) = '{{}}' or event_id = any (cast(:ids as uuid[])))
    order by consumer, event_id limit :most"""
)
_REPLAY = text(
    """update outbox set published_at = null where published_at is not null
    and (cast(:start as timestamptz) is null or at >= cast(:start as timestamptz))
    and (cast(:until as timestamptz) is null or at < cast(:until as timestamptz))
    and (cast(:types as text[]) = '{}' or type = any (cast(:types as text[])))"""
)
FIRST = ("", UUID(int=0))
"""Before every letter."""


@dataclass(frozen=True, slots=True)
class Letter:
    """An event that could not be handled. The fields are the columns."""

    consumer: str
    event_id: UUID
    type: str
    subject: str
    data: bytes
    headers: dict[str, str]
    error: str
    at: datetime

    @property
    def event(self) -> Received:
        """The event as it arrived."""
        return Received(
            id=self.event_id,
            type=self.type,
            subject=self.subject,
            data=self.data,
            at=None,
            headers=self.headers,
            redelivered=0,
        )


async def page(
    conn: AsyncConnection,
    *,
    consumer: str,
    limit: int,
    after: tuple[str, UUID] = FIRST,
    ids: Sequence[UUID] = (),
) -> list[Letter]:
    """Up to `limit` letters after the one named: of the consumer, if one is named, and among `ids` if there are any."""
    said = {"consumer": consumer, "most": limit, "ids": list(ids)}
    said |= {"after_consumer": after[0], "after_id": after[1]}
    return [_letter(row) for row in (await conn.execute(_PAGE, said)).mappings()]


async def blame(conn: AsyncConnection, letter: Letter, error: str) -> None:
    """Writes what went wrong this time."""
    await conn.execute(
        text("update dead_letters set error = :error where consumer = :consumer and event_id = :event_id"),
        {"error": error, "consumer": letter.consumer, "event_id": letter.event_id},
    )


async def publish_again(
    conn: AsyncConnection, *, start: datetime | None, end: datetime | None, types: Sequence[str]
) -> int:
    """Takes published events of the outbox for unpublished; how many.

    They keep their place in the old stream, which makes their message ids new ones: within its window for repeats the
    broker would drop them otherwise.
    """
    said = {"start": start, "until": end, "types": list(types)}
    return (await conn.execute(_REPLAY, said)).rowcount


def _letter(row: Any) -> Letter:
    headers = row["headers"]
    return Letter(**{**row, "headers": json.loads(headers) if isinstance(headers, str) else headers})
