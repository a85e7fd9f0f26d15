"""A whole installation in one process: the four services and the gateway, called over both doors."""

import asyncio
import json
from collections.abc import Iterable, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import aiohttp
import grpc

from chassis.auth import mint
from chassis.client import channel
from cli.stack.nats import Nats
from services.escalation import main as escalation
from services.escalation.config import Config as EscalationConfig
from services.gateway import main as gateway
from services.notify import main as notify
from services.notify.config import Config as NotifyConfig
from services.roster import main as roster
from services.roster.config import Config as RosterConfig
from services.sla import main as sla
from services.sla.config import Config as SlaConfig
from tests.fixtures.eventually import PATIENCE, eventually
from tests.fixtures.ports import PORTS
from tests.fixtures.postgres import TestDatabase

KEY = "a key for tests alone, long enough"
Json = dict[str, Any]


@dataclass
class Answer:
    """What came back over HTTP."""

    status: int
    headers: Mapping[str, str]
    json: Any

    @property
    def reason(self) -> str:
        """The reason of the error."""
        return str(self.json["error"]["details"][0]["reason"])


@dataclass
class Installation:
    """Services that know each other; `told` is what all of them are told besides, `told_each` what one is."""

    database: TestDatabase
    broker: Nats
    told: Mapping[str, Any] = field(default_factory=dict)
    told_each: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    addresses: dict[str, str] = field(default_factory=dict)
    lives: dict[str, AsyncExitStack] = field(default_factory=dict)
    _channels: dict[tuple[str, str], grpc.aio.Channel] = field(default_factory=dict)

    async def start(self, *names: str) -> None:
        """Starts services by name, roster first."""
        for name in names:
            life = AsyncExitStack()
            service = await life.enter_async_context(self._build(name))
            self.lives[name], self.addresses[name] = life, service.address
        if "gateway" in names:
            self.lives["gateway"].push_async_exit(session := aiohttp.ClientSession())
            self.session = session

            async def serving() -> bool:
                return (await self.call("GET", "/healthz", token="", base="")).status == 200

            await eventually(serving)

    async def stop(self, name: str) -> None:
        """Stops one service in good order."""
        await self.lives.pop(name).aclose()

    async def aclose(self) -> None:
        """Stops everything."""
        for wire in self._channels.values():
            await wire.close()
        for name in reversed(list(self.lives)):
            await self.stop(name)

    def _build(self, name: str) -> Any:
        # Not a port that outgoing connections use: one of them might take it while the service is stopped.
        listen = {"listen": self.addresses.get(name) or f"127.0.0.1:{PORTS.take()}"}
        common: Json = {"token_key": KEY, **listen, **self.told, **self.told_each.get(name, {})}
        if name != "roster" and "roster" in self.addresses:
            common["roster_address"] = self.addresses["roster"]
        nowhere = self.addresses.get("roster", "127.0.0.1:1")  # answers, though not what it is asked
        peers = {
            f"{peer}_address": self.addresses.get(peer, nowhere) for peer in ("notify", "escalation", "sla")
        }
        if name == "gateway":
            return gateway.build(gateway.Config(**{**common, **peers}))
        common |= {
            "database_url": self.database.url(name),
            "nats_url": self.broker.url(name),
            "database_pool": 4,
        }
        if name == "escalation":
            return escalation.build(EscalationConfig(**{"roster_address": nowhere, **common, **peers}))
        if name == "notify":
            return notify.build(
                NotifyConfig(**{**common, **peers}, receipt_key="r" * 32, secrets_key="s" * 32)
            )
        return roster.build(RosterConfig(**common)) if name == "roster" else sla.build(SlaConfig(**common))

    def token(self, *scopes: str, subject: str = "ada") -> str:
        """A token of the shared key."""
        return mint(KEY, subject=subject, scopes=scopes)

    async def call(
        self, method: str, path: str, body: object = None, *, token: str, base: str = "/api/alert"
    ) -> Answer:
        """Calls the gateway."""
        headers = {"authorization": f"Bearer {token}"} if token else {}
        if body is not None:
            headers["content-type"] = "application/json"
        url = f"http://{self.addresses['gateway']}{base}{path}"
        data = None if body is None else json.dumps(body)
        async with self.session.request(method, url, data=data, headers=headers) as response:
            return Answer(response.status, response.headers, json.loads(await response.text() or "null"))

    def channel(self, name: str, token: str) -> grpc.aio.Channel:
        """A channel to a service, calls with the token."""
        wire = self._channels.get((name, token))
        if wire is None:
            wire = self._channels[name, token] = channel(
                self.addresses[name], token=token, deadline=timedelta(seconds=PATIENCE)
            )
        return wire

    async def key(self, *scopes: str, **fields: object) -> Json:
        """A new API key, with its secret."""
        body = {"scopes": scopes, **fields}
        made = await self.call("POST", "/api-keys", body, token=self.token("admin"))
        assert made.status == 200, made.json
        return dict(made.json)

    async def statuses(self, token: str, paths: Iterable[str]) -> set[int]:
        """What the gateway answers to each path."""
        return {
            answer.status
            for answer in await asyncio.gather(*(self.call("GET", path, token=token) for path in paths))
        }
