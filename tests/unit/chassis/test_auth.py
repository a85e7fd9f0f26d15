"""Bearer tokens, scopes, and in whose name a caller acts."""

from datetime import timedelta

import jwt
import pytest

from chassis import auth
from chassis.errors import Denied, Unauthenticated

KEY = "k" * 32
OTHER = "o" * 32


def bearer(**claims: object) -> str:
    """An authorization header of a token minted with KEY."""
    given = {"subject": "ada", "scopes": ["alerts:read"], **claims}
    return "Bearer " + auth.mint(KEY, **given)  # type: ignore[arg-type]


async def test_a_minted_token_is_admitted_with_its_scopes() -> None:
    """Also the second time, when it is remembered."""
    verifier = auth.Verifier(KEY)
    header = bearer()
    for _ in range(2):
        assert (await verifier.admit(header, "alerts:read")).subject == "ada"


async def test_admin_covers_every_scope() -> None:
    """Also act-as."""
    principal = await auth.Verifier(KEY).admit(bearer(scopes=["admin"]), "alerts:write")
    assert principal.has("act-as")


@pytest.mark.parametrize(
    "header",
    [
        "Bearer nonsense",
        "Basic YTpi",
        "",
        "Bearer ",
        "Bearer " + auth.mint(OTHER, subject="ada", scopes=["admin"]),
        bearer(ttl=timedelta(seconds=-1)),
    ],
    ids=[
        "nonsense",
        "another scheme",
        "nothing",
        "no token",
        "another key",
        "expired",
    ],  # the same in each worker
)
async def test_what_is_no_valid_token_is_unauthenticated(header: str) -> None:
    """Forged, expired, of another scheme, or nothing."""
    with pytest.raises(Unauthenticated):
        await auth.Verifier(KEY).admit(header, "alerts:read")


@pytest.mark.parametrize("scopes", [5, [{}], "admin"])
def test_scopes_that_are_no_list_of_names_are_refused(scopes: object) -> None:
    """Even when the signature is right."""
    token = jwt.encode({"sub": "ada", "aud": auth.AUDIENCE, "scopes": scopes}, KEY, algorithm="HS256")
    with pytest.raises(Unauthenticated):
        auth.Verifier(KEY).principal(f"Bearer {token}")


async def test_a_remembered_token_still_expires() -> None:
    """Remembering does not prolong."""
    verifier = auth.Verifier(KEY)
    header = bearer(ttl=timedelta(hours=1))
    principal = await verifier.admit(header, "")
    verifier._seen[header] = (principal, 1.0)
    assert (await verifier.admit(header, "")).subject == "ada"  # decoded anew: an hour is left
    expired = bearer(ttl=timedelta(seconds=-1))
    verifier._seen[expired] = (principal, 1.0)
    with pytest.raises(Unauthenticated):
        await verifier.admit(expired, "")


async def test_a_scope_that_is_lacking_is_denied() -> None:
    """And no token at all is unauthenticated, unless the method is open."""
    verifier = auth.Verifier(KEY)
    with pytest.raises(Denied) as denied:
        await verifier.admit(bearer(), "alerts:write")
    assert denied.value.reason == "SCOPE_REQUIRED"
    with pytest.raises(Unauthenticated):
        await verifier.admit(None, "alerts:read")
    assert (await verifier.admit(None, "")) == auth.ANONYMOUS


@pytest.mark.parametrize(
    ("scopes", "named", "actor"),
    [
        (set(), "", "ada"),
        (set(), "ada", "ada"),
        ({"act-as"}, "bob", "bob"),
        ({"admin"}, "bob", "bob"),
        (set(), "bob", None),
    ],
)
def test_the_actor_is_the_subject_unless_the_token_may_act_as_another(
    scopes: set[str], named: str, actor: str | None
) -> None:
    """CONTRACT §3."""
    auth.enter(auth.Principal("ada", frozenset(scopes)))
    if actor is None:
        with pytest.raises(Denied):
            auth.actor(named)
    else:
        assert auth.actor(named) == actor
