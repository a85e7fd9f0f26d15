"""Who calls: bearer tokens (JWT, HS256) with scopes, checked once per call and remembered for the call."""

import time
from collections.abc import Iterable, Mapping
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import jwt
from google.protobuf.descriptor import ServiceDescriptor

from chassis.errors import Denied, Unauthenticated

ADMIN, ACT_AS = "admin", "act-as"
AUDIENCE = "tocsin"
REMEMBERED = 10_000


@dataclass(frozen=True, slots=True)
class Principal:
    """The subject of a token and its scopes; no subject means that no token came.

    `credential` is the id of the API key that came instead of a token, `rate` the calls a second that it may make; 0
    means no limit of its own.
    """

    subject: str = ""
    scopes: frozenset[str] = frozenset()
    credential: str = ""
    rate: int = 0

    def has(self, scope: str) -> bool:
        """Whether the scope is granted; `admin` grants all."""
        return scope in self.scopes or ADMIN in self.scopes


ANONYMOUS = Principal()
_current: ContextVar[Principal] = ContextVar("principal", default=ANONYMOUS)
_method: ContextVar[str] = ContextVar("method", default="")


def caller() -> Principal:
    """The principal of the call under way."""
    return _current.get()


def method() -> str:
    """The full path of the method under way; empty outside calls."""
    return _method.get()


def enter(principal: Principal, method: str = "") -> None:
    """Makes the principal the caller, of a method, for the rest of this task."""
    _current.set(principal)
    _method.set(method)


def actor(named: str) -> str:
    """In whose name the caller acts: the token's subject, or the one named with the scope `act-as`.

    Raises Denied when another is named without that scope.
    """
    principal = caller()
    if not named or named == principal.subject:
        return principal.subject
    if principal.has(ACT_AS):
        return named
    raise Denied(f"actor: to act as {named!r} the token needs the scope {ACT_AS!r}", reason="ACT_AS_REQUIRED")


def mint(key: str, *, subject: str, scopes: Iterable[str], ttl: timedelta | None = None) -> str:
    """Makes a token; without `ttl` it does not expire."""
    claims: dict[str, object] = {"sub": subject, "scopes": sorted(scopes), "aud": AUDIENCE}
    if ttl is not None:
        claims["exp"] = datetime.now(UTC) + ttl
    return jwt.encode(claims, key, algorithm="HS256")


class Verifier:
    """Checks tokens against the key; a token seen before costs a look-up until it expires."""

    def __init__(self, key: str) -> None:
        self._key = key
        self._seen: dict[str, tuple[Principal, float]] = {}

    def known(self, authorization: str | None) -> Principal | None:
        """The principal of a header that was seen before, or of none; None when `check` must look at it."""
        if authorization is None:
            return ANONYMOUS
        known = self._seen.get(authorization)
        return known[0] if known is not None and known[1] > time.time() else None

    async def check(self, authorization: str) -> Principal:
        """The principal of an `authorization` header that is not known yet; remembered from now on.

        Raises Unauthenticated when it is no bearer token, forged or expired.
        """
        return self.principal(authorization)

    def count(self, principal: Principal) -> None:
        """Counts a call of a caller's; a verifier with limits raises Exhausted for one that is over its own."""

    async def admit(self, authorization: str | None, scope: str) -> Principal:
        """The caller, when it may call a method that asks for `scope`; raises what `check`, `count` and `permit` do."""
        principal = self.known(authorization) or await self.check(authorization or "")
        self.count(principal)
        return permit(principal, scope)

    def principal(self, authorization: str) -> Principal:
        """The principal of an `authorization` header with a token of the shared key; raises Unauthenticated."""
        try:
            claims = jwt.decode(
                bearer(authorization),
                self._key,
                algorithms=["HS256"],
                audience=AUDIENCE,
                options={"require": ["sub"]},
            )
        except jwt.ExpiredSignatureError:
            raise Unauthenticated("the token has expired", reason="TOKEN_EXPIRED") from None
        except jwt.InvalidTokenError:
            raise Unauthenticated("the token is not valid") from None
        scopes = claims.get("scopes", [])
        if not isinstance(scopes, list) or not all(isinstance(scope, str) for scope in scopes):
            raise Unauthenticated("the token's scopes are not a list of names")
        principal = Principal(claims["sub"], frozenset(scopes))
        self.remember(authorization, principal, claims.get("exp", float("inf")))
        return principal

    def forget(self) -> None:
        """Makes no header known any more: each is checked again."""
        self._seen.clear()

    def remember(self, authorization: str, principal: Principal, until: float) -> None:
        """Makes a header known until an instant, in Unix seconds."""
        if len(self._seen) >= REMEMBERED:
            self._seen.clear()
        self._seen[authorization] = (principal, until)


def bearer(authorization: str) -> str:
    """The token of an `authorization` header; raises Unauthenticated when it has none."""
    scheme, _, token = authorization.partition(" ")
    if scheme.lower() != "bearer" or not token:
        raise Unauthenticated("authorization: want 'Bearer <token>'")
    return token


def permit(principal: Principal, scope: str) -> Principal:
    """The principal, when it may call a method that asks for `scope` (empty: open to all).

    Raises Unauthenticated when no token came, Denied when the scope is lacking.
    """
    if scope and principal is ANONYMOUS:
        raise Unauthenticated("authorization: a bearer token is required")
    if scope and not principal.has(scope):
        raise Denied(f"the token lacks the scope {scope!r}", reason="SCOPE_REQUIRED")
    return principal


def scopes_of(services: Iterable[ServiceDescriptor], option: object) -> Mapping[str, str]:
    """The scope that each method asks for, by its full path, read from the protos' method option."""
    return {
        f"/{service.full_name}/{method.name}": method.GetOptions().Extensions[option]  # type: ignore[index]
        for service in services
        for method in service.methods
    }
