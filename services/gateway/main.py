"""The gateway, wired by hand."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from starlette.responses import Response

from chassis.errors import Unavailable
from chassis.process import Running
from chassis.tls import Tls
from identity.config import IdentitySettings
from identity.follower import Follower
from identity.gate import Gate
from services.gateway import contract, receipts, transcoding
from services.gateway.backends import Backends
from services.gateway.calendar import FEEDS, Calendars
from services.gateway.contract import Contract
from services.gateway.cors import Cors
from services.gateway.docs import Documents
from services.gateway.http import Door, Endpoint, Incoming
from services.gateway.intake.doors import open_doors
from services.gateway.intake.ingest import Ingest
from services.gateway.limits import telling
from services.gateway.receipts import Receipts
from services.gateway.routing import Router
from services.gateway.server import HttpServer
from services.gateway.transcoding import UnaryEndpoint


class Config(IdentitySettings):
    """What the gateway is told; `listen` is where it speaks HTTP, the addresses are those of the services' gRPC."""

    roster_address: str
    escalation_address: str
    notify_address: str
    sla_address: str
    cors_origins: str = ""
    """Origins, separated by commas, whose pages may call; `*` for any."""


@asynccontextmanager
async def build(config: Config, spoken: Contract | None = None) -> AsyncIterator[Running]:
    """Wires the gateway; the process and the tests call this same function.

    It speaks the contract that is installed unless it is given another.
    """
    spoken = spoken or contract.load()
    tls = Tls.of(config)
    backends = Backends(
        {
            "roster": config.roster_address,
            "escalation": config.escalation_address,
            "notify": config.notify_address,
            "sla": config.sla_address,
        },
        spoken.rules,
        tls,
    )
    draining = asyncio.Event()
    router: Router[Endpoint] = Router()
    keys = Follower(config, subject="gateway", tls=tls)
    gate = Gate(config, keys=keys)
    add_rules(router, spoken, backends, gate, draining)
    connecting = asyncio.create_task(backends.connect())
    following = [asyncio.create_task(loop()) for loop in (keys.run, gate.run)]
    add_own(router, Documents(spoken), connecting, draining)
    open_doors(router, Ingest(backends.channel("escalation"), gate.limits))
    server = HttpServer(
        listen=config.listen,
        app=Door(router, Cors(filter(None, config.cors_origins.replace(" ", "").split(",")))),
    )
    try:
        await server.start()
        yield server.running
    finally:
        draining.set()
        connecting.cancel()
        await server.drain()
        for task in following:
            task.cancel()
        await keys.close()
        await backends.close()


def add_rules(
    router: Router[Endpoint],
    spoken: Contract,
    backends: Backends,
    verifier: Gate,
    draining: asyncio.Event,
) -> None:
    """Adds a route for every rule of the protos, the page behind receipt links, and the calendar feeds."""
    calendars = Calendars(backends.channel("roster"), verifier)
    for rule in spoken.rules:
        endpoint = transcoding.endpoint(
            rule, contract=spoken, backends=backends, verifier=verifier, draining=draining
        )
        if rule.method.name == receipts.METHOD and isinstance(endpoint, UnaryEndpoint):
            links = Receipts(endpoint)
            router.add("GET", rule.template.text, links.get)
            endpoint = links.post
        elif rule.method.name in FEEDS:
            endpoint = calendars.beside(endpoint, FEEDS[rule.method.name])
        router.add(rule.verb, rule.template.text, telling(endpoint, verifier))


def add_own(
    router: Router[Endpoint], documents: Documents, connecting: asyncio.Task[None], draining: asyncio.Event
) -> None:
    """Adds what the gateway says of itself."""

    async def health(_: Incoming) -> Response:
        if draining.is_set():
            raise Unavailable("the gateway is about to stop")
        if not connecting.done():
            raise Unavailable("the gateway is connecting to the services behind it")
        return Response(b'{"status":"SERVING"}', media_type="application/json")

    router.add("GET", "/healthz", health)
    router.add("GET", "/openapi.json", documents.openapi)
    router.add("GET", "/docs", documents.page)
    router.add("GET", "/", documents.home)
