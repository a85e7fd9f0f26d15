"""The list of changes, which all services with a schema answer in the same way."""

from typing import Any
from uuid import UUID

from chassis import paging, validation
from chassis.db import Database
from chassis.errors import Problems
from chassis.server import Context
from chassis.wire import instant, timestamp
from identity.audit import Entry, Wanted, page
from tocsin.audit.v1 import audit_pb2

LONGEST = 200


def servicer(db: Database) -> Any:
    """What serves as the AuditService of any package: their methods differ by name alone."""
    return AuditApi(db)


class AuditApi:
    """The changes of one service's resources."""

    def __init__(self, db: Database) -> None:
        self._db = db

    async def _list(
        self, request: audit_pb2.ListAuditEntriesRequest, _: Context
    ) -> audit_pb2.ListAuditEntriesResponse:
        """A page of changes, the newest first."""
        size, wanted = paging.size(request.page_size), _wanted(request)
        [before] = paging.after(request.page_token, 1) or [""]
        async with self._db.connect() as conn:
            found = await page(conn, wanted, UUID(before) if before else None, size + 1)
        shown, token = paging.page(found, size, [str(found[:size][-1].audit_id) if found else ""])
        return audit_pb2.ListAuditEntriesResponse(audit_entries=map(_message, shown), next_page_token=token)

    ListRosterAuditEntries = ListEscalationAuditEntries = ListNotifyAuditEntries = ListSlaAuditEntries = _list


def _wanted(request: audit_pb2.ListAuditEntriesRequest) -> Wanted:
    problems = Problems()
    for name in ("actor", "resource", "resource_id"):
        validation.text(problems, name, getattr(request, name), most=LONGEST)
    start, end = instant(request, "start"), instant(request, "end")
    if start is not None and end is not None and end <= start:
        problems.add("end", "is not after start")
    problems.check()
    return Wanted(request.actor, request.resource, request.resource_id, start, end)


def _message(entry: Entry) -> audit_pb2.AuditEntry:
    message = audit_pb2.AuditEntry(
        audit_id=str(entry.audit_id),
        at=timestamp(entry.at),
        actor=entry.actor,
        api_key_id=entry.credential,
        method=entry.method,
        resource=entry.resource,
        resource_id=entry.resource_id,
        change=_change(entry),
        changed_fields=entry.changed,
    )
    if entry.before is not None:
        message.before.update(entry.before)
    if entry.after is not None:
        message.after.update(entry.after)
    return message


def _change(entry: Entry) -> audit_pb2.AuditEntry.Change.ValueType:
    if entry.before is None:
        return audit_pb2.AuditEntry.CREATED
    return audit_pb2.AuditEntry.DELETED if entry.after is None else audit_pb2.AuditEntry.UPDATED
