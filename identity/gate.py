"""The gate of a service: tokens of the shared key, API keys and an issuer's tokens, checked without asking anybody."""

import asyncio

import jwt

from chassis.auth import ANONYMOUS, Principal, Verifier, bearer
from chassis.errors import DomainError, Unauthenticated
from identity.config import IdentitySettings
from identity.keys import PREFIX, KeySource, find
from identity.limits import Bucket, Limits
from identity.oidc import Issuer

SCHEME = "bearer "
LOOKED_FOR = 0.3
"""Seconds for which a key that nobody has told of yet is waited for: it may have been made just now."""
SHARED = "HS256"


class Gate(Verifier):
    """Knows callers by token or API key and counts their calls; a known token costs two look-ups, a key a hash besides."""

    def __init__(self, config: IdentitySettings, *, keys: KeySource) -> None:
        super().__init__(config.token_key)
        self._keys = keys
        self.limits = Limits(config.rate_limit)
        self._issuer = Issuer(config, changed=self.forget) if config.oidc_issuer else None

    def known(self, authorization: str | None) -> Principal | None:
        """The principal of a header, or of none; None when `check` must look at it.

        Raises Unauthenticated for an expired key, Unavailable while API keys are not known.
        """
        if authorization is None:
            return ANONYMOUS
        if secret := _secret(authorization):
            principal = find(self._keys.keys, secret)
            if principal is not None:
                self._keys.use(principal.credential)
            return principal
        return super().known(authorization)

    async def check(self, authorization: str) -> Principal:
        """The principal of a header that is not known yet.

        Raises Unauthenticated, or Unavailable when it cannot be known whose it is.
        """
        if _secret(authorization):
            await self._keys.news(LOOKED_FOR)
            principal = self.known(authorization)
            if principal is None:
                raise Unauthenticated("the API key does not exist or is revoked", reason="KEY_UNKNOWN")
            return principal
        token = bearer(authorization)
        if self._issuer is None or _algorithm(token) == SHARED:
            return await super().check(authorization)
        principal, until = await self._issuer.principal(token)
        self.remember(authorization, principal, until)
        return principal

    def count(self, principal: Principal) -> None:
        """Counts a call; raises Exhausted when the caller is over its limit."""
        self.limits.take(principal)

    def left(self, authorization: str | None) -> Bucket | None:
        """What a known caller has left; None when it has no limit or is not known."""
        try:
            principal = self.known(authorization)
        except DomainError:  # it has ended since it was let in
            return None
        return None if principal is None else self.limits.of(principal)

    async def run(self) -> None:
        """Keeps the issuer's keys fresh for ever; only cancellation ends it."""
        if self._issuer is not None:
            await self._issuer.run()
        await asyncio.Event().wait()


def _secret(authorization: str) -> str:
    """The API key of a header; empty when it is something else."""
    start = len(SCHEME)
    if authorization.startswith(PREFIX, start) and authorization[:start].lower() == SCHEME:
        return bearer(authorization)
    return ""


def _algorithm(token: str) -> object:
    """What a token says that it is signed with; the shared key's algorithm for what is no token, to be refused by it."""
    try:
        return jwt.get_unverified_header(token).get("alg")
    except jwt.PyJWTError:
        return SHARED
