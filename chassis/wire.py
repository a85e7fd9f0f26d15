"""Protobuf's well-known types to Python's and back, and the fields that a PATCH names."""

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta

from google.protobuf.duration_pb2 import Duration
from google.protobuf.field_mask_pb2 import FieldMask
from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp

from chassis.errors import Invalid, Problems

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MICROSECOND = timedelta(microseconds=1)


def timestamp(at: datetime | None) -> Timestamp | None:
    """The Timestamp of an instant; None stays unset."""
    return None if at is None else stamp(at)


def stamp(at: datetime) -> Timestamp:
    """The Timestamp of an instant."""
    micros = (at - EPOCH) // MICROSECOND
    return Timestamp(seconds=micros // 1_000_000, nanos=micros % 1_000_000 * 1000)


def instant(message: Message, name: str) -> datetime | None:
    """The instant of a Timestamp field in UTC, to the microsecond; None when it is unset.

    Raises Invalid, naming the field, for one that no calendar has.
    """
    if not message.HasField(name):
        return None
    stamp = getattr(message, name)
    try:
        if not 0 <= stamp.nanos < 1_000_000_000:
            raise OverflowError
        return EPOCH + timedelta(seconds=stamp.seconds, microseconds=stamp.nanos // 1000)
    except OverflowError:
        raise Invalid.field(name, "is out of range; want a time between the years 1 and 9999") from None


def duration(length: timedelta | None) -> Duration | None:
    """The Duration of a length; None stays unset."""
    if length is None:
        return None
    micros = length // MICROSECOND
    return Duration(seconds=micros // 1_000_000, nanos=micros % 1_000_000 * 1000)


def length(message: Message, name: str) -> timedelta | None:
    """The length of a Duration field, to the microsecond; None when it is unset.

    Raises Invalid, naming the field, for one beyond what a timedelta holds.
    """
    if not message.HasField(name):
        return None
    value = getattr(message, name)
    try:
        return timedelta(seconds=value.seconds, microseconds=value.nanos // 1000)
    except OverflowError:
        raise Invalid.field(name, "is out of range; want a duration of at most 999,999,999 days") from None


def changed(mask: FieldMask, resource: Message, allowed: Iterable[str], problems: Problems) -> set[str]:
    """The fields that a PATCH changes: those of the mask, all for `*`, or without a mask those that are set (AIP-134).

    Notes a problem for each field that cannot be changed.
    """
    allowed = set(allowed)
    if list(mask.paths) == ["*"]:
        return allowed
    if not mask.paths:
        return {field.name for field, _ in resource.ListFields()} & allowed
    named = {path.split(".")[0] for path in mask.paths}
    for path in sorted(named - allowed):
        problems.add("update_mask", f"{path!r} cannot be changed; want some of {', '.join(sorted(allowed))}")
    return named & allowed
