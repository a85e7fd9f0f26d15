"""What an import of a calendar has done, in protobuf."""

from collections.abc import Collection, Mapping
from uuid import UUID

from chassis import wire
from services.roster.convert.calendars import Read, Skipped
from services.roster.domain.shift import Shift
from tocsin.roster.v1 import calendar_service_pb2

CREATED, CHANGED, UNCHANGED = (
    calendar_service_pb2.ImportedShift.CREATED,
    calendar_service_pb2.ImportedShift.CHANGED,
    calendar_service_pb2.ImportedShift.UNCHANGED,
)


def to_wire(
    read: Read, before: Mapping[str, Shift], saved: Collection[UUID], *, dry_run: bool
) -> calendar_service_pb2.ImportCalendarResponse:
    """The shifts by start: what they were `before`, by request id, and which are `saved` now."""
    response = calendar_service_pb2.ImportCalendarResponse()
    in_order = sorted(read.shifts.items(), key=lambda pair: (pair[1].starts_at, pair[1].responder_id))
    skipped = [*read.skipped]
    for request_id, shift in in_order:
        old, uid = before.get(request_id), read.uids[request_id]
        if shift.shift_id not in saved:
            reason = (
                f"it overlaps another shift of {shift.responder_id} from {shift.starts_at:%Y-%m-%dT%H:%M:%SZ}"
            )
            skipped.append(Skipped(uid, "", reason))
            continue
        outcome = CREATED if old is None else UNCHANGED if old == shift else CHANGED
        response.shifts.add(
            outcome=outcome,
            shift_id="" if dry_run and old is None else str(shift.shift_id),
            responder_id=shift.responder_id,
            starts_at=wire.timestamp(shift.starts_at),
            ends_at=wire.timestamp(shift.ends_at),
            uid=uid,
        )
    for one in skipped:
        response.skipped.add(uid=one.uid, summary=one.summary, reason=one.reason)
    return response
