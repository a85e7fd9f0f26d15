"""Tokens of an OIDC issuer: its keys are fetched, kept and rotated, its claims become subjects and scopes."""

import asyncio
import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import jwt
import structlog

from chassis.auth import Principal
from chassis.boot import needed
from chassis.errors import Unauthenticated, Unavailable
from chassis.loop import DueLoop
from identity.config import IdentitySettings
from identity.issuers import safe
from identity.scopes import GRANTABLE

TYPES: Mapping[str, str] = {
    **dict.fromkeys(("RS256", "RS384", "RS512", "PS256", "PS384", "PS512"), "RSA"),
    **dict.fromkeys(("ES256", "ES384", "ES512"), "EC"),
    "EdDSA": "OKP",
}
"""The algorithms that are allowed and the type of their keys: never `none`, never HMAC with a key that is public."""
LEEWAY = timedelta(seconds=30)
"""How far the issuer's clock and ours may be apart."""
REFRESH = timedelta(minutes=10)
BETWEEN = 10.0
"""Seconds between two fetches that tokens with unknown keys cause."""
PATIENCE = 5.0
MOST = 1 << 20
MOST_KEYS = 100
SUBJECT_LENGTH = 128

_log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class SigningKey:
    """A public key of the issuer's, and what it may verify; no algorithm: all of its type."""

    kid: str
    type: str
    algorithm: str
    key: Any

    def verifies(self, algorithm: str, kid: str | None) -> bool:
        """Whether a token that names these may be signed by it; a token without a key id may be by any."""
        return (
            self.type == TYPES.get(algorithm)
            and self.algorithm in ("", algorithm)
            and (kid is None or kid == self.kid)
        )


class Issuer:
    """Verifies the tokens of one issuer; while it is away the keys that are known go on."""

    def __init__(self, config: IdentitySettings, *, changed: Callable[[], None]) -> None:
        """`changed` is called when the issuer has other keys than before."""
        self._config = config
        self._url = config.oidc_issuer
        self._changed = changed
        self._keys: tuple[SigningKey, ...] | None = None
        self._published: object = None
        self._fetched = float("-inf")
        self._fetching = asyncio.Lock()
        self._loop = DueLoop("oidc-keys", self._refresh, poll=REFRESH)

    async def run(self) -> None:
        """Keeps the keys fresh for ever; only cancellation ends it."""
        await self._loop.run()

    async def principal(self, token: str) -> tuple[Principal, float]:
        """Whose token it is, and until when in Unix seconds.

        Raises Unauthenticated when it is not the issuer's, not for us, not yet or no longer valid; Unavailable when
        the issuer's keys are not known.
        """
        claims = await self._claims(token)
        subject = _claim(claims, self._config.oidc_subject_claim)
        if not isinstance(subject, str) or not 0 < len(subject) <= SUBJECT_LENGTH:
            raise Unauthenticated(
                f"the token's claim {self._config.oidc_subject_claim!r} names nobody", reason="TOKEN_SUBJECT"
            )
        return Principal(subject, granted(claims, self._config)), float(claims["exp"])

    async def _claims(self, token: str) -> Mapping[str, Any]:
        try:
            header = jwt.get_unverified_header(token)
            algorithm, kid = str(header.get("alg")), header.get("kid")
            if algorithm not in TYPES:
                raise Unauthenticated(
                    f"the token's algorithm {algorithm[:16]!r} is not accepted", reason="TOKEN_ALGORITHM"
                )
            for key in await self._candidates(algorithm, kid):
                try:
                    return self._decoded(token, key, algorithm)
                except jwt.InvalidSignatureError:
                    continue
        except jwt.ExpiredSignatureError:
            raise Unauthenticated("the token has expired", reason="TOKEN_EXPIRED") from None
        except jwt.PyJWTError as error:
            raise Unauthenticated(f"the token is not valid: {error}") from None
        raise Unauthenticated("the token is not valid: its signature is not the issuer's")

    def _decoded(self, token: str, key: SigningKey, algorithm: str) -> Mapping[str, Any]:
        claims: Mapping[str, Any] = jwt.decode(
            token,
            key.key,
            algorithms=[algorithm],
            audience=self._config.oidc_audience,
            issuer=self._url,
            leeway=LEEWAY,
            options={"require": ["exp", "iss", "aud"]},
        )
        return claims

    async def _candidates(self, algorithm: str, kid: str | None) -> list[SigningKey]:
        """The keys that may have signed a token; fetched anew when none of the known ones may."""
        if not (found := self._known(algorithm, kid)):
            await self._look_again(algorithm, kid)
            found = self._known(algorithm, kid)
        if not found:
            raise Unauthenticated("the token is signed with a key that the issuer does not publish")
        return found

    def _known(self, algorithm: str, kid: str | None) -> list[SigningKey]:
        return [key for key in self._keys or () if key.verifies(algorithm, kid)]

    async def _look_again(self, algorithm: str, kid: str | None) -> None:
        """Fetches once for all who wait, and not within ten seconds of the fetch before."""
        async with self._fetching:
            if self._known(algorithm, kid):
                return
            if time.monotonic() - self._fetched >= BETWEEN:
                await self._fetch()
        if self._keys is None:
            raise Unavailable("the issuer of the token has not answered yet", reason="ISSUER_AWAY")

    async def _refresh(self) -> None:
        async with self._fetching:
            await self._fetch()

    async def _fetch(self) -> None:
        """Discovery, then the keys; raises Unavailable when the issuer does not answer with them."""
        self._fetched = time.monotonic()
        aiohttp = needed("aiohttp")
        timeout = aiohttp.ClientTimeout(total=PATIENCE)
        try:
            async with aiohttp.ClientSession(timeout=timeout, trust_env=True) as session:
                about = await _get(session, f"{self._url.rstrip('/')}/.well-known/openid-configuration")
                if about.get("issuer") != self._url:
                    raise ValueError(f"it calls itself {str(about.get('issuer'))[:200]!r}")
                uri = about.get("jwks_uri")
                if not isinstance(uri, str) or not safe(uri):
                    raise ValueError("its keys are not at an https address")
                published = (await _get(session, uri)).get("keys")
            keys = signing_keys(published)
        except (aiohttp.ClientError, TimeoutError, ValueError) as error:
            raise Unavailable(
                f"the issuer {self._url} does not answer with its keys: {error or 'timeout'}",
                reason="ISSUER_AWAY",
            ) from None
        if published != self._published:
            _log.info("oidc_keys", issuer=self._url, keys=[key.kid for key in keys])
            self._keys, self._published = keys, published
            self._changed()


