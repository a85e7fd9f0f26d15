"""Events that the broker has not taken: read by their owner, and fetched by services that must not wait for it."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from chassis.bus import Received
from chassis.inbox import Consumer
from tocsin.messaging.v1 import messaging_pb2

PATIENCE = timedelta(seconds=3)
"""For how long the broker alone is trusted with an event."""
POLL = timedelta(seconds=5)
AT_ONCE = 500
AGAIN = 12
"""Every so many looks everything is fetched again: what was committed late may have been passed by."""

_WAITING = text(
    """select seq, id, type, subject, at, data from outbox
    where published_at is null and seq > :after and at < now() - :patience
    and (cast(:types as text[]) = '{}' or type = any (cast(:types as text[])))
    order by seq limit :most"""
)


@dataclass(frozen=True, slots=True)
class Waiting:
    """An event that waits to be published. The fields are the columns."""

    seq: int
    id: UUID
    type: str
    subject: str
    at: datetime
    data: bytes


async def waiting(conn: AsyncConnection, *, types: Sequence[str], after: int, limit: int) -> list[Waiting]:
    """Up to `limit` events that should have been published, by place in the outbox."""
    said = {"types": list(types), "after": after, "patience": PATIENCE, "most": limit}
    return [Waiting(**row) for row in (await conn.execute(_WAITING, said)).mappings()]


Fetch = Callable[[messaging_pb2.FetchEventsRequest], Awaitable[messaging_pb2.FetchEventsResponse]]


class Bypass:
    """Handles events that their owner cannot publish, for a consumer whose effect people wait for.

    They arrive through the broker too, once it is back: what was handled is dropped by its id.
    """

    def __init__(self, consumer: Consumer, fetch: Fetch) -> None:
        """`consumer` names its types in full; `fetch` is the method of the owner of their events."""
        self._consumer = consumer
        self._fetch = fetch
        self._after = self._looks = 0

    async def work(self) -> None:
        """Fetches what waits. Raises a DomainError while the owner is away: the next look comes."""
        self._looks += 1
        if self._looks % AGAIN == 0:
            self._after = 0
        while await self._handle():
            pass

    async def _handle(self) -> bool:
        """Whether there may be more."""
        request = messaging_pb2.FetchEventsRequest(
            types=self._consumer.subjects, after=self._after, page_size=AT_ONCE
        )
        found = (await self._fetch(request)).events
        if found:
            await self._consumer.take([_received(event) for event in found])
            self._after = found[-1].position
        return len(found) == AT_ONCE


def _received(event: Any) -> Received:
    return Received(
        id=UUID(event.event_id),
        type=event.type,
        subject=event.subject,
        data=event.data,
        at=event.at.ToDatetime(UTC),
        headers={},
        redelivered=0,
    )
