"""Previews in protobuf."""

from collections.abc import Collection, Sequence
from datetime import datetime, timedelta
from uuid import UUID

from google.protobuf.internal.containers import RepeatedCompositeFieldContainer

from chassis import validation, wire
from chassis.errors import Problems
from services.roster.convert.shifts import SOURCES
from services.roster.domain.coverage import Segment
from services.roster.domain.fairness import Load
from services.roster.domain.interval import Interval
from services.roster.domain.preview import Change, Preview
from services.roster.domain.shift import Source
from tocsin.roster.v1 import preview_pb2, schedule_pb2
from tocsin.roster.v1 import schedule_service_pb2 as service_pb2

PREVIEW, LONGEST_PREVIEW = timedelta(days=14), timedelta(days=2 * 366)
HOUR = timedelta(hours=1)


def window(
    request: service_pb2.PreviewScheduleRequest | service_pb2.PreviewScheduleChangeRequest,
    now: datetime,
    problems: Problems,
) -> Interval:
    """The window of a preview: 14 days from now unless the request says otherwise; notes what is wrong with it."""
    start = wire.instant(request, "start") or now
    end = wire.instant(request, "end") or start + PREVIEW
    validation.interval(problems, start, end, names=("start", "end"), most=LONGEST_PREVIEW)
    return Interval(start, end)


def to_wire(preview: Preview) -> service_pb2.PreviewScheduleResponse:
    """A preview as its message."""
    message = service_pb2.PreviewScheduleResponse()
    _fill(message, preview)
    return message


def compared_to_wire(
    preview: Preview, changes: Sequence[Change], unsaved: Collection[UUID]
) -> service_pb2.PreviewScheduleChangeResponse:
    """A preview of a proposal and what it changes as their message; what is `unsaved` has no id."""
    message = service_pb2.PreviewScheduleChangeResponse()
    _fill(message, preview, unsaved)
    for change in changes:
        message.changes.add(
            starts_at=wire.timestamp(change.starts_at),
            ends_at=wire.timestamp(change.ends_at),
            before=change.before,
            after=change.after,
        )
    return message


def _fill(
    message: service_pb2.PreviewScheduleResponse | service_pb2.PreviewScheduleChangeResponse,
    preview: Preview,
    unsaved: Collection[UUID] = (),
) -> None:
    _fill_segments(message.segments, preview.segments, unsaved)
    for gap in preview.gaps:
        message.gaps.add(starts_at=wire.timestamp(gap.starts_at), ends_at=wire.timestamp(gap.ends_at))
    for overlap in preview.overlaps:
        message.overlaps.add(
            starts_at=wire.timestamp(overlap.starts_at),
            ends_at=wire.timestamp(overlap.ends_at),
            responder_ids=overlap.responder_ids,
        )
    message.fairness.extend(map(_load, preview.loads))


def _fill_segments(
    segments: RepeatedCompositeFieldContainer[schedule_pb2.Segment],
    found: Sequence[Segment],
    unsaved: Collection[UUID],
) -> None:
    """A year has a thousand: times are set in place, in half of the time that copying them takes."""
    times = {at: int(at.timestamp()) for segment in found for at in (segment.starts_at, segment.ends_at)}
    for responder_id, starts_at, ends_at, source, layer, origin, on_leave in found:
        made = segments.add(responder_id=responder_id, source=SOURCES[source], layer=layer)
        made.starts_at.seconds, made.ends_at.seconds = times[starts_at], times[ends_at]
        if starts_at.microsecond or ends_at.microsecond:
            made.starts_at.nanos, made.ends_at.nanos = (
                starts_at.microsecond * 1000,
                ends_at.microsecond * 1000,
            )
        if on_leave:
            made.on_leave = True
        if origin is not None and origin not in unsaved:
            if source is Source.OVERRIDE:
                made.override_id = str(origin)
            else:
                made.shift_id = str(origin)


def _load(load: Load) -> preview_pb2.Fairness:
    return preview_pb2.Fairness(
        responder_id=load.responder_id,
        hours=load.total / HOUR,
        night_hours=load.nights / HOUR,
        weekend_hours=load.weekends / HOUR,
    )
