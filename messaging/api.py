"""MessagingService, which all services with events answer in the same way."""

from collections.abc import Callable, Sequence
from typing import Any
from uuid import UUID

from chassis import paging, validation
from chassis.db import Database
from chassis.errors import Problems
from chassis.inbox import Consumer
from chassis.loop import reason_of
from chassis.server import Context
from chassis.wire import instant, timestamp
from messaging import letters
from messaging.letters import Letter
from messaging.waiting import Waiting, waiting
from tocsin.messaging.v1 import messaging_pb2

AT_ONCE = 1_000
"""Letters that one call handles again."""


def servicer(db: Database, *, consumers: Sequence[Consumer] = (), wake: Callable[[], None]) -> Any:
    """What serves as the MessagingService of any package: their methods differ by name alone.

    `wake` tells the relay that there is something to publish.
    """
    return MessagingApi(db, consumers, wake)


class MessagingApi:
    """Events and dead letters of one service."""

    def __init__(self, db: Database, consumers: Sequence[Consumer], wake: Callable[[], None]) -> None:
        self._db = db
        self._consumers = {consumer.name: consumer for consumer in consumers}
        self._wake = wake

    async def _replay_events(
        self, request: messaging_pb2.ReplayEventsRequest, _: Context
    ) -> messaging_pb2.ReplayEventsResponse:
        """Publishes events again."""
        problems = Problems()
        start, end = instant(request, "start"), instant(request, "end")
        if start and end and end <= start:
            problems.add("end", "is not after start")
        validation.count(problems, "types", request.types, most=50)
        problems.check()
        async with self._db.begin() as conn:
            events = await letters.publish_again(conn, start=start, end=end, types=request.types)
        self._wake()
        return messaging_pb2.ReplayEventsResponse(events=events)

    async def _fetch_events(
        self, request: messaging_pb2.FetchEventsRequest, _: Context
    ) -> messaging_pb2.FetchEventsResponse:
        """What has waited for the broker for too long."""
        problems = Problems()
        validation.count(problems, "types", request.types, most=50)
        problems.check()
        async with self._db.connect() as conn:
            found = await waiting(
                conn,
                types=request.types,
                after=request.after,
                limit=paging.size(request.page_size),
            )
        return messaging_pb2.FetchEventsResponse(events=map(_waiting, found))

    async def _list_letters(
        self, request: messaging_pb2.ListDeadLettersRequest, _: Context
    ) -> messaging_pb2.ListDeadLettersResponse:
        """A page of dead letters."""
        size, key = paging.size(request.page_size), paging.after(request.page_token, 2)
        after = (key[0], UUID(key[1])) if key else letters.FIRST
        async with self._db.connect() as conn:
            found = await letters.page(conn, consumer=request.consumer, after=after, limit=size + 1)
        last = found[:size][-1] if found else None
        shown, token = paging.page(found, size, [last.consumer, str(last.event_id)] if last else [])
        return messaging_pb2.ListDeadLettersResponse(dead_letters=map(_message, shown), next_page_token=token)

    async def _replay_letters(
        self, request: messaging_pb2.ReplayDeadLettersRequest, _: Context
    ) -> messaging_pb2.ReplayDeadLettersResponse:
        """Handles dead letters again, one by one."""
        ids = _ids(request)
        async with self._db.connect() as conn:
            found = await letters.page(conn, consumer=request.consumer, ids=ids, limit=AT_ONCE)
        answer = messaging_pb2.ReplayDeadLettersResponse()
        for letter in found:
            if error := await self._again(letter):
                answer.failed.append(_message(letter, error))
            else:
                answer.replayed += 1
        return answer

    async def _again(self, letter: Letter) -> str:
        """What went wrong this time; empty when nothing did."""
        consumer = self._consumers.get(letter.consumer)
        if consumer is None:
            return "nobody consumes these events any more"
        try:
            await consumer.replay(letter.event)
        except Exception as error:
            told = f"{reason_of(error)}: {error}"[:4000].replace("\0", "")
            async with self._db.begin() as conn:
                await letters.blame(conn, letter, told)
            return told
        return ""

    ReplayRosterEvents = ReplayEscalationEvents = ReplayNotifyEvents = ReplaySlaEvents = _replay_events
    FetchRosterEvents = FetchEscalationEvents = FetchNotifyEvents = FetchSlaEvents = _fetch_events
    ListRosterDeadLetters = ListEscalationDeadLetters = ListNotifyDeadLetters = ListSlaDeadLetters = (
        _list_letters
    )
    ReplayRosterDeadLetters = ReplayEscalationDeadLetters = _replay_letters
    ReplayNotifyDeadLetters = ReplaySlaDeadLetters = _replay_letters


def _ids(request: messaging_pb2.ReplayDeadLettersRequest) -> list[UUID]:
    problems, found = Problems(), []
    validation.count(problems, "event_ids", request.event_ids, most=AT_ONCE)
    for place, text in enumerate(request.event_ids):
        try:
            found.append(UUID(text))
        except ValueError:
            problems.add(f"event_ids[{place}]", f"{text[:64]!r} is not a UUID")
    problems.check()
    return found


def _waiting(event: Waiting) -> messaging_pb2.WaitingEvent:
    return messaging_pb2.WaitingEvent(
        position=event.seq,
        event_id=str(event.id),
        type=event.type,
        subject=event.subject,
        at=timestamp(event.at),
        data=event.data,
    )


def _message(letter: Letter, error: str = "") -> messaging_pb2.DeadLetter:
    return messaging_pb2.DeadLetter(
        consumer=letter.consumer,
        event_id=str(letter.event_id),
        type=letter.type,
        subject=letter.subject,
        error=error or letter.error,
        at=timestamp(letter.at),
        headers=letter.headers,
        data=letter.data,
    )
