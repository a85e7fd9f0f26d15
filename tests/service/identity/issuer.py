"""An OIDC issuer on loopback with real keys: discovery, a key set, tokens."""

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import jwt
from aiohttp import web
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from jwt.algorithms import ECAlgorithm, RSAAlgorithm

AUDIENCE = "tocsin.example"


@dataclass
class OidcIssuer:
    """Serves what `published` names; `away` makes every answer a 503."""

    url: str = ""
    private: dict[str, tuple[str, Any]] = field(default_factory=dict)
    published: list[dict[str, Any]] = field(default_factory=list)
    asked: int = 0
    away: bool = False
    about: dict[str, Any] = field(default_factory=dict)

    def add(self, kid: str, algorithm: str = "RS256", **jwk: Any) -> None:
        """A new key pair, published."""
        if algorithm.startswith("ES"):
            made: Any = ec.generate_private_key(ec.SECP256R1())
            public = ECAlgorithm.to_jwk(made.public_key(), as_dict=True)
        else:
            made = rsa.generate_private_key(65537, 2048)
            public = RSAAlgorithm.to_jwk(made.public_key(), as_dict=True)
        self.private[kid] = (algorithm, made)
        self.published.append({**public, "kid": kid, "use": "sig", "alg": algorithm, **jwk})

    def retire(self, kid: str) -> None:
        """Publishes a key no longer."""
        self.published = [key for key in self.published if key["kid"] != kid]

    def token(self, kid: str, *, key: Any = None, alg: str = "", **claims: Any) -> str:
        """A token signed with a key; claims that are None are left out."""
        algorithm, private = self.private.get(kid, (alg, key))
        now = int(time.time())
        told = {"iss": self.url, "aud": AUDIENCE, "sub": "ada", "exp": now + 300, **claims}
        given = {name: value for name, value in told.items() if value is not None}
        return jwt.encode(given, key or private, algorithm=alg or algorithm, headers={"kid": kid})

    async def _discovery(self, _: web.Request) -> web.Response:
        if self.away:
            return web.Response(status=503)
        return web.json_response({"issuer": self.url, "jwks_uri": f"{self.url}/keys", **self.about})

    async def _keys(self, _: web.Request) -> web.Response:
        self.asked += 1
        return web.json_response({"keys": self.published}, status=503 if self.away else 200)


@asynccontextmanager
async def issuing() -> AsyncIterator[OidcIssuer]:
    """An issuer with one RSA key, `one`."""
    issuer = OidcIssuer()
    app = web.Application()
    app.router.add_get("/.well-known/openid-configuration", issuer._discovery)
    app.router.add_get("/keys", issuer._keys)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    issuer.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    issuer.add("one")
    try:
        yield issuer
    finally:
        await runner.cleanup()
