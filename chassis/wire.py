"""Protobuf's well-known types to Python's and back, and the fields that a PATCH names."""

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta

from google.protobuf.duration_pb2 import Duration
from google.protobuf.field_mask_pb2 import FieldMask
from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp

from chassis.errors import Problems

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MICROSECOND = timedelta(microseconds=1)


def timestamp(at: datetime | None) -> Timestamp | None:
    """The Timestamp of an instant; None stays unset."""
    if at is None:
        return None
    micros = (at - EPOCH) // MICROSECOND
    return Timestamp(seconds=micros // 1_000_000, nanos=micros % 1_000_000 * 1000)


def instant(message: Message, name: str) -> datetime | None:
    """The instant of a Timestamp field in UTC, to the microsecond; None when it is unset."""
    if not message.HasField(name):
        return None
    stamp = getattr(message, name)
    return EPOCH + timedelta(seconds=stamp.seconds, microseconds=stamp.nanos // 1000)


def duration(length: timedelta | None) -> Duration | None:
    """The Duration of a length; None stays unset."""
    if length is None:
        return None
    micros = length // MICROSECOND
    return Duration(seconds=micros // 1_000_000, nanos=micros % 1_000_000 * 1000)


def length(message: Message, name: str) -> timedelta | None:
    """The length of a Duration field, to the microsecond; None when it is unset."""
    if not message.HasField(name):
        return None
    value = getattr(message, name)
    return timedelta(seconds=value.seconds, microseconds=value.nanos // 1000)


def changed(mask: FieldMask, resource: Message, allowed: Iterable[str], problems: Problems) -> set[str]:
    """The fields that a PATCH changes: those of the mask, or without one those that are set.

    Notes a problem for each field that cannot be changed.
    """
    allowed = set(allowed)
    if not mask.paths:
        return {field.name for field, _ in resource.ListFields()} & allowed
    named = {path.split(".")[0] for path in mask.paths}
    for path in sorted(named - allowed):
        problems.add("update_mask", f"{path!r} cannot be changed; want some of {', '.join(sorted(allowed))}")
    return named & allowed
