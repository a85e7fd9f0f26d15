"""Sends signals on to escalation in the name of a routing key."""

import asyncio
import string
import time
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import grpc
import structlog

from chassis.auth import Principal
from chassis.batching import GroupCommit
from chassis.errors import Invalid, TimedOut, Unauthenticated
from identity.limits import Limits
from services.gateway import failures
from services.gateway.failures import CallFailed
from services.gateway.http import DEADLINE, Incoming
from services.gateway.intake.signal import Action, Signal
from tocsin.escalation.v1 import (
    alert_pb2,
    alert_service_pb2,
    integration_service_pb2,
    integration_service_pb2_grpc,
)

log = structlog.get_logger()
KEY_LENGTH = 32
KEY_ALPHABET = frozenset(string.ascii_letters + string.digits + "-_")
AT_ONCE = 1_000
"""Signals of one call."""
MOST_LANES = 1_000
"""Routing keys whose recent traffic is remembered."""
REFUSED = frozenset(
    code.value[0]
    for code in (
        grpc.StatusCode.INVALID_ARGUMENT,
        grpc.StatusCode.FAILED_PRECONDITION,
        grpc.StatusCode.OUT_OF_RANGE,
        grpc.StatusCode.NOT_FOUND,
        grpc.StatusCode.ALREADY_EXISTS,
    )
)
"""What the same signal would be told again; any other failure may be over when the sender tries again."""


@dataclass(frozen=True, slots=True)
class Taken:
    """The alerts of the signals that were taken, empty where nothing changed, and why the others never will be."""

    alert_ids: Sequence[str]
    refusals: Sequence[str]


@dataclass(frozen=True, slots=True)
class _Sent:
    """A signal and what its request brought for the call."""

    signal: Signal
    metadata: Sequence[tuple[str, str]]
    until: float
    """When its sender waits no longer, by the monotonic clock."""


class Ingest:
    """Escalation's intake. Signals of one key that come while a call of that key is under way share the next one."""

    def __init__(self, channel: grpc.aio.Channel, limits: Limits) -> None:
        self._limits = limits
        self._stub = integration_service_pb2_grpc.IntegrationServiceStub(channel)
        self._lanes: OrderedDict[str, GroupCommit[_Sent, Any]] = OrderedDict()

    async def send(self, incoming: Incoming, routing_key: str, signals: Sequence[Signal]) -> Taken:
        """What became of the signals, in calls of at most AT_ONCE.

        Raises Unauthenticated when the key has not the form of one or no integration has it, Exhausted when it is
        over its rate, CallFailed when a call failed or a signal may be taken at another time, TimedOut when the sender's
        deadline passed first; what was under way then may be taken all the same.
        """
        if len(routing_key) != KEY_LENGTH or not KEY_ALPHABET.issuperset(routing_key):
            raise Unauthenticated("the routing key is not one of ours", reason="UNKNOWN_ROUTING_KEY")
        self._limits.take(Principal(subject=f"integrations/{routing_key}"))
        metadata, timeout = incoming.metadata(credential=False), _timeout(incoming)
        until, lane = time.monotonic() + timeout, self._lane(routing_key)
        try:
            async with asyncio.timeout(timeout):
                answers = await lane.submit_many([_Sent(signal, metadata, until) for signal in signals])
        except TimeoutError:
            raise TimedOut("the deadline passed") from None
        for answer in answers:
            if isinstance(answer, Exception):
                raise answer
        return _taken(answers)

    def _lane(self, routing_key: str) -> GroupCommit[_Sent, Any]:
        """The calls of one key, so that a slow or refused one holds up no other; those used last are kept."""
        lane = self._lanes.get(routing_key)
        if lane is None:

            async def flush(sent: list[_Sent]) -> Sequence[Any]:
                return await self._call(routing_key, sent)

            lane = self._lanes[routing_key] = GroupCommit("intake", flush, limit=AT_ONCE)
            if len(self._lanes) > MOST_LANES:
                self._lanes.popitem(last=False)
        self._lanes.move_to_end(routing_key)
        return lane

    async def _call(self, routing_key: str, sent: Sequence[_Sent]) -> Sequence[Any]:
        """One call, which lasts as long as the most patient of its senders waits."""
        request = request_of(routing_key, [one.signal for one in sent])
        timeout = max(one.until for one in sent) - time.monotonic()
        try:
            answer = await self._stub.IngestSignals(request, timeout=timeout, metadata=sent[0].metadata)
        except grpc.aio.AioRpcError as error:
            raise failures.from_call(error) from None
        return answer.results


def _timeout(incoming: Incoming) -> float:
    """How long the sender waits; a header that says nothing sensible is passed over, for no page is lost over a word."""
    try:
        return incoming.timeout() or DEADLINE
    except Invalid:
        return DEADLINE


def _taken(results: Sequence[Any]) -> Taken:
    failed = [result.error for result in results if result.HasField("error")]
    for error in failed:
        if error.code not in REFUSED:
            raise CallFailed(error)
    if failed:
        log.warning("intake.refused", refused=len(failed), of=len(results), first=failed[0].message)
    return Taken(
        [result.alert_id for result in results if not result.HasField("error")],
        [error.message for error in failed],
    )


def request_of(routing_key: str, signals: Sequence[Signal]) -> Any:
    """The message that carries the signals."""
    return integration_service_pb2.IngestSignalsRequest(
        routing_key=routing_key, signals=[_signal(signal) for signal in signals]
    )


def _signal(signal: Signal) -> Any:
    alert = alert_service_pb2.TriggerAlertRequest(dedup_key=signal.dedup_key)
    if signal.action in (Action.TRIGGER, Action.COMMENT):
        alert.title, alert.description = signal.title, signal.description
    if signal.action is Action.TRIGGER:
        alert.source = signal.source
        alert.severity = alert_pb2.Severity.Value.Value(signal.severity.value)
        alert.labels.update(signal.labels)
    action = integration_service_pb2.Signal.Action.Value(signal.action.value)
    return integration_service_pb2.Signal(action=action, alert=alert, note=signal.note)
