"""Tokens of an issuer: who they are and what they may, keys that rotate, an issuer that is away, and forgeries."""

import time
from collections.abc import AsyncIterator
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from pydantic import ValidationError

from chassis.auth import mint
from chassis.errors import Unauthenticated, Unavailable
from identity import oidc
from identity.config import IdentitySettings
from identity.gate import Gate
from identity.keys import Keys
from tests.service.identity.issuer import AUDIENCE, OidcIssuer, issuing
from tests.service.identity.world import KEY, Installation


class NoKeys:
    """Nobody has an API key."""

    keys: Keys = {}

    async def news(self, patience: float) -> None:
        """There is none."""

    def use(self, api_key_id: str) -> None:
        """Never."""


@pytest.fixture
async def issuer() -> AsyncIterator[OidcIssuer]:
    async with issuing() as made:
        yield made


def gate_for(issuer: OidcIssuer, **told: Any) -> Gate:
    """A gate that believes the issuer."""
    config = IdentitySettings(token_key=KEY, oidc_issuer=issuer.url, oidc_audience=AUDIENCE, **told)
    return Gate(config, keys=NoKeys())


async def whose(gate: Gate, token: str) -> tuple[str, set[str]]:
    """Subject and scopes of a token, as a call would find them."""
    header = f"Bearer {token}"
    principal = gate.known(header) or await gate.check(header)
    return principal.subject, set(principal.scopes)


async def test_claims_become_a_subject_and_scopes(issuer: OidcIssuer) -> None:
    issuer.add("two", "ES256")
    gate = gate_for(issuer)
    token = issuer.token("one", scope="alerts:read openid service")
    assert await whose(gate, token) == ("ada", {"alerts:read"})
    assert await whose(gate, issuer.token("two", scope=["alerts:write"])) == ("ada", {"alerts:write"})
    assert await whose(gate, mint(KEY, subject="bob", scopes=["admin"])) == ("bob", {"admin"})
    assert issuer.asked == 1
    issuer.away = True
    assert gate.known(f"Bearer {token}") is not None  # without a question, without waiting
    mapped = gate_for(
        issuer,
        oidc_subject_claim="email",
        oidc_scopes_claim="nothing",
        oidc_groups_claim="realm_access.roles",
        oidc_groups={"sre": ["alerts:write", "roster:write"], "boss": ["admin"]},
    )
    issuer.away = False
    told: dict[str, Any] = {
        "email": "ada@example.com",
        "realm_access": {"roles": ["sre", "golf"]},
        "scope": "admin",
    }
    assert await whose(mapped, issuer.token("one", **told)) == (
        "ada@example.com",
        {"alerts:write", "roster:write"},
    )


async def test_keys_rotate(issuer: OidcIssuer, monkeypatch: pytest.MonkeyPatch) -> None:
    gate = gate_for(issuer)
    old = issuer.token("one")
    await whose(gate, old)
    issuer.add("two")
    with pytest.raises(Unauthenticated):  # asked a moment ago: not for every forged key id
        await whose(gate, issuer.token("two"))
    assert issuer.asked == 1
    monkeypatch.setattr(oidc, "BETWEEN", 0.0)
    await whose(gate, issuer.token("two"))
    assert issuer.asked == 2
    issuer.retire("one")
    issuer.add("three")
    await whose(gate, issuer.token("three"))
    with pytest.raises(Unauthenticated):  # also when it was seen before
        await whose(gate, old)


