"""Finds alerts by filters and matchers, page by page."""

from collections.abc import Sequence
from datetime import datetime
from itertools import accumulate, chain
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncConnection

from chassis import paging, validation, wire
from chassis.errors import Invalid, Problems
from services.escalation.convert.alerts import severities, states
from services.escalation.domain.alert import Alert
from services.escalation.domain.matcher import Op, all_match, check_matchers, parse
from services.escalation.storage.alerts import Filter
from services.escalation.storage.lists import newest
from tocsin.escalation.v1 import alert_service_pb2

CHUNK, SCANNED = 500, 5_000
"""How many alerts are read at once, and for one page at most, where regular expressions decide: such a page may be
short, or empty, and still name a next one."""
CHARACTERS = 2_000_000
"""How much text a page shows at most, so that it fits into a message; one alert at least."""


def wanted(request: alert_service_pb2.ListAlertsRequest) -> Filter:
    """What a list asks for. Raises Invalid naming every wrong field."""
    problems = Problems()
    check_matchers(problems, request.matchers)
    validation.text(problems, "source", request.source, most=1024)
    validation.text(problems, "policy_id", request.policy_id, most=63)
    validation.text(problems, "dedup_key", request.dedup_key, most=255)
    validation.text(problems, "text", request.text, most=200)
    start, end = wire.instant(request, "start"), wire.instant(request, "end")
    if start is not None and end is not None and end <= start:
        problems.add("end", "is not after start")
    chosen_states, chosen_severities = states(request.state, problems), severities(request.severity, problems)
    problems.check()
    return Filter(
        states=chosen_states,
        severities=chosen_severities,
        source=request.source,
        policy_id=request.policy_id,
        dedup_key=request.dedup_key,
        start=start,
        end=end,
        matchers=[parse(text) for text in request.matchers],
        text=request.text.strip(),
        exhausted=request.exhausted,
    )


async def search(
    conn: AsyncConnection, asked: Filter, *, token: str, limit: int
) -> tuple[Sequence[Alert], str]:
    """A page of alerts, the newest first, and the token of the next one."""
    found, following = await _search(conn, asked, token=token, limit=limit)
    room = accumulate(len(alert.description) + sum(map(len, chain(*alert.labels.items()))) for alert in found)
    fitting = max(1, sum(characters <= CHARACTERS for characters in room))
    return page(found, fitting) if fitting < len(found) else (found, following)


async def _search(
    conn: AsyncConnection, asked: Filter, *, token: str, limit: int
) -> tuple[Sequence[Alert], str]:
    regexes = [matcher for matcher in asked.matchers if matcher.op in (Op.MATCHES, Op.DIFFERS)]
    before = place_of(token)
    if not regexes:
        rows = await newest(conn, asked, before=before, limit=limit + 1)
        return page(rows, limit)
    found: list[Alert] = []
    for _ in range(SCANNED // CHUNK):
        rows = await newest(conn, asked, before=before, limit=CHUNK)
        found += [alert for alert in rows if all_match(regexes, alert.facts().seen())]
        if len(found) > limit or len(rows) < CHUNK:
            return page(found, limit)
        before = (rows[-1].opened_at, rows[-1].alert_id)
    return paging.page([*found, rows[-1]], len(found), key_of(rows[-1].opened_at, rows[-1].alert_id))


def page(rows: Sequence[Alert], limit: int) -> tuple[Sequence[Alert], str]:
    """Cuts `limit + 1` alerts into a page and its next token."""
    last = rows[min(limit, len(rows)) - 1] if rows else None
    return paging.page(rows, limit, key_of(last.opened_at, last.alert_id) if last else [])


def key_of(at: datetime, row_id: UUID) -> list[str]:
    """The place of a row in a list that is ordered by time, then id."""
    return [at.isoformat(), str(row_id)]


def place_of(token: str) -> tuple[datetime, UUID] | None:
    """The place that a page token names; None for the first page. Raises Invalid."""
    key = paging.after(token, 2)
    if key is None:
        return None
    try:
        return datetime.fromisoformat(key[0]), UUID(key[1])
    except ValueError:
        raise Invalid.field("page_token", "is not a token of this list") from None
