"""The owners of the events that figures are made of: asked for them again when their stream was lost."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from chassis.auth import mint
from chassis.client import channel
from chassis.wire import timestamp
from identity.scopes import SERVICE
from messaging.epochs import Replay
from services.sla.config import Config
from tocsin.escalation.v1 import messaging_service_pb2_grpc as escalation
from tocsin.messaging.v1 import messaging_pb2
from tocsin.notify.v1 import messaging_service_pb2_grpc as notify

TIMEOUT = 30.0
"""Seconds: a busy day of events is marked within them."""


class Owners:
    """Escalation and notify."""

    def __init__(self, config: Config, *, tls: Any = None) -> None:
        token = mint(config.token_key, subject="sla", scopes=[SERVICE])
        self._channels = [
            channel(address, token=token, tls=tls)
            for address in (config.escalation_address, config.notify_address)
        ]
        alerts, notifications = self._channels
        self.streams: Mapping[str, Replay] = {
            "TOCSIN_ALERT": _asking(escalation.MessagingServiceStub(alerts).ReplayEscalationEvents),
            "TOCSIN_NOTIFICATION": _asking(notify.MessagingServiceStub(notifications).ReplayNotifyEvents),
        }

    async def close(self) -> None:
        """Closes the channels."""
        for one in self._channels:
            await one.close()


def _asking(call: Any) -> Replay:
    async def replay(since: datetime) -> int:
        request = messaging_pb2.ReplayEventsRequest(start=timestamp(since))
        return int((await call(request, timeout=TIMEOUT)).events)

    return replay
