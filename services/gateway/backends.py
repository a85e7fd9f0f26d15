"""Channels to the four services, over which calls go in the caller's name."""

import asyncio
import json
from collections.abc import Iterable, Mapping
from typing import Any, TypeAlias

import grpc
from google.protobuf import message_factory

from chassis.client import CONNECTION, RETRY, opened
from chassis.server import MAX_MESSAGE
from chassis.tls import Tls
from services.gateway.contract import Rule

PATIENCE = 10.0
"""Seconds for which a gateway that starts waits for the services behind it before it calls itself healthy."""
UnaryCall: TypeAlias = "grpc.aio.UnaryUnaryMultiCallable[Any, Any]"
StreamCall: TypeAlias = "grpc.aio.UnaryStreamMultiCallable[Any, Any]"


class Backends:
    """One channel for each context; what is read over HTTP by GET is tried again while its service is away."""

    def __init__(self, addresses: Mapping[str, str], rules: Iterable[Rule], tls: Tls | None = None) -> None:
        reads = [rule for rule in rules if rule.verb == "GET" and not rule.method.server_streaming]
        self._channels = {
            context: _channel(address, [rule for rule in reads if rule.context == context], tls)
            for context, address in addresses.items()
        }

    def unary(self, rule: Rule) -> UnaryCall:
        """What calls the rule's method."""
        return self._channels[rule.context].unary_unary(
            rule.call,
            request_serializer=message_factory.GetMessageClass(rule.method.input_type).SerializeToString,
            response_deserializer=message_factory.GetMessageClass(rule.method.output_type).FromString,
        )

    def stream(self, rule: Rule) -> StreamCall:
        """What calls the rule's method, which answers a stream."""
        return self._channels[rule.context].unary_stream(
            rule.call,
            request_serializer=message_factory.GetMessageClass(rule.method.input_type).SerializeToString,
            response_deserializer=message_factory.GetMessageClass(rule.method.output_type).FromString,
        )

    def channel(self, context: str) -> grpc.aio.Channel:
        """The channel to a context, for methods that no HTTP rule names."""
        return self._channels[context]

    async def connect(self) -> None:
        """Connects to all of them; those that are away after ten seconds are not waited for."""
        ready = [asyncio.create_task(channel.channel_ready()) for channel in self._channels.values()]
        _, away = await asyncio.wait(ready, timeout=PATIENCE)
        for task in away:
            task.cancel()

    async def close(self) -> None:
        """Closes all channels."""
        for channel in self._channels.values():
            await channel.close()


def _channel(address: str, reads: Iterable[Rule], tls: Tls | None) -> grpc.aio.Channel:
    """Without chassis.client's interceptor: deadline, trace and details of errors pass through as they are."""
    methods = {(rule.method.containing_service.full_name, rule.method.name) for rule in reads}
    names = [{"service": service, "method": method} for service, method in sorted(methods)]
    return opened(
        address,
        [
            ("grpc.service_config", json.dumps({"methodConfig": [{"name": names, "retryPolicy": RETRY}]})),
            ("grpc.max_receive_message_length", MAX_MESSAGE),
            ("grpc.max_send_message_length", MAX_MESSAGE),
            *CONNECTION,
        ],
        tls,
    )
