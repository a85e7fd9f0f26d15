"""The gate of a service: tokens of the shared key and API keys, checked without asking anybody."""

from chassis.auth import ANONYMOUS, Principal, Verifier, bearer
from chassis.errors import Unauthenticated
from identity.keys import PREFIX, KeySource, find

SCHEME = "bearer "
LOOKED_FOR = 0.3
"""Seconds for which a key that nobody has told of yet is waited for: it may have been made just now."""


class Gate(Verifier):
    """Knows callers by token or API key; a key costs a hash and a look-up, a known token a look-up."""

    def __init__(self, key: str, *, keys: KeySource) -> None:
        super().__init__(key)
        self._keys = keys

    def known(self, authorization: str | None) -> Principal | None:
        """The principal of a header, unless `check` must look at it. Raises Unauthenticated for an expired key,
        Unavailable while API keys are not known.
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
        """The principal of a header that is not known yet; raises Unauthenticated."""
        if not _secret(authorization):
            return await super().check(authorization)
        await self._keys.news(LOOKED_FOR)
        principal = self.known(authorization)
        if principal is None:
            raise Unauthenticated("the API key does not exist or is revoked", reason="KEY_UNKNOWN")
        return principal


def _secret(authorization: str) -> str:
    """The API key of a header; empty when it is something else."""
    start = len(SCHEME)
    if authorization.startswith(PREFIX, start) and authorization[:start].lower() == SCHEME:
        return bearer(authorization)
    return ""
