"""The errors that cross service borders: five kinds, each with a stable reason and the fields at fault."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import ClassVar, Self

import grpc
from google.protobuf.message import Message
from google.rpc import error_details_pb2, status_pb2
from grpc_status import rpc_status

DOMAIN = "tocsin"
ROOM, LONGEST = 4_000, 1_000
"""Bytes of named fields and characters of a message that an error carries: clients take 8 KiB of metadata."""


@dataclass(frozen=True, slots=True)
class Field:
    """One wrong field of a request: its path, what is wrong and what would be right."""

    path: str
    description: str


class DomainError(Exception):
    """An answer that is an error: `reason` is UPPER_SNAKE and stable, `message` is for people, `facts` for programs.

    `retry_after` says when the same call may succeed.
    """

    code: ClassVar[grpc.StatusCode] = grpc.StatusCode.INTERNAL
    default_reason: ClassVar[str] = "INTERNAL"

    def __init__(
        self,
        message: str,
        *,
        reason: str = "",
        fields: Sequence[Field] = (),
        retry_after: timedelta | None = None,
        facts: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message if len(message) <= LONGEST else message[: LONGEST - 1] + "…"
        self.reason = reason or self.default_reason
        self.fields = tuple(fields)
        self.retry_after = retry_after
        self.facts = dict(facts or {})

    @classmethod
    def field(cls, path: str, description: str, *, reason: str = "") -> Self:
        """The error for one wrong field."""
        return cls(f"{path}: {description}", reason=reason, fields=[Field(path, description)])


class Invalid(DomainError):
    """The request is wrong in itself (400)."""

    code = grpc.StatusCode.INVALID_ARGUMENT
    default_reason = "INVALID_ARGUMENT"


class NotFound(DomainError):
    """What the request names does not exist (404)."""

    code = grpc.StatusCode.NOT_FOUND
    default_reason = "NOT_FOUND"


class AlreadyExists(DomainError):
    """The id or the interval is taken (409)."""

    code = grpc.StatusCode.ALREADY_EXISTS
    default_reason = "ALREADY_EXISTS"


class Conflict(DomainError):
    """Somebody else changed or uses it (409)."""

    code = grpc.StatusCode.ABORTED
    default_reason = "CONFLICT"


class Refused(DomainError):
    """The state does not allow it now (400, FAILED_PRECONDITION)."""

    code = grpc.StatusCode.FAILED_PRECONDITION
    default_reason = "FAILED_PRECONDITION"


class Unauthenticated(DomainError):
    """No valid token (401)."""

    code = grpc.StatusCode.UNAUTHENTICATED
    default_reason = "UNAUTHENTICATED"


class Denied(DomainError):
    """The token lacks the scope (403)."""

    code = grpc.StatusCode.PERMISSION_DENIED
    default_reason = "PERMISSION_DENIED"


class Exhausted(DomainError):
    """Over a rate or size limit (429)."""

    code = grpc.StatusCode.RESOURCE_EXHAUSTED
    default_reason = "RESOURCE_EXHAUSTED"


class Unavailable(DomainError):
    """A part is away; the same call may succeed later (503)."""

    code = grpc.StatusCode.UNAVAILABLE
    default_reason = "UNAVAILABLE"


class TimedOut(DomainError):
    """The caller's deadline passed first (504)."""

    code = grpc.StatusCode.DEADLINE_EXCEEDED
    default_reason = "DEADLINE_EXCEEDED"


class Unimplemented(DomainError):
    """This installation is not set up for it (501)."""

    code = grpc.StatusCode.UNIMPLEMENTED
    default_reason = "UNIMPLEMENTED"


KINDS: dict[grpc.StatusCode, type[DomainError]] = {
    kind.code: kind
    for kind in (
        Invalid, NotFound, AlreadyExists, Conflict, Refused, Unauthenticated, Denied, Exhausted, Unavailable,
        TimedOut, Unimplemented, DomainError,
    )
}  # fmt: skip


class Problems:
    """Collects every wrong field of a request, so that the caller hears of all at once."""

    def __init__(self) -> None:
        self.found: list[Field] = []

    def add(self, path: str, description: str) -> None:
        """Notes one wrong field."""
        self.found.append(Field(path, description))

    def check(self) -> None:
        """Raises Invalid naming every field noted so far; does nothing when there are none."""
        if self.found:
            message = "; ".join(f"{f.path}: {f.description}" for f in self.found[:10])
            raise Invalid(message, fields=self.found)


def _fitting(fields: Sequence[Field]) -> Iterator[Field]:
    """As many as a call's metadata holds, and how many more there are."""
    room = ROOM
    for place, field in enumerate(fields):
        room -= len(f"{field.path}{field.description}".encode())
        if room < 0:
            yield Field("", f"{len(fields) - place} more fields are wrong")
            return
        yield field


def to_status(error: DomainError) -> status_pb2.Status:
    """The google.rpc.Status of an error: ErrorInfo always, BadRequest when fields are named, RetryInfo when known."""
    info = error_details_pb2.ErrorInfo(reason=error.reason, domain=DOMAIN, metadata=error.facts)
    details: list[Message] = [info]
    if error.fields:
        violations = [
            error_details_pb2.BadRequest.FieldViolation(field=f.path, description=f.description)
            for f in _fitting(error.fields)
        ]
        details.append(error_details_pb2.BadRequest(field_violations=violations))
    if error.retry_after is not None:
        details.append(error_details_pb2.RetryInfo(retry_delay=error.retry_after))
    status = status_pb2.Status(code=error.code.value[0], message=error.message)
    for detail in details:
        status.details.add().Pack(detail)
    return status


def from_status(status: status_pb2.Status) -> DomainError:
    """The error that `to_status` packed."""
    code = next((c for c in grpc.StatusCode if c.value[0] == status.code), grpc.StatusCode.INTERNAL)
    info, bad, retry = (
        error_details_pb2.ErrorInfo(),
        error_details_pb2.BadRequest(),
        error_details_pb2.RetryInfo(),
    )
    found = [kind for kind in (info, bad, retry) for detail in status.details if detail.Unpack(kind)]
    return KINDS.get(code, DomainError)(
        status.message,
        reason=info.reason,
        fields=[Field(v.field, v.description) for v in bad.field_violations],
        retry_after=retry.retry_delay.ToTimedelta() if retry in found else None,
        facts=info.metadata,
    )


def from_rpc(error: grpc.aio.AioRpcError) -> DomainError:
    """The typed error of a failed call; statuses without details keep their code and message."""
    status = rpc_status.from_call(error)  # type: ignore[arg-type]  # AioRpcError has what it reads
    if status is not None:
        return from_status(status)
    return KINDS.get(error.code(), DomainError)(error.details() or error.code().name)