async def test_while_the_issuer_is_away_known_keys_go_on(
    issuer: OidcIssuer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(oidc, "BETWEEN", 0.0)
    issuer.away = True
    gate = gate_for(issuer)
    with pytest.raises(Unavailable) as away:
        await whose(gate, issuer.token("one"))
    assert away.value.reason == "ISSUER_AWAY"
    issuer.away = False
    await whose(gate, issuer.token("one"))
    issuer.away = True
    assert await whose(gate, issuer.token("one", sub="bob")) == ("bob", set())
    issuer.add("two")
    with pytest.raises(Unavailable):  # it may be good: nobody can say
        await whose(gate, issuer.token("two"))


async def test_what_is_not_the_issuers_or_not_for_us_is_refused(issuer: OidcIssuer) -> None:
    issuer.add("sealed", use="enc")
    gate = gate_for(issuer)
    await whose(gate, issuer.token("one"))
    stranger = OidcIssuer(url=issuer.url)
    stranger.add("one")
    now = int(time.time())
    public = issuer.private["one"][1].public_key()
    pem = public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    by_public_key = jwt.api_jws.PyJWS().encode(b"{}", b"x" * 32, algorithm="HS256")
    forged = {
        "another's signature": stranger.token("one"),
        "expired": issuer.token("one", exp=now - 60),
        "not yet": issuer.token("one", nbf=now + 60),
        "no end": issuer.token("one", exp=None),
        "another audience": issuer.token("one", aud="elsewhere"),
        "no audience": issuer.token("one", aud=None),
        "another issuer": issuer.token("one", iss="https://elsewhere.example"),
        "no issuer": issuer.token("one", iss=None),
        "nobody": issuer.token("one", sub=None),
        "a subject that is too long": issuer.token("one", sub="x" * 129),
        "a key for encryption": issuer.token("sealed"),
        "another algorithm than the key's": issuer.token("one", alg="RS512"),
        "no signature": jwt.encode({"sub": "ada"}, None, algorithm="none", headers={"kid": "one"}),  # type: ignore[arg-type]
        "the shared key's algorithm": by_public_key,
        "our public key as a secret": _hmac(pem, issuer.url),
        "nonsense": "a.b.c",
    }
    for what, token in forged.items():
        with pytest.raises(Unauthenticated):
            pytest.fail(f"{what} was admitted: {await whose(gate, token)}")
    assert await whose(gate, issuer.token("one", exp=now - 10)) == ("ada", set())  # clocks differ by a little


def _hmac(key: bytes, url: str) -> str:
    """A token signed by HMAC with a public key, as an attacker can."""
    import base64
    import hmac
    import json

    def part(value: bytes) -> bytes:
        return base64.urlsafe_b64encode(value).rstrip(b"=")

    claims = {"iss": url, "aud": "tocsin", "sub": "ada", "scopes": ["admin"], "exp": time.time() + 60}
    signed = part(b'{"alg":"HS256","kid":"one"}') + b"." + part(json.dumps(claims).encode())
    return (signed + b"." + part(hmac.digest(key, signed, "sha256"))).decode()


async def test_an_issuer_that_answers_something_else_is_away(issuer: OidcIssuer) -> None:
    for about in (
        {"issuer": "https://elsewhere.example"},
        {"jwks_uri": "http://keys.example/"},
        {"jwks_uri": None},
    ):
        issuer.about = about
        with pytest.raises(Unavailable):
            await whose(gate_for(issuer), issuer.token("one"))
    issuer.about, issuer.published = {}, [{"kty": "oct", "k": "c2VjcmV0", "kid": "one"}, {"kty": "RSA"}, 5]  # type: ignore[list-item]
    with pytest.raises(Unavailable):
        await whose(gate_for(issuer), issuer.token("one"))


@pytest.mark.parametrize(
    "told",
    [
        {"oidc_issuer": "http://issuer.example", "oidc_audience": "x"},
        {"oidc_issuer": "https://issuer.example"},
        {"oidc_groups": {"sre": ["alerts:wirte"]}},
        {"oidc_groups": {"sre": ["service"]}},
    ],
)
def test_what_cannot_be_safe_is_refused_at_the_start(told: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        IdentitySettings(token_key=KEY, **told)


async def test_a_person_comes_in_by_both_doors(installation: Installation, issuer: OidcIssuer) -> None:
    installation.told = {"oidc_issuer": issuer.url, "oidc_audience": AUDIENCE}
    await installation.start("roster", "gateway")
    token = issuer.token("one", scope="roster:read")
    assert (await installation.call("GET", "/oncall/teams", token=token)).status == 200
    refused = await installation.call("GET", "/oncall/teams", token=issuer.token("one"))
    assert (refused.status, refused.reason) == (403, "SCOPE_REQUIRED")
