"""The owners of the events that figures are made of: asked for them again when their stream was lost."""

from collections.abc import Mapping
from typing import Any

from chassis.auth import mint
from chassis.client import channel
from identity.scopes import SERVICE
from messaging.epochs import Replay
from messaging.owners import asking
from services.sla.config import Config
from tocsin.escalation.v1 import messaging_service_pb2_grpc as escalation
from tocsin.notify.v1 import messaging_service_pb2_grpc as notify


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
            "TOCSIN_ALERT": asking(escalation.MessagingServiceStub(alerts).ReplayEscalationEvents),
            "TOCSIN_NOTIFICATION": asking(notify.MessagingServiceStub(notifications).ReplayNotifyEvents),
        }

    async def close(self) -> None:
        """Closes the channels."""
        for one in self._channels:
            await one.close()