def signing_keys(published: object) -> tuple[SigningKey, ...]:
    """The keys of a JWK set that may verify; raises ValueError when there is none."""
    found = []
    for one in published[:MOST_KEYS] if isinstance(published, list) else ():
        if not isinstance(one, dict) or one.get("use", "sig") != "sig":
            continue
        if one.get("kty") not in TYPES.values() or one.get("alg", "RS256") not in TYPES:
            continue
        try:
            key = jwt.PyJWK(one).key
        except jwt.PyJWTError:
            continue
        found.append(SigningKey(str(one.get("kid", "")), one["kty"], one.get("alg", ""), key))
    if not found:
        raise ValueError("its key set has no key that can verify")
    return tuple(found)


def granted(claims: Mapping[str, Any], config: IdentitySettings) -> frozenset[str]:
    """The scopes that a token's claims give: those that it names, and those of its groups. Unknown ones give nothing."""
    named = {*_names(_claim(claims, config.oidc_scopes_claim))}
    for group in _names(_claim(claims, config.oidc_groups_claim)):
        named.update(config.oidc_groups.get(group, ()))
    return GRANTABLE & named


def _claim(claims: Mapping[str, Any], name: str) -> object:
    """A claim by its name, or by the path to it: `realm_access.roles`."""
    if name in claims:
        return claims[name]
    found: object = claims
    for part in name.split("."):
        found = found.get(part) if isinstance(found, Mapping) else None
    return found


def _names(value: object) -> list[str]:
    """A claim's names: separated by spaces, or a list."""
    if isinstance(value, str):
        return value.split()
    return [one for one in value if isinstance(one, str)] if isinstance(value, list) else []


async def _get(session: Any, url: str) -> Mapping[str, Any]:
    """A JSON object; raises ValueError for anything else, or more than a megabyte."""
    body = b""
    async with session.get(url, allow_redirects=False) as response:
        if response.status != 200:
            raise ValueError(f"{url} answers {response.status}")
        async for chunk in response.content.iter_chunked(64 * 1024):
            body += chunk
            if len(body) > MOST:
                raise ValueError(f"{url} answers more than {MOST} bytes")
    found = json.loads(body)
    if not isinstance(found, dict):
        raise ValueError(f"{url} answers no JSON object")
    return found
