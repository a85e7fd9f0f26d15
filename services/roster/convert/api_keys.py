"""API keys in protobuf, and as the gates of the services know them."""

from collections.abc import Iterable
from datetime import datetime

from chassis import validation, wire
from chassis.auth import Principal
from chassis.errors import Problems
from chassis.ids import generated_name
from identity.follower import held
from identity.keys import Keys
from identity.scopes import GRANTABLE
from services.roster.convert.responders import NAME_LENGTH, REQUEST_ID_LENGTH
from services.roster.domain.api_key import ApiKey, own_subject
from tocsin.roster.v1 import api_key_pb2, api_key_service_pb2

Answer = api_key_service_pb2.WatchApiKeysResponse
SUBJECT_LENGTH = 128
MOST_SCOPES = 50
FASTEST = 100_000


def new(
    request: api_key_service_pb2.CreateApiKeyRequest,
    *,
    secret_sha256: bytes,
    creator: Principal,
    now: datetime,
    problems: Problems,
) -> ApiKey:
    """The key that a request asks for, with defaults; notes what is wrong with it."""
    validation.text(problems, "request_id", request.request_id, most=REQUEST_ID_LENGTH)
    draft = request.api_key
    if draft.api_key_id:
        validation.name(problems, "api_key_id", draft.api_key_id)
    validation.text(problems, "display_name", draft.display_name, most=NAME_LENGTH)
    validation.text(problems, "subject", draft.subject, most=SUBJECT_LENGTH)
    validation.number(problems, "rate_limit", draft.rate_limit, least=0, most=FASTEST)
    _check_scopes(draft.scopes, problems)
    expires_at = wire.instant(draft, "expires_at")
    if expires_at is not None and expires_at <= now:
        problems.add("expires_at", "is not in the future")
    api_key_id = draft.api_key_id or generated_name("key")
    return ApiKey(
        api_key_id=api_key_id,
        display_name=draft.display_name or api_key_id,
        subject=draft.subject or own_subject(api_key_id),
        scopes=tuple(sorted({*draft.scopes})),
        rate_limit=draft.rate_limit,
        secret_sha256=secret_sha256,
        expires_at=expires_at,
        created_at=now,
        created_by=creator.subject,
    )


def to_wire(key: ApiKey, *, secret: str = "") -> api_key_pb2.ApiKey:
    """A key as its message."""
    return api_key_pb2.ApiKey(
        api_key_id=key.api_key_id,
        display_name=key.display_name,
        subject=key.subject,
        scopes=key.scopes,
        rate_limit=key.rate_limit,
        expires_at=wire.timestamp(key.expires_at),
        created_at=wire.timestamp(key.created_at),
        created_by=key.created_by,
        last_used_at=wire.timestamp(key.last_used_at),
        secret=secret,
    )


def watched(keys: Iterable[ApiKey]) -> Answer:
    """All keys as the other services are told of them."""
    return Answer(keys=map(_accepted, keys))


def accepted(keys: Iterable[ApiKey]) -> Keys:
    """All keys as a gate looks them up."""
    return {key.secret_sha256: held(_accepted(key)) for key in keys}


def _accepted(key: ApiKey) -> Answer.AcceptedKey:
    return Answer.AcceptedKey(
        secret_sha256=key.secret_sha256,
        api_key_id=key.api_key_id,
        subject=key.subject,
        scopes=key.scopes,
        rate_limit=key.rate_limit,
        expires_at=wire.timestamp(key.expires_at),
    )


def _check_scopes(scopes: Iterable[str], problems: Problems) -> None:
    named = [*scopes]
    validation.count(problems, "scopes", named, least=1, most=MOST_SCOPES)
    for place, scope in enumerate(named[:MOST_SCOPES]):
        if scope not in GRANTABLE:
            problems.add(
                f"scopes[{place}]",
                f"{scope[:64]!r} is not a scope; want some of {', '.join(sorted(GRANTABLE))}",
            )
