"""The stack of docker-compose.tls.yml: who has no certificate, or not the right name, gets no answer."""

import asyncio
from pathlib import Path
from typing import Any

import grpc
import pytest
import yaml

from cli.stack.schemas import CONTEXTS
from tests.fixtures.eventually import PATIENCE
from tests.system.world import World, channel_to

COMPOSE = Path(__file__).parents[2] / "docker-compose.tls.yml"
METHODS = {
    "roster": "/tocsin.roster.v1.ResponderService/ListResponders",
    "escalation": "/tocsin.escalation.v1.AlertService/ListAlerts",
    "notify": "/tocsin.notify.v1.RouteService/ListRoutes",
    "sla": "/tocsin.sla.v1.SlaService/ListSlaTargets",
}


def answer(channel: grpc.Channel, method: str, token: str) -> str:
    """The status of a call with a token that may everything."""
    with channel:
        call: Any = channel.unary_unary(method)
        try:
            call(b"", timeout=PATIENCE, metadata=(("authorization", f"Bearer {token}"),))
        except grpc.RpcError as error:
            return str(error.code().name)
    return "OK"


async def test_only_those_who_are_named_are_answered(world: World) -> None:
    """Every service with every certificate, with none, and without TLS."""
    if "certificates" not in world.stack:
        pytest.skip("the stack's services want no certificates: make test-compose ARGS=--tls")
    services = yaml.safe_load(COMPOSE.read_text())["services"]
    for context in CONTEXTS:
        peers = services[context]["environment"]["TOCSIN_TLS_PEERS"].split(",")
        token, method = world.stack["token"], METHODS[context]
        for caller in (*CONTEXTS, "gateway"):
            channel = channel_to(world.stack, context, caller=caller)
            said = await asyncio.to_thread(answer, channel, method, token)
            assert said == ("OK" if caller in peers else "PERMISSION_DENIED"), (context, caller)
        address = world.stack["grpc"][context]
        nobody = grpc.ssl_channel_credentials((Path(world.stack["certificates"]) / "tls_ca.pem").read_bytes())
        override = [("grpc.ssl_target_name_override", context)]
        for channel in (grpc.insecure_channel(address), grpc.secure_channel(address, nobody, override)):
            assert await asyncio.to_thread(answer, channel, method, token) == "UNAVAILABLE"
    for path in ("/oncall/responders", "/alerts", "/routes", "/sla/overview"):
        await world.ok("GET", path)
