"""The doors besides HTTP: a gRPC client that knows nothing but reflection, a plain NATS consumer, and the README."""

import asyncio
import os
import re
import shutil
from pathlib import Path
from typing import Any

import grpc
import nats
import pytest
from google.protobuf import descriptor_pool, json_format, message_factory
from grpc_reflection.v1alpha import reflection_pb2
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import ProtoReflectionDescriptorDatabase

from tests.fixtures.eventually import PATIENCE
from tests.system.world import World, channel_to
from tocsin.escalation.v1 import events_pb2

ROOT = Path(__file__).parents[2]
CONTEXTS = {
    "roster": "tocsin.roster.v1.ResponderService",
    "escalation": "tocsin.escalation.v1.AlertService",
    "notify": "tocsin.notify.v1.RouteService",
    "sla": "tocsin.sla.v1.SlaService",
}
EVENTS: dict[str, Any] = {
    "alert.opened": events_pb2.AlertOpenedEvent,
    "alert.repeated": events_pb2.AlertRepeatedEvent,
    "alert.escalated": events_pb2.AlertEscalatedEvent,
    "alert.acknowledged": events_pb2.AlertAcknowledgedEvent,
    "alert.escalation_exhausted": events_pb2.AlertEscalationExhaustedEvent,
    "alert.closed": events_pb2.AlertClosedEvent,
}


def call_by_reflection(
    channel: grpc.Channel, token: str, service: str, method: str, body: dict[str, Any]
) -> dict[str, Any]:
    """A unary call by a client that has no generated code: descriptors come from the server."""
    with channel:
        pool = descriptor_pool.DescriptorPool(ProtoReflectionDescriptorDatabase(channel))
        described = pool.FindServiceByName(service).FindMethodByName(method)
        request = message_factory.GetMessageClass(described.input_type)
        response = message_factory.GetMessageClass(described.output_type)
        call = channel.unary_unary(
            f"/{service}/{method}",
            request_serializer=request.SerializeToString,
            response_deserializer=response.FromString,
        )
        answer = call(
            json_format.ParseDict(body, request()),
            timeout=PATIENCE,
            metadata=(("authorization", f"Bearer {token}"),),
        )
        found: dict[str, Any] = json_format.MessageToDict(answer, preserving_proto_field_name=True)
        return found


async def test_a_plain_grpc_client_triggers_by_reflection(world: World) -> None:
    """What grpcurl does."""
    answer = await asyncio.to_thread(
        call_by_reflection,
        channel_to(world.stack, "escalation"),
        world.stack["token"],
        "tocsin.escalation.v1.AlertService",
        "TriggerAlert",
        {"title": "by reflection", "severity": "HIGH", "source": world.mark},
    )
    assert answer["outcome"] == "OPENED"
    assert (await world.alert(answer["alert"]["alert_id"]))["title"] == "by reflection"


@pytest.mark.parametrize(("context", "service"), CONTEXTS.items())
async def test_every_service_answers_reflection_v1_and_health(
    world: World, context: str, service: str
) -> None:
    """grpc.reflection.v1 lists the service, grpc.health.v1 says SERVING."""
    async with channel_to(world.stack, context, grpc.aio) as channel:
        reflect = channel.stream_stream(
            "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo",
            request_serializer=reflection_pb2.ServerReflectionRequest.SerializeToString,
            response_deserializer=reflection_pb2.ServerReflectionResponse.FromString,
        )
        answers = reflect(iter([reflection_pb2.ServerReflectionRequest(list_services="")]))
        listed: Any = await answers.read()
        assert service in {one.name for one in listed.list_services_response.service}
        check: Any = channel.unary_unary("/grpc.health.v1.Health/Check")
        assert await check(b"") == b"\x08\x01"


async def test_a_plain_nats_consumer_sees_every_event_in_order(world: World) -> None:
    """CloudEvents in binary mode; the versions of one alert follow each other without a hole."""
    client = await nats.connect(world.stack["nats"])
    try:
        subscription = await client.jetstream().subscribe("alert.>", ordered_consumer=True)
        key = world.own("key")
        alert_id = (await world.trigger(dedup_key=key))["alert"]["alert_id"]
        await world.trigger(dedup_key=key)
        await world.ok("POST", f"/alerts/{alert_id}:acknowledge", {})
        closed = await world.ok("POST", f"/alerts/{alert_id}:close", {})
        seen: list[tuple[str, int]] = []
        ids: set[str] = set()
        while len(seen) < int(closed["version"]):
            message = await subscription.next_msg(10)
            headers = message.headers or {}
            if headers["ce-subject"] != alert_id or headers["ce-id"] in ids:
                continue
            ids.add(headers["ce-id"])
            assert headers["ce-specversion"] == "1.0"
            assert headers["ce-source"] == "/tocsin/escalation"
            assert headers["ce-type"] == message.subject
            assert headers["ce-datacontenttype"] == "application/protobuf"
            assert headers["Nats-Msg-Id"] == headers["ce-id"]
            assert headers["ce-time"]
            event = EVENTS[message.subject].FromString(message.data)
            assert event.alert.alert_id == alert_id
            seen.append((message.subject, event.version))
        assert [version for _, version in seen] == list(range(1, len(seen) + 1))
        assert {"alert.opened", "alert.repeated", "alert.acknowledged", "alert.closed"} <= {
            name for name, _ in seen
        }
    finally:
        await client.close()


async def test_the_readme_can_be_followed_word_for_word(world: World, tmp_path: Path) -> None:
    """Its shell and Python blocks run as they stand, in order; only the address of the gateway is this stack's."""
    (tmp_path / "data").mkdir()
    shutil.copy(world.stack["path"], tmp_path / "data" / "stack.json")
    (tmp_path / ".venv").symlink_to(ROOT / ".venv")
    text = (
        (ROOT / "README.md").read_text().split("## Quick start", 1)[1].split("## With Docker Compose", 1)[0]
    )
    text = text.replace("http://127.0.0.1:8080", world.stack["gateway"])
    text = re.sub(r"\bada\b", world.own("ada"), text).replace("db-1/disk", world.own("disk"))
    blocks = re.findall(r"```(sh|python)\n(.*?)```", text, re.DOTALL)
    script = ["set -euo pipefail"]
    for number, (language, block) in enumerate(blocks):
        if (
            language == "sh"
            and "make up" not in block
            and ("grpcurl" not in block or shutil.which("grpcurl"))
        ):
            script.append(block)
        elif language == "python" and not ("insecure_channel" in block and "certificates" in world.stack):
            (tmp_path / f"{number}.py").write_text(block)
            run = f".venv/bin/python -u {number}.py"
            if "async for" in block:  # it would go on for ever; what it is to say is enough
                said = f"{number}.out"
                heard = f"grep -q '^alert.opened ' {said} || ! kill -0 $!"
                run = f"timeout 60 {run} >{said} 2>&1 & until {heard}; do sleep 0.1; done; kill $! || true; cat {said}"
            script.append(run)
    process = await asyncio.create_subprocess_exec(
        "bash", "-c", "\n".join(script), cwd=tmp_path, env=dict(os.environ),
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
    )  # fmt: skip
    output = (await process.communicate())[0].decode()
    assert process.returncode == 0, output
    assert '"error"' not in output, output
    for sign in (
        '"outcome":"OPENED"',
        '"state":"ACKED"',
        '"total_alerts":',
        "alert.opened ",
        '"routing_key":"',
    ):
        assert sign in output.replace('": ', '":'), f"{sign} is not in:\n{output}"
